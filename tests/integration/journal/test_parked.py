"""The sweep on real servers: it gives up what nothing made applicable in time, and never in the way of a drain.

That nothing waits for it is tested in `test_races.py`, where no sweep runs at all.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from random import Random
from time import sleep
from typing import Any

import pytest
from sqlalchemy import event, text

from domain import handler_table as domain
from journal import parked as module
from journal.parked import sweep
from journal.verify import verify
from operations import dead_letters
from tests.builders import canceled, confirmed, created, delivered, items_canceled, paid, scan, shipped, tracked

STARTS_S = (0, 0.005, 0.01, 0.02, 0.04)
PAUSES_S = (0, 0, 0.001, 0.003, 0.01)  # before a commit


@pytest.fixture
def swept(rig):
    """`swept()`: (applied after all, given up)."""
    return lambda: sweep(rig.engine, rig.policy, rig.shop)


@pytest.fixture
def time_is_over(rig):
    """Let what is parked by now have waited for too long."""
    return lambda: rig.do("update parked set until = now() - interval '1 s'")


def assert_dead_or_applied(rig, *events):
    """Each is one of both, wholly: no letter of an applied event, no row of a parked one."""
    rows = rig.do("""
        select j.event_id, r.outcome, r.reason, d.state, p.seq is not null
        from journal j join results r using (seq) left join dead_letters d using (seq) left join parked p using (seq)
    """)
    found = {row[0]: tuple(row[1:]) for row in rows}
    for one in events:
        assert found[one.id] in (("applied", None, None, False), ("dead", "parked_too_long", "open", False))


# -- settled by what stands against it -----------------------------------------------------------------


def test_a_cancel_of_what_was_delivered_is_settled_when_its_time_is_up(rig, swept, time_is_over):
    whole, part = canceled(subject="N1"), items_canceled({"mug": 1}, subject="N2")
    for number in ("N1", "N2"):
        rig.tell(
            created(subject=number, payments=(f"pay-{number}",)), paid(payment=f"pay-{number}", subject=number),
            delivered("box", {"mug": 2}, subject=number),
        )  # fmt: skip
    rig.tell(whole, part)
    assert rig.outcomes(whole, part) == ["parked: parcel_out", "parked: items_out"]
    assert swept() == (0, 0)
    time_is_over()
    assert swept() == (0, 2)
    assert rig.outcomes(whole, part) == ["ignored: already_delivered"] * 2
    assert rig.do("select order_number, status, flags from orders order by 1") == [
        ("N1", "delivered", ["cancel_too_late"]),
        ("N2", "delivered", ["cancel_too_late"]),
    ]
    assert rig.do("select count(*) from dead_letters") == [(0,)]
    assert verify(rig.engine).differences == []


def two_overdue_cancels(rig, time_is_over):
    """Cancels of N1 and N2, whose goods were delivered before they came; their time is up."""
    wishes = [canceled(subject=number) for number in ("N1", "N2")]
    for number in ("N1", "N2"):
        rig.tell(
            created(subject=number, payments=(f"pay-{number}",)), paid(payment=f"pay-{number}", subject=number),
            delivered("box", {"mug": 2}, subject=number),
        )  # fmt: skip
    rig.tell(*wishes)
    time_is_over()
    return wishes


def test_a_cancel_whose_order_is_locked_has_its_turn_in_the_next_run(rig, swept, time_is_over, monkeypatch):
    one, other = two_overdue_cancels(rig, time_is_over)
    settled = module._settle_overdue
    with rig.engine.connect() as rival:
        rival.execute(text("select from orders where order_number = 'N1' for update"))

        def then_free(*args):
            found = settled(*args)
            rival.rollback()  # between the two looks
            return found

        monkeypatch.setattr(module, "_settle_overdue", then_free)
        assert swept() == (0, 1)
    assert rig.outcomes(one, other) == ["parked: parcel_out", "ignored: already_delivered"]
    assert swept() == (0, 1)
    assert rig.outcome(one) == "ignored: already_delivered"


def test_an_order_that_is_refused_takes_no_cancel_of_another_with_it(rig, swept, time_is_over):
    one, other = two_overdue_cancels(rig, time_is_over)
    rig.do(
        "alter table orders add constraint poison check (order_number <> 'N1' or not 'cancel_too_late' = any(flags))"
    )
    assert swept() == (0, 2)
    assert rig.outcomes(one, other) == ["dead: parked_too_long", "ignored: already_delivered"]


def test_a_cancel_of_what_is_still_out_is_given_up(rig, swept, time_is_over):
    wish = canceled(subject="N1")
    rig.tell(created(subject="N1"), paid(subject="N1"), shipped("box", subject="N1"), wish)
    time_is_over()
    assert swept() == (0, 1)
    assert rig.outcome(wish) == "dead: parked_too_long"


# -- giving up -----------------------------------------------------------------------------------------


def test_what_waited_too_long_is_dead_and_visible_with_what_it_waited_for(rig, swept, time_is_over):
    early = [
        paid(subject="N1"),
        paid(payment="unheard of", subject=None),
        scan("delivered", "T1"),
        confirmed(subject="N2"),
    ]
    order = created(subject="N2", payments=())
    rig.tell(*early, order)
    reasons = ["order_unknown", "payment_unknown", "parcel_unknown", "not_delivered"]
    assert rig.outcomes(*early) == [f"parked: {reason}" for reason in reasons]
    time_is_over()
    assert swept() == (0, 4)
    assert rig.outcomes(*early) == ["dead: parked_too_long"] * 4
    letters = dict(map(tuple, rig.do("select event_id, detail from dead_letters join journal using (seq)")))
    assert letters == {one.id: f"it waited for: {reason}" for one, reason in zip(early, reasons, strict=True)}
    account = rig.account()
    assert (account["dead"], account["parked"], account["applied"]) == (4, 0, 1)
    assert swept() == (0, 0)


def test_nobody_is_given_up_before_their_time(rig, swept):
    rig.decide(parked_for=timedelta(hours=1))
    early = paid(subject="N1")
    rig.tell(early)
    [until, since] = rig.do("select until, decided_at from parked join results using (seq)")[0]
    assert until - since == timedelta(hours=1)
    assert swept() == (0, 0)
    assert rig.outcome(early) == "parked: order_unknown"


def test_without_a_time_events_wait_for_ever(rig, swept):
    rig.decide(parked_for=None)
    early = paid(subject="N1")
    rig.tell(early)
    assert rig.one("select until from parked") is None
    assert swept() == (0, 0)
    rig.tell(created(subject="N1"))
    assert rig.outcome(early) == "applied"


def test_what_waits_on_for_another_reason_keeps_its_time(rig):
    early = shipped(subject="N1")
    rig.tell(early)
    [before] = rig.do("select reason, until from parked")
    rig.tell(created(subject="N1"))
    [after] = rig.do("select reason, until from parked")
    assert (before.reason, after.reason) == ("order_unknown", "not_paid")
    assert before.until == after.until
    assert rig.outcome(early) == "parked: not_paid"


def test_what_was_given_up_applies_after_a_replay_once_its_cause_has_come(rig, swept, time_is_over):
    early, order = paid(subject="N1"), created(subject="N1")
    rig.tell(early)
    time_is_over()
    swept()
    rig.tell(order)
    assert rig.status("N1") == "pending", "the dead wait for a person"
    with rig.engine.begin() as conn:
        done = dead_letters.replay(conn, [early.id], "tester")
    rig.streams.publish(done.entries)
    rig.work()
    assert (rig.outcome(early), rig.status("N1")) == ("applied", "preparing")


def test_more_than_one_transaction_full_is_given_up(rig, swept, time_is_over):
    events = [paid(payment=f"p{n}", subject=None) for n in range(1100)]
    rig.settle(rig.entries(*events))
    time_is_over()
    assert swept() == (0, 1100)
    assert set(rig.outcomes(*events)) == {"dead: parked_too_long"}


# -- the net -------------------------------------------------------------------------------------------


def match_by_hand(rig, key):
    """Give the parcel of N1 that number, as another order's has its own: no way is known for a scan to miss it so."""
    rig.tell(
        created(subject="T", payments=("t",)),
        paid(payment="t", subject="T"),
        shipped(subject="T", **tracked(trackingNumber="T-OWN")),
    )
    rig.do(
        "update fulfillments f set parcels = array[:key], carrier = t.carrier, tracking_number = split_part(:key, ':', 3), "
        "facts = replace(t.facts::text, t.tracking_number, split_part(:key, ':', 3))::jsonb "
        "from fulfillments t join orders o on o.id = t.order_id, orders n "
        "where o.order_number = 'T' and n.order_number = 'N1' and f.order_id = n.id and f.reference = 'box'",
        key=key,
    )


