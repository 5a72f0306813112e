"""One transaction: lock the orders, load them, fold their events, write everything, results last.

Locks are taken in one order everywhere: correlations, orders, results, each sorted. Whoever names a
payment or a parcel claims its `correlations` row for its order, and whoever names only that waits
under the same row: so neither commit order loses a match. Statements do not grow with the batch.

An event that our own code fails on ends dead by itself: the batch is folded anew without it. A data
or constraint error of the database is bisected with savepoints (`settle_carefully`). Anything else
(a clash on results, a deadlock, a lost connection) rolls back and the caller drains again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from domain.fold import Fold, Poisoned, Settled
from domain.ids import fresh
from domain.order import Order
from domain.outcome import DEAD, Outcome, dead, ignored, parked
from domain.parts import NEW, touch
from domain.policy import Context
from events.catalogue import (
    Event,
    Malformed,
    UnknownType,
    UnknownVersion,
    decode,
    payment_key,
    tracking_key,
)
from journal import writing
from journal.entries import Entry, read, shard_of
from storage.aggregates import load, save
from storage.literals import array, columns, unnest


class Clash(Exception):
    """Another transaction did the same work at the same time: roll back and drain again."""


class _Again(Exception):
    """Some events are poison; fold the batch anew without them."""


class _Stale(Exception):
    """Entries that an operator edited after they went into a stream."""

    def __init__(self, seqs: list[int]) -> None:
        super().__init__(seqs)
        self.seqs = seqs


@dataclass(slots=True)
class Shop:
    """What a batch needs to know besides its entries."""

    policy_id: int
    shards: int
    tracked: frozenset[str] = frozenset()  # carriers that are polled, normalized


@dataclass(slots=True)
class Report:
    """What a batch came to: outcome → how many events, our own follow-ups included."""

    outcomes: dict[str, int] = field(default_factory=dict)
    known: int = 0  # entries that had a result already


@dataclass(slots=True)
class Batch:
    """A batch on its way through the steps."""

    entries: list[Entry]
    context: Context
    shop: Shop
    poison: dict[tuple[str, str], str] = field(default_factory=dict)
    refused: dict[int, Outcome] = field(default_factory=dict)  # seq → dead before any fold
    events: dict[int, Event] = field(default_factory=dict)
    settled: list[Settled] = field(default_factory=list)
    without_order: list[tuple[int, Outcome, str | None]] = field(default_factory=list)  # seq, outcome, key
    folds: dict[str, Fold] = field(default_factory=dict)  # by order id
    new_ids: dict[str, str] = field(default_factory=dict)  # order number → id, kept over the batch's tries
    claimed: set[str] = field(default_factory=set)  # keys, likewise: what waits for them comes with them
    was_parked: dict[int, tuple[str | None, str]] = field(default_factory=dict)  # seq → order, reason as stored
    only: Collection[int] | None = None  # of what is parked, try these again; None: all
    known: int = 0  # entries that had a result already


def settle(
    conn: Connection,
    entries: Sequence[Entry],
    context: Context,
    shop: Shop,
    *,
    retry: Collection[str] = (),
    retry_keys: Collection[str] = (),
    refused: dict[int, Outcome] | None = None,
    only: Collection[int] | None = None,
) -> Report:
    """Apply `entries` and write what became of them.

    Also try again what waits for the orders `retry`, and under `retry_keys` that those have claimed.

    Errors: one `is_of_the_moment`: roll back, drain again. Any other: `settle_carefully`.
    """
    poison: dict[tuple[str, str], str] = {}
    unclaiming: set[int] = set()
    new_ids: dict[str, str] = {}
    claimed: set[str] = set()
    corrected: dict[int, Entry] = {}
    while True:
        mine = [corrected.get(entry.seq, entry) for entry in entries]
        batch = Batch(mine, context, shop, poison, dict(refused or {}), new_ids=new_ids, claimed=claimed, only=only)
        try:
            _fold_all(conn, batch, retry, retry_keys, unclaiming, corrected)
        except _Again:
            continue
        except _Stale as found:
            corrected.update({entry.seq: entry for entry in read(conn, found.seqs)})
            continue
        wrong = _claimed_by_the_dead(batch) - unclaiming
        if wrong:  # a dead event must not bind a payment or a parcel to its order
            unclaiming |= wrong
            _unclaim(conn, batch, wrong)
            continue
        break
    try:
        return _write(conn, batch)
    except IntegrityError as error:
        if _constraint(error) in _CLASHES:
            raise Clash(str(error.orig)) from error
        raise


def settle_carefully(conn: Connection, entries: Sequence[Entry], context: Context, shop: Shop) -> Report:
    """`settle` with savepoints: what fails is halved until the poison stands alone, dead.

    Call it after `settle` failed on its values and the transaction was begun anew. What is of the
    moment (`is_of_the_moment`) is raised: nobody is dead-lettered for a deadlock.
    """
    total = Report()
    todo: list[list[Entry]] = [list(entries)]
    while todo:
        part = todo.pop(0)
        try:
            with conn.begin_nested():
                report = settle(conn, part, context, shop)
        except Exception as error:
            if is_of_the_moment(error):
                raise
            if len(part) > 1:
                middle = len(part) // 2
                todo[:0] = [part[:middle], part[middle:]]
                continue
            report = _alone(conn, part[0], context, shop)
        total.known += report.known
        for outcome, count in report.outcomes.items():
            total.outcomes[outcome] = total.outcomes.get(outcome, 0) + count
    return total


def _alone(conn: Connection, entry: Entry, context: Context, shop: Shop) -> Report:
    """One entry that failed: is it the poison, or something parked that it made applicable? Each is tried alone."""

    def attempt(entries: Sequence[Entry], seq: int, **waits: Any) -> Report:
        try:
            with conn.begin_nested():
                return settle(conn, entries, context, shop, **waits)
        except Exception as error:
            if is_of_the_moment(error):
                raise
            verdict = _verdict(error)
        with conn.begin_nested():
            return settle(conn, entries, context, shop, refused={seq: verdict}, **waits)

    total = attempt([entry], entry.seq, only=())
    progress = True
    while progress:
        progress = False
        for seq, order_id, key in conn.execute(_WAITING_WITH, {"seq": entry.seq}).all():
            report = attempt([], seq, only=(seq,), retry=(order_id,), retry_keys=(key,) if key else ())
            for outcome, count in report.outcomes.items():
                total.outcomes[outcome] = total.outcomes.get(outcome, 0) + count
                progress = True
    return total


def is_of_the_moment(error: Exception) -> bool:
    """Whether trying again may help: a rival, a deadlock, a timeout, a lost connection; no value is at fault."""
    if isinstance(error, Clash):
        return True
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return isinstance(error, OperationalError | InterfaceError) and not state.startswith(_AT_FAULT)


# SQLSTATE classes: data exception, integrity constraint violation, program limit exceeded.
_AT_FAULT = ("22", "23", "54")


def _verdict(error: Exception) -> Outcome:
    if isinstance(error, DBAPIError):
        return dead("database_refused", str(error.orig).strip().splitlines()[0])
    return dead("bug", f"{type(error).__name__}: {error}")


# -- steps -------------------------------------------------------------------------------------------------

_SEEN = text("select seq, outcome from results where seq = any(cast(:seqs as bigint[]))")
# Orders by number, claimed keys, and entries that an operator edited since they went into a stream.
_LOOK = text("""
    select 'order' as kind, order_number as name, id from orders where order_number = any(cast(:numbers as text[]))
    union all select 'key', key, order_id from correlations where key = any(cast(:keys as text[]))
    union all select 'edited', cast(seq as text), null from corrections where seq = any(cast(:seqs as bigint[]))
