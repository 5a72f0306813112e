"""Promise 5 on real servers: one bad event stops nobody, and what is of the moment kills nobody."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from time import perf_counter

import pytest
from sqlalchemy import event, text

from domain import handler_table as domain
from events.catalogue import Malformed, decode
from events.envelope import OWN_SOURCE
from journal import correlation
from journal.batch import settle_carefully
from journal.pauses import NOTHING, Resting
from operations import dead_letters
from tests.builders import created, delivered, disputed, failed, later, paid, scan, shipped, told, tracked


def a_life(number):
    """Four events of one order, all of which apply."""
    return [
        created(subject=number, payments=(f"pay {number}",)),
        paid(subject=number, payment=f"pay {number}"),
        shipped(subject=number),
        delivered(subject=number),
    ]


@pytest.fixture
def broken(monkeypatch):
    """`broken("PaymentDisputed", which)`: our own handler fails on those events."""

    def breaking(kind, which=lambda event: True):
        handler = domain.HANDLERS[kind].handle

        def fails(order, event, context, waiting):
            if which(event):
                order.flags = ["half", "done"]
                raise ZeroDivisionError("on purpose")
            return handler(order, event, context, waiting)

        monkeypatch.setitem(domain.HANDLERS, kind, replace(domain.HANDLERS[kind], handle=fails))

    return breaking


@pytest.fixture
def refusing(rig):
    """Constraints that no code of ours knows of, as in a database that somebody changed."""
    rig.do("alter table transactions add constraint no_such_method check (payment_method <> 'refused')")
    rig.do("alter table orders add constraint no_such_customer check (customer <> 'refused')")


@pytest.fixture
def one_batch(rig):
    """`one_batch(events)`: accepted, and drained from one shard in one batch, whatever their number."""
    rig.streams.cap = 5000

    def drain(*events):
        appended = rig.accept(*events)
        return rig.drain(batch=len(appended.new)).answer(appended.new[0].shard)

    return drain


def letters(rig):
    """event id → (reason, detail) of the open dead letters."""
    rows = rig.do("select event_id, reason, detail from dead_letters join journal using (seq) where state = 'open'")
    return {name: (reason, detail) for name, reason, detail in rows}


def assert_nothing_half_done(rig):
    """Assert that a batch left nothing behind: no order with another's mark, no result without its part."""
    rig.account()
    assert rig.one("select count(*) from orders where 'half' = any(flags)") == 0
    assert rig.one("select count(*) from results r where r.outcome = 'applied' and r.apply_number is null") == 0


# -- poison --------------------------------------------------------------------------------------------


def test_of_a_thousand_events_three_are_poison_and_all_others_apply(rig, numbers, one_batch, broken, refusing):
    names = numbers(250)
    events = [event for name in names for event in a_life(name)][:997]
    malformed = told(
        "FulfillmentPacked", subject=names[20], fulfillment="box", items=[{"item": "mug", "quantity": "many"}]
    )
    bug = disputed(subject=names[30], payment=f"pay {names[30]}")
    refused = paid(1, f"more {names[40]}", subject=names[40], paymentMethod="refused")
    for place, poison in ((100, malformed), (503, bug), (700, refused)):
        events.insert(place, poison)
    broken("PaymentDisputed")
    begun = perf_counter()
    one_batch(*events)
    print(f"\n1,000 events with 3 poisons: {perf_counter() - begun:.1f} s")
    good = [event for event in events if event not in (malformed, bug, refused)]
    assert len(good) == 997
    assert set(rig.outcomes(*good)) == {"applied"}
    assert rig.outcomes(malformed, bug, refused) == ["dead: malformed", "dead: bug", "dead: database_refused"]
    found = letters(rig)
    assert set(found) == {malformed.id, bug.id, refused.id}
    assert "items.0.quantity" in found[malformed.id][1]
    assert found[bug.id][1] == "ZeroDivisionError: on purpose"
    assert "no_such_method" in found[refused.id][1]
    assert_nothing_half_done(rig)
    # The shard lives, and so do the orders of the poison.
    later = [told("OrderConfirmed", subject=names[n]) for n in (20, 30, 40)]
    new = a_life("anybody")
    rig.tell(*later, *new)
    assert set(rig.outcomes(*later, *new)) == {"applied"}
    assert {rig.status(names[n]) for n in (20, 30, 40)} == {"confirmed"}
    assert not rig.streams.look().waiting()


