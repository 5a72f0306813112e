"""The steps of a replay: 1 thing, then 10, 100 … at its rate, until one step fails too much, or nothing is left.

Each chunk is one transaction: its events are decided in it, its items note what they came to, and the audit has its
row; so whoever advances a replay may be killed at any line, and nobody does anything of it twice. A lease keeps two from
working at one replay side by side; it ends by itself some seconds after its holder died.

Refunds, look-ups and deliveries are made by their own loops, which ask the outside; a step waits for their ends, and
goes on without those that take longer than PATIENCE.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import OperationalError

from domain.ids import format_id
from domain.outcome import APPLIED as EVENT_APPLIED
from domain.outcome import PARKED as EVENT_PARKED
from domain.policy import Policy
from journal.batch import Shop, is_of_the_moment
from operations import given_up
from operations.event_replay import Fate, decide_again
from operations.given_up import Thing
from operations.reasons import DELIVERY, EVENT, LOOKUP, REFUND, field_of
from operations.replays import (
    APPLIED,
    DONE,
    FAILED,
    HALTED,
    IGNORED,
    MADE,
    NEW_CAUSE,
    PARKED,
    RUNNING,
    SAME_CAUSE,
    UNCHANGED,
    UNDER_WAY,
    WAITS,
)
from outbound import payment_lookups, refunds
from outbound.webhooks import deliveries
from storage import audit, leases
from storage.clock import clock
from storage.pg_arrays import array, columns, unnest

CHUNK = 100  # items of one transaction
TURNS = 4  # chunks per second, where a rate says how many things those are
GROWS = 10  # times, from step to step
LARGEST = 10_000  # items of a step
LEASE_S = 6.0  # of whoever advances a replay; renewed before each chunk
PATIENCE = timedelta(minutes=10)  # for what the outside is asked
POLL_S = 0.5
TRIES = 6  # of one chunk, against deadlocks and rivals

Look = Callable[[], None]  # called after each chunk


@dataclass(frozen=True, slots=True)
class _End:
    """The end of one item."""

    place: int
    outcome: str
    new_reason: str | None = None
    detail: str | None = None


_LOCK = text("select id, by, reason, state, step, size, rate, halt_above from replays where id = :id for update")
_NEXT = text("""
    select place, kind, target, seq, reason from replay_items
    where replay_id = :id and step = :step and state = 'waiting' order by place limit :most
""")
_TAKEN = text("""
    select place, target, reason, taken_at < clock_timestamp() - cast(:patience as interval) as late
    from replay_items where replay_id = :id and state = 'taken' order by place
""")
_TAKE = text("""
    update replay_items set state = 'taken', taken_at = clock_timestamp()
    where replay_id = :id and place = any(cast(:places as integer[]))
""")
_END_NAMES, _END_TYPES = ("place", "outcome", "new_reason", "detail"), ("integer", "text", "text", "text")
_END = text(f"""
    update replay_items i set state = 'ended', outcome = v.outcome, new_reason = v.new_reason, detail = left(v.detail, 500),
        taken_at = coalesce(i.taken_at, clock_timestamp()), ended_at = clock_timestamp()
    from {unnest(_END_NAMES, _END_TYPES)} where i.replay_id = :id and i.place = v.place
""")
_BEGIN_STEP = text("""
    with mine as (select place from replay_items where replay_id = :id and step is null order by place limit :size)
    update replay_items i set step = :step from mine where i.replay_id = :id and i.place = mine.place
""")
_NOTE_STEP = text("update replays set step = :step, size = :size, updated_at = clock_timestamp() where id = :id")
_NOTE_STATE = text("update replays set state = :state, note = :note, updated_at = clock_timestamp() where id = :id")
_FAILURES = text("""
    select outcome, coalesce(new_reason, reason) as reason, count(*) as n, sum(count(*)) over () as failed
    from replay_items where replay_id = :id and step = :step and outcome = any(cast(:failed as text[]))
    group by 1, 2 order by 3 desc, 2
""")
_SIZE = text("select count(*) from replay_items where replay_id = :id and step = :step")
_LEFT = text("select exists (select from replay_items where replay_id = :id and step is null)")
_RUNNING = text("select id from replays where state = 'running' order by id")
# How refunds, look-ups and deliveries stand: whether each has its end, and which.
_ENDS = text("""
    select e.id, e.state, d.reason, coalesce(d.detail, e.last_error) as detail
    from effects e left join dead_letters d on d.effect_id = e.id and d.state = 'open'
    where e.id = any(cast(:ids as uuid[]))
    union all
    select id, state, reason, last_error from inbox where id = any(cast(:ids as uuid[]))
    union all
    select id, state, null, last_error from deliveries where id = any(cast(:ids as uuid[]))