""")
_CLAIMED = text("select key, order_id from correlations where key = any(cast(:keys as text[]))")
_CLAIM = text(
    "insert into correlations (key, order_id) select v.key, v.order_id "
    f"from {unnest(('key', 'order_id'), ('text', 'uuid'))} "
    "order by v.key on conflict (key) do update set order_id = coalesce(correlations.order_id, excluded.order_id) "
    "returning key, order_id"
)
_UNCLAIM = text(
    "update correlations set order_id = null "
    "where key = any(cast(:keys as text[])) and order_id = any(cast(:ids as uuid[]))"
)
_WAITING = text(
    "select seq, order_id, key, reason from parked where order_id = any(cast(:ids as uuid[])) "
    "union select seq, order_id, key, reason from parked where key = any(cast(:keys as text[])) and order_id is null"
)


_WAITING_WITH = text(
    "select p.seq, r.order_id, p.key from results r join parked p on p.order_id = r.order_id or p.order_id is null "
    "and p.key in (select c.key from correlations c where c.order_id = r.order_id) where r.seq = :seq order by p.seq"
)


def _fold_all(
    conn: Connection,
    batch: Batch,
    retry: Collection[str],
    retry_keys: Collection[str],
    unclaiming: set[int],
    corrected: dict[int, Entry],
) -> None:
    numbers: set[str] = set()
    named: dict[int, set[str]] = {}  # seq → correlation keys
    for entry in batch.entries:
        event = _decoded(batch, entry)
        if event is None:
            continue
        if event.subject is not None:
            numbers.add(event.subject)
        named[entry.seq] = keys_of(event)
    ids, owner = _look(conn, batch, numbers, named, corrected)
    if not ids.keys().isdisjoint(batch.new_ids):
        raise Clash("a rival made an order whose new id this batch has claimed keys with")
    made = {n: batch.new_ids.setdefault(n, fresh(batch.context.now)) for n in sorted(numbers) if n not in ids}
    claims = _claim(conn, batch, named, owner, {**ids, **made}, unclaiming)
    wanted = {*ids.values(), *(o for o in owner.values() if o is not None), *retry} - set(made.values())
    orders = load(conn, wanted)
    for number, new_id in made.items():
        orders[new_id] = Order(new_id, number, shard_of(number, batch.shop.shards), mark=NEW)
    _drop_known(conn, batch)
    batch.claimed |= claims
    waiting = _load_waiting(conn, batch, orders, batch.claimed | set(retry_keys))
    for order in orders.values():
        batch.folds[order.id] = Fold(order, batch.context, waiting.get(order.id, []), batch.poison)
    by_number = {**ids, **made}
    held = {entry.seq for entry in batch.entries if entry.held}
    spoilt: set[str] = set()  # orders that an event of theirs left half changed: fold all anew without it
    for seq in sorted(batch.events):
        event = batch.events[seq]
        own = event.subject
        order_id: str | None = _owner_of(event, owner) if own is None else by_number[own]
        if order_id is None:
            key = min(named[seq])
            reason = "payment_unknown" if key.startswith("payment:") else "parcel_unknown"
            batch.without_order.append((seq, parked(reason), key))
            continue
        fold = batch.folds[order_id]
        if seq in held and not fold.order.held:
            fold.order.held = True
            touch(fold.order)
        taken = _taken(event, named[seq], owner, order_id)
        if order_id in spoilt:
            continue
        if taken is not None:
            fold.settled.append(Settled(event, taken, fold.order, None, fold.order.status, fold.order.status, 0))
        else:
            try:
                fold.take(event)
            except Poisoned as found:
                batch.poison[found.key] = found.detail
                spoilt.add(order_id)
    for fold in batch.folds.values():
        if fold.order.id in spoilt:
            continue
        if fold.order.id in retry or waiting.get(fold.order.id):
            try:
                fold.retry()
            except Poisoned as found:
                batch.poison[found.key] = found.detail
                spoilt.add(fold.order.id)
                continue
        fold.say_why_parked()
        batch.settled += fold.settled
    if spoilt:
        raise _Again


def _decoded(batch: Batch, entry: Entry, *, parked_before: bool = False) -> Event | None:
    """The entry as an event, or None with its outcome noted."""
    outcome = batch.refused.get(entry.seq)
    if outcome is None:
        try:
            body = decode(entry.type, entry.version, entry.subject, entry.data)
            event = Event(entry.seq, entry.source, entry.event_id, entry.type, entry.time, entry.subject, body)
            if not parked_before:
                batch.events[entry.seq] = event
            return event
        except UnknownType:
            outcome = ignored("unknown_type")
        except UnknownVersion as error:
            outcome = dead("unknown_version", str(error))
        except Malformed as error:
            outcome = dead("malformed", str(error))
    batch.without_order.append((entry.seq, outcome, None))
    return None


def keys_of(event: Event) -> set[str]:
    """The correlation keys that an event names."""
    data = event.data
    if event.type == "OrderCreated":
        return {payment_key(p) for p in data.paymentIds}
    if hasattr(data, "paymentId"):
        return {payment_key(data.paymentId)}
    if getattr(data, "carrier", None) and getattr(data, "trackingNumber", None):
        return {tracking_key(data.carrier, data.trackingNumber)}
    return set()


def _look(
    conn: Connection, batch: Batch, numbers: set[str], named: dict[int, set[str]], corrected: dict[int, Entry]
) -> tuple[dict[str, str], dict[str, str | None]]:
    """(order number → id, key → its order) of what exists. _Stale where an entry was edited since it was published."""
    if not batch.entries:
        return {}, {}
    parameters = {
        "numbers": array(sorted(numbers), "text"),
        "keys": array(sorted({key for keys in named.values() for key in keys}), "text"),
        "seqs": array([entry.seq for entry in batch.entries], "bigint"),
    }
    found: dict[str, dict[str, Any]] = {"order": {}, "key": {}, "edited": {}}
    for kind, name, order_id in conn.execute(_LOOK, parameters):
        found[kind][name] = order_id
    if stale := [int(seq) for seq in found["edited"] if int(seq) not in corrected]:
        raise _Stale(stale)
    return found["order"], found["key"]


def _claim(
    conn: Connection,
    batch: Batch,
    named: dict[int, set[str]],
    owner: dict[str, str | None],
    ids: dict[str, str],
    unclaiming: set[int],
) -> set[str]:
    """Claim the batch's keys that nobody has, in `owner` too; those it got. A claimed key never changes: no lock."""
    wants: dict[str, str | None] = {}
    for seq, found in named.items():
        subject = batch.events[seq].subject
        for key in found:
            if owner.get(key) is None:
                claim = ids[subject] if subject is not None and seq not in unclaiming else None
                wants[key] = wants.get(key) or claim
    if not wants:
        return set()
    answer = _pairs(conn, _CLAIM, columns(("key", "order_id"), ("text", "uuid"), sorted(wants.items())))
    owner.update(answer)
    return {key for key, order_id in answer.items() if order_id is not None}


