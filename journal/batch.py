"""One transaction: lock the orders, load them, fold their events, write everything, results last.

Locks are taken in one order everywhere: correlations, orders, results, each sorted. Whoever names a
payment or a parcel claims its `correlations` row for its order, and whoever names only that waits
under the same row: so neither commit order loses a match. Statements do not grow with the batch.

Who cannot wait goes *around* the orders whose rows somebody else holds: their entries are left out of the batch, for
later (journal/lock_waits.py).

An event that our own code fails on ends dead by itself: the batch is folded anew without it. A data
or constraint error of the database is bisected with savepoints (`settle_carefully`). Anything else
(a clash on results, a deadlock, a lost connection) rolls back and the caller drains again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from domain.dirty_tracking import NEW, touch
from domain.fold import Fold, Poisoned, Settled
from domain.ids import fresh
from domain.order import Order
from domain.outcome import Outcome, dead, parked
from domain.parked import Parked
from domain.policy import Context
from domain.weight import weight
from events.catalogue import Event
from journal import change_capture
from journal import results as writing
from journal.correlation import (
    Batch,
    Clash,
    Kept,
    Shop,
    Stale,
    claim,
    claimed_by_the_dead,
    decoded,
    keys_of,
    look,
    look_beside,
    owner_of,
    taken_by_another,
    unclaim,
)
from journal.entries import Entry, read, shard_of
from journal.results import Result
from storage.aggregates import lock, lock_free, save
from storage.clock import clock
from storage.raw_sql import Writes

__all__ = ["Clash", "Report", "Shop", "clock", "is_of_the_moment", "settle", "settle_carefully"]


LIGHT = 64  # lines: an event about no more is folded however full its batch is


class _Again(Exception):
    """Some events are poison; fold the batch anew without them."""


class _Held(Exception):
    """Somebody else holds rows of some orders; begin the batch anew without their entries."""


@dataclass(slots=True)
class Report:
    """What a batch came to: outcome → how many events, our own follow-ups included."""

    outcomes: dict[str, int] = field(default_factory=dict)
    known: int = 0  # entries that had a result already
    left: set[int] = field(default_factory=set)  # numbers of entries that were gone around: they have no result
    held: set[str] = field(default_factory=set)  # ids of the orders that somebody else held
    orders: dict[str, Order] = field(default_factory=dict)  # of one settling: by id, as they came to be
    results: Sequence[Result] = ()  # of one settling
    rest: frozenset[int] = frozenset()  # of one settling: numbers of entries that were left, as the batch was full


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
    locked: Mapping[str, Order] | None = None,
    defer: list[Entry] | None = None,
    around: bool = False,
    work: int | None = None,
) -> Report:
    """Apply `entries` and write what became of them.

    With `around`, no order's row is waited for: entries and `retry` of orders that somebody else holds are left out,
    and the report names them.

    With `defer`, what follows from them is journaled and added to that list, to be published once this is
    committed; else it is applied here and now. Also try again what waits for the orders `retry`, and under
    `retry_keys` that those have claimed. `locked` is for entries that this transaction has journaled itself: orders
    by id that it has locked and loaded already; they are used up. Once the events are about more lines than `work`,
    further heavy ones, and what comes after them in their orders, are left as they are (`Report.rest`).

    Errors: one `is_of_the_moment`: roll back, drain again. Any other: `settle_carefully`.
    """
    kept = Kept(locked=locked or {})
    make = partial(
        Batch, context=context, shop=shop, kept=kept, retry_keys=retry_keys, only=only,
        fresh=locked is not None, deferring=defer is not None, around=around, work=work,
    )  # fmt: skip
    while True:
        mine = [entry for entry in entries if entry.seq not in kept.left]
        tried = [each for each in retry if each not in kept.held]
        try:
            with conn.begin_nested() if around else nullcontext():  # what is left out has claimed nothing
                report, follow_ups = _settle(conn, mine, kept, partial(make, refused=dict(refused or {}), retry=tried))
            break
        except _Held:
            kept.claimed.clear()
            kept.new_ids.clear()
        except IntegrityError as error:
            if _constraint(error) in _CLASHES:
                raise Clash(str(error.orig)) from error
            raise
    if defer is not None:
        defer += follow_ups
    report.left, report.held = kept.left, kept.held
    return report


def _settle(
    conn: Connection, entries: Sequence[Entry], kept: Kept, make: Callable[[list[Entry]], Batch]
) -> tuple[Report, list[Entry]]:
    """`settle`, as often as what it learns asks for."""
    while True:
        batch = make([kept.corrected.get(entry.seq, entry) for entry in entries])
        try:
            _fold_all(conn, batch)
        except _Again:
            continue
        except Stale as found:
            kept.corrected.update({entry.seq: entry for entry in read(conn, found.seqs)})
            continue
        wrong = claimed_by_the_dead(batch) - kept.unclaiming
        if not wrong:
            return _write(conn, batch)
        kept.unclaiming |= wrong  # a dead event must not bind a payment or a parcel to its order
        unclaim(conn, batch, wrong)


def settle_carefully(
    conn: Connection, entries: Sequence[Entry], context: Context, shop: Shop, *, around: bool = False
) -> Report:
    """`settle` with savepoints: what fails is halved until the poison stands alone, dead.

    Call it after `settle` failed on its values, or with `around` on a lock that no order's row is, and the transaction
    was begun anew. What is of the moment (`is_of_the_moment`) is raised: nobody is dead-lettered for a deadlock. With
    `around`, an entry that waits alone for a lock for longer than AROUND_MS is left out.
    """
    total = Report()
    if around:
        conn.execute(_HURRY)
    todo: list[list[Entry]] = [list(entries)]
    while todo:
        part = todo.pop(0)
        try:
            with conn.begin_nested():
                report = settle(conn, part, context, shop, around=around)
        except Exception as error:
            waited = around and waited_too_long(error)
            if is_of_the_moment(error) and not waited:
                raise
            if len(part) > 1:
                middle = len(part) // 2
                todo[:0] = [part[:middle], part[middle:]]
                continue
            report = Report(left={part[0].seq}) if waited else _alone(conn, part[0], context, shop, around)
        total.left |= report.left
        total.held |= report.held
        total.known += report.known
        for outcome, count in report.outcomes.items():
            total.outcomes[outcome] = total.outcomes.get(outcome, 0) + count
    return total


def _alone(conn: Connection, entry: Entry, context: Context, shop: Shop, around: bool) -> Report:
    """One entry that failed: is it the poison, or something parked that it made applicable? Each is tried alone."""

    def attempt(entries: Sequence[Entry], seq: int, **waits: Any) -> Report:
        try:
            with conn.begin_nested():
                return settle(conn, entries, context, shop, around=around, **waits)
        except Exception as error:
            if around and waited_too_long(error):
                return Report(left={seq})
            if is_of_the_moment(error):
                raise
            verdict = _verdict(error)
        with conn.begin_nested():
            return settle(conn, entries, context, shop, refused={seq: verdict}, around=around, **waits)

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
    if isinstance(error, DBAPIError) and (error.connection_invalidated or state in _ENDED):
        return True
    return isinstance(error, OperationalError | InterfaceError) and not state.startswith(_AT_FAULT)


# The server has ended a session that idled in a transaction, or a transaction that took too long: we were frozen.
_ENDED = ("25P03", "25P04")


def waited_too_long(error: Exception) -> bool:
    """Whether a lock was waited for longer than the session or transaction may (its `lock_timeout`)."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == _LOCK_NOT_AVAILABLE


