"""One order's events in arrival order: apply, retry what waits, fold what follows.

The drain folds each order of a batch through this class; tests fold whole lives with it in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from domain.handler_table import apply
from domain.order import Order
from domain.outcome import DEAD, PARKED, Outcome, Reason, dead, parked
from domain.parked import LAST, Parked, came_about, causes_of_return
from domain.policy import Context
from domain.reactions import Reactions, Timer, follow_up_id, react
from domain.transaction import Transaction
from events.catalogue import AnyEvent, Event, ReturnCompleted, ReturnRejected, decode, is_a


class Poisoned(Exception):
    """Our own code failed on an event; the order may be half changed and must be loaded anew."""

    def __init__(self, event: AnyEvent, cause: Exception) -> None:
        super().__init__(f"{event.type} {event.source}/{event.id}: {type(cause).__name__}: {cause}")
        self.key = (event.source, event.id)
        self.detail = f"{type(cause).__name__}: {cause}"


@dataclass(slots=True)
class EventResult:
    """The outcome of one event, with the order's apply number and its status before and after."""

    event: AnyEvent
    outcome: Outcome
    order: Order
    apply_number: int | None  # None: parked or dead
    step_from: str
    step_to: str
    version: int  # of the order when this was decided


@dataclass(slots=True)
class FollowUp:
    """A follow-up event with its body as JSON objects, to be journaled."""

    event: AnyEvent
    data: dict[str, Any]
    order: Order


@dataclass(slots=True)
class Fold:
    """An order, what waits for it, and what its events led to.

    `known_poison` maps (source, id) to a detail: events that
    failed in an earlier try of the same batch end dead without being applied.
    """

    order: Order
    context: Context
    parked: Parked | None = None  # what waits for the order
    known_poison: dict[tuple[str, str], str] = field(default_factory=dict)
    reacting: bool = True
    deferring: bool = False  # follow-ups are only made; whoever drains their shard folds them
    settled: list[EventResult] = field(default_factory=list)
    follow_ups: list[FollowUp] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    refunds: dict[str, Transaction] = field(default_factory=dict)  # by transaction id
    reasons: dict[int, Reason] = field(default_factory=dict)  # seq → why it waits, as of the last try

    @property
    def waiting(self) -> list[AnyEvent]:
        """The parked events, in journal order."""
        return self.parked.in_order() if self.parked is not None else []

    def wait(self, events: Iterable[AnyEvent]) -> None:
        """These wait for the order, too, and are tried as soon as anything is applied."""
        parked = self._waiting()
        for event in events:
            parked.add(event)

    def take(self, event: AnyEvent) -> Outcome:
        """Apply one event that arrived, then whatever it makes applicable."""
        outcome = self._one(event)
        if outcome.kind is PARKED:
            parked = self._waiting()
            parked.file(event, self.order, outcome.why())
            if is_a(event, ReturnRejected) or _lists_items(event):  # it settles its own request, should that wait
                parked.wake(causes_of_return(event.data.return_), LAST)
                self.retry()
        elif outcome.kind is not DEAD and self.parked:
            self.parked.wake(came_about(self.order), LAST)
            self.retry()
        return outcome

    def retry(self) -> None:
        """Try what waits and may apply by now, in journal order, until nothing does."""
        parked = self.parked
        if parked is None:
            return
        while (event := parked.woken()) is not None:
            outcome = self._one(event, again=True)
            if outcome.kind is PARKED:
                parked.file(event, self.order, outcome.why())
            else:
                parked.settle(event)
                if outcome.kind is not DEAD:
                    parked.wake(came_about(self.order), event.seq)

    def say_why_parked(self) -> None:
        """Give each event that was parked here the reason of its last try."""
        for each in self.settled if self.reasons else ():  # nothing was parked here without a reason
            if each.outcome.kind is PARKED:
                each.outcome = parked(self.reasons[each.event.seq])

    def _waiting(self) -> Parked:
        if self.parked is None:
            self.parked = Parked()
        return self.parked

    def _one(self, event: AnyEvent, again: bool = False) -> Outcome:
        order, before = self.order, self.order.status
        detail = self.known_poison.get((event.source, event.id)) if self.known_poison else None
        try:
            if detail is not None:
                outcome = dead(Reason.BUG, detail)
            else:
                parked = self.parked
                outcome = apply(order, event, self.context) if parked is None else self._beside(parked, event)
            kind, version = outcome.kind, order.version
            if kind is PARKED or kind is DEAD:
                if kind is PARKED:
                    self.reasons[event.seq] = outcome.why()
                if kind is DEAD or not again:
                    self.settled.append(EventResult(event, outcome, order, None, before, order.status, version))
            else:
                self.settled.append(EventResult(event, outcome, order, version, before, order.status, version))
                if self.reacting and (made := react(order, before, event, self.context)) is not None:
                    self._take_up(made, event)
        except Poisoned:
            raise
        except Exception as error:
            raise Poisoned(event, error) from error
        return outcome

    def _beside(self, parked: Parked, event: AnyEvent) -> Outcome:
        """Apply an event beside others that wait: the request of a return looks at what waits for that."""
        context, came_back = self.context, parked.came_back(event)
        if came_back is not None:
            context = replace(context, came_back=came_back)
        return apply(self.order, event, context, parked.rejected)

    def _take_up(self, made: Reactions, event: AnyEvent) -> None:
        """Keep what an event led to; its follow-ups are applied at once, unless they are left to others."""
        self.timers += made.timers
        for transaction in made.refunds:
            self.refunds[transaction.id] = transaction
        for number, (kind, data) in enumerate(made.follow_ups):
            source, name = follow_up_id(self.order, event, number, kind)
            body = decode(kind, 1, self.order.order_number, data)
            follow = Event(0, source, name, kind, event.time, self.order.order_number, body)
            self.follow_ups.append(FollowUp(follow, data, self.order))
            if not self.deferring:
                self._one(follow)


def _lists_items(event: AnyEvent) -> TypeGuard[Event[ReturnCompleted]]:
    return is_a(event, ReturnCompleted) and event.data.items is not None


def fold(order: Order, events: Iterable[AnyEvent], context: Context) -> Fold:
    """Fold `events`, in arrival order, into `order` (a new one, or one as loaded)."""
    made = Fold(order, context)
    for event in events:
        made.take(event)
    return made