def _pairs(conn: Connection, statement: TextClause, parameters: dict[str, str]) -> dict[str, Any]:
    """A statement's two columns as a dict."""
    return {row[0]: row[1] for row in conn.execute(statement, parameters)}


def _owner_of(event: Event, owner: dict[str, str | None]) -> str | None:
    return next((owner[key] for key in keys_of(event) if owner.get(key)), None)


def _taken(event: Event, keys: set[str], owner: dict[str, str | None], order_id: str) -> Outcome | None:
    """Dead, where a payment that the event names is another order's. A parcel may hold two orders' goods."""
    for key in keys:
        if key.startswith("payment:") and owner.get(key) not in (None, order_id):
            return dead("payment_id_taken", f"{key} belongs to order {owner[key]}")
    return None


def _claimed_by_the_dead(batch: Batch) -> set[int]:
    """Numbers of events that ended dead and named keys."""
    return {s.event.seq for s in batch.settled if s.outcome.kind == DEAD and s.event.seq and keys_of(s.event)}


def _unclaim(conn: Connection, batch: Batch, seqs: set[int]) -> None:
    """Take back what dead events claimed just now, where nothing else of the batch supports it."""
    keys = {key for s in batch.settled if s.event.seq in seqs for key in keys_of(s.event)}
    ids = {s.order.id for s in batch.settled if s.event.seq in seqs}
    kept = {key_of_part for fold in batch.folds.values() for key_of_part in _keys_held(fold.order)}
    free = sorted(keys - kept)
    if free:
        conn.execute(_UNCLAIM, {"keys": array(free, "text"), "ids": array(sorted(ids), "uuid")})