_LOCK_NOT_AVAILABLE = "55P03"
AROUND_MS = 50  # a wait for one lock of a batch that goes around what is held
_HURRY = text(f"select set_config('lock_timeout', '{AROUND_MS}ms', true)")

# SQLSTATE classes: data exception, integrity constraint violation, program limit exceeded.
_AT_FAULT = ("22", "23", "54")


def _verdict(error: Exception) -> Outcome:
    if isinstance(error, DBAPIError):
        return dead("database_refused", str(error.orig).strip().splitlines()[0])
    return dead("bug", f"{type(error).__name__}: {error}")


_WAITING_WITH = text(
    "select p.seq, r.order_id, p.key from results r join parked p on p.order_id = r.order_id or p.order_id is null "
    "and p.key in (select c.key from correlations c where c.order_id = r.order_id) where r.seq = :seq order by p.seq"
)


def _fold_all(conn: Connection, batch: Batch) -> None:
    """Find, lock and load the orders, and fold the events into them. Nothing is written but claims."""
    numbers: set[str] = set()
    for entry in batch.entries:
        event = decoded(batch, entry)
        if event is not None:
            batch.named[entry.seq] = keys_of(event)
            if event.subject is not None:
                numbers.add(event.subject)
    locked, batch.kept.locked = batch.kept.locked, {}  # this try changes them
    at_hand = {order.order_number: order_id for order_id, order in locked.items()}
    ids, owner = look(conn, batch, numbers - at_hand.keys())
    ids |= {number: at_hand[number] for number in numbers & at_hand.keys()}
    new_ids = batch.kept.new_ids
    if not ids.keys().isdisjoint(new_ids):
        raise Clash("a rival made an order whose new id this batch has claimed keys with")
    made = {n: new_ids.setdefault(n, fresh(batch.context.now)) for n in sorted(numbers) if n not in ids}
    claim(conn, batch, owner, {**ids, **made})
    known = {*ids.values(), *(o for o in owner.values() if o is not None), *batch.retry}
    known -= batch.kept.held.union(made.values())
    orders = {order_id: locked[order_id] for order_id in known & locked.keys()}
    if batch.around:
        orders = _free(conn, batch, known, ids, owner)
    else:
        orders |= lock(conn, known - locked.keys())
    for number, new_id in made.items():
        orders[new_id] = Order(new_id, number, shard_of(number, batch.shop.shards), mark=NEW)
    waiting = look_beside(conn, batch, orders)
    for order in orders.values():
        early = waiting.get(order.id)
        parked = Parked(early) if early else None
        batch.folds[order.id] = Fold(order, batch.context, parked, batch.kept.poison, deferring=batch.deferring)
    spoilt = _fold_each(batch, {**ids, **made}, owner)
    for fold in batch.folds.values():
        if fold.order.id in batch.retry or waiting.get(fold.order.id):
            _unless_poison(batch, fold, spoilt, fold.retry)
        fold.say_why_parked()
        batch.settled += fold.settled
    if spoilt:
        raise _Again


