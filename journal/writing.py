"""What a batch writes besides the orders: a statement a table, whatever the batch's size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection, text

from domain.fold import Fold, Settled
from domain.ids import derived, fresh
from domain.outcome import DEAD, PARKED, Outcome
from domain.parts import CLEAN
from domain.policy import Context
from events.envelope import Envelope
from journal.append import KINDS, NAMES
from journal.entries import shard_of
from storage.literals import array, cast, columns, unnest


def _insert(table: str, names: Sequence[str], kinds: Sequence[str], tail: str = "") -> Any:
    picked = ", ".join(cast(n, k) for n, k in zip(names, kinds, strict=True))
    return text(f"insert into {table} ({', '.join(names)}) select {picked} from {unnest(names, kinds)} {tail}")


# -- follow-ups --------------------------------------------------------------------------------------------

_SEQS = text("select nextval('journal_seq') from generate_series(1, :n)")
_JOURNAL_NAMES, _JOURNAL_KINDS = ("seq", *NAMES), ("bigint", *KINDS)
_JOURNAL = _insert("journal", _JOURNAL_NAMES, _JOURNAL_KINDS, "order by v.ordinal")


def number_follow_ups(conn: Connection, folds: Sequence[Fold], shards: int) -> None:
    """Journal the follow-up events of a batch, and give their events the journal's numbers."""
    made = [follow for fold in folds for follow in fold.follow_ups]
    if not made:
        return
    seqs = [row[0] for row in conn.execute(_SEQS, {"n": len(made)})]
    rows = []
    for seq, follow in zip(seqs, made, strict=True):
        e = follow.event
        e.seq = seq
        digest = Envelope(e.id, e.source, e.type, e.time, e.subject, follow.data).digest()
        shard = shard_of(e.subject or "", shards)
        body = orjson.dumps(follow.data).decode()
        rows.append(
            (
                seq,
                e.source,
                e.id,
                e.type,
                1,
                e.time,
                e.subject,
                shard,
                follow.order.held,
                body,
                digest,
            )
        )
    conn.execute(_JOURNAL, columns(_JOURNAL_NAMES, _JOURNAL_KINDS, rows))


# -- timers, effects, trackers -----------------------------------------------------------------------------

_TIMER_NAMES, _TIMER_KINDS = (
    ("order_id", "kind", "due", "held"),
    ("uuid", "text", "timestamptz", "boolean"),
)
_TIMERS = _insert(
    "timers",
    _TIMER_NAMES,
    _TIMER_KINDS,
    "on conflict (order_id, kind) do update set due = excluded.due",
)


def timers(conn: Connection, folds: Iterable[Fold]) -> None:
    """Set the timers that the batch's orders started."""
    last = {(t.order_id, t.kind): t for fold in folds for t in fold.timers}
    if last:
        rows = [(t.order_id, t.kind, t.due, t.held) for t in last.values()]
        conn.execute(_TIMERS, columns(_TIMER_NAMES, _TIMER_KINDS, rows))


_EFFECT_NAMES = (
    "id",
    "order_id",
    "transaction_id",
    "payment_id",
    "currency",
    "target",
    "made",
    "state",
    "next_at",
)
_EFFECT_KINDS = (
    "uuid",
    "uuid",
    "uuid",
    "text",
    "text",
    "numeric",
    "numeric",
    "text",
    "timestamptz",
)
# A target only rises. One in flight stays in flight; one that was done is due again.
_EFFECTS = _insert(
    "effects",
    _EFFECT_NAMES,
    _EFFECT_KINDS,
    "on conflict (transaction_id) do update set target = greatest(effects.target, excluded.target), "
    "state = case when effects.state = 'done' then excluded.state else effects.state end, "
    "next_at = case when effects.state = 'done' then excluded.next_at else effects.next_at end, updated_at = now()",
)


def effects(conn: Connection, folds: Iterable[Fold], context: Context) -> None:
    """Record the refunds that are due, before anything is asked of a provider."""
    rows = []
    for fold in folds:
        state = "held" if fold.order.held else "due" if context.policy.refunds == "auto" else "staff"
        for t in fold.refunds.values():
            if t.refund_target > t.refunded_amount:
                name = derived(context.now, "refund", t.id)
                rows.append(
                    (
                        name,
                        t.order_id,
                        t.id,
                        t.payment_id,
                        t.currency,
                        t.refund_target,
                        Decimal(0),
                        state,
                        context.now,
                    )
                )
    if rows:
        conn.execute(_EFFECTS, columns(_EFFECT_NAMES, _EFFECT_KINDS, rows))


_TRACKER_NAMES = ("id", "order_id", "key", "carrier", "tracking_number", "next_at")
_TRACKERS = _insert(
    "trackers",
    _TRACKER_NAMES,
    ("uuid", "uuid", "text", "text", "text", "timestamptz"),
    "on conflict (order_id, key) do nothing",
)


def trackers(conn: Connection, folds: Iterable[Fold], tracked: frozenset[str], now: datetime) -> None:
    """Watch the parcels whose carriers we poll. History is not watched."""
    if not tracked:
        return
    rows = []
    for fold in folds:
        if fold.order.held:
            continue
        for parcel in fold.order.fulfillments:
            if parcel.mark == CLEAN or parcel.delivered_at or parcel.failed_at:
                continue
            for key in parcel.parcels:
                _, carrier, number = key.split(":", 2)
                if carrier in tracked:
                    rows.append((fresh(now), parcel.order_id, key, carrier, number, now))
    if rows:
        kinds = ("uuid", "uuid", "text", "text", "text", "timestamptz")
        conn.execute(_TRACKERS, columns(_TRACKER_NAMES, kinds, rows))


