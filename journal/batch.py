"""One transaction: decode the entries, lock and load their orders, fold, write everything, results last.

    entries ─ decode_entries → Decoded ─ load → Loaded ─ fold_batch → Folded ─ _write → BatchReport

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

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from domain.order import Order
from domain.outcome import Outcome, Reason, dead
from domain.policy import Context
from journal import change_capture, refund_rows
from journal import results as rows_of
from journal.batch_fold import PoisonFound, fold_batch
from journal.batch_values import BatchMemory, Clash, Deferral, Folded, Loaded, ParkedRow, Retry, Shop, Terms
from journal.correlation import Stale, claimed_by_the_dead, decode_entries, unclaim
from journal.entries import Entry, read
from journal.order_loader import RowsHeld, load
from journal.pauses import NOTHING, Resting
from journal.results import ResultRow
from journal.scan_copies import append_copies
from storage.aggregates import save
from storage.clock import clock
from storage.raw_sql import Writes

__all__ = [
    "BatchReport", "Clash", "Deferral", "Retry", "Shop", "clock", "is_of_the_moment", "settle", "settle_carefully",
]  # fmt: skip

NOTHING_BESIDES = Retry()
NOTHING_LEFT = Deferral()


@dataclass(slots=True)
class BatchReport:
    """The sum of a batch: outcome → how many events, our own follow-ups included."""

    outcomes: dict[str, int] = field(default_factory=dict)
    reasons: dict[tuple[str, str], int] = field(default_factory=dict)  # the same by outcome and reason, "" for none
    known: int = 0  # entries that had a result already
    left: set[int] = field(default_factory=set)  # numbers of entries that were gone around: they have no result
    held: set[str] = field(default_factory=set)  # ids of the orders that somebody else held
    orders: dict[str, Order] = field(default_factory=dict)  # by id, as they came to be
    results: Sequence[ResultRow] = ()
    follow_ups: Sequence[Entry] = ()  # as journaled; to be published where they were deferred
    copies: list[Entry] = field(default_factory=list)  # of scans, for further orders: to be published after the commit
    rest: frozenset[int] = frozenset()  # of one settling: numbers of entries that were left, as the batch was full

    def add_counts(self, other: BatchReport) -> None:
        """Count what another batch came to as well."""
        self.known += other.known
        self.copies += other.copies
        for outcome, count in other.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        for both, count in other.reasons.items():
            self.reasons[both] = self.reasons.get(both, 0) + count

    def add(self, part: BatchReport) -> None:
        """Take in all of what a later part of the same batch came to."""
        self.add_counts(part)
        self.left |= part.left
        self.held |= part.held
        self.orders = {**self.orders, **part.orders}
        self.results = [*self.results, *part.results]
        self.follow_ups = [*self.follow_ups, *part.follow_ups]


def settle(
    conn: Connection,
    entries: Sequence[Entry],
    context: Context,
    shop: Shop,
    deferral: Deferral = NOTHING_LEFT,
    retry: Retry = NOTHING_BESIDES,
    *,
    locked: Mapping[str, Order] | None = None,
    refused: Mapping[int, Outcome] | None = None,
) -> BatchReport:
    """Apply `entries` and what is parked of `retry`, and write what became of them.

    `locked` is for entries that this transaction has journaled itself: orders by id that it has locked and loaded
    already; they are used up. Events of `refused` (by number) have that outcome, and are not applied.

    Errors: one `is_of_the_moment`: roll back, drain again. Any other: `settle_carefully`.
    """
    memory = BatchMemory(locked=locked or {})
    terms = Terms(context, shop, retry, deferral, refused or {}, fresh=locked is not None)
    while True:
        mine = [entry for entry in entries if entry.seq not in memory.left] if memory.left else entries
        if memory.held:
            terms = replace(terms, retry=replace(retry, orders=[o for o in retry.orders if o not in memory.held]))
        try:
            with conn.begin_nested() if deferral.held_rows else nullcontext():  # what is left out has claimed nothing
                report = _settle(conn, mine, terms, memory)
            break
        except RowsHeld:
            memory.claimed.clear()
            memory.late.clear()
            memory.new_ids.clear()
        except IntegrityError as error:
            if _constraint(error) in _CLASHES:
                raise Clash(str(error.orig)) from error
            raise
    report.left, report.held = memory.left, memory.held
    return report


def _settle(conn: Connection, entries: Sequence[Entry], terms: Terms, memory: BatchMemory) -> BatchReport:
    """`settle`, as often as what it learns asks for."""
    while True:
        corrected = memory.corrected
        current = [corrected.get(entry.seq, entry) for entry in entries] if corrected else entries
        try:
            loaded = load(conn, terms, memory, decode_entries(current, terms.refused))
            folded = fold_batch(terms, memory, loaded)
        except PoisonFound:
            continue
        except Stale as found:
            corrected.update({entry.seq: entry for entry in read(conn, found.seqs)})
            continue
        wrong = claimed_by_the_dead(folded.settled) - memory.unclaiming
        if not wrong:
            return _write(conn, terms, loaded, folded)
        memory.unclaiming |= wrong  # a dead event must not bind a payment or a parcel to its order
        unclaim(conn, folded, wrong)


def settle_carefully(
    conn: Connection,
    entries: Sequence[Entry],
    context: Context,
    shop: Shop,
    *,
    around: bool = False,
    resting: Resting = NOTHING,
) -> BatchReport:
    """`settle` with savepoints: what fails is halved until the poison stands alone, dead.

    Call it after `settle` failed on its values, or with `around` on a lock that no order's row is, and the transaction
    was begun anew. What is of the moment (`is_of_the_moment`) is raised: nobody is dead-lettered for a deadlock. With
    `around`, an entry that waits alone for a lock for longer than AROUND_MS is left out.
    """
    total = BatchReport()
    deferral = Deferral(held_rows=around, resting=resting)
    if around:
        conn.execute(_HURRY)
    todo: list[list[Entry]] = [list(entries)]
    while todo:
        part = todo.pop(0)
        try:
            with conn.begin_nested():
                report = settle(conn, part, context, shop, deferral)
        except Exception as error:
            waited = around and waited_too_long(error)
            if is_of_the_moment(error) and not waited:
                raise
            if len(part) > 1:
                middle = len(part) // 2
                todo[:0] = [part[:middle], part[middle:]]
                continue
            report = BatchReport(left={part[0].seq}) if waited else _alone(conn, part[0], context, shop, deferral)
        total.add(report)
    return total


def _alone(conn: Connection, entry: Entry, context: Context, shop: Shop, deferral: Deferral) -> BatchReport:
    """One entry that failed: is it the poison, or something parked that it made applicable? Each is tried alone."""

    def attempt(entries: Sequence[Entry], seq: int, retry: Retry) -> BatchReport:
        try:
            with conn.begin_nested():
                return settle(conn, entries, context, shop, deferral, retry)
        except Exception as error:
            if deferral.held_rows and waited_too_long(error):
                return BatchReport(left={seq})
            if is_of_the_moment(error):
                raise
            verdict = _verdict(error)
        with conn.begin_nested():
            return settle(conn, entries, context, shop, deferral, retry, refused={seq: verdict})

    total = attempt([entry], entry.seq, Retry(only=()))
    progress = True
    while progress:
        progress = False
        for seq, order_id, key in conn.execute(_WAITING_WITH, {"seq": entry.seq}).all():
            report = attempt([], seq, Retry((order_id,), (key,) if key else (), only=(seq,)))
            progress |= bool(report.results)
            total.add(report)
    return total


def is_of_the_moment(error: Exception) -> bool:
    """True where trying again may help: a rival, a deadlock, a timeout, a lost connection; no value is at fault."""
    if isinstance(error, Clash):
        return True
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    if isinstance(error, DBAPIError) and (error.connection_invalidated or state in _ENDED):
        return True
    return isinstance(error, OperationalError | InterfaceError) and not state.startswith(_AT_FAULT)


# The server has ended a session that idled in a transaction, or a transaction that took too long: we were frozen.
_ENDED = ("25P03", "25P04")


def waited_too_long(error: Exception) -> bool:
    """True where a lock was waited for longer than the session or transaction may (its `lock_timeout`)."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == _LOCK_NOT_AVAILABLE


