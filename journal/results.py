"""The rows that a batch writes besides the orders: rows of eight tables, which travel with the orders' in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from domain.fold import EventResult, Fold
from domain.ids import derived, fresh
from domain.order import Order
from domain.outcome import DEAD, PARKED, Outcome, Reason
from domain.policy import Context
from domain.purposes import open_purposes
from domain.reactions import awaits
from domain.refunds import RefundState
from domain.return_parcels import number_key
from domain.returns import Status as ReturnStatus
from domain.transaction import BY_HAND, Transaction
from events.envelope import Envelope
from journal.append import KINDS, NAMES
from journal.batch_values import Follows, ParkedRow, Unplaced
from journal.entries import Entry, shard_of
from journal.refund_rows import reasons_of
from storage.pg_arrays import cast, unnest
from storage.raw_sql import Statement, Write, Writes
from storage.tables.given_up import DIED_AGAIN


def _insert(table: str, names: Sequence[str], kinds: Sequence[str], tail: str = "") -> Write:
    picked = ", ".join(cast(n, k) for n, k in zip(names, kinds, strict=True))
    sql = f"insert into {table} ({', '.join(names)}) select {picked} from {unnest(names, kinds)} {tail}"
    return Write(f"new_{table}", names, kinds, sql)


# -- follow-ups --------------------------------------------------------------------------------------------

_SEQS = Statement("select nextval('journal_seq') from generate_series(1, cast(:n as integer))")
_JOURNAL = _insert("journal", ("seq", *NAMES), ("bigint", *KINDS), "order by v.ordinal")


def follow_ups(conn: Connection, writes: Writes, folds: Sequence[Fold], shards: int) -> list[Entry]:
    """Give the follow-up events of a batch the journal's numbers, add their rows, and return them as entries."""
    made = [follow for fold in folds for follow in fold.follow_ups]
    if not made:
        return []
    rows, entries = [], []
    for (seq,), follow in zip(_SEQS.run(conn, {"n": len(made)}), made, strict=True):
        e, suppressed = follow.event, follow.order.effects_suppressed
        e.seq = seq
        digest = Envelope(e.id, e.source, e.type, e.time, e.subject, follow.data).digest()
        shard = shard_of(e.subject or "", shards)
        body = orjson.dumps(follow.data).decode()
        rows.append((seq, e.source, e.id, e.type, 1, e.time, e.subject, shard, suppressed, body, digest))
        size = len(body.encode())
        entries.append(Entry(seq, e.source, e.id, e.type, 1, e.time, e.subject, shard, suppressed, follow.data, size))
    writes.add(_JOURNAL, rows)
    return entries


# -- timers, effects, trackers -----------------------------------------------------------------------------

_TIMERS = _insert(
    "timers",
    ("order_id", "kind", "due", "held"),
    ("uuid", "text", "timestamptz", "boolean"),
    "on conflict (order_id, kind) do update set due = excluded.due",
)


def timers(writes: Writes, folds: Iterable[Fold]) -> None:
    """Set the timers that the batch's orders started, but those that the batch itself made needless."""
    last = {
        (t.order_id, t.kind): t
        for fold in folds
        for t in fold.timers
        if awaits(t.kind, fold.order.status, fold.order.confirmed_at is not None)
    }
    writes.add(_TIMERS, [(t.order_id, t.kind, t.due, t.effects_suppressed) for t in last.values()])


# One whose end is not known, and one that waits for a person to mend it, stay as they are; all others are as is due now.
# Where less is due than before (somebody settled a refund that had failed), `made` is no more than what is due or went back:
# else what is due later would not go out.
_EFFECTS = _insert(
    "effects",
    (
        "id", "order_id", "transaction_id", "payment_id", "currency", "target", "made", "state", "next_at", "due_since",
        "refund_id", "reasons", "return_id", "personal_id",
    ),
    (
        "uuid", "uuid", "uuid", "text", "text", "numeric", "numeric", "text", "timestamptz", "timestamptz",
        "uuid", "jsonb", "uuid", "uuid",
    ),
    "on conflict (transaction_id) do update set target = excluded.target, "
    "state = case when effects.state in ('done', 'due', 'staff', 'account_needed') and effects.idempotency_key is null "
    "then excluded.state else effects.state end, "
    "next_at = case when effects.state = 'done' then excluded.next_at else effects.next_at end, "
    "due_since = case when effects.state = 'done' then excluded.due_since else effects.due_since end, "
    "made = case when effects.idempotency_key is null and excluded.target < effects.target "
    "then least(effects.made, greatest(excluded.target, excluded.made)) else effects.made end, "
    "refund_id = case when effects.state = 'done' then excluded.refund_id "
    "else coalesce(effects.refund_id, excluded.refund_id) end, "
    + ", ".join(
        f"{name} = case when effects.idempotency_key is null then excluded.{name} else effects.{name} end"
        for name in ("reasons", "return_id", "personal_id")
    )
    + ", updated_at = now()",
)  # fmt: skip