@pytest.mark.parametrize("way", ["malformed", "unknown_version", "bug", "database_refused"])
def test_poison_that_brings_a_new_order_leaves_the_others_and_their_payments_alone(rig, broken, refusing, way):
    """The batch's orders are all new, and name payments: the second try of a batch finds its own claims."""
    poison = created(subject="bad", payments=("bad's",), customer="refused" if way == "database_refused" else "c")
    if way == "malformed":
        poison = replace(poison, data={**poison.data, "totalAmount": "much"})
    if way == "unknown_version":
        poison = replace(poison, version=99)
    if way == "bug":
        broken("OrderCreated", lambda event: event.subject == "bad")
    one, other = created(subject="one", payments=("one's",)), created(subject="other", payments=("other's",))
    money = [paid(payment="one's", subject=None), paid(payment="other's", subject="other")]
    lost = paid(payment="bad's", subject=None)
    rig.tell(one, poison, money[0], other, lost, money[1])
    assert rig.outcome(poison) == f"dead: {way}"
    assert rig.outcomes(one, other, *money) == ["applied"] * 4
    assert rig.outcome(lost) == "parked: payment_unknown", "a dead event binds no payment to its order"
    if way == "bug":
        assert letters(rig)[poison.id][1] == "ZeroDivisionError: on purpose"
    assert [rig.status(name) for name in ("one", "other")] == ["preparing", "preparing"]
    assert_nothing_half_done(rig)


def test_one_call_settles_poison_and_new_orders_without_help(rig, broken):
    """As an API call does, which has no second way: the fold begins anew in the same transaction."""
    broken("PaymentDisputed")
    early = paid(payment="one's", subject=None)
    rig.settle(rig.entries(early))
    one, wrong = created(subject="one", payments=("one's",)), paid(payment="more", subject="one", currency="USD")
    bug = disputed(payment="other's", subject="other")
    other = created(subject="other", payments=("other's",))
    rig.settle(rig.entries(one, other, wrong, bug))
    assert rig.outcomes(early, one, other) == ["applied"] * 3
    assert rig.outcomes(wrong, bug) == ["dead: currency_mismatch", "dead: bug"]
    assert rig.one("select order_id from correlations where key = 'payment:more'") is None
    assert [rig.status(name) for name in ("one", "other")] == ["preparing", "pending"]


def test_a_bug_in_every_event_of_a_type_is_still_one_batch_of_a_moment(rig, numbers, one_batch, broken):
    """A release that fails on every payment must not hold a shard for minutes."""
    broken("PaymentFailed")
    names = numbers(250)
    good = [created(subject=name, payments=()) for name in names]
    bad = [failed(subject=name, payment=f"p {name}") for name in names]
    begun = perf_counter()
    one_batch(*good, *bad)
    took = perf_counter() - begun
    print(f"\n500 events with 250 poisons: {took:.1f} s")
    assert set(rig.outcomes(*good)) == {"applied"}
    assert set(rig.outcomes(*bad)) == {"dead: bug"}
    assert took < 10


# -- what follows, and what waits ----------------------------------------------------------------------


def test_a_follow_up_that_our_code_fails_on_is_dead_and_its_cause_applied(rig, broken):
    broken("FulfillmentCreated", lambda event: event.source == OWN_SOURCE and event.subject == "bad")
    good = [created(subject="good", payments=("g",)), paid(payment="g", subject="good")]
    bad = [created(subject="bad", payments=("b",)), paid(payment="b", subject="bad")]
    rig.tell(*good, *bad)
    assert rig.outcomes(*good, *bad) == ["applied"] * 4
    assert (rig.status("good"), rig.status("bad")) == ("preparing", "paid")
    [(source, kind, reason)] = rig.do(
        "select j.source, j.type, d.reason from dead_letters d join journal j using (seq) where d.state = 'open'"
    )
    assert (source, kind, reason) == (OWN_SOURCE, "FulfillmentCreated", "bug")
    assert rig.account()["own"]["dead"] == 1
    assert_nothing_half_done(rig)


