"""The events that wait for an order, filed by what they wait for: each is tried again only once that came about.

Trying everything that waits after each event would cost the square of it. So each waiting event is filed under
what it waits for, and whatever comes about wakes its file. An event may be woken in vain, and is then filed
anew; none may be missed: who adds a reason to park files it here.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from heapq import heapify, heappop, heappush

from domain.fulfillment_handlers import match_items
from domain.ids import uuid_of
from domain.item_cancels import short_of
from domain.order import Order
from domain.outcome import Outcome, Reason
from domain.policy import CameBack
from domain.return_handlers import as_came_back, not_returnable
from events.body import Share
from events.catalogue import (
    AnyEvent,
    FulfillmentCorrected,
    FulfillmentFailed,
    FulfillmentTrackingChanged,
    OrderConfirmed,
    ParcelStep,
    ReturnCompleted,
    ReturnRejected,
    ReturnRequested,
    ReturnStep,
    TrackingUpdated,
    is_a,
    tracking_key,
)
from events.corrections import ItemsCanceled

Cause = tuple[str, str]  # what is waited for: its kind and its name
LAST = sys.maxsize  # after every event: whoever is woken has its turn in the next pass
_ANY = ""  # of a cause without a name


class Parked:
    """The waiting events of one order in journal order, filed under what wakes them.

    A pass goes through the woken ones in journal order. Who is woken meanwhile has its turn in the same pass if
    it comes later in the journal, else in the next: as if each pass tried all that waits.
    """

    def __init__(self, events: Iterable[AnyEvent] = (), resting: Collection[str] = ()) -> None:
        self.events: dict[int, AnyEvent] = {}  # by number
        self._resting = resting  # types of events that an operator paused: they wait on, whatever comes about
        self.rejected: dict[str, int] = {}  # names of returns → how many rejections of theirs wait
        self._came_back: dict[
            str, dict[int, Sequence[Share]]
        ] = {}  # … → what the completions that wait list, by number
        self._files: dict[Cause, set[int]] = {}
        self._causes: dict[int, list[Cause]] = {}
        self._woken: list[int] = []  # a heap: this pass
        self._next: list[int] = []  # the next one
        for event in events:
            self.add(event)

    def __len__(self) -> int:
        return len(self.events)

    def in_order(self) -> list[AnyEvent]:
        """All of them, in journal order."""
        return [self.events[seq] for seq in sorted(self.events)]

    def add(self, event: AnyEvent) -> None:
        """An event waits that was not tried yet, or whose last try is not known: it is tried in the next pass."""
        self._keep(event)
        self._next.append(event.seq)

    def file(self, event: AnyEvent, order: Order, reason: Reason) -> None:
        """An event was tried and waits for `reason`."""
        self._keep(event)
        goods = order.goods()
        if goods.news is None:
            goods.news = set()
        causes = self._causes[event.seq] = _causes(event, order, reason, self.came_back(event))
        for cause in causes:
            self._files.setdefault(cause, set()).add(event.seq)

    def _keep(self, event: AnyEvent) -> None:
        if event.seq not in self.events:
            self.events[event.seq] = event
            if is_a(event, ReturnRejected):
                self.rejected[event.data.return_] = self.rejected.get(event.data.return_, 0) + 1
            elif is_a(event, ReturnCompleted) and event.data.items is not None:
                self._came_back.setdefault(event.data.return_, {})[event.seq] = event.data.items

    def settle(self, event: AnyEvent) -> None:
        """An event waits no more."""
        del self.events[event.seq]
        if is_a(event, ReturnRejected):
            left = self.rejected[event.data.return_] = self.rejected[event.data.return_] - 1
            if not left:
                del self.rejected[event.data.return_]
        elif is_a(event, ReturnCompleted) and event.data.items is not None:
            waiting = self._came_back[event.data.return_]
            del waiting[event.seq]
            if not waiting:
                del self._came_back[event.data.return_]

    def came_back(self, event: AnyEvent) -> CameBack | None:
        """The items that came back of the return that an event asks for, as the first completion that waits lists them."""
        if self._came_back and is_a(event, ReturnRequested):
            waiting = self._came_back.get(event.data.return_)
            return {event.data.return_: waiting[min(waiting)]} if waiting else None
        return None

    def wake(self, causes: Iterable[Cause], after: int) -> None:
        """These came about while a pass had come to the event of number `after`."""
        for cause in causes:
            for seq in self._files.pop(cause, ()):
                for other in self._causes.pop(seq):
                    if other != cause and (filed := self._files.get(other)) is not None:
                        filed.discard(seq)
                if seq > after:
                    heappush(self._woken, seq)
                else:
                    self._next.append(seq)

    def woken(self) -> AnyEvent | None:
        """The next one to be tried, or None: nothing that waits can apply."""
        while True:
            if not self._woken:
                if not self._next:
                    return None
                self._woken, self._next = self._next, []
                heapify(self._woken)
            event = self.events[heappop(self._woken)]
            if event.type not in self._resting:
                return event


def came_about(order: Order) -> list[Cause]:
    """The causes that have come about since this was last asked, or stand so that nobody waits for them any more."""
    goods = order.goods()
    causes: list[Cause] = []
    if goods.news:
        causes += goods.news
        goods.news.clear()
    canceled = order.canceled_at is not None
    if order.is_created():
        causes.append(("order", _ANY))
        causes.append(("under way", _ANY))  # who waits for a payment looks for himself, at each event
    if canceled or order.was_covered():
        causes.append(("paid", _ANY))
    if canceled:
        causes.append(("canceled", _ANY))
    if canceled or not goods.sent:
        causes.append(("nothing out", _ANY))
    if canceled or order.confirmed_at is not None or order.is_delivered() or goods.all_came():
        causes.append(("delivered", _ANY))
    return causes


def _causes(event: AnyEvent, order: Order, reason: Reason, came_back: CameBack | None) -> list[Cause]:
    """What wakes an event that waits for `reason`."""
    cause = _STATED.get(reason)
    if cause is not None:
        return [cause]
    body = event.data
    if isinstance(body, ReturnRequested):
        return _causes_of_request(body, order, came_back)
    if isinstance(body, ReturnStep | ReturnCompleted):
        return causes_of_return(body.return_)
    if isinstance(body, ParcelStep | FulfillmentFailed | FulfillmentTrackingChanged | FulfillmentCorrected):
        return _by_name("parcel", body.fulfillment)
    if isinstance(body, TrackingUpdated):
        return [("tracking", tracking_key(body.carrier, body.trackingNumber))]
    if isinstance(body, OrderConfirmed):
        return [("delivered", _ANY)]
    if isinstance(body, ItemsCanceled):
        return _causes_of_item_cancel(body, order)
    raise ValueError(f"{event.type} waits for {reason}, and nothing says what ends that")


# Reasons that say by themselves what ends them; of the others, the event says what it is about.
_STATED: dict[Reason, Cause] = {
    Reason.ORDER_UNKNOWN: ("order", _ANY),
    Reason.NOT_PAID: ("paid", _ANY),
    Reason.PARCEL_OUT: ("nothing out", _ANY),
    Reason.AHEAD: ("time", _ANY),  # nothing that happens to the order
    Reason.PAYMENT_UNDER_WAY: ("under way", _ANY),
}


def _causes_of_request(body: ReturnRequested, order: Order, came_back: CameBack | None) -> list[Cause]:
    """The first line that the return cannot have yet, or its rejection, or another return of its name."""
    shares = match_items(order, body.items)
    if isinstance(shares, Outcome):
        raise ValueError(f"the return {body.return_} waits, and lists what the order does not have")
    hindrance = not_returnable(as_came_back(order, shares, body.return_, came_back))
    if hindrance is None:
        raise ValueError(f"the return {body.return_} waits, and nothing says what ends that")
    return [("line", hindrance[1].id), *causes_of_return(body.return_)]


def _causes_of_item_cancel(body: ItemsCanceled, order: Order) -> list[Cause]:
    """The first line of which too little is open, or the cancel of the whole order."""
    shares = match_items(order, body.items)
    short = None if isinstance(shares, Outcome) else short_of(shares)
    if short is None:
        raise ValueError(f"the item cancel {body.cancellation} waits, and nothing says what ends that")
    return [("line", short.id), ("canceled", _ANY)]


def causes_of_return(name: str) -> list[Cause]:
    """Something became of the return of that name."""
    return _by_name("return", name)


def _by_name(kind: str, name: str) -> list[Cause]:
    own = uuid_of(name)
    return [(kind, name)] if own is None or own == name else [(kind, name), (kind, own)]