def test_it_applies_what_nothing_else_had_retried(rig, swept):
    """No way is known for that to happen; so the parcel is matched by hand here."""
    late = scan("delivered", "T1")
    rig.tell(created(subject="N1"), paid(subject="N1"), shipped(subject="N1"), late)
    assert rig.outcome(late) == "parked: parcel_unknown"
    order = rig.order("N1")
    [key] = rig.do("select key from parked")[0]
    match_by_hand(rig, key)
    rig.do("update correlations set order_id = :order where key = :key", key=key, order=order.id)
    assert swept() == (1, 0)
    assert (rig.outcome(late), rig.status("N1")) == ("applied", "delivered")
    assert swept() == (0, 0)


def test_more_orders_than_one_transaction_takes_are_examined(rig, swept, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 3)
    waiting = [canceled(subject=f"N{n}") for n in range(10)]
    rig.settle(rig.entries(*waiting))
    before = rig.do("select * from parked order by seq")
    assert swept() == (0, 0)
    assert rig.do("select * from parked order by seq") == before
    assert set(rig.outcomes(*waiting)) == {"parked: order_unknown"}


def test_a_parked_event_that_our_code_fails_on_does_not_stop_it(rig, swept, monkeypatch, time_is_over):
    bad, other = confirmed(subject="N1"), paid(payment="q", subject="N2")
    rig.tell(created(subject="N1", payments=()), bad, other)

    def fails(order, event, context, waiting):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setitem(domain.HANDLERS, "OrderConfirmed", replace(domain.HANDLERS["OrderConfirmed"], handle=fails))
    time_is_over()
    swept()
    assert rig.outcomes(bad, other) == ["dead: bug", "dead: parked_too_long"]
    rig.account()