def effects(writes: Writes, folds: Iterable[Fold], context: Context) -> None:
    """Record the refunds that are due, before anything is asked of a provider; those that are due no more are done."""
    rows = []
    for fold in folds:
        purposes = open_purposes(fold.order) if fold.refunds else {}
        for t in fold.refunds.values():
            why = purposes.get(t.id, ())
            rows.append(
                (
                    derived(context.now, "refund", t.id), t.order_id, t.id, t.payment_id, t.currency,
                    t.refund_target, t.refunded_amount, _state_of_refund(fold, t, context), context.now, context.now,
                    derived(context.now, "next refund", t.id), reasons_of(why),
                    next((each.return_id for each in why if each.return_id is not None), None),
                    next((each.personal_id for each in why if each.personal_id is not None), None),
                )
            )  # fmt: skip
    writes.add(_EFFECTS, rows)


def _state_of_refund(fold: Fold, payment: Transaction, context: Context) -> RefundState:
    """Where the refund of a payment begins: a dispute of its order that is open or lost, or an inquiry, leaves it to a person."""
    if payment.refund_target <= payment.refunded_amount:
        return RefundState.DONE
    if fold.order.effects_suppressed:
        return RefundState.HELD
    for_staff = context.policy.refunds != "auto" or payment.payment_id.startswith(BY_HAND)
    payments = fold.order.payments()
    return RefundState.STAFF if for_staff or payments.disputed or payments.inquired else RefundState.DUE


TRACKER_NAMES = ("id", "key", "carrier", "tracking_number", "provider", "carrier_id", "next_at")
TRACKER_KINDS = ("uuid", "text", "text", "text", "text", "text", "timestamptz")
_TRACKERS = _insert(
    "trackers",
    TRACKER_NAMES,
    TRACKER_KINDS,
    "order by v.key on conflict (key) where order_id is null do update set provider = excluded.provider, "
    "carrier_id = excluded.carrier_id, finished = false, status = null, failures = 0, last_error = null, heard_at = null, "
    "next_at = excluded.next_at, created_at = excluded.next_at, updated_at = now() where trackers.finished",
)


def trackers(writes: Writes, folds: Iterable[Fold], follows: Follows | None, now: datetime) -> None:
    """Watch the parcels whose carriers somebody polls, where their numbers are new or they are open again; of returns, too.

    One tracker per number, whoever shares it; one that had ended begins anew. History is not watched.
    """
    if follows is None:
        return
    rows: dict[str, tuple[Any, ...]] = {}
    for fold in folds:
        if fold.order.effects_suppressed:
            continue
        for key in _to_watch(fold.order):
            if key not in rows and (row := tracker_row(key, follows, now)) is not None:
                rows[key] = row
    writes.add(_TRACKERS, list(rows.values()))


def tracker_row(key: str, follows: Follows, now: datetime) -> tuple[Any, ...] | None:
    """The row, by TRACKER_NAMES, of a tracker of a tracking key, due now; None where nobody is polled for its carrier."""
    _, carrier, number = key.split(":", 2)
    route = follows(carrier)
    return None if route is None else (fresh(now), key, carrier, number, *route, now)


def _to_watch(order: Order) -> Iterator[str]:
    """The tracking keys of the order's parcels that are to be watched from now on, or anew."""
    for parcel in order.fulfillments:
        if parcel.to_watch and parcel.is_open() and (key := parcel.number_key()) is not None:
            yield key
    for back in order.returns:
        coming = back.to_watch and back.received_at is None and back.status not in _ENDED
        if coming and (key := number_key(back)) is not None:
            yield key


_AHEAD = Reason.AHEAD  # a look-up in an enumeration costs 0.2 µs, and there is one per event
_ENDED = frozenset((ReturnStatus.REJECTED, ReturnStatus.COMPLETED))


# -- results -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ResultRow:
    """The result of one event in this batch, as a row."""

    seq: int
    order_id: str | None
    outcome: Outcome
    apply_number: int | None = None
    parked_number: int | None = None
    step_from: str | None = None
    step_to: str | None = None
    key: str | None = None  # what a parked event waits for, where no order is known
    was_parked: bool = False  # it has a row already
    not_before: datetime | None = None  # a parked event is not given up before