def test_a_follow_up_that_the_database_refuses_takes_its_cause_along_until_a_replay(rig):
    """Both are one change: half of it would be a lie. Mended and replayed, both apply."""
    rig.do("alter table fulfillments add constraint no_plans check (not planned)")
    good = [created(subject="good", payments=("g",)), failed(payment="g", subject="good")]
    bad = [created(subject="bad", payments=("b",)), paid(payment="b", subject="bad")]
    rig.tell(*good, *bad)
    assert rig.outcomes(*good, *bad) == ["applied"] * 3 + ["dead: database_refused"]
    assert rig.status("bad") == "pending"
    assert rig.one("select count(*) from journal where source = :own", own=OWN_SOURCE) == 0
    rig.do("alter table fulfillments drop constraint no_plans")
    with rig.engine.begin() as conn:
        done = dead_letters.replay(conn, [bad[1].id], "tester")
    rig.streams.publish(done.entries)
    rig.work()
    assert rig.outcome(bad[1]) == "applied"
    assert rig.status("bad") == "preparing"
    assert_nothing_half_done(rig)


def test_a_parked_event_that_our_code_fails_on_dies_alone(rig, broken):
    broken("PaymentFailed")
    waiting, order, after = failed(subject="N1"), created(subject="N1"), paid(subject="N1")
    rig.tell(waiting)
    assert rig.outcome(waiting) == "parked: order_unknown"
    rig.tell(order, after)
    assert rig.outcomes(waiting, order, after) == ["dead: bug", "applied", "applied"]
    assert_nothing_half_done(rig)


def test_a_parked_event_that_cannot_be_read_any_more_dies_alone(rig, monkeypatch):
    """A release that reads its type more strictly than the one that parked it."""
    waiting, order, after = failed(subject="N1"), created(subject="N1"), paid(subject="N1")
    rig.tell(waiting)

    def stricter(kind, version, subject, data):
        if kind == "PaymentFailed":
            raise Malformed("code: is missing")
        return decode(kind, version, subject, data)

    monkeypatch.setattr(correlation, "decode", stricter)
    rig.tell(order, after)
    assert rig.outcomes(waiting, order, after) == ["dead: malformed", "applied", "applied"]
    assert rig.one("select count(*) from parked") == 0
    assert_nothing_half_done(rig)


def test_a_parked_event_that_the_database_refuses_does_not_take_its_order_along(rig, refusing):
    waiting = paid(1, "more", subject="N1", paymentMethod="refused")
    order, after = created(subject="N1"), paid(subject="N1")
    rig.tell(waiting)
    rig.tell(order, after)
    assert rig.outcomes(order, after) == ["applied", "applied"]
    assert rig.outcome(waiting) == "dead: database_refused"
    assert rig.status("N1") == "preparing"
    assert_nothing_half_done(rig)


# -- what is of the moment -----------------------------------------------------------------------------

ORDERS = 30


def some_orders():
    return [
        event
        for n in range(ORDERS)
        for event in (created(subject=f"N{n}", payments=(f"p{n}",)), paid(payment=f"p{n}", subject=None))
    ]


def assert_all_applied_and_nobody_dead(rig, events):
    assert set(rig.outcomes(*events)) == {"applied"}
    assert letters(rig) == {}
    assert rig.one("select count(*) from orders where status = 'preparing'") == ORDERS
    assert rig.one("select count(*) from fulfillments") == ORDERS
    assert_nothing_half_done(rig)