""")


def running(conn: Connection) -> list[str]:
    """The ids of the replays that somebody has to advance, the oldest first."""
    return list(conn.execute(_RUNNING).scalars())


def advance(
    engine: Engine,
    policy: Policy,
    shop: Shop,
    replay_id: str,
    *,
    seconds: float,
    look: Look | None = None,
    holder: str | None = None,
) -> bool:
    """Take a replay further, for so many seconds at most; False where it does not run (any more), or another advances it.

    `look` is called after each chunk. May be doubled, or killed at any line.
    Errors: OperationalError where PostgreSQL is away; what was committed stays, and the next call goes on behind it.
    """
    mine, until = holder or secrets.token_hex(8), monotonic() + seconds
    lease = format_id("replays", replay_id)
    try:
        while True:
            with engine.begin() as conn:
                if not leases.take(conn, lease, mine, LEASE_S):
                    return False
            begun = monotonic()
            moved = _patiently(engine, lambda conn: _chunk(conn, policy, shop, replay_id))
            if look is not None:
                look()
            if moved is None:
                return False
            pause = POLL_S if moved.waits else max(moved.seconds - (monotonic() - begun), 0.0)
            if monotonic() + pause >= until:
                return True
            sleep(pause)
    finally:
        with suppress(OperationalError), engine.begin() as conn:  # where PostgreSQL is away it ends by itself
            leases.end(conn, lease, mine)


@dataclass(frozen=True, slots=True)
class _Moved:
    """A chunk that was done: the seconds that it may take by the rate, and whether only ends are waited for."""

    seconds: float = 0.0
    waits: bool = False


def _patiently(engine: Engine, work: Callable[[Connection], _Moved | None]) -> _Moved | None:
    """Do `work` in a transaction, and again where a rival was in the way."""
    for attempt in range(1, TRIES + 1):
        try:
            with engine.begin() as conn:
                return work(conn)
        except Exception as error:
            if attempt == TRIES or not is_of_the_moment(error):
                raise
            sleep(0.05 * 2**attempt)
    raise AssertionError("unreachable")


def _chunk(conn: Connection, policy: Policy, shop: Shop, replay_id: str) -> _Moved | None:
    """One chunk of a replay, or its next step, or its end; None where it does not run."""
    run = conn.execute(_LOCK, {"id": replay_id}).one_or_none()
    if run is None or run.state != RUNNING:
        return None
    under_way = _look_after_taken(conn, run)
    most = CHUNK if run.rate is None else min(CHUNK, max(run.rate // TURNS, 1))
    items = conn.execute(_NEXT, {"id": run.id, "step": run.step, "most": most}).all()
    if items:
        _take(conn, policy, shop, run, items)
        return _Moved(seconds=0.0 if run.rate is None else len(items) / run.rate)
    if under_way:
        return _Moved(waits=True)
    if not conn.execute(_LEFT, {"id": run.id}).scalar_one():
        _end(conn, run, DONE, None)
        return None
    if run.size and (note := _failure(conn, run)) is not None:
        _end(conn, run, HALTED, note)
        return None
    values = {"id": run.id, "step": run.step + 1, "size": min(run.size * GROWS, LARGEST) or 1}
    conn.execute(_BEGIN_STEP, values)
    conn.execute(_NOTE_STEP, values)
    return _Moved()


def _end(conn: Connection, run: Row[Any], state: str, note: str | None) -> None:
    conn.execute(_NOTE_STATE, {"id": run.id, "state": state, "note": note})
    audit.record(
        conn, "orders", f"replay {state}", format_id("replays", run.id), note, {"state": RUNNING}, {"state": state}
    )


def _failure(conn: Connection, run: Row[Any]) -> str | None:
    """Why a step that has ended lets the replay go no further; None where it does."""
    rows = conn.execute(_FAILURES, {"id": run.id, "step": run.step, "failed": list(FAILED)}).all()
    size = int(conn.execute(_SIZE, {"id": run.id, "step": run.step}).scalar_one())
    if not rows or rows[0].failed <= run.halt_above * size:
        return None
    words = ", ".join(
        f"{row.n} {'the same cause' if row.outcome == SAME_CAUSE else 'new'} ({row.reason})" for row in rows
    )
    return (
        f"step {run.step}: {rows[0].failed} of {size} {'was' if rows[0].failed == 1 else 'were'} given up again: {words}. Mend the cause, then resume; or discard "
        "those that cannot be mended"
    )


# -- taken ---------------------------------------------------------------------------------------------------


def _take(conn: Connection, policy: Policy, shop: Shop, run: Row[Any], items: Sequence[Row[Any]]) -> None:
    things = given_up.by_id(conn, [item.target for item in items])
    there = {item.place: things[item.target] for item in items if item.target in things}
    ends = [_End(item.place, UNCHANGED) for item in items if item.place not in there]
    events = [there[item.place] for item in items if item.place in there and item.kind == EVENT]
    fates = decide_again(conn, events, policy, shop) if events else {}
    for item in items:
        if item.place in there and item.kind == EVENT:
            ends.append(_end_of_event(item, there[item.place], fates.get(item.seq)))
    released = _release(conn, run.by, [there[item.place] for item in items if item.place in there])
    places = [item.place for item in items if item.target in released]
    ends += [
        _End(item.place, UNCHANGED)
        for item in items
        if item.place in there and item.kind != EVENT and item.target not in released
    ]
    if places:
        conn.execute(_TAKE, {"id": run.id, "places": array(places, "integer")})
    _keep_ends(conn, run.id, ends)
    outcomes = {each.place: each.outcome for each in ends}
    acts = [
        _act(run, there[item.place], outcomes.get(item.place))
        for item in items
        if item.place in there and outcomes.get(item.place) != UNCHANGED
    ]
    audit.record_all(conn, acts)


def _act(run: Row[Any], thing: Thing, outcome: str | None) -> audit.Act:
    """The row of the audit of one thing that was taken; `outcome` None: it is known later."""
    detail = {"name": thing.ref, "replay": format_id("replays", run.id)}
    return audit.Act(
        run.by,
        "given-up replay",
        thing.ref,
        run.reason,
        {"given up for": thing.reason},
        {"outcome": outcome or "tried again"},
        thing.order_number,
        detail,
    )


def _end_of_event(item: Row[Any], before: Thing, fate: Fate | None) -> _End:
    if fate is None:
        return _End(item.place, UNCHANGED)
    if not fate.died:
        kind = APPLIED if fate.outcome == EVENT_APPLIED else PARKED if fate.outcome == EVENT_PARKED else IGNORED
        return _End(item.place, kind, None, fate.reason)
    same = (fate.reason, field_of(fate.reason, fate.detail)) == (before.reason, before.field)
    return _End(item.place, SAME_CAUSE if same else NEW_CAUSE, fate.reason, fate.detail)


def _release(conn: Connection, by: str, things: Sequence[Thing]) -> set[str]:
    """Let refunds, look-ups and deliveries be tried again; the ids of those that are. Sorted, as all lock them."""
    found = {
        each.id
        for each in sorted(things, key=lambda each: each.id)
        if each.kind == REFUND and refunds.release(conn, each.id, by, act=None)
    }
    asked = {each.seq: each.id for each in things if each.kind == LOOKUP and each.seq is not None}
    if asked:
        found |= {asked[seq] for seq in payment_lookups.ask_again(conn, sorted(asked), by, act=None)}
    sent = sorted(each.id for each in things if each.kind == DELIVERY)
    if sent:
        found |= set(deliveries.replay(conn, sent, clock()))
    return found


def _look_after_taken(conn: Connection, run: Row[Any]) -> int:
    """Note the ends of what the outside was asked for; how many have none yet."""
    items = conn.execute(_TAKEN, {"id": run.id, "patience": PATIENCE}).all()
    if not items:
        return 0
    values = {"ids": array([item.target for item in items], "uuid")}
    stands = {row.id: row for row in conn.execute(_ENDS, values)}
    ends = []
    for item in items:
        row = stands.get(item.target)
        outcome = _outcome_outside(item, row)
        if outcome is None and item.late:
            outcome = UNDER_WAY
        if outcome is not None:
            reason = row.reason if row is not None and outcome in FAILED else None
            ends.append(_End(item.place, outcome, reason, None if row is None else row.detail))
    _keep_ends(conn, run.id, ends)
    return len(items) - len(ends)


def _outcome_outside(item: Row[Any], row: Row[Any] | None) -> str | None:
    if row is None:
        return UNCHANGED
    if row.state in ("done", "expired"):
        return MADE
    if row.state == "dead":
        return SAME_CAUSE if row.reason is None or row.reason == item.reason else NEW_CAUSE
    return WAITS if row.state in ("staff", "account_needed", "held") else None


def _keep_ends(conn: Connection, replay_id: str, ends: Sequence[_End]) -> None:
    if ends:
        rows = [(each.place, each.outcome, each.new_reason, each.detail) for each in ends]
        conn.execute(_END, {**columns(_END_NAMES, _END_TYPES, rows), "id": replay_id})
