"""The journal's door (promises 1 and 2): each event once, in the order of its arrival, whatever is delivered again."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from events.envelope import MAX_BODY_BYTES, Envelope
from journal.append import append
from journal.entries import INLINE_BYTES, read
from tests.builders import asked_back, canceled, created, paid, told
from tests.conftest import SHARDS

PERSONAL: dict[str, Any] = {
    "customerSnapshot": {"name": "김하나", "email": "hana@example.com"},
    "shippingAddress": {"street": "1 Secret Street"},
    "notes": "ring twice",
}


def journaled(rig):
    """(event id, body) in the journal's order."""
    return [tuple(row) for row in rig.do("select event_id, data from journal order by seq")]


def test_the_journals_order_is_the_order_of_arrival(rig):
    events = [told("OrderCanceled", subject=f"N{n % 7}", n=n) for n in range(2000)]
    random.Random(1).shuffle(events)
    first, second = rig.append(*events[:1500]), rig.append(*events[1500:])
    assert journaled(rig) == [(one.id, {"n": one.data["n"]}) for one in events]
    entries = first.new + second.new
    assert [entry.event_id for entry in entries] == [one.id for one in events]
    assert [entry.seq for entry in entries] == sorted(entry.seq for entry in entries)


def test_an_entry_is_what_the_journal_has(rig):
    """The entry that append hands over to be published equals what a drain would read there."""
    events = [created(subject="N1", **PERSONAL), paid(subject=None), told("Odd", text='"\\{},NULL\n한글 𝄞', empty="")]
    appended = rig.append(*events, held=True)
    with rig.engine.connect() as conn:
        found = read(conn, [entry.seq for entry in appended.new])
    assert [replace(entry, size=0) for entry in found] == [replace(entry, size=0) for entry in appended.new]
    assert [(one.size > INLINE_BYTES) for one in found] == [(one.size > INLINE_BYTES) for one in appended.new]


def test_a_delivery_of_nothing_asks_the_database_nothing(rig):
    asked = []
    with rig.engine.begin() as conn:
        event.listen(conn, "before_cursor_execute", lambda *_: asked.append(1))
        appended = append(conn, [], SHARDS)
    assert (appended.new, appended.duplicates, appended.body_differs, asked) == ([], [], [], [])


def test_any_number_of_envelopes_takes_as_few_statements(rig):
    counts = []
    for size in (2, 500):
        events = [created(subject=f"{size}-{n}", **PERSONAL) for n in range(size)]
        asked: list[int] = []
        with rig.engine.begin() as conn:
            event.listen(conn, "before_cursor_execute", lambda *_, asked=asked: asked.append(1))
            append(conn, [*events, *events], SHARDS)
        counts.append(len(asked))
    assert counts == [3, 3]


def test_a_repeated_delivery_is_counted_at_the_door_and_only_there(rig):
    order, other = created(subject="N1"), created(subject="N2", payments=())
    first = rig.accept(order)
    again = rig.append(other, order)
    assert [entry.event_id for entry in first.new] == [order.id]
    assert ([entry.event_id for entry in again.new], again.duplicates, again.body_differs) == ([other.id], [order], [])
    rig.streams.publish(again.new)
    rig.work()
    account = rig.account()
    assert (account["accepted"], account["applied"], account["duplicate"]) == (3, 2, 1)


def test_a_delivery_repeated_within_one_call_is_journaled_once(rig):
    order = created(subject="N1")
    appended = rig.append(order, order, canceled(subject="N1"), order)
    assert len(appended.new) == 2
    assert appended.duplicates == [order, order]
    assert rig.account()["duplicate"] == 2


CHANGES: dict[str, dict[str, Any]] = {
    "body": {"data": {"by": "somebody else"}},
    "type": {"type": "OrderConfirmed"},
    "subject": {"subject": "N2"},
    "version": {"version": 2},
}


@pytest.mark.parametrize("within", [True, False], ids=["in one call", "later"])
def test_the_same_id_with_another_body_counts_as_a_duplicate_that_differs(rig, within):
    one = canceled(subject="N1", by="shop")
    others = [replace(one, **change) for change in CHANGES.values()]
    same = replace(one, data=dict(one.data))
    appended = rig.append(one, *others, same) if within else (rig.append(one), rig.append(*others, same))[1]
    assert sorted(map(repr, appended.duplicates)) == sorted(map(repr, [*others, same]))
    assert sorted(map(repr, appended.body_differs)) == sorted(map(repr, others))
    assert journaled(rig) == [(one.id, {"by": "shop"})], "the first one counts"
    account = rig.account()
    assert (account["duplicate"], account["body_differs"]) == (5, 4)


def test_the_order_of_a_bodys_fields_makes_no_difference(rig):
    one = told("OrderCanceled", subject="N1", by="shop", reason="late")
    rig.append(one)
    assert rig.append(replace(one, data=dict(reversed(one.data.items())))).body_differs == []


def test_two_sources_may_use_one_id(rig):
    one = canceled(subject="N1")
    assert len(rig.append(one, replace(one, source="somebody else")).new) == 2