def results(
    settled: Iterable[EventResult], unplaced: Iterable[Unplaced], parked: Mapping[int, ParkedRow]
) -> list[ResultRow]:
    """One result an event: one that was parked and then settled in this batch counts as settled."""
    found: dict[int, ResultRow] = {}
    for s in settled:
        event, outcome, number = s.event, s.outcome, s.apply_number
        seq = event.seq
        before = found.get(seq)
        waited = s.version if outcome.kind is PARKED else before.parked_number if before else None
        step_from, step_to = (s.step_from, s.step_to) if number else (None, None)
        not_before = event.time if outcome.reason is _AHEAD else None
        found[seq] = ResultRow(
            seq, s.order.id, outcome, number, waited, step_from, step_to, None, seq in parked, not_before
        )
    for seq, outcome, key in unplaced:
        row = parked.get(seq)
        found[seq] = ResultRow(seq, row.order_id if row else None, outcome, key=key, was_parked=row is not None)
    return [found[seq] for seq in sorted(found)]


_RESULT_NAMES = (
    "seq", "order_id", "outcome", "reason", "detail", "apply_number", "parked_number", "policy_id", "decided_at",
    "step_from", "step_to", "implied",
)  # fmt: skip
_RESULT_KINDS = (
    "bigint", "uuid", "text", "text", "text", "integer", "integer", "smallint", "timestamptz", "text", "text", "text",
)  # fmt: skip
_RECORD = _insert("results", _RESULT_NAMES, _RESULT_KINDS, "order by v.ordinal")
_RERECORD = Write(
    "changed_results",
    _RESULT_NAMES,
    _RESULT_KINDS,
    "update results r set order_id = v.order_id, outcome = v.outcome, reason = v.reason, detail = v.detail, "
    "apply_number = v.apply_number, policy_id = v.policy_id, decided_at = v.decided_at, step_from = v.step_from, "
    f"step_to = v.step_to, implied = v.implied from {unnest(_RESULT_NAMES, _RESULT_KINDS)} where r.seq = v.seq",
)
_PARK = _insert(
    "parked", ("seq", "order_id", "key", "reason", "until"), ("bigint", "uuid", "text", "text", "timestamptz")
)
_MOVE_NAMES, _MOVE_KINDS = ("seq", "order_id", "reason"), ("bigint", "uuid", "text")
_MOVE = Write(
    "moved",
    _MOVE_NAMES,
    _MOVE_KINDS,
    "update results r set order_id = v.order_id, reason = v.reason "
    f"from {unnest(_MOVE_NAMES, _MOVE_KINDS)} where r.seq = v.seq",
)
_MOVE_PARKED = Write(
    "moved_parked",
    _MOVE_NAMES,
    _MOVE_KINDS,
    "update parked p set order_id = v.order_id, reason = v.reason "
    f"from {unnest(_MOVE_NAMES, _MOVE_KINDS)} where p.seq = v.seq",
)
_UNPARK = Write("unparked", ("seq",), ("bigint",), "delete from parked where seq = any(cast(:seq as bigint[]))")
_BURY = _insert(
    "dead_letters",
    ("id", "seq", "reason", "detail"),
    ("uuid", "bigint", "text", "text"),
    f"on conflict (seq) do update set {DIED_AGAIN}",
)


def record(writes: Writes, rows: Sequence[ResultRow], context: Context, policy_id: int) -> None:
    """Add the results: the key on the event is the net under everything."""
    now = context.now
    settled_now = [r for r in rows if r.was_parked and r.outcome.kind is not PARKED]
    writes.add(_UNPARK, [(r.seq,) for r in settled_now])
    writes.add(_RERECORD, [_row(r, now, policy_id) for r in settled_now])
    new = [r for r in rows if not r.was_parked]
    waiting = [r for r in new if r.outcome.kind is PARKED]
    until = now + context.policy.parked_for if context.policy.parked_for is not None else None
    writes.add(_PARK, [(r.seq, r.order_id, r.key, r.outcome.reason, _until(r, until)) for r in waiting])
    died = [r for r in rows if r.outcome.kind is DEAD]
    writes.add(_BURY, [(fresh(now), r.seq, r.outcome.reason, r.outcome.detail) for r in died])
    writes.add(_RECORD, [_row(r, now, policy_id) for r in new])


def _until(row: ResultRow, until: datetime | None) -> datetime | None:
    """The time at which a parked event is given up; one that lies ahead has its own time first."""
    return until if until is None or row.not_before is None else max(until, row.not_before)


def still_parked(writes: Writes, moved: Sequence[tuple[int, str, str]]) -> None:
    """Note for what, and for which order, parked events wait now: (seq, order id, reason)."""
    writes.add(_MOVE_PARKED, moved)
    writes.add(_MOVE, moved)


def _row(r: ResultRow, now: datetime, policy_id: int) -> tuple[Any, ...]:
    return (
        r.seq, r.order_id, r.outcome.kind, r.outcome.reason, r.outcome.detail, r.apply_number,
        r.parked_number, policy_id, now, r.step_from, r.step_to, r.outcome.implied,
    )  # fmt: skip
