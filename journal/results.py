"""The rows that a batch writes besides the orders: rows of eight tables, which travel with the orders' in one statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from domain.fold import EventResult, Fold
from domain.ids import derived, fresh
from domain.order import Order
from domain.outcome import DEAD, PARKED, Kind, Outcome, Reason
from domain.policy import Context
from domain.purposes import open_purposes
from domain.reactions import awaits
from domain.refunds import RefundState
from domain.return_parcels import number_key
from domain.returns import Status as ReturnStatus
from domain.transaction import BY_HAND, Transaction
from events.envelope import digest_of
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
        e, data, suppressed = follow.event, follow.data, follow.order.effects_suppressed
        e.seq = seq
        source, name, kind, time, number = e.source, e.id, e.type, e.time, e.subject
        digest, shard = digest_of(source, kind, 1, time, number, data), shard_of(number or "", shards)
        body = orjson.dumps(data)
        rows.append((seq, source, name, kind, 1, time, number, shard, suppressed, body.decode(), digest))
        entries.append(Entry(seq, source, name, kind, 1, time, number, shard, suppressed, data, len(body)))
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


_ENDED = frozenset((ReturnStatus.REJECTED, ReturnStatus.COMPLETED))


# -- results -----------------------------------------------------------------------------------------------


class ResultRow(NamedTuple):
    """The result of one event in this batch, as a row."""

    seq: int
    order_id: str | None
    kind: Kind  # these three are the outcome's
    reason: Reason | None
    detail: str | None
    apply_number: int | None
    step_from: str | None
    step_to: str | None
    implied: str | None  # the outcome's, too


class Results(NamedTuple):
    """The results of a batch, by number, and what is to be written of those that wait."""

    rows: Sequence[ResultRow]
    undecided: Sequence[ResultRow]  # those of them without an apply number: parked, dead, or of no order
    parked_numbers: Mapping[int, int]  # of those that were parked in this batch, settled since or not
    keys: Mapping[int, str | None]  # what a parked event waits for, where no order is known
    not_before: Mapping[int, datetime]  # a parked event is not given up before

    def ends(self) -> Counter[tuple[Kind, Reason | None]]:
        """(kind of outcome, reason) → how many events ended so."""
        return Counter(map(_END, self.rows))


# As `ResultRow(*values)`, without its call: there is one per event. The values are listed in a loop, not by `attrgetter`,
# which takes ten times as long for an attribute that is a slot.
_made: Callable[[tuple[Any, ...]], ResultRow] = partial(tuple.__new__, ResultRow)


def results(settled: Iterable[EventResult], unplaced: Iterable[Unplaced], parked: Mapping[int, ParkedRow]) -> Results:
    """One result an event: one that was parked and then settled in this batch counts as settled."""
    decided: list[tuple[Any, ...]] = []
    found: dict[int, ResultRow] = {}
    parked_numbers, not_before = {}, {}
    for s in settled:
        seq, outcome, number = s.event.seq, s.outcome, s.apply_number
        if number is not None:
            kind, reason, detail, implied = outcome.kind, outcome.reason, outcome.detail, outcome.implied
            decided.append((seq, s.order.id, kind, reason, detail, number, s.step_from, s.step_to, implied))
            continue
        found[seq] = _undecided(seq, s.order.id, outcome)
        if outcome.kind is PARKED:
            parked_numbers[seq] = s.version
            if outcome.reason is Reason.AHEAD:
                not_before[seq] = s.event.time
    keys = {}
    for seq, outcome, key in unplaced:
        stored = parked.get(seq)
        found[seq] = _undecided(seq, stored.order_id if stored else None, outcome)
        keys[seq] = key
    rows = list(map(_made, decided))
    for row in rows if found else ():
        found.pop(row.seq, None)
    undecided = sorted(found.values(), key=_BY_NUMBER)
    return Results(sorted([*rows, *undecided], key=_BY_NUMBER), undecided, parked_numbers, keys, not_before)


def _undecided(seq: int, order_id: str | None, outcome: Outcome) -> ResultRow:
    return ResultRow(seq, order_id, outcome.kind, outcome.reason, outcome.detail, None, None, None, outcome.implied)


_BY_NUMBER, _END = itemgetter(0), itemgetter(2, 3)


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


def record(writes: Writes, results: Results, parked: Mapping[int, ParkedRow], context: Context, policy_id: int) -> None:
    """Add the results: the key on the event is the net under everything. Those of `parked` have a row already."""
    now, rows = context.now, results.rows
    if parked:
        settled_now = [r for r in rows if r.seq in parked and r.kind is not PARKED]
        writes.add(_UNPARK, [(r.seq,) for r in settled_now])
        writes.add_columns(_RERECORD, _columns(settled_now, results, now, policy_id))
        rows = [r for r in rows if r.seq not in parked]
    waiting = [r for r in results.undecided if r.kind is PARKED and r.seq not in parked]
    until = now + context.policy.parked_for if context.policy.parked_for is not None else None
    writes.add(
        _PARK,
        [(r.seq, r.order_id, results.keys.get(r.seq), r.reason, _until(results, r, until)) for r in waiting],
    )
    died = [r for r in results.undecided if r.kind is DEAD]
    writes.add(_BURY, [(fresh(now), r.seq, r.reason, r.detail) for r in died])
    writes.add_columns(_RECORD, _columns(rows, results, now, policy_id))


def _until(results: Results, row: ResultRow, until: datetime | None) -> datetime | None:
    """The time at which a parked event is given up; one that lies ahead has its own time first."""
    not_before = results.not_before.get(row.seq)
    return until if until is None or not_before is None else max(until, not_before)


def still_parked(writes: Writes, moved: Sequence[tuple[int, str, str]]) -> None:
    """Note for what, and for which order, parked events wait now: (seq, order id, reason)."""
    writes.add(_MOVE_PARKED, moved)
    writes.add(_MOVE, moved)


def _columns(rows: Sequence[ResultRow], results: Results, now: datetime, policy_id: int) -> Sequence[Sequence[Any]]:
    """The columns of `_RESULT_NAMES`; none where there are no rows."""
    if not rows:
        return ()
    seqs, orders, kinds, reasons, details, numbers, steps_from, steps_to, implied = zip(*rows, strict=True)
    waited = list(map(results.parked_numbers.get, seqs))
    times, policies = [now] * len(rows), [policy_id] * len(rows)
    return (
        seqs, orders, kinds, reasons, details, numbers, waited, policies, times, steps_from, steps_to, implied,
    )  # fmt: skip