def test_of_concurrent_deliveries_of_one_event_exactly_one_is_new(rig, tries):
    """Half of them with another body; each in a transaction of its own, all at one instant."""
    rivals = 4
    engines = [rig.own_engine(pool=1) for _ in range(rivals)]
    rounds = max(tries // 3, 5)
    won: Counter[int] = Counter()
    for turn in range(rounds):
        batch = [canceled(subject=f"N{turn}", by="0") for _ in range(5)]
        alike = [batch, batch, *([[replace(one, data={"by": "1"}) for one in batch]] * 2)]

        def deliver(rival, alike=alike):
            with engines[rival].begin() as conn:
                return append(conn, alike[rival], SHARDS)

        found = rig.at_once(*(lambda rival=rival: deliver(rival) for rival in range(rivals)))
        new = [rival for rival, appended in enumerate(found) if appended.new]
        assert len(new) == 1
        [winner] = new
        assert len(found[winner].new) == len(batch)
        for rival, appended in enumerate(found):
            assert len(appended.duplicates) == (0 if rival == winner else len(batch))
            assert len(appended.body_differs) == (0 if rival // 2 == winner // 2 else len(batch))
        won[winner] += 1
    print(f"\n{rounds} deliveries by {rivals} at once, won by {dict(won)}")
    account = rig.account()
    assert account["accepted"] == rounds * 5 * rivals
    assert (account["duplicate"], account["body_differs"]) == (rounds * 5 * 3, rounds * 5 * 2)


def test_of_concurrent_deliveries_in_opposite_orders_each_event_is_new_once(rig):
    """They may deadlock: then one sender is told that nothing was accepted, and delivers again."""
    events = [canceled(subject=f"N{n}") for n in range(400)]
    new: Counter[str] = Counter()
    for start in range(0, 400, 100):
        some = events[start : start + 100]

        def deliver(events):
            for _ in range(5):
                try:
                    return rig.append(*events)
                except OperationalError as error:
                    if "deadlock detected" not in str(error):
                        raise
            raise AssertionError("no end of deadlocks")

        for appended in rig.at_once(lambda e=some: deliver(e), lambda e=some[::-1]: deliver(e)):
            new.update(entry.event_id for entry in appended.new)
    assert new == Counter({one.id: 1 for one in events})
    assert rig.account()["accepted"] == 800


def test_who_waits_for_a_rival_that_gives_up_is_the_first(rig):
    order = created(subject="N1", notes="mine")
    with rig.engine.connect() as rival:
        rig.appended(rival, order)

        def roll_back():
            rig.wait_until_blocked()
            rival.rollback()

        [appended, _] = rig.at_once(lambda: rig.append(order), roll_back)
    assert len(appended.new) == 1
    assert appended.duplicates == []
    assert rig.one("select count(*) from personal") == 1


# -- personal fields -----------------------------------------------------------------------------------


def test_personal_fields_stand_beside_the_journal_and_never_in_it(rig):
    order = created(subject="N1", **PERSONAL)
    back = asked_back(subject="N1", note="it was for Ms Secret")
    [first, second] = rig.append(order, back).new
    assert not {*PERSONAL, "note"} & ({*first.data} | {*second.data})
    rows = rig.one("select string_agg(cast(j as text), '') from journal j")
    for secret in ("hana", "Secret", "김하나", "ring twice"):
        assert secret not in rows
    kept = dict(map(tuple, rig.do("select id, fields from personal")))
    assert kept == {first.data["personal"]: PERSONAL, second.data["personal"]: {"note": "it was for Ms Secret"}}
    rig.streams.publish([first])
    in_streams = b"".join(
        value for key in rig.client.scan_iter("*events") for _, fields in rig.client.xrange(key) for value in fields
    )
    assert b"Secret" not in in_streams
    rig.work()
    assert rig.order("N1").personal_id == first.data["personal"]


def test_a_repeated_delivery_keeps_no_second_copy_of_personal_fields(rig):
    order = created(subject="N1", **PERSONAL)
    rig.append(order, order)
    assert rig.append(order).body_differs == []
    assert rig.append(replace(order, data={**order.data, "notes": "another"})).body_differs != []
    assert rig.one("select count(*) from personal") == 1


def test_a_sender_cannot_name_a_row_of_personal_fields(rig):
    """Else whoever may send an event could read somebody else's."""
    stranger = rig.append(created(subject="N1", **PERSONAL)).new[0].data["personal"]
    [entry] = rig.append(created(subject="N2", personal=stranger)).new
    assert "personal" not in entry.data
    [mine] = rig.append(created(subject="N3", personal=stranger, notes="my own")).new
    assert mine.data["personal"] != stranger


# -- sizes, history, failures --------------------------------------------------------------------------


def test_a_body_of_a_megabyte_is_kept_travels_by_its_number_and_applies(rig):
    order = created(subject="N1", extra="")
    room = MAX_BODY_BYTES - len(orjson.dumps(order.data))
    order = Envelope.parse({**order.as_document(), "data": {**order.data, "extra": "x" * room}})
    assert len(order.body()) == MAX_BODY_BYTES
    [entry] = rig.accept(order).new
    assert rig.client.memory_usage(f"orders:{{{entry.shard}}}:events") < 10_000
    rig.work()
    assert rig.outcome(order) == "applied"
    assert rig.append(order).duplicates == [order]


def test_history_is_held(rig):
    old, new = created(subject="N1"), created(subject="N2", payments=())
    rig.tell(old, held=True)
    rig.tell(new)
    assert dict(map(tuple, rig.do("select subject, held from journal"))) == {"N1": True, "N2": False}
    assert (rig.order("N1").effects_suppressed, rig.order("N2").effects_suppressed) == (True, False)


def test_what_is_rolled_back_was_never_accepted(rig):
    order = created(subject="N1", **PERSONAL)
    with rig.engine.connect() as conn:
        rig.appended(conn, order)
        conn.rollback()
    assert rig.account()["accepted"] == 0
    assert rig.one("select count(*) from personal") == 0
    assert len(rig.append(order).new) == 1


def test_a_lost_connection_accepts_nothing_and_says_so(rig):
    order = created(subject="N1")
    with rig.own_engine().connect() as conn:
        rig.do("select pg_terminate_backend(:pid, 5000)", pid=conn.connection.driver_connection.info.backend_pid)
        with pytest.raises(OperationalError):
            append(conn, [order], SHARDS)
    assert rig.account()["accepted"] == 0