def _keys_held(order: Order) -> Iterable[str]:
    for transaction in order.transactions:
        yield payment_key(transaction.payment_id)
    for parcel in order.fulfillments:
        yield from parcel.parcels


def _drop_known(conn: Connection, batch: Batch) -> None:
    """Leave out entries that have a result: Redis handed them over twice, or a rival was faster."""
    seqs = [entry.seq for entry in batch.entries]
    if not seqs:
        return
    known = {row.seq for row in conn.execute(_SEEN, {"seqs": array(seqs, "bigint")})}
    batch.known = len(known)
    for seq in known:
        batch.events.pop(seq, None)
    batch.without_order = [row for row in batch.without_order if row[0] not in known]
    batch.entries = [entry for entry in batch.entries if entry.seq not in known]


def _load_waiting(conn: Connection, batch: Batch, orders: dict[str, Order], claims: set[str]) -> dict[str, list[Event]]:
    """order id → its parked events in journal order; those that waited for a key come with its claim."""
    if not orders:
        return {}
    rows = conn.execute(_WAITING, {"ids": array(sorted(orders), "uuid"), "keys": array(sorted(claims), "text")}).all()
    if batch.only is not None:
        rows = [row for row in rows if row.seq in batch.only]
    if not rows:
        return {}
    owner: dict[str, str] = _pairs(conn, _CLAIMED, {"keys": array(sorted({r.key for r in rows if r.key}), "text")})
    found: dict[str, list[Event]] = defaultdict(list)
    entries = {entry.seq: entry for entry in read(conn, [row.seq for row in rows])}
    for row in sorted(rows, key=lambda r: r.seq):
        order_id = row.order_id or owner[row.key]
        if order_id not in orders:
            continue
        batch.was_parked[row.seq] = (row.order_id, row.reason)
        event = _decoded(batch, entries[row.seq], parked_before=True)
        if event is not None:
            found[order_id].append(event)
    return found


