"""Replays of what was given up: begun, looked at, stopped, resumed, and reported by cause.

    running ── a person stops it ─────────────▶ stopped ── resumed ──▶ running
       ├────── too many of a step fail ───────▶ halted  ── resumed ──▶ running, in small steps again
       └────── nothing is left ───────────────▶ done

A replay and its items are rows, so it goes on wherever somebody advances it (`operations.replay_steps`): the command that
began it, or the chore of the workers. Each order's events come in the order in which they happened, with what was given up
of that order later; then refunds, look-ups and deliveries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from domain.ids import format_id, fresh, uuid_of
from events.errors import OrdersError
from operations import acts, given_up
from operations.given_up import Thing
from operations.reasons import EVENT, KINDS, cause_of
from storage import audit
from storage.clock import clock
from storage.pg_arrays import columns, unnest

HALT_ABOVE = 0.1  # share of a step's items that may fail, unless told otherwise
RUNNING, STOPPED, HALTED, DONE = "running", "stopped", "halted", "done"
# The outcomes of items; the first two are failures.
SAME_CAUSE, NEW_CAUSE = FAILED = ("same_cause", "new_cause")
APPLIED, IGNORED, PARKED, MADE, WAITS, UNDER_WAY, UNCHANGED = (
    "applied", "ignored", "parked", "made", "waits", "under_way", "unchanged",
)  # fmt: skip
OUTCOMES = {
    APPLIED: "applied",
    IGNORED: "ignored: nothing was left to do",
    PARKED: "parked: it waits for what makes it applicable",
    MADE: "made: the refund, answer or delivery that was due",
    WAITS: "waits for a person, or a bank account",
    UNDER_WAY: "under way still: whoever asks the outside goes on",
    SAME_CAUSE: "given up again, for the same cause",
    NEW_CAUSE: "given up again, for another cause",
    UNCHANGED: "left alone: it was given up no more when its turn came",
}


class ReplayError(OrdersError):
    """This cannot be done to replays; nothing was changed."""

    code = "replay"
    remedy = "See `orders given-up replays`."
    status = 409


class ReplayUnknown(ReplayError):
    """No replay has this name."""

    code = "replay_unknown"
    remedy = "Give its id (rpl_…), as `orders given-up replays` shows them."
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: there is no such replay; `orders given-up replays` shows those there are")


class ReplayEmpty(ReplayError):
    """Nothing that was given up meets the conditions of a replay."""

    code = "replay_empty"
    remedy = "Look with `orders given-up list`; what was replayed or discarded is listed no more."

    def __init__(self) -> None:
        super().__init__("nothing that was given up fits, so there is nothing to replay")


class ReplayOver(ReplayError):
    """The replay is in a state in which this cannot be asked of it."""

    code = "replay_over"
    remedy = "Begin another one for what is left."

    def __init__(self, name: str, state: str, asked: str) -> None:
        super().__init__(f"{name} is {state} and cannot be {asked}; nothing was changed")


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay as it stands. `outcomes` counts items by what became of them; the rest is yet to be taken, or under way."""

    id: str
    by: str
    reason: str
    chosen: dict[str, Any]
    state: str
    step: int
    size: int
    rate: int | None
    halt_above: float
    note: str | None
    created_at: datetime
    updated_at: datetime
    total: int
    taken: int  # items whose end is not known yet
    ended: int
    outcomes: dict[str, int]

    @property
    def name(self) -> str:
        """The replay's id, as people give it."""
        return format_id("replays", self.id)

    @property
    def left(self) -> int:
        """The number of items that have not had their turn."""
        return self.total - self.taken - self.ended

    def as_document(self) -> dict[str, Any]:
        """The replay as JSON."""
        told = {each: getattr(self, each) for each in self.__slots__}
        return {**told, "id": self.name, "left": self.left, "says": self.says}

    @property
    def says(self) -> str:
        """The replay in one sentence: "500 in all: 480 applied, 15 given up again for the same cause, …"."""
        parts = [f"{n:,} {OUTCOMES[name].partition(':')[0]}" for name in OUTCOMES if (n := self.outcomes.get(name))]
        rest = [f"{n:,} {word}" for n, word in ((self.taken, "being tried"), (self.left, "to go")) if n]
        return f"{self.total:,} in all: {', '.join([*parts, *rest]) or 'nothing yet'}"