_LOCK_NOT_AVAILABLE = "55P03"
AROUND_MS = 50  # a wait for one lock of a batch that goes around what is held
_HURRY = text(f"select set_config('lock_timeout', '{AROUND_MS}ms', true)")

# SQLSTATE classes: data exception, integrity constraint violation, program limit exceeded.
_AT_FAULT = ("22", "23", "54")


def _verdict(error: Exception) -> Outcome:
    if isinstance(error, DBAPIError):
        return dead(Reason.DATABASE_REFUSED, str(error.orig).strip().splitlines()[0])
    return dead(Reason.BUG, f"{type(error).__name__}: {error}")


_WAITING_WITH = text(
    "select p.seq, r.order_id, p.key from results r join parked p on p.order_id = r.order_id or p.order_id is null "
    "and p.key in (select c.key from correlations c where c.order_id = r.order_id) where r.seq = :seq order by p.seq"
)


def _write(conn: Connection, terms: Terms, loaded: Loaded, folded: Folded) -> BatchReport:
    """State, follow-ups, timers, effects, trackers, parked, dead letters, results, all in one statement."""
    now, shop, folds = terms.context.now, terms.shop, folded.folds
    writes = Writes()
    follow_ups = rows_of.follow_ups(conn, writes, folds, shop.shards)
    save(conn, [fold.order for fold in folds], writes)
    rows_of.timers(writes, folds)
    # PostgreSQL runs the writes from the last to the first. Who works on refunds has what is due first, then its refunds.
    refund_rows.refunds(writes, folds, now)
    rows_of.effects(writes, folds, terms.context)
    rows_of.trackers(writes, folds, shop.follows, now)
    results = rows_of.results(folded.settled, folded.unplaced, loaded.parked)
    rows_of.still_parked(writes, _moved(folded, loaded.parked))
    rows_of.record(writes, results, loaded.parked, terms.context, shop.policy_id)
    writes.run(conn)
    copies = append_copies(conn, loaded.copies, shop.shards) if loaded.copies else []
    change_capture.record(conn, folds, loaded.subscribed, now)
    for fold in folds:
        fold.order.goods_kept = fold.order.payments_kept = (
            None  # they hold the order, and it them: no work for the collector
        )
    reasons = results.ends()
    outcomes: dict[str, int] = {}
    for (kind, _), count in reasons.items():
        outcomes[str(kind)] = outcomes.get(str(kind), 0) + count
    return BatchReport(
        outcomes=outcomes,
        reasons={(str(kind), str(reason or "")): count for (kind, reason), count in reasons.items()},
        known=loaded.known,
        orders={fold.order.id: fold.order for fold in folds},
        results=results.rows,
        follow_ups=follow_ups,
        copies=copies,
        rest=folded.rest,
    )


def _moved(folded: Folded, parked: Mapping[int, ParkedRow]) -> list[tuple[int, str, str]]:
    """(seq, order id, reason) of events that wait on, but for another reason, or under their order now."""
    found = []
    for fold in folded.folds:
        for event in fold.waiting if fold.parked else ():
            stored = parked.get(event.seq)
            if stored is None:
                continue
            order_id, reason = fold.order.id, fold.reasons.get(event.seq, stored.reason)
            if stored != (order_id, reason):
                found.append((event.seq, order_id, reason))
    return found


# Constraints whose violation means a rival, not bad values.
_CLASHES = frozenset(
    ("results_pkey", "orders_order_number_key", "journal_source_event_id_key", "correlations_pkey", "parked_pkey",
     "dead_letters_seq_key")
)  # fmt: skip


def _constraint(error: IntegrityError) -> str | None:
    diagnosis: Any = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None)