def _write(conn: Connection, batch: Batch) -> Report:
    """State, follow-ups, timers, effects, trackers, parked, dead letters; results last."""
    now, shop = batch.context.now, batch.shop
    folds = list(batch.folds.values())
    writing.number_follow_ups(conn, folds, shop.shards)
    save(conn, [fold.order for fold in folds])
    writing.timers(conn, folds)
    writing.effects(conn, folds, batch.context)
    writing.trackers(conn, folds, shop.tracked, now)
    rows = writing.results(batch.settled, batch.without_order, batch.was_parked)
    writing.still_parked(conn, _moved(batch, folds))
    writing.record(conn, rows, batch.context, shop.policy_id)
    report = Report(known=batch.known)
    for row in rows:
        report.outcomes[row.outcome.kind] = report.outcomes.get(row.outcome.kind, 0) + 1
    return report


def _moved(batch: Batch, folds: list[Fold]) -> list[tuple[int, str, str]]:
    """(seq, order id, reason) of events that wait on, but for another reason, or under their order now."""
    found = []
    for fold in folds:
        for event in fold.waiting:
            stored = batch.was_parked.get(event.seq)
            now = (fold.order.id, fold.reasons.get(event.seq, stored[1] if stored else ""))
            if stored is not None and stored != now:
                found.append((event.seq, *now))
    return found


# Constraints whose violation means a rival, not bad values.
_CLASHES = frozenset(
    ("results_pkey", "orders_order_number_key", "journal_source_event_id_key", "correlations_pkey", "parked_pkey",
     "dead_letters_seq_key")
)  # fmt: skip


def _constraint(error: IntegrityError) -> str | None:
    diagnosis: Any = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None)


def clock() -> datetime:
    """Now, in UTC: the one clock that outcomes are recorded with."""
    return datetime.now(UTC)