MOMENTS = {
    "deadlock": "40P01",
    "serialization": "40001",
    "lock timeout": "55P03",
    "statement timeout": "57014",
    "disk full": "53100",
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_an_error_of_the_moment_kills_nobody(rig, moment):
    """Raised by a trigger, at the first two writes of results; nextval is not rolled back."""
    raising(rig, moment, times=2)
    events = some_orders()
    rig.tell(*events)
    assert rig.one("select last_value from turns") > 2, "it was raised"
    assert_all_applied_and_nobody_dead(rig, events)


@pytest.mark.parametrize("moment", ["40P01", "57014"])
def test_an_error_of_the_moment_while_poison_is_looked_for_kills_nobody_else(rig, refusing, moment):
    """The batch is in parts by then, each in a savepoint."""
    raising(rig, moment, times=3)
    events = some_orders()
    poison = paid(1, "more", subject="N3", paymentMethod="refused")
    rig.tell(*events[:10], poison, *events[10:])
    assert rig.outcome(poison) == "dead: database_refused"
    assert set(letters(rig)) == {poison.id}
    assert set(rig.outcomes(*events)) == {"applied"}


def raising(rig, sqlstate, times):
    rig.do("create sequence turns")
    rig.do(f"""
        create function fails_at_first() returns trigger language plpgsql as $$ begin
            if nextval('turns') <= {times} then raise exception 'of the moment' using errcode = '{sqlstate}'; end if;
            return null;
        end $$""")
    rig.do("create trigger first_times after insert on results for each statement execute function fails_at_first()")


def test_a_real_deadlock_kills_nobody(rig):
    """A rival locks two orders in the wrong order; the drain is the one that PostgreSQL gives up."""
    rig.tell(created(subject="N1", payments=("p1",)), created(subject="N2", payments=("p2",)))
    first, second = rig.do("select id, order_number from orders order by id")
    events = [paid(payment=f"p{n}", subject=f"N{n}") for n in (1, 2)]
    entries = rig.entries(*events)
    lock = text("select from orders where id = :id for update")
    with rig.engine.connect() as rival:
        rival.execute(text("set local deadlock_timeout = '30s'"))
        rival.execute(lock, {"id": second.id})

        def cross():
            rig.wait_until_blocked()
            rival.execute(lock, {"id": first.id})
            rival.commit()

        [again, _] = rig.at_once(lambda: rig.settle(entries), cross)
    assert again == 1
    assert rig.outcomes(*events) == ["applied", "applied"]
    assert letters(rig) == {}


@pytest.mark.parametrize("poisoned", [False, True], ids=["in one piece", "in parts"])
@pytest.mark.parametrize("where", ["for no key update", "insert into results ", "commit"])
def test_a_connection_that_is_dropped_in_the_middle_of_a_batch_kills_nobody(rig, refusing, where, poisoned):
    """While it locks orders, writes, or is about to commit; also while it looks for poison."""
    events = some_orders()
    poison = paid(1, "more", subject="N3", paymentMethod="refused")
    drain = rig.drain()
    dropped: list[int] = []

    def drop(connection):
        if len(dropped) < 2:
            dropped.append(connection.driver_connection.info.backend_pid)
            rig.do("select pg_terminate_backend(:pid, 5000)", pid=dropped[-1])

    def before(conn, _cursor, statement, *_rest):
        if where in statement and (conn.in_nested_transaction() or not poisoned):
            drop(conn.connection)

    if where == "commit":
        event.listen(drain.engine, "commit", lambda conn: drop(conn.connection))
    else:
        event.listen(drain.engine, "before_cursor_execute", before)
    rig.accept(*events[:10], *([poison] if poisoned else []), *events[10:])
    while waiting := rig.streams.look().waiting():
        drain.answer(waiting[0])
    assert len(dropped) == 2
    assert set(rig.outcomes(*events)) == {"applied"}
    assert set(letters(rig)) == ({poison.id} if poisoned else set())
    assert rig.one("select count(*) from orders where status = 'preparing'") == ORDERS
    assert_nothing_half_done(rig)


def test_an_event_that_got_its_result_meanwhile_is_drained_again_and_nobody_is_dead(rig):
    """An event that no row lock serialises: its rival's result is not committed yet when we write ours."""
    strange = told("Unheard", subject="N1")
    order = created(subject="N1")
    entries = rig.entries(strange, order)
    rig.streams.publish(entries)
    with rig.engine.connect() as rival:
        rig.settle_in(rival, entries[:1])

        def commit():
            rig.wait_until_blocked()
            rival.commit()

        [report, _] = rig.at_once(lambda: rig.drain().answer(entries[0].shard), commit)
    assert (report.outcomes, report.known) == ({"applied": 1}, 1)
    assert rig.outcomes(strange, order) == ["ignored: unknown_type", "applied"]
    assert letters(rig) == {}
    assert not rig.streams.look().waiting()


def test_a_rival_that_never_ends_is_left_to_the_next_doorbell(rig, monkeypatch):
    """After some tries the drain says so and leaves; the entries stay, and nobody is dead."""
    raising(rig, "40P01", times=50)
    order = created(subject="N1")
    rig.accept(order)
    [shard] = rig.rung
    drain = rig.drain()
    with pytest.raises(Exception, match="of the moment"):
        drain.answer(shard)
    assert rig.outcome(order) == "undecided"
    assert rig.streams.look().lengths[shard] == 1
    rig.do("drop trigger first_times on results")
    assert drain.answer(shard).outcomes == {"applied": 1}


# -- what goes along with it -----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["unharmed", "dead", "bug", "database_refused"])
def test_who_names_a_shared_box_late_has_its_earlier_scans_whatever_dies_beside(
    rig, numbers, one_batch, broken, refusing, way
):
    """A batch that begins anew, or goes in parts, has claimed the number before: it must not forget that it is late."""
    first, late, other = numbers(3)
    rig.tell(created(subject=first), paid(subject=first), shipped(subject=first, **tracked()))
    rig.tell(created(subject=other, payments=("c",)), scan("delivered", at=later(hours=1)))
    if way == "bug":
        broken("PaymentDisputed")
    beside = {
        "unharmed": failed(subject=other, payment="c"),
        "dead": paid(payment="c", subject=other, currency="USD"),
        "bug": disputed(subject=other, payment="c"),
        "database_refused": paid(1, "more", subject=other, paymentMethod="refused"),
    }[way]
    naming = shipped(subject=late, **tracked())
    one_batch(created(subject=late, payments=("b",)), paid(payment="b", subject=late), naming, beside)
    rig.work()
    assert rig.outcomes(naming)[0] == "applied"
    assert rig.outcome(beside).startswith("applied" if way == "unharmed" else "dead")
    assert rig.one("select count(*) from journal where type = 'TrackingUpdated' and subject = :late", late=late) == 1
    assert [rig.status(name) for name in (first, late)] == ["delivered", "delivered"]
    assert_nothing_half_done(rig)


@pytest.mark.parametrize("resting", [NOTHING, Resting(frozenset({"OrderHeld"}))], ids=["nothing rests", "a type rests"])
def test_a_batch_in_parts_reports_all_that_it_wrote(rig, refusing, resting):
    """One of its entries wakes what the database refuses: that one is settled alone, and what it wakes one by one."""
    woken = [
        paid(1, "more", subject="A", paymentMethod="refused"),
        paid(payment="a", subject="A"),
        disputed(payment="a", subject="A"),
    ]
    rig.tell(*woken)
    entries = rig.entries(
        created(subject="A", payments=("a",)),
        created(subject="B", payments=("b",)),
        paid(1, "b", subject="B", paymentMethod="refused"),
        paid(payment="b", subject="B"),
    )
    with rig.engine.begin() as conn:
        report = settle_carefully(conn, entries, rig.context(), rig.shop, resting=resting)
    assert rig.outcomes(*woken) == ["dead: database_refused", "applied", "applied"]
    rows = rig.do("select seq, outcome, coalesce(reason, '') from results")
    assert sorted((row.seq, str(row.kind), str(row.reason or "")) for row in report.results) == sorted(map(tuple, rows))
    assert report.reasons == Counter((outcome, reason) for _, outcome, reason in rows)
    assert report.outcomes == Counter(outcome for _, outcome, _ in rows)
    assert {order.order_number for order in report.orders.values()} == {"A", "B"}
    own = rig.do("select event_id from journal where source = :own order by 1", own=OWN_SOURCE)
    assert sorted(entry.event_id for entry in report.follow_ups) == [name for (name,) in own]
    assert own