@dataclass(frozen=True, slots=True)
class CauseReport:
    """The end that the items of one cause came to: outcome → how many, and the new causes of those that failed."""

    kind: str
    type: str
    reason: str
    field: str | None
    outcomes: dict[str, int]
    new_reasons: dict[str, int]

    def as_document(self) -> dict[str, Any]:
        """The report of one cause as JSON."""
        return {**{each: getattr(self, each) for each in self.__slots__}, "means": cause_of(self.reason).means}


# -- begun ---------------------------------------------------------------------------------------------------

_BEGIN = text("""
    insert into replays (id, by, reason, chosen, rate, halt_above)
    values (:id, :by, :reason, cast(:chosen as jsonb), :rate, :halt_above)
""")
_NAMES = ("replay_id", "place", "kind", "target", "seq", "order_number", "type", "reason", "field", "later")
_TYPES = ("uuid", "integer", "text", "uuid", "bigint", "text", "text", "text", "text", "boolean")
_ITEMS = text(
    f"insert into replay_items ({', '.join(_NAMES)}) select {', '.join(f'v.{each}' for each in _NAMES)} "
    f"from {unnest(_NAMES, _TYPES)}"
)


def plan(conn: Connection, things: Sequence[Thing]) -> list[tuple[Thing, bool]]:
    """A replay of the things that `given_up.chosen` found, as it takes them; True: taken along, as it came later of its order.

    Errors: ReplayEmpty where there are none.
    """
    if not things:
        raise ReplayEmpty
    first: dict[str, datetime] = {}
    for each in things:
        if each.kind == EVENT and each.order_number is not None:
            first[each.order_number] = min(each.happened_at, first.get(each.order_number, each.happened_at))
    asked = {each.id for each in things}
    along = [
        each
        for each in given_up.of_orders(conn, list(first), EVENT)
        if each.id not in asked and each.happened_at >= first[each.order_number or ""]
    ]

    def place(item: tuple[Thing, bool]) -> tuple[Any, ...]:
        thing = item[0]
        about = thing.order_number or ""
        begins = first.get(about, thing.happened_at) if thing.kind == EVENT else thing.happened_at
        return KINDS.index(thing.kind), begins, about, thing.happened_at, thing.seq or 0, thing.id

    return sorted([(each, False) for each in things] + [(each, True) for each in along], key=place)


def begin(
    conn: Connection,
    planned: Sequence[tuple[Thing, bool]],
    *,
    by: str,
    reason: str,
    chosen: dict[str, Any],
    rate: int | None = None,
    halt_above: float = HALT_ABOVE,
) -> str:
    """Begin a replay of what `plan` found, for whoever advances it; its id. Nothing of it is done yet.

    Errors: ReasonAbsent.
    """
    replay_id, why = fresh(clock()), acts.checked_reason(reason)
    told = orjson.dumps(chosen).decode()
    values = {"id": replay_id, "by": by, "reason": why, "chosen": told, "rate": rate, "halt_above": halt_above}
    conn.execute(_BEGIN, values)
    rows = [
        (replay_id, at, each.kind, each.id, each.seq, each.order_number, each.type, each.reason, each.field, later)
        for at, (each, later) in enumerate(planned)
    ]
    conn.execute(_ITEMS, columns(_NAMES, _TYPES, rows))
    _noted(conn, replay_id, by, "begin", why, items=len(rows), chosen=chosen)
    return replay_id


# -- looked at -----------------------------------------------------------------------------------------------

_ROW = """
    select r.id, r.by, r.reason, r.chosen, r.state, r.step, r.size, r.rate, r.halt_above, r.note, r.created_at,
           r.updated_at, i.total, i.taken, i.ended, i.outcomes
    from replays r cross join lateral (
        select cast(sum(n) as bigint) as total, cast(coalesce(sum(n) filter (where state = 'taken'), 0) as bigint) as taken,
               cast(coalesce(sum(n) filter (where state = 'ended'), 0) as bigint) as ended,
               coalesce(jsonb_object_agg(outcome, n) filter (where outcome is not null), '{}') as outcomes
        from (select state, outcome, count(*) as n from replay_items where replay_id = r.id group by 1, 2) c
    ) i
"""
_ONE = text(_ROW + " where r.id = :id")
_LIST = text(_ROW + " order by r.id desc limit :most")
_REPORT = text("""
    select kind, type, reason, field, coalesce(outcome, state) as outcome, new_reason, count(*) as n from replay_items
    where replay_id = :id group by 1, 2, 3, 4, 5, 6 order by 1, 3, 2, 4, 5, 6
""")


