"""Timers on real servers: they count from what we know, and first look whether an event of their order waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from sqlalchemy import text

from events.catalogue import tracking_key
from journal import timers as module
from journal.entries import shard_of
from journal.timers import GAP_S, SOURCE, run_due
from tests.builders import asked_back, canceled, confirmed, created, delivered, failed, lost, paid, scan, shipped
from tests.conftest import SHARDS

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GRACE, UNPAID, CONFIRM = HOUR, 24 * HOUR, 7 * DAY  # of the default policy


class Clock:
    """Runs the timers at any time, as a beat does that was never away, unless it is told to have been."""

    def __init__(self, rig):
        self.rig = rig
        self.began = datetime.now(UTC)

    def at(self, after, *, away=False):
        """The events that the timers make so long after the test began."""
        now = self.began + after
        if not away:
            self.beat(after)
        return run_due(self.rig.engine, self.rig.policy, self.rig.shop, now)

    def beat(self, after):
        """A worker looked, so long after the test began, and nothing was due."""
        self.rig.do(
            "insert into heartbeats (name, at) values ('timers', :at) on conflict (name) do update set at = :at",
            at=self.began + after,
        )


@pytest.fixture
def clock(rig):
    return Clock(rig)


def timers(rig):
    """order number → kinds of the timers that are set."""
    found: dict[str, list[str]] = {}
    for number, kind in rig.do("select order_number, kind from timers join orders on id = order_id order by 1, 2"):
        found.setdefault(number, []).append(kind)
    return found


def fired(rig):
    """(order number, type) of the events that timers made."""
    return [
        tuple(row) for row in rig.do("select subject, type from journal where source = :own order by 1", own=SOURCE)
    ]


# -- unpaid orders -------------------------------------------------------------------------------------


def test_an_order_that_nobody_paid_expires_and_not_before(rig, clock):
    rig.tell(created(subject="N1", at=clock.began))
    assert timers(rig) == {"N1": ["unpaid"]}
    assert clock.at(UNPAID - SECOND) == 0
    assert rig.status("N1") == "pending"
    assert clock.at(UNPAID + SECOND) == 1
    assert rig.status("N1") == "canceled"
    assert rig.order("N1").flags == ["expired"]
    assert timers(rig) == {}
    assert fired(rig) == [("N1", "OrderExpired")]
    assert clock.at(UNPAID + DAY) == 0
    assert rig.account()["own"]["applied"] == 1


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([], "canceled"),
        ([failed()], "canceled"),
        ([paid()], "preparing"),
        ([paid(4_000)], "pending"),  # underpaid: more may come, or a person decides
        ([canceled()], "canceled"),
    ],
    ids=["nothing", "failed", "paid", "underpaid", "canceled"],
)
def test_only_an_order_without_any_money_expires(rig, clock, told, status):
    order = created(at=clock.began)
    rig.tell(order)
    assert timers(rig) == {order.subject: ["unpaid"]}
    rig.tell(*told)
    expires = told == [] or told[0].type == "PaymentFailed"
    assert clock.at(UNPAID + HOUR) == int(expires)
    assert rig.status(order.subject) == status
    assert timers(rig) == {}, "what is due and no longer wanted goes away"


def test_without_a_period_nothing_expires(rig, clock):
    rig.decide(unpaid_after=None)
    rig.tell(created(subject="N1", at=clock.began))
    assert timers(rig) == {}


def test_many_expire_in_one_run(rig, clock):
    orders = [created(subject=f"N{n}", payments=(), at=clock.began) for n in range(230)]
    rig.settle(rig.entries(*orders))
    assert clock.at(UNPAID + SECOND) == 230
    assert rig.one("select count(*) from orders where status = 'canceled'") == 230


# -- what waits undecided ------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["in the journal", "in the stream"])
@pytest.mark.parametrize("subject", ["N1", None], ids=["by number", "by payment"])
def test_a_payment_that_waits_undecided_is_applied_first(rig, clock, where, subject):
    rig.tell(created(subject="N1", payments=("p1",), at=clock.began))
    payment = paid(payment="p1", subject=subject)
    (rig.append if where == "in the journal" else rig.accept)(payment)
    assert clock.at(UNPAID + SECOND) == 0
    assert (rig.outcome(payment), rig.status("N1")) == ("applied", "preparing")
    rig.work()  # what the stream still holds is known
    assert rig.account()["applied"] == 2
    assert fired(rig) == []


def test_a_payment_that_another_undecided_event_leads_to_the_order_is_applied_first(rig, clock):
    """The order names no payment; an event that waits names both; the success names the payment only."""
    rig.tell(created(subject="N1", payments=(), at=clock.began))
    attempt, success = failed(payment="p1", subject="N1"), paid(payment="p1", subject=None)
    rig.append(success, attempt)
    assert clock.at(UNPAID + SECOND) == 0
    assert rig.outcome(success) == "applied"
    assert rig.status("N1") == "preparing"


def test_what_waits_for_another_order_is_left_alone(rig, clock):
    rig.tell(created(subject="N1", payments=("p1",), at=clock.began))
    others = [paid(payment="p2", subject=None), paid(payment="p3", subject="N2"), canceled(subject="N3")]
    rig.append(*others)
    assert clock.at(UNPAID + SECOND) == 1
    assert rig.outcomes(*others) == ["undecided"] * 3


def test_poison_that_waits_undecided_does_not_stop_the_timers(rig, clock):
    rig.do("alter table transactions add constraint no_such_method check (payment_method <> 'refused')")
    rig.tell(created(subject="N1", at=clock.began), created(subject="N2", payments=(), at=clock.began))
    poison = paid(1, "more", subject="N1", paymentMethod="refused")
    rig.append(poison)
    assert clock.at(UNPAID + SECOND) == 2
    assert rig.outcome(poison) == "dead: database_refused"
    assert (rig.status("N1"), rig.status("N2")) == ("canceled", "canceled")


def test_an_order_that_somebody_holds_is_left_to_the_next_run(rig, clock):
    """A drain that is just applying its payment, an operator: the timers of others fire meanwhile."""
    parcel = next(
        f"T{n}"
        for n in range(10_000)
        if shard_of(tracking_key("CJ Logistics", f"T{n}"), SHARDS) == shard_of("N2", SHARDS)
    )
    rig.tell(*(created(subject=f"N{n}", payments=(f"p{n}",), at=clock.began) for n in (1, 2)))
    rig.tell(*delivered_order(clock, number="N3", carrier="CJ Logistics", trackingNumber=parcel))
    entries = rig.entries(paid(payment="p1", subject=None))
    rig.append(scan("out_for_delivery", parcel, at=clock.began))  # undecided, in the shard of N2, and about N3
    rig.do(f"alter database {rig.engine.url.database} set lock_timeout = '5s'")
    rig.engine.dispose()
    with rig.engine.connect() as conn:
        rig.settle_in(conn, entries)
        conn.execute(text("select from orders where order_number = 'N3' for update"))
        assert clock.at(UNPAID + SECOND) == 1
        assert rig.status("N2") == "canceled"
        conn.commit()
    assert clock.at(UNPAID + SECOND) == 0
    assert (rig.status("N1"), timers(rig)) == ("preparing", {"N3": ["confirm"]})


def test_a_scan_that_waits_undecided_is_applied_before_its_order_is_confirmed(rig, clock):
    rig.tell(*delivered_order(clock, carrier="CJ Logistics", trackingNumber="T1"))
    late = scan("out_for_delivery", "T1", at=clock.began)
    rig.append(late)
    assert clock.at(CONFIRM + SECOND) == 1
    assert rig.outcome(late) == "ignored: overtaken"


# -- grace, gaps, history ------------------------------------------------------------------------------


def test_an_old_order_has_a_grace_from_when_we_learned_of_it(rig, clock):
    """A backfill expires nobody before their own events have come."""
    rig.tell(created(subject="N1", at=clock.began - 10 * DAY))
    assert clock.at(GRACE - MINUTE) == 0
    assert clock.at(GRACE + MINUTE) == 1
    assert rig.status("N1") == "canceled"


def test_after_a_gap_of_our_own_nothing_fires_within_a_grace(rig, clock):
    """Nobody looked for a week; what was sent meanwhile is still on its way to us."""
    rig.tell(
        created(subject="N1", payments=("p1",), at=clock.began), created(subject="N2", payments=(), at=clock.began)
    )
    clock.beat(HOUR)
    back = 7 * DAY
    assert clock.at(back, away=True) == 0
    for minutes in range(1, 60):  # it looks every minute from then on
        assert clock.at(back + minutes * MINUTE, away=True) == 0
    rig.tell(paid(payment="p1", subject=None))
    assert clock.at(back + GRACE + SECOND, away=True) == 1
    assert (rig.status("N1"), rig.status("N2")) == ("preparing", "canceled")


def test_a_short_pause_is_no_gap(rig, clock):
    rig.tell(created(subject="N1", at=clock.began))
    clock.beat(UNPAID + SECOND - timedelta(seconds=GAP_S - 1))
    assert clock.at(UNPAID + SECOND, away=True) == 1


def test_hosts_that_disagree_about_the_time_make_no_gap(rig, clock, monkeypatch):
    """One of two runs under a clock that is ten minutes fast: timers ask PostgreSQL."""
    rig.tell(*(created(subject=f"N{n}", payments=(), at=clock.began) for n in range(2)))
    for off in (0, 10 * MINUTE, 0, 10 * MINUTE):
        monkeypatch.setattr(module, "clock", lambda off=off: datetime.now(UTC) + off, raising=False)
        rig.do("update timers set due = clock_timestamp() + interval '5 minutes' where order_id = any("
               "select id from orders where order_number = 'N1')")  # fmt: skip
        rig.do("update timers set due = clock_timestamp() where order_id = any("
               "select id from orders where order_number = 'N0')")  # fmt: skip
        run_due(rig.engine, rig.policy, rig.shop)
    assert fired(rig) == [("N0", "OrderExpired")]
    assert rig.one("select gap_end from heartbeats") is None


def test_a_clock_of_postgresqls_that_was_put_back_costs_one_grace_at_most(rig, clock):
    rig.tell(created(subject="N1", at=clock.began))
    ahead = clock.began + UNPAID + DAY
    rig.do("insert into heartbeats (name, at, gap_end) values ('timers', :at, :at)", at=ahead)
    assert clock.at(UNPAID + SECOND, away=True) == 0
    clock.beat(UNPAID + GRACE - MINUTE)
    assert clock.at(UNPAID + GRACE + 2 * SECOND, away=True) == 1


def test_a_run_that_fails_has_beaten_all_the_same(rig, clock, monkeypatch):
    """Else it would be taken for a gap of ours, and a grace begin when it goes again."""

    def fail(*_):
        raise RuntimeError("whatever it is")

    monkeypatch.setattr(module, "_fire", fail)
    with pytest.raises(RuntimeError):
        clock.at(SECOND, away=True)
    assert rig.one("select at from heartbeats") == clock.began + SECOND


def test_history_never_fires(rig, clock):
    rig.tell(created(subject="N1", payments=("p1",), at=clock.began - 100 * DAY), held=True)
    rig.tell(*delivered_order(clock, number="N2", at=clock.began - 100 * DAY), held=True)
    assert timers(rig) == {"N1": ["unpaid"], "N2": ["confirm", "unpaid"]}
    assert clock.at(365 * DAY) == 0
    assert (rig.status("N1"), rig.status("N2")) == ("pending", "delivered")
    assert fired(rig) == []


# -- delivered orders ----------------------------------------------------------------------------------


def delivered_order(clock, number="N1", at=None, **parcel):
    at = at or clock.began
    return [
        created(subject=number, payments=(f"pay {number}",), at=at),
        paid(payment=f"pay {number}", subject=None, at=at),
        shipped(subject=number, at=at, **parcel),
        delivered(subject=number, at=at),
    ]


def test_a_delivered_order_is_confirmed_after_its_time(rig, clock):
    order, *rest = delivered_order(clock)
    rig.tell(order)
    rig.tell(*rest)
    assert timers(rig) == {"N1": ["confirm", "unpaid"]}
    assert clock.at(UNPAID + SECOND) == 0, "the unpaid timer is no longer wanted"
    assert timers(rig) == {"N1": ["confirm"]}
    assert clock.at(CONFIRM - SECOND) == 0
    assert clock.at(CONFIRM + SECOND) == 1
    assert rig.status("N1") == "confirmed"
    assert (fired(rig), timers(rig)) == ([("N1", "OrderConfirmed")], {})


def test_without_a_period_nothing_is_confirmed(rig, clock):
    rig.decide(confirm_after=None)
    rig.tell(*delivered_order(clock))
    assert timers(rig) == {}


def test_what_a_batch_itself_made_needless_is_not_set(rig, clock):
    order, payment, *rest = delivered_order(clock)
    rig.tell(order, payment)
    assert timers(rig) == {}
    rig.tell(*rest, confirmed(subject="N1", at=clock.began))
    assert (rig.status("N1"), timers(rig)) == ("confirmed", {})


def test_an_order_that_is_being_returned_is_confirmed_behind_the_return(rig, clock):
    rig.tell(*delivered_order(clock), asked_back(subject="N1", items={"mug": 1}, at=clock.began))
    assert clock.at(CONFIRM + SECOND) == 1
    order = rig.order("N1")
    assert order.status == "return_processing"
    assert order.confirmed_at is not None


def test_an_order_whose_parcel_was_lost_after_all_is_not_confirmed(rig, clock):
    """Delivered beats failed; what was never delivered is no longer after delivery."""
    rig.tell(*delivered_order(clock)[:3], lost(subject="N1", at=clock.began))
    assert clock.at(CONFIRM + DAY) == 0
    assert rig.status("N1") == "preparing"


@pytest.mark.parametrize(("days", "status"), [(29, "return_processing"), (31, "return_requested")])
def test_a_return_outside_the_window_is_left_to_staff(rig, clock, days, status):
    """Counted from the delivery to when it was asked for, whenever we hear of either."""
    rig.tell(*delivered_order(clock, at=clock.began - 40 * DAY))
    rig.tell(asked_back(subject="N1", at=clock.began - 40 * DAY + days * DAY))
    assert rig.status("N1") == status


# -- at once -------------------------------------------------------------------------------------------


def test_two_runs_at_once_fire_once(rig, clock):
    orders = [created(subject=f"N{n}", payments=(), at=clock.began) for n in range(150)]
    rig.settle(rig.entries(*orders))
    now = clock.began + UNPAID + SECOND
    clock.beat(UNPAID + SECOND)
    engines = [rig.own_engine() for _ in range(3)]
    made = rig.at_once(*(lambda engine=engine: run_due(engine, rig.policy, rig.shop, now) for engine in engines))
    assert sum(made) == 150
    assert len(fired(rig)) == 150
    assert rig.one("select count(*) from orders where status = 'canceled' and version = 2") == 150
    account = rig.account()
    assert (account["own"]["applied"], account["own"]["ignored"], account["own"]["duplicate"]) == (150, 0, 0)


def test_payments_that_come_while_the_timers_run_are_either_before_or_after(rig, clock, tries, monkeypatch):
    """Each order is paid, or has expired and its money goes back; never both, and nobody waits for ever."""
    monkeypatch.setattr(module, "AT_ONCE", 2)
    count = max(tries, 30)
    orders = [created(subject=f"N{n}", payments=(f"p{n}",), at=clock.began) for n in range(count)]
    rig.settle(rig.entries(*orders))
    payments = [paid(payment=f"p{n}", subject=None) for n in range(count)]
    Random(1).shuffle(payments)

    def pay():
        for payment in payments:
            rig.accept(payment)
            rig.work()

    def tick():
        return sum(clock.at(UNPAID + n * SECOND) for n in range(1, 4))

    [_, made] = rig.at_once(pay, tick)
    rows = rig.do("""
        select o.status, t.refund_target, count(*) from orders o join transactions t on t.order_id = o.id group by 1, 2
    """)
    found = {status: (target, number) for status, target, number in rows}
    print(f"\ntimers against payments, {count} orders: {found}")
    assert set(rig.outcomes(*payments)) <= {"applied", "ignored: paid_after_expiry"}
    assert sum(number for _, number in found.values()) == count
    assert set(found) <= {"preparing", "canceled"}
    assert found.get("preparing", (0, 0))[0] == 0
    assert found.get("canceled", (10_000, made)) == (10_000, made)
