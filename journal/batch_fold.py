"""A batch's third step: fold its events into their orders, in journal order, in memory alone."""

from __future__ import annotations

from domain.dirty_tracking import touch
from domain.fold import EventResult, Fold, Poisoned
from domain.outcome import DEAD, PARKED, Outcome, Reason, parked
from domain.parked import Parked
from domain.weight import weight
from events.catalogue import AnyEvent
from journal.batch_values import BatchMemory, Folded, Loaded, Terms, Unplaced, owner_of
from journal.correlation import taken_by_another

LIGHT = 64  # lines: an event about no more is folded however full its batch is


class PoisonFound(Exception):
    """Our own code failed on some events; fold the batch anew without them."""


def fold_batch(terms: Terms, memory: BatchMemory, loaded: Loaded) -> Folded:
    """The batch's third value. Errors: PoisonFound; the memory tells of what, and the orders are half changed."""
    folds: dict[str, Fold] = {}
    for order in loaded.orders.values():
        early = loaded.waiting.get(order.id)
        folds[order.id] = Fold(
            order,
            terms.context,
            Parked(early, terms.deferral.resting.types) if early else None,
            memory.poison,
            deferring=terms.deferral.leaves_follow_ups,
        )
    spoilt: set[str] = set()
    unplaced, rest = _fold_each(terms, memory, loaded, folds, spoilt)
    settled: list[EventResult] = []
    for fold in folds.values():
        if fold.order.id in terms.retry.orders or loaded.waiting.get(fold.order.id):
            _retry(memory, fold, spoilt)
        fold.say_why_parked()
        settled += fold.settled
    if spoilt:
        raise PoisonFound
    return Folded(list(folds.values()), settled, [*loaded.unplaced, *unplaced], frozenset(rest))


def _fold_each(
    terms: Terms, memory: BatchMemory, loaded: Loaded, folds: dict[str, Fold], spoilt: set[str]
) -> tuple[list[Unplaced], set[int]]:
    """Fold the batch's events: (those without an order, numbers of those that were left as too heavy).

    `spoilt` learns the ids of orders that poison left half changed.
    """
    unplaced: list[Unplaced] = []
    rest: set[int] = set()
    most, spent, full = terms.deferral.above_lines, 0, set()
    history, owners, by_number, too_early = loaded.history, loaded.owners, loaded.by_number, loaded.ahead
    keys_of = loaded.keys
    for seq, event in sorted(loaded.events.items()):
        keys, number = keys_of[seq], event.subject
        order_id = owner_of(keys, owners) if number is None else by_number[number]
        ahead = too_early.get(seq) if too_early else None
        if order_id is None:
            if ahead is not None and ahead.kind is DEAD:
                unplaced.append(Unplaced(seq, ahead, None))
                continue
            key = min(keys)
            reason = Reason.PAYMENT_UNKNOWN if key.startswith("payment:") else Reason.PARCEL_UNKNOWN
            unplaced.append(Unplaced(seq, parked(reason), key))
            continue
        fold = folds[order_id]
        if most is not None:
            heavy = weight(fold.order, event)
            if order_id in full or (heavy > LIGHT and spent and spent + heavy > most):
                full.add(order_id)
                rest.add(seq)
                continue
            spent += heavy
        if history and seq in history and not fold.order.effects_suppressed:
            fold.order.effects_suppressed = True
            touch(fold.order)
        if ahead is not None:
            _set_aside(fold, event, ahead)
            continue
        taken = taken_by_another(keys, owners, order_id) if keys else None
        if taken is None:
            if order_id not in spoilt:
                try:
                    fold.take(event)
                except Poisoned as poison:
                    memory.poison[poison.key] = poison.detail
                    spoilt.add(order_id)
        else:
            fold.settled.append(EventResult(event, taken, fold.order, None, fold.order.status, fold.order.status, 0))
    return unplaced, rest


def _set_aside(fold: Fold, event: AnyEvent, verdict: Outcome) -> None:
    """Leave an event's order as it is: its time lies too far ahead."""
    order = fold.order
    fold.settled.append(EventResult(event, verdict, order, None, order.status, order.status, order.version))
    if verdict.kind is PARKED:
        fold.reasons[event.seq] = verdict.why()


def _retry(memory: BatchMemory, fold: Fold, spoilt: set[str]) -> None:
    """Try what waits for an order, unless poison spoilt it; note the poison that does."""
    if fold.order.id not in spoilt:
        try:
            fold.retry()
        except Poisoned as found:
            memory.poison[found.key] = found.detail
            spoilt.add(fold.order.id)