def replay(conn: Connection, name: str) -> Replay:
    """The replay of that id. Errors: ReplayUnknown."""
    row = conn.execute(_ONE, {"id": uuid_of(name)}).mappings().one_or_none() if uuid_of(name) else None
    if row is None:
        raise ReplayUnknown(name)
    return Replay(**row)


def replays(conn: Connection, limit: int = 20) -> list[Replay]:
    """Replays, the newest first."""
    return [Replay(**row) for row in conn.execute(_LIST, {"most": limit}).mappings()]


def report(conn: Connection, replay_id: str) -> list[CauseReport]:
    """The end that a replay's items came to, by the cause for which each had been given up: outcomes as OUTCOMES has them."""
    found: dict[tuple[Any, ...], CauseReport] = {}
    for row in conn.execute(_REPORT, {"id": replay_id}):
        key = (row.kind, row.type, row.reason, row.field)
        at = found.setdefault(key, CauseReport(*key, {}, {}))
        at.outcomes[row.outcome] = at.outcomes.get(row.outcome, 0) + row.n
        if row.outcome == NEW_CAUSE:
            at.new_reasons[row.new_reason] = at.new_reasons.get(row.new_reason, 0) + row.n
    for each in found.values():
        for name in [*OUTCOMES, "taken", "waiting"]:  # so those who look again and again read the same line
            if name in each.outcomes:
                each.outcomes[name] = each.outcomes.pop(name)
    return sorted(found.values(), key=lambda each: -sum(each.outcomes.values()))


_LOST = text("""
    select count(*) from dead_letters d join effects e on e.id = d.effect_id join orders o on o.id = e.order_id, replays r
    where r.id = :id and d.state = 'open' and d.updated_at >= r.created_at
      and o.order_number in (select order_number from replay_items where replay_id = :id)
""")


def refunds_given_up(conn: Connection, replay_id: str) -> int:
    """The number of refunds of a replay's orders that were given up since it began, as those are that nobody makes here."""
    return int(conn.execute(_LOST, {"id": replay_id}).scalar_one())


# -- stopped and resumed -------------------------------------------------------------------------------------

_MOVE = text("""
    update replays set state = :to, note = :note, updated_at = clock_timestamp(),
        size = case when state = 'halted' then 0 else size end
    where id = :id and state = any(cast(:those as text[])) returning id
""")


def stop(conn: Connection, name: str, *, by: str, reason: str) -> Replay:
    """Stop a replay after what it is just doing; it may be resumed. Errors: ReplayUnknown, ReplayOver, ReasonAbsent."""
    return _moved(conn, name, STOPPED, [RUNNING], by, reason, f"stopped by {by}: {reason}")


def resume(conn: Connection, name: str, *, by: str, reason: str) -> Replay:
    """Let a replay go on that was stopped, or has halted: that in small steps again. One that runs goes on as it does.

    Errors: as `stop`; ReplayOver for one that is done.
    """
    return _moved(conn, name, RUNNING, [STOPPED, HALTED, RUNNING], by, reason, None)


def _moved(conn: Connection, name: str, to: str, those: list[str], by: str, reason: str, note: str | None) -> Replay:
    why, before = acts.checked_reason(reason), replay(conn, name)
    values = {"id": before.id, "to": to, "those": those, "note": note}
    word = "stopped" if to == STOPPED else "resumed"
    if conn.execute(_MOVE, values).scalar_one_or_none() is None:
        raise ReplayOver(before.name, replay(conn, name).state, word)
    _noted(conn, before.id, by, "stop" if to == STOPPED else "resume", why)
    return replay(conn, name)


def _noted(conn: Connection, replay_id: str, by: str, act: str, why: str, **detail: Any) -> None:
    audit.record(conn, by, f"replay {act}", format_id("replays", replay_id), why, detail=detail)