def test_a_parked_event_that_the_database_refuses_does_not_stop_it(rig, swept, time_is_over):
    """It became applicable, by hand; what others wait for is examined and given up all the same."""
    bad, other = scan("delivered", "T1"), paid(payment="q", subject="N2")
    rig.tell(created(subject="N1"), paid(subject="N1"), shipped(subject="N1"), bad, other)
    order = rig.order("N1")
    [key] = rig.do("select key from parked where key is not null")[0]
    match_by_hand(rig, key)
    rig.do("update correlations set order_id = :order where key = :key", key=key, order=order.id)
    rig.do("alter table orders add constraint never check (status <> 'delivered')")
    time_is_over()
    swept()
    assert rig.outcome(other) == "dead: parked_too_long"
    assert rig.outcome(bad).startswith("dead: ")
    rig.account()


# -- races with a drain --------------------------------------------------------------------------------


def pairs(n):
    """Pairs of what is parked and what makes it applicable: by order number, by payment, by parcel, by its order's state."""
    carrier: dict[str, Any] = {"carrier": "CJ Logistics", "trackingNumber": f"T{n}"}
    return [
        ([], paid(payment=f"a{n}", subject=f"A{n}"), created(subject=f"A{n}", payments=(f"a{n}",))),
        ([], paid(payment=f"b{n}", subject=None), created(subject=f"B{n}", payments=(f"b{n}",))),
        (
            [created(subject=f"C{n}", payments=(f"c{n}",)), paid(payment=f"c{n}", subject=None)],
            scan("delivered", f"T{n}"),
            shipped(subject=f"C{n}", **carrier),
        ),
        (
            [created(subject=f"D{n}", payments=(f"d{n}",)), paid(payment=f"d{n}", subject=None)],
            confirmed(subject=f"D{n}"),
            delivered(subject=f"D{n}", items={"mug": 2}),
        ),
    ]