# -- results -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Result:
    """What became of one event in this batch."""

    seq: int
    order_id: str | None
    outcome: Outcome
    apply_number: int | None = None
    parked_number: int | None = None
    step_from: str | None = None
    step_to: str | None = None
    key: str | None = None  # what a parked event waits for, where no order is known
    was_parked: bool = False  # it has a row already


def results(
    settled: Iterable[Settled],
    without_order: Iterable[tuple[int, Outcome, str | None]],
    was_parked: Mapping[int, tuple[str | None, str]],
) -> list[Result]:
    """One result an event: one that was parked and then settled in this batch counts as settled."""
    found: dict[int, Result] = {}
    for s in settled:
        before = found.get(s.event.seq)
        found[s.event.seq] = Result(
            s.event.seq,
            s.order.id,
            s.outcome,
            s.apply_number,
            s.version if s.outcome.kind == PARKED else before.parked_number if before else None,
            s.step_from if s.apply_number else None,
            s.step_to if s.apply_number else None,
            was_parked=s.event.seq in was_parked,
        )
    for seq, outcome, key in without_order:
        order_id, _ = was_parked.get(seq, (None, ""))
        found[seq] = Result(seq, order_id, outcome, key=key, was_parked=seq in was_parked)
    return [found[seq] for seq in sorted(found)]


_RESULT_NAMES = (
    "seq", "order_id", "outcome", "reason", "detail", "apply_number", "parked_number", "policy_id", "decided_at",
    "step_from", "step_to", "implied",
)  # fmt: skip
_RESULT_KINDS = (
    "bigint", "uuid", "text", "text", "text", "integer", "integer", "smallint", "timestamptz", "text", "text", "text",
)  # fmt: skip
_RECORD = _insert("results", _RESULT_NAMES, _RESULT_KINDS, "order by v.ordinal")
_RERECORD = text(
    "update results r set order_id = v.order_id, outcome = v.outcome, reason = v.reason, detail = v.detail, "
    "apply_number = v.apply_number, policy_id = v.policy_id, decided_at = v.decided_at, step_from = v.step_from, "
    f"step_to = v.step_to, implied = v.implied from {unnest(_RESULT_NAMES, _RESULT_KINDS)} where r.seq = v.seq"
)
_PARK_NAMES, _PARK_KINDS = (
    ("seq", "order_id", "key", "reason", "until"),
    ("bigint", "uuid", "text", "text", "timestamptz"),
)
_PARK = _insert("parked", _PARK_NAMES, _PARK_KINDS)
_MOVE_NAMES, _MOVE_KINDS = ("seq", "order_id", "reason"), ("bigint", "uuid", "text")
_MOVE = text(
    "with moved as (update parked p set order_id = v.order_id, reason = v.reason "
    f"from {unnest(_MOVE_NAMES, _MOVE_KINDS)} where p.seq = v.seq returning p.seq, p.order_id, p.reason) "
    "update results r set order_id = m.order_id, reason = m.reason from moved m where r.seq = m.seq"
)
_UNPARK = text("delete from parked where seq = any(cast(:seqs as bigint[]))")
_DEAD_NAMES, _DEAD_KINDS = ("id", "seq", "reason", "detail"), ("uuid", "bigint", "text", "text")
_BURY = _insert(
    "dead_letters",
    _DEAD_NAMES,
    _DEAD_KINDS,
    "on conflict (seq) do update set reason = excluded.reason, detail = excluded.detail, state = 'open', "
    "deaths = dead_letters.deaths + 1, updated_at = now()",
)


def record(conn: Connection, rows: Sequence[Result], context: Context, policy_id: int) -> None:
    """Write results: the last statements before the commit. The key on the event is the net under everything."""
    if not rows:
        return
    now = context.now
    settled_now = [r for r in rows if r.was_parked and r.outcome.kind != PARKED]
    if settled_now:
        conn.execute(_UNPARK, {"seqs": array([r.seq for r in settled_now], "bigint")})
        conn.execute(_RERECORD, _columns(settled_now, now, policy_id))
    new = [r for r in rows if not r.was_parked]
    if new:
        conn.execute(_RECORD, _columns(new, now, policy_id))
    waiting = [r for r in new if r.outcome.kind == PARKED]
    if waiting:
        until = now + context.policy.parked_for if context.policy.parked_for is not None else None
        parking = [(r.seq, r.order_id, r.key, r.outcome.reason, until) for r in waiting]
        conn.execute(_PARK, columns(_PARK_NAMES, _PARK_KINDS, parking))
    died = [r for r in rows if r.outcome.kind == DEAD]
    if died:
        burying = [(fresh(now), r.seq, r.outcome.reason, r.outcome.detail) for r in died]
        conn.execute(_BURY, columns(_DEAD_NAMES, _DEAD_KINDS, burying))


def still_parked(conn: Connection, moved: Sequence[tuple[int, str, str]]) -> None:
    """Note for what, and for which order, parked events wait now: (seq, order id, reason)."""
    if moved:
        conn.execute(_MOVE, columns(_MOVE_NAMES, _MOVE_KINDS, moved))


def _columns(rows: Sequence[Result], now: datetime, policy_id: int) -> dict[str, str]:
    return columns(
        _RESULT_NAMES,
        _RESULT_KINDS,
        [
            (
                r.seq, r.order_id, r.outcome.kind, r.outcome.reason, r.outcome.detail, r.apply_number,
                r.parked_number, policy_id, now, r.step_from, r.step_to, r.outcome.implied,
            )
            for r in rows
        ],
    )  # fmt: skip
