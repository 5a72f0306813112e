"""A run of the comparison: whose it is, where it goes on, when it is due, and what becomes of its findings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from domain.ids import WrongKind
from outbound.reconciliation import findings, run, runs
from outbound.reconciliation.findings import FindingClosed, FindingUnknown
from outbound.reconciliation.judgement import NONE_OF
from outbound.reconciliation.kinds import Kind
from outbound.reconciliation.runs import LeaseLost
from providers.base import NoAnswer, Page
from providers.registry import registry
from tests.integration.outbound.reconciliation.conftest import Here, contents, provider
from tests.simulators import SHARDS, AShop, an_event

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MANY = 250  # three pages of Stripe's


@pytest.fixture
def there(tmp_path):
    with provider("stripe", tmp_path) as made:
        yield made


@pytest.fixture
def here(shop, there):
    return Here(shop, "stripe", there.when)


class Counted:
    """A listing that counts the questions, and fails where a test says so."""

    def __init__(self, real):
        self.real, self.pages, self.abouts, self.fails = real, [], [], []

    def page(self, since, until, after):
        self.pages.append(after)
        if self.fails:
            raise self.fails.pop(0)
        return self.real.page(since, until, after)

    def about(self, payment_id):
        self.abouts.append(payment_id)
        return self.real.about(payment_id)


def clock():
    return datetime.now(UTC)


def no_waiting(error, attempts):
    raise error


def begun(shop: AShop, there, holder: str, *, scheduled: bool = False):
    with shop.engine.begin() as conn:
        runs.keep(conn, "stripe", holder)
        return runs.begin(conn, "stripe", there.when - HOUR, there.when + HOUR, clock(), scheduled=scheduled)


def pages(shop: AShop, client, at, holder: str):
    return run.compare(shop.engine, shop.streams, SHARDS, client, at, holder, clock, no_waiting)


def whole(shop: AShop, there, client=None):
    """One whole comparison: the last word of it."""
    mine = run.holder()
    *_, last = pages(shop, client or there.client, begun(shop, there, mine), mine)
    shop.work()
    return last


def resumed(shop: AShop):
    with shop.engine.connect() as conn:
        row = runs.unfinished(conn, "stripe")
    assert row is not None
    return runs.position(row)


def many(there, here, *, told: bool = True):
    for n in range(MANY):
        there.pays(f"p{n:03d}")
    events = [here.order(f"N{n:03d}", f"p{n:03d}") for n in range(MANY)]
    events += [here.paid(f"p{n:03d}") for n in range(MANY)] if told else []
    here.shop.tell(*events)


# -- going on ------------------------------------------------------------------------------------------------


def test_what_was_broken_off_goes_on_behind_the_last_page_that_was_written(shop, there, here):
    many(there, here, told=False)
    client = Counted(there.client)
    first = next(pages(shop, client, begun(shop, there, "one"), "one"))
    assert first.counts["healed"] == 100
    at = resumed(shop)
    assert at.cursor == client.real.page(at.since, at.until, None).after
    with shop.engine.begin() as conn:  # its lease has ended
        conn.exec_driver_sql("update leases set until = now() - interval '1 second'")
        runs.keep(conn, "stripe", "two")
    *_, last = pages(shop, client, at, "two")
    assert last.counts["payments"] == MANY, "each page once"
    assert shop.rows("select count(*) from journal where source = 'reconciliation'")[0][0] == MANY
    assert shop.rows("select count(*) from findings where state = 'healed'")[0][0] == MANY
    assert shop.rows("select count(*) from duplicates")[0][0] == 0
    assert shop.rows("select count(*) from reconciliation_seen")[0][0] == 0, "forgotten at the end"
    shop.work()
    assert whole(shop, there).counts["healed"] == 0


def test_whoever_lost_the_lease_writes_nothing_more(shop, there, here):
    many(there, here, told=False)
    slow = pages(shop, there.client, begun(shop, there, "one"), "one")
    next(slow)
    shop.do("update leases set holder = 'two', until = now() + interval '1 minute'")
    written = shop.rows("select count(*) from journal")[0][0]
    with pytest.raises(LeaseLost, match="compared by another process"):
        next(slow)
    assert shop.rows("select count(*) from journal")[0][0] == written
    assert shop.rows("select counts ->> 'payments' from reconciliations")[0][0] == "100"


def test_whoever_lost_the_lease_does_not_write_either_that_the_provider_was_silent(shop, there, here):
    class Overtaken(Counted):
        def page(self, since, until, after):
            shop.do("update leases set holder = 'two', until = now() + interval '1 minute'")
            raise NoAnswer("stripe: answered 429", retry_after=120)

    due(shop, there.client, timedelta(0))
    assert due(shop, Overtaken(there.client), DAY + HOUR)
    (row,) = shop.rows("select attempts, last_error, next_at from reconciliations where state = 'running'")
    assert tuple(row) == (0, None, None)
    assert shop.rows("select holder from leases")[0].holder == "two"


@pytest.mark.parametrize("change", ["cursor = 'elsewhere'", "stage = 'ours'", "state = 'done'"])
def test_whoever_was_overtaken_unseen_finds_the_run_elsewhere_and_writes_nothing(shop, there, here, change):
    many(there, here, told=False)
    slow = pages(shop, there.client, begun(shop, there, "one"), "one")
    next(slow)
    shop.do(f"update reconciliations set {change}")
    before = contents(shop)
    with pytest.raises(LeaseLost, match="has gone on in another process"):
        next(slow)
    assert contents(shop) == before


def test_one_unfinished_window_a_provider(shop, there):
    begun(shop, there, "one")
    with pytest.raises(IntegrityError, match="reconciliations_running_idx"):
        begun(shop, there, "one", scheduled=True)
    assert shop.rows("select count(*) from reconciliations where state = 'running'")[0][0] == 1


def test_what_was_open_when_the_window_before_ended_is_asked_for(shop, there, here):
    """Stripe lists a payment by when it was begun."""
    long_ago = there.then - 5 * 86_400
    shop.tell(*[here.order(f"N-{name}", name, provider="stripe") for name in ("late", "open", "young", "expired")])
    shop.tell(here.order("N-unnamed", "unnamed"), here.order("N-other", "other", provider="toss"))
    shop.tell(an_event("OrderCanceled", "N-expired"))
    shop.do("update transactions set created_at = now() - interval '6 days' where payment_id <> 'young'")
    for name in ("late", "unnamed", "young", "expired", "other"):
        there.pays(name, at=long_ago)
    client = Counted(there.client)
    last = whole(shop, there, client)
    assert sorted(client.abouts) == ["late", "open", "unnamed"]
    assert (last.counts["healed"], last.counts["waiting"]) == (2, 0)
    paid = shop.rows("select payment_id from transactions where paid_at is not null order by payment_id")
    assert [row.payment_id for row in paid] == ["late", "unnamed"]


def test_a_refund_that_was_under_way_when_the_window_before_ended_is_asked_for(shop, there, here):
    shop.tell(here.order("N1", "p1"), here.paid("p1"))
    there.pays("p1", at=there.then - 9 * 86_400)
    own_id = there.refunds("p1", status="failed")
    asked = (there.when - 8 * DAY).isoformat()
    about = {"refund": own_id, "amount": "4.00", "status": "pending", "requestedAt": asked}
    shop.tell(here.told("PaymentRefunded", paymentId="p1", **about))
    shop.do("update transactions set paid_at = paid_at - interval '9 days'")

    class ByBeginning(Counted):
        def page(self, since, until, after):
            return Page()

    client = ByBeginning(there.client)
    last = whole(shop, there, client)
    assert client.abouts == ["p1"]
    assert [each.difference.kind for each in last.judged] == [Kind.REFUND_FAILED_THERE]


def test_our_side_is_asked_for_by_page_and_theirs_only_for_what_they_did_not_list(shop, there, here):
    many(there, here)
    for n in range(230):  # more than a page of ours, listed in a window of another time
        there.books.put(there.books.known(f"p{n:03d}")) if n > 2 else there.pays(f"p{n:03d}", at=there.then - 9000)
    client = Counted(there.client)
    last = whole(shop, there, client)
    assert sorted(client.abouts) == ["p000", "p001", "p002"], (
        "captured in this window, begun before it: asked for, and the same"
    )
    assert (last.counts["healed"], last.counts["waiting"]) == (0, 0)


def test_a_provider_that_lists_none_of_many_is_one_finding_and_not_many_questions(shop, there, here):
    shop.tell(*[event for n in range(MANY) for event in (here.order(f"N{n}", f"p{n}"), here.paid(f"p{n}"))])
    client = Counted(there.client)
    last = whole(shop, there, client)
    assert NONE_OF <= len(client.abouts) <= 200, "a page of ours"
    kinds = [each.difference.kind for each in last.judged]
    assert kinds[-1] is Kind.NOTHING_LISTED
    assert "live or test" in last.judged[-1].done


# -- the chore -----------------------------------------------------------------------------------------------


def due(shop: AShop, client, later: timedelta, **more) -> bool:
    asked = {"pace": DAY, "back": 3 * DAY, **more}
    return run.run_due(
        shop.engine, shop.streams, SHARDS, "stripe", client, asked["pace"], asked["back"], clock() + later
    )


def test_the_first_window_is_due_a_pace_after_the_first_look_and_windows_overlap(shop, there):
    client = Counted(there.client)
    assert not due(shop, client, timedelta(0))
    assert not due(shop, client, DAY - HOUR)
    assert client.pages == []
    assert due(shop, client, DAY + HOUR)
    assert not due(shop, client, DAY + 2 * HOUR)
    assert due(shop, client, 3 * DAY)
    assert due(shop, client, 20 * DAY), "nobody worked for a while"
    rows = shop.rows("select since, until, state from reconciliations where since < until order by until")
    assert {row.state for row in rows} == {"done"}
    assert [round((row.until - row.since) / DAY) for row in rows[:2]] == [3, 3]
    assert rows[1].since < rows[0].until, "they overlap"
    assert rows[2].since == rows[1].until, "and leave nothing out"
    now = clock() + 20 * DAY
    assert rows[2].until < now - timedelta(minutes=9), "what is young is left to its webhook"


def test_a_provider_that_does_not_answer_is_asked_again_when_it_wants_to_be(shop, there, here):
    many(there, here, told=False)
    client = Counted(there.client)
    due(shop, client, timedelta(0))
    client.fails = [NoAnswer("stripe: answered 429", retry_after=120)]
    assert due(shop, client, 2 * DAY)
    row = shop.rows("select * from reconciliations where state = 'running'")[0]
    assert (row.attempts, row.last_error) == (1, "stripe: answered 429")
    assert timedelta(seconds=115) < row.next_at - clock() - 2 * DAY < timedelta(seconds=125)
    asked = len(client.pages)
    assert not due(shop, client, 2 * DAY + timedelta(seconds=60))
    assert len(client.pages) == asked
    assert due(shop, client, 2 * DAY + timedelta(seconds=130))
    row = shop.rows("select * from reconciliations where id = :id", id=row.id)[0]
    assert (row.state, row.attempts, row.last_error) == ("done", 0, None)


def test_a_slice_ends_and_the_next_goes_on(shop, there, here, monkeypatch):
    many(there, here, told=False)
    client = Counted(there.client)
    due(shop, client, timedelta(0))
    monkeypatch.setattr(run, "SLICE_S", 0.0)
    for _ in range(20):
        assert due(shop, client, DAY + HOUR) or not shop.rows("select from reconciliations where state = 'running'")
    assert shop.rows("select count(*) from journal where source = 'reconciliation'")[0][0] == MANY
    assert len(client.pages) == len(set(client.pages)), "no page twice"


def test_two_rounds_at_once_are_one(shop, there):
    due(shop, there.client, timedelta(0))
    shop.do("insert into leases values ('reconcile:stripe', 'another', now() + interval '1 minute')")
    assert not due(shop, there.client, DAY + HOUR)


# -- findings ------------------------------------------------------------------------------------------------


def test_a_finding_is_resolved_with_a_note_and_found_again_only_if_a_side_changes(shop, there, here):
    shop.tell(here.order("N1", "p1"), here.paid("p1", "9.00"))
    there.pays("p1")
    whole(shop, there)
    with shop.engine.begin() as conn:
        (found,) = findings.listed(conn)
        done = findings.resolve(conn, found.name, "a test payment", "cli:kim")
    assert (done.state, done.note, done.resolved_by) == ("resolved", "a test payment", "cli:kim")
    noted = shop.rows("select actor, action, target, detail, reason from audit")
    assert [tuple(row)[:3] for row in noted] == [("cli:kim", "findings resolve", found.name)]
    assert (noted[0].detail["kind"], noted[0].reason) == ("amount_differs", "a test payment")
    assert whole(shop, there).counts["waiting"] == 0, "not found again"
    there.pays("p1", "11.00")
    assert whole(shop, there).counts["waiting"] == 1, "another amount is another finding"
    with shop.engine.begin() as conn, pytest.raises(FindingClosed, match=r"is resolved by cli:kim"):
        findings.resolve(conn, found.name, "again", "cli:kim")


def test_a_finding_whose_cause_has_gone_closes_by_itself(shop, there, here):
    shop.tell(here.order("N1", "p1"), here.paid("p1"))
    there.pays("p0")  # so that something is listed
    whole(shop, there)
    states = {row.kind: row.state for row in shop.rows("select kind, state from findings")}
    assert states == {"payment_here": "open", "order_unknown": "open"}
    there.pays("p1")
    shop.tell(here.order("N0", "p0"), here.paid("p0"))
    assert whole(shop, there).counts["waiting"] == 0
    assert {row.state for row in shop.rows("select state from findings")} == {"gone"}


def test_an_event_that_did_not_help_is_not_told_again_and_waits_for_a_person(shop, there, here):
    shop.tell(here.order("N1", "p1"))
    there.pays("p1")
    mine = run.holder()
    list(pages(shop, there.client, begun(shop, there, mine), mine))
    assert whole(shop, there).counts["waiting"] == 0, "it has no result yet: it is on its way"
    shop.do("update transactions set paid_at = null, status = 'pending', amount = 10, provider = null")  # undone
    last = whole(shop, there)
    assert last.counts["waiting"] == 1
    (found,) = shop.rows("select state, done from findings where kind = 'payment_there'")
    assert found.state == "open"
    assert "reconciliation/stripe:p1:paid was told before (applied) and did not settle it" in found.done


def test_a_capture_that_waits_is_known_again_though_its_payment_is_disputed(shop, tmp_path):
    with provider("portone", tmp_path) as there:
        here = Here(shop, "portone", there.when)
        shop.tell(here.order("N1", "p1"))
        there.pays("p1")
        there.disputes("p1")
        mine = run.holder()
        with shop.engine.begin() as conn:
            runs.keep(conn, "portone", mine)
            at = runs.begin(conn, "portone", there.when - HOUR, there.when + HOUR, clock(), scheduled=False)
        first = next(pages(shop, there.client, at, mine))
        assert {each.event.type for each in first.judged} == {"PaymentSucceeded", "PaymentDisputed"}
        shop.work()
        shop.do(
            "update results set outcome = 'parked' where seq = (select seq from journal where event_id = 'portone:p1:paid')"
        )
        shop.do("update transactions set paid_at = null, status = 'pending', amount = 10, provider = null")
        again = next(run.try_out(shop.engine, "portone", there.client, at.since, at.until, clock, no_waiting))
    (found,) = (each for each in again.judged if each.difference.kind is Kind.PAYMENT_THERE)
    assert (found.state, found.event) == ("open", None)
    assert "reconciliation/portone:p1:paid was told before (parked) and waits" in found.done


def test_ids_that_are_none(shop):
    with shop.engine.connect() as conn:
        with pytest.raises(FindingUnknown, match="no finding has the id 'x'"):
            findings.one(conn, "x")
        with pytest.raises(WrongKind):
            findings.one(conn, "ord_01900000000070008000000000000000")


def test_every_provider_that_lists_is_a_chore_that_can_be_switched_off():
    from pathlib import Path

    from settings.environment import SettingsError, read
    from workers.chores import chores

    keys = {f"ORDERS_{name}_API_KEY": "key_of_a_shop" for name in ("STRIPE", "PORTONE", "TOSS")}
    keys["ORDERS_PAYMENTS_URL"] = "http://127.0.0.1:9"
    nowhere = Path("/nowhere")
    names = {each.name for each in chores(read(keys, nowhere))}
    listing = {each.name for each in registry().providers if each.lists is not None}
    assert {f"orders.reconcile:{name}" for name in listing} <= names
    off = {each.name for each in chores(read({**keys, "ORDERS_RECONCILE": "off"}, nowhere))}
    assert not any(name.startswith("orders.reconcile") for name in off)
    with pytest.raises(SettingsError, match=r"ORDERS_RECONCILE_BACK reaches back 12:00:00.*set it to as much or more"):
        read({"ORDERS_RECONCILE_BACK": "12h"}, nowhere)