@pytest.fixture
def waiting(rig, time_is_over):
    """`waiting(n)`: events parked for too long, and the entries that would make them applicable."""

    def make(count):
        made = [pair for n in range(count) for pair in pairs(n)]
        rig.settle(rig.entries(*(one for before, _, _ in made for one in before)))
        rig.settle(rig.entries(*(early for _, early, _ in made)))
        assert {outcome[:6] for outcome in rig.outcomes(*(early for _, early, _ in made))} == {"parked"}
        time_is_over()
        return [early for _, early, _ in made], rig.entries(*(cause for _, _, cause in made))

    return make


def test_what_a_drain_is_just_applying_is_not_given_up_nor_waited_for(rig, waiting, swept):
    early, causes = waiting(1)
    with rig.engine.connect() as conn, ThreadPoolExecutor(1) as pool:
        rig.settle_in(conn, causes)
        assert pool.submit(swept).result(30) == (0, 0)
        conn.commit()
    assert set(rig.outcomes(*early)) == {"applied"}
    assert rig.one("select count(*) from dead_letters") == 0
    assert_dead_or_applied(rig, *early)


def test_what_the_sweep_just_gives_up_is_not_applied(rig, waiting):
    early, causes = waiting(1)
    engine = rig.own_engine()
    with ThreadPoolExecutor(1) as pool:
        late: list[Future[int]] = []

        def drain_meanwhile(_conn, _cursor, statement, *_rest):
            if "with gone as" in statement and not late:
                late.append(pool.submit(rig.settle, causes))
                rig.wait_until_blocked()

        event.listen(engine, "after_cursor_execute", drain_meanwhile)
        assert sweep(engine, rig.policy, rig.shop) == (0, len(early))
        late[0].result(30)
    assert set(rig.outcomes(*early)) == {"dead: parked_too_long"}
    assert_dead_or_applied(rig, *early)
    rig.account()


@pytest.mark.timeout(600)
def test_a_sweep_and_a_drain_at_one_instant_never_both_have_their_way(rig, waiting, tries):
    rounds = max(tries // 5, 6)
    early, causes = waiting(rounds)
    order = dict(zip((one.id for one in early), causes, strict=True))
    random, found = Random(20261101), Counter[str]()
    mine = [rig.own_engine(), rig.own_engine()]
    rig.do("update parked set until = now() + interval '1 day'")
    for turn in range(rounds):
        now = early[4 * turn : 4 * turn + 4]
        ids = [one.id for one in now]
        rig.do(
            "update parked p set until = now() - interval '1 s' from journal j "
            "where j.seq = p.seq and j.event_id = any(:ids)",
            ids=ids,
        )
        pauses = random.choice(STARTS_S), random.choice(PAUSES_S), random.choice(PAUSES_S)

        def drain(ids=ids, pauses=pauses):
            sleep(pauses[0])
            rig.settle([order[id] for id in ids], mine[0], lambda: sleep(pauses[1]))

        def give_up(pauses=pauses):
            sleep(pauses[2])
            sweep(mine[1], rig.policy, rig.shop)

        rig.at_once(drain, give_up)
    found.update(rig.outcomes(*early))
    print(f"\nsweep against drain, {rounds} rounds: {dict(found)}")
    assert_dead_or_applied(rig, *early)
    assert rig.account()["parked"] == 0


def test_two_sweeps_at_once_give_up_once(rig, waiting, swept):
    early, _ = waiting(3)
    found = rig.at_once(swept, swept)
    assert sum(given_up for _, given_up in found) >= len(early)
    assert rig.one("select count(*) from dead_letters where deaths = 1") == len(early)
    assert_dead_or_applied(rig, *early)