def _free(
    conn: Connection, batch: Batch, wanted: set[str], by_number: dict[str, str], owner: dict[str, str | None]
) -> dict[str, Order]:
    """Lock and load orders that nobody else holds. Raises _Held where some are held, and notes whose entries wait."""
    orders = lock_free(conn, wanted)
    held = wanted - orders.keys()
    if held:
        batch.kept.held |= held
        for seq, event in batch.events.items():
            order_id = owner_of(event, owner) if event.subject is None else by_number.get(event.subject)
            if order_id in held:
                batch.kept.left.add(seq)
        raise _Held
    return orders


def _fold_each(batch: Batch, by_number: dict[str, str], owner: dict[str, str | None]) -> set[str]:
    """Fold the batch's events in journal order; the ids of orders that poison left half changed."""
    history = {entry.seq for entry in batch.entries if entry.held}
    spoilt: set[str] = set()
    spent, full = 0, set()
    for seq in sorted(batch.events):
        event, keys = batch.events[seq], batch.named[seq]
        number = event.subject
        order_id = owner_of(event, owner) if number is None else by_number[number]
        if order_id is None:
            key = min(keys)
            reason = "payment_unknown" if key.startswith("payment:") else "parcel_unknown"
            batch.without_order.append((seq, parked(reason), key))
            continue
        fold = batch.folds[order_id]
        if batch.work is not None:
            heavy = weight(fold.order, event)
            if order_id in full or (heavy > LIGHT and spent and spent + heavy > batch.work):
                full.add(order_id)
                batch.rest.add(seq)
                continue
            spent += heavy
        if seq in history and not fold.order.held:
            fold.order.held = True
            touch(fold.order)
        taken = taken_by_another(event, keys, owner, order_id)
        if taken is None:
            _unless_poison(batch, fold, spoilt, fold.take, event)
        else:
            fold.settled.append(Settled(event, taken, fold.order, None, fold.order.status, fold.order.status, 0))
    return spoilt


def _unless_poison(batch: Batch, fold: Fold, spoilt: set[str], step: Callable[..., object], *events: Event) -> None:
    """Take a step of a fold, unless its order is spoilt; note the poison that spoils it."""
    if fold.order.id in spoilt:
        return
    try:
        step(*events)
    except Poisoned as found:
        batch.kept.poison[found.key] = found.detail
        spoilt.add(fold.order.id)


def _write(conn: Connection, batch: Batch) -> tuple[Report, list[Entry]]:
    """State, follow-ups, timers, effects, trackers, parked, dead letters, results, all in one statement.

    → what it came to, and the follow-ups as journaled.
    """
    now, shop = batch.context.now, batch.shop
    folds = list(batch.folds.values())
    writes = Writes()
    follow_ups = writing.follow_ups(conn, writes, folds, shop.shards)
    save(conn, [fold.order for fold in folds], writes)
    writing.timers(writes, folds)
    writing.effects(writes, folds, batch.context)
    writing.trackers(writes, folds, shop.tracked, now)
    rows = writing.results(batch.settled, batch.without_order, batch.was_parked)
    writing.still_parked(writes, _moved(batch, folds))
    writing.record(writes, rows, batch.context, shop.policy_id)
    writes.run(conn)
    change_capture.record(conn, folds, batch.told, now)
    outcomes = Counter(row.outcome.kind for row in rows)
    orders = {fold.order.id: fold.order for fold in folds}
    return Report(outcomes, batch.known, orders=orders, results=rows, rest=frozenset(batch.rest)), follow_ups


def _moved(batch: Batch, folds: list[Fold]) -> list[tuple[int, str, str]]:
    """(seq, order id, reason) of events that wait on, but for another reason, or under their order now."""
    found = []
    for fold in folds:
        for event in fold.waiting if fold.parked else ():
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
