"""An order's goods: what its parcels and returns come to, kept in step with every change of them.

Counting anew after each event would cost every event the whole order. So the goods are counted once, when
somebody first asks, and from then on whoever changes a parcel or a return says so: what an event costs
follows from what it touches. Nothing of this is stored; it follows from the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from domain.digital import has_digital
from domain.dirty_tracking import touch
from domain.fulfillment import Fulfillment
from domain.fulfillment import Status as ParcelStatus
from domain.ids import uuid_of
from domain.returns import Return, ReturnItem
from domain.returns import Status as ReturnStatus

if TYPE_CHECKING:
    from domain.order import Order, OrderItem

# As what a part's shares are counted: bits of `counted`.
# Of a parcel: it holds them, the plan aside; they left; they arrived; they arrived at any time; they go back to the sender.
_TAKEN, _SENT, _ARRIVED, _EVER, _GOES_BACK = 1, 2, 4, 8, 16
_CLAIMED, _BACK, _OPEN, _PROCESSING = 1, 2, 4, 8  # of a return: it holds them; they came back; its stage
_PARCEL: dict[str, int] = {
    ParcelStatus.PENDING: _TAKEN,
    ParcelStatus.PACKED: _TAKEN,
    ParcelStatus.SHIPPED: _TAKEN | _SENT,
    ParcelStatus.DELIVERED: _TAKEN | _SENT | _ARRIVED,
    ParcelStatus.FAILED: 0,
}
_RETURN: dict[str, int] = {
    ReturnStatus.REQUESTED: _CLAIMED | _OPEN,
    ReturnStatus.APPROVED: _CLAIMED | _OPEN,
    ReturnStatus.PROCESSING: _CLAIMED | _OPEN | _PROCESSING,
    ReturnStatus.REJECTED: 0,
    ReturnStatus.COMPLETED: _CLAIMED | _BACK,
}
_NOTHING = Decimal(0)
FEW = 4  # so many are gone through faster than they are entered by name
_ID = "\0"  # before an id among the names: no reference begins with it


class Goods:
    """The goods of one order and where they are: its lines and parts by name, and how many lines are short of what.

    `taken`, `sent`, `arrived`, `claimed` and `came_back` of the lines are kept from here, too. `changed` are the
    lines whose counts moved since `settle` last took them over.
    """

    # Where each order begins, said once for all: to set them all one by one costs each order more than to count it.
    to_ship = to_arrive = to_return = 0  # lines that have yet to leave, to arrive, to come back
    open = over = 0  # lines of which parcels hold less, and more, than was ordered
    out = sent = arrived = 0  # parcels on their way; those that left; that arrived
    going_back = 0  # parcels that go back to their sender
    plan: Fulfillment | None = None
    open_returns = processing = 0
    due_back = _NOTHING  # amounts of completed returns
    capped = 0  # of those, how many give back less than was stated
    last_priced: tuple[Any, ...] = ()  # the place of the last of them in the row in which they are given their amounts
    adrift = 0  # lines of which returns hold more than was delivered
    unconfirmed = False  # a confirmation counts no more, until what follows of it is taken
    news: set[tuple[str, str]] | None = None  # what became of what, once somebody waits for it
    # By name, once somebody asks: lines by reference, parcels and returns by reference and id, parcels by tracking key.
    _references: dict[str, OrderItem] | None = None
    _parcels: dict[str, Fulfillment] | None = None
    _returns: dict[str, Return] | None = None
    _tracked: dict[str, list[Fulfillment]] | None = None
    _price: Decimal | None = None
    _stale: set[str] | None = None  # lines whose last parcel may have arrived earlier than they say

    def __init__(self, order: Order) -> None:
        self._order = order
        self.lines: dict[str, OrderItem] = {}  # by id
        self.changed: dict[str, OrderItem] = {}
        lines = self.lines
        to_ship = to_arrive = to_return = gone = 0
        for item in order.items:
            lines[item.id] = item
            quantity = item.quantity
            if item.canceled_quantity:
                quantity -= item.canceled_quantity
                gone += not quantity
            if item.shipped_quantity < quantity:
                to_ship += 1
            if item.delivered_quantity < quantity:
                to_arrive += 1
            if item.returned_quantity < quantity:
                to_return += 1
        self.to_ship, self.to_arrive, self.to_return, self.open = to_ship, to_arrive, to_return, len(lines) - gone
        if has_digital(order):
            for item in order.items:
                if not item.requires_shipping:
                    self.open -= item.wanted() > 0
                    item.sent, item.arrived = item.shipped_quantity, item.delivered_quantity
                    item.ever = item.arrived
        for parcel in order.fulfillments:
            if not parcel.planned:
                parcel.recall()
                self.count_parcel(parcel)
            elif self.plan is None:
                self.plan = parcel
        if order.returns:
            self.unanswered: dict[str, Return] = {}  # returns whose next step follows by itself
            self.unpriced: list[Return] = []  # completed, and without the amount that follows yet
            for back in order.returns:
                self.count_return(back)
                self.capped += back.stated_amount is not None
            self.unpriced = [back for back in self.unpriced if back.refund_amount is None]
        if self.changed:
            self.changed = {}

    def add_line(self, item: OrderItem) -> None:
        """A line is new."""
        self.lines[item.id] = item
        self.open += item.requires_shipping
        self.to_ship += 1
        self.to_arrive += 1
        self.to_return += 1

    # -- by name ----------------------------------------------------------------------------------------

    def line(self, name: str) -> OrderItem | None:
        """The line whose reference is `name`, else the one whose id it is."""
        if self._references is None:
            if len(self._order.items) <= FEW:
                few: OrderItem | None = named(self._order.items, name)
                return few
            self._references = {}
            for item in self._order.items:
                if item.reference is not None:
                    self._references.setdefault(item.reference, item)
        found = self._references.get(name)
        return found if found is not None else self.lines.get(uuid_of(name) or "")

    def price(self) -> Decimal:
        """The price of all lines together."""
        if self._price is None:
            self._price = sum((item.total_price for item in self.lines.values()), _NOTHING)
        return self._price

    def parcel(self, name: str) -> Fulfillment | None:
        """The parcel whose reference is `name`, else the one whose id it is."""
        if self._parcels is None:
            if len(self._order.fulfillments) <= FEW:
                few: Fulfillment | None = named(self._order.fulfillments, name)
                return few
            self._parcels = {}
            for parcel in self._order.fulfillments:
                _name(self._parcels, parcel)
        found = self._parcels.get(name)
        return found if found is not None else self._parcels.get(f"{_ID}{uuid_of(name)}")

    def back(self, name: str) -> Return | None:
        """The return whose reference is `name`, else the one whose id it is."""
        if self._returns is None:
            if len(self._order.returns) <= FEW:
                few: Return | None = named(self._order.returns, name)
                return few
            self._returns = {}
            for back in self._order.returns:
                _name(self._returns, back)
        found = self._returns.get(name)
        return found if found is not None else self._returns.get(f"{_ID}{uuid_of(name)}")

    def tracked(self, key: str) -> list[Fulfillment]:
        """The parcels that this tracking key was ever named for."""
        if self._tracked is None:
            if len(self._order.fulfillments) <= FEW:
                return [parcel for parcel in self._order.fulfillments if key in parcel.parcels]
            self._tracked = {}
            for parcel in self._order.fulfillments:
                for each in parcel.parcels:
                    self._tracked.setdefault(each, []).append(parcel)
        return self._tracked.get(key, [])

    # -- parcels ----------------------------------------------------------------------------------------

    def add_parcel(self, parcel: Fulfillment) -> None:
        """A parcel is new; `count_parcel` it once its status is known."""
        if self._parcels is not None:
            _name(self._parcels, parcel)
        if parcel.planned and self.plan is None:
            self.plan = parcel
        if self.news is not None:
            self.news.update((("parcel", parcel.reference or parcel.id), ("parcel", parcel.id)))

    def track(self, parcel: Fulfillment, key: str) -> None:
        """A parcel has one more tracking key."""
        if self._tracked is not None:
            self._tracked.setdefault(key, []).append(parcel)
        if self.news is not None:
            self.news.add(("tracking", key))

    def count_parcel(self, parcel: Fulfillment) -> None:
        """A parcel's status moved, or it is no plan any more: count its shares as what they are now."""
        status, before = parcel.status, parcel.counted
        now = _PARCEL[status]
        if parcel.was_delivered:
            now |= _EVER
        if parcel.returned is not None:
            now |= _GOES_BACK
        if parcel.planned:
            now &= ~_TAKEN
        elif self.plan is parcel:
            self.plan = None
        if now == before:
            return
        parcel.counted = now
        change = now ^ before
        taken = sent = arrived = ever = 0  # 1 where the shares are counted as that just now, -1 where they are no more
        if change & _TAKEN:
            taken = 1 if now & _TAKEN else -1
        if change & _SENT:
            sent = 1 if now & _SENT else -1
            self.sent += sent
        if change & _ARRIVED:
            arrived = 1 if now & _ARRIVED else -1
            self.arrived += arrived
        if change & _EVER:
            ever = 1 if now & _EVER else -1
        if change & _GOES_BACK:
            self.going_back += 1 if now & _GOES_BACK else -1
        self.out += sent - arrived
        lines, changed, at = self.lines, self.changed, parcel.delivered_at
        for item_id, share in parcel.shares.items():
            item = lines.get(item_id)
            if item is None or not item.requires_shipping:
                continue
            changed[item_id] = item
            if taken:
                self._take(item, taken * share.quantity)
            if sent:
                item.sent += sent * share.quantity
            if ever:
                item.ever += ever * share.quantity
                if self.news is not None:
                    self.news.add(("line", item_id))
            if arrived:
                item.arrived += arrived * share.quantity
                if at is not None and (item.brought is None or item.brought < at):
                    item.brought = at

    def all_came(self) -> bool:
        """True where all that is to reach the customer has arrived at some time, whatever is known of it since."""
        return bool(self.lines) and all(item.ever_delivered() >= item.wanted() for item in self.lines.values())

    def put(self, parcel: Fulfillment, item_id: str, more: int) -> None:
        """A parcel holds `more` of a line than before (less: negative)."""
        item, as_what = self.lines.get(item_id), parcel.counted
        if item is None or not as_what or not item.requires_shipping:
            return
        if as_what & _TAKEN:
            self._take(item, more)
        if as_what & _SENT:
            item.sent += more
        if as_what & _EVER:
            item.ever += more
            if self.news is not None:
                self.news.add(("line", item_id))
        if as_what & _ARRIVED:
            item.arrived += more
            at = parcel.delivered_at
            if more < 0:
                self._doubt(item, at)
            elif at is not None and (item.brought is None or item.brought < at):
                item.brought = at
        self.changed[item_id] = item

    def arrived_otherwise(self, parcel: Fulfillment, known: datetime) -> None:
        """A parcel that had arrived as far as was `known` did so at another time, or not at all."""
        for item_id in parcel.shares:
            if (item := self.lines.get(item_id)) is not None:
                self._doubt(item, known)

    def brought(self, item: OrderItem) -> datetime | None:
        """The time at which the last of the parcels that hold some of a line arrived."""
        if self._stale and item.id in self._stale:
            self._stale.discard(item.id)
            times = (f.delivered_at for f in self._order.fulfillments if f.delivered_at and item.id in f.shares)
            item.brought = max(times, default=None)
        return item.brought

    def _doubt(self, item: OrderItem, arrived: datetime | None) -> None:
        """The parcel that arrived then may not be the last of a line any more."""
        if item.brought == arrived:
            if self._stale is None:
                self._stale = set()
            self._stale.add(item.id)

    def drop_plan(self) -> None:
        """The plan is no more."""
        plan = self.plan
        if plan is not None:
            self.plan = None
            if self._parcels is not None:
                self._parcels.pop(_ID + plan.id, None)

    def _take(self, item: OrderItem, more: int) -> None:
        quantity = item.quantity - item.canceled_quantity
        before = item.taken
        now = item.taken = before + more
        if more < 0 and self.news is not None:
            self.news.add(("line", item.id))
        if (now < quantity) is not (before < quantity):
            self.open += 1 if now < quantity else -1
        if (now > quantity) is not (before > quantity):
            self.over += 1 if now > quantity else -1

    # -- returns ----------------------------------------------------------------------------------------

    def add_return(self, back: Return) -> None:
        """A return is new; `count_return` it once its status and its shares are known."""
        if len(self._order.returns) == 1:
            self.unanswered, self.unpriced = {}, []
        if self._returns is not None:
            _name(self._returns, back)
        self._tell_of(back)

    def count_return(self, back: Return) -> None:
        """A return's status or amount moved: count its shares as what they are now."""
        status, before = back.status, back.counted
        now = back.counted = _RETURN[status]
        change = now ^ before
        if change & _OPEN:
            self.open_returns += 1 if now & _OPEN else -1
        if change & _PROCESSING:
            self.processing += 1 if now & _PROCESSING else -1
        if status == ReturnStatus.APPROVED or (status == ReturnStatus.REQUESTED and not back.for_staff):
            self.unanswered[back.id] = back
        elif self.unanswered:
            self.unanswered.pop(back.id, None)
        if now & _BACK:
            amount = back.refund_amount or _NOTHING
            self.due_back += amount - back.worth
            back.worth = amount
            if change & _BACK:
                self.unpriced.append(back)
        if change:
            self._tell_of(back)
        if not change & (_CLAIMED | _BACK):
            return
        for share in back.shares:
            item = self.lines.get(share.order_item_id)
            if item is None:
                continue
            if change & _CLAIMED:
                self._claim(item, share.quantity if now & _CLAIMED else -share.quantity)
            if change & _BACK:
                item.came_back += share.quantity if now & _BACK else -share.quantity
                self.changed[item.id] = item

    def let_go(self, back: Return, share: ReturnItem, less: int) -> None:
        """An open return holds so many fewer of a line: they did not come back."""
        item = self.lines.get(share.order_item_id)
        if item is not None and back.counted & _CLAIMED:
            self._claim(item, -less)

    def _claim(self, item: OrderItem, more: int) -> None:
        was_adrift = item.claimed > item.delivered_quantity
        item.claimed += more
        self.adrift += (item.claimed > item.delivered_quantity) - was_adrift
        if self.news is not None:
            self.news.add(("line", item.id))

    def _tell_of(self, back: Return) -> None:
        if self.news is not None:
            self.news.update((("return", back.reference or back.id), ("return", back.id)))

    # -- lines ------------------------------------------------------------------------------------------

    def call_off(self, item: OrderItem, quantity: int) -> None:
        """So many of a line are canceled: less of it has to leave, to arrive, to come back."""
        before = item.quantity - item.canceled_quantity
        now = before - quantity
        item.canceled_quantity += quantity
        self.to_ship += (item.shipped_quantity < now) - (item.shipped_quantity < before)
        self.to_arrive += (item.delivered_quantity < now) - (item.delivered_quantity < before)
        self.to_return += (item.returned_quantity < now) - (item.returned_quantity < before)
        if item.requires_shipping:
            self.open += (item.taken < now) - (item.taken < before)
        self.over += (item.taken > now) - (item.taken > before)
        touch(item)
        self.changed[item.id] = item
        if self.news is not None:
            self.news.add(("line", item.id))

    def settle(self) -> list[OrderItem]:
        """Let the lines whose counts moved show them, and mark those that show others now. → the lines that moved."""
        if not self.changed:
            return []
        moved = list(self.changed.values())
        self.changed = {}
        for item in moved:
            quantity, sent, here, back = item.quantity, item.sent, item.arrived, item.came_back
            if sent > quantity:
                sent = quantity
            if here > quantity:
                here = quantity
            was_sent, was_here, was_back = item.shipped_quantity, item.delivered_quantity, item.returned_quantity
            if sent == was_sent and here == was_here and back == was_back:
                continue
            wanted = quantity - item.canceled_quantity
            if sent != was_sent:
                item.shipped_quantity = sent
                self.to_ship += (sent < wanted) - (was_sent < wanted)
            if here != was_here:
                item.delivered_quantity = here
                self.to_arrive += (here < wanted) - (was_here < wanted)
                if item.claimed:
                    self.adrift += (item.claimed > here) - (item.claimed > was_here)
                if self.news is not None:
                    self.news.add(("line", item.id))
            if back != was_back:
                item.returned_quantity = back
                self.to_return += (back < wanted) - (was_back < wanted)
            touch(item)
        return moved


def named(parts: Sequence[Any], name: str) -> Any:
    """The part whose `reference` is `name`, else the one whose id it is, else None."""
    for part in parts:
        if part.reference == name:
            return part
    if own := uuid_of(name):
        for part in parts:
            if part.id == own:
                return part
    return None


def _name(names: dict[str, Any], part: Any) -> None:
    """Enter a parcel or a return: the first of a reference has it."""
    if part.reference is not None:
        names.setdefault(part.reference, part)
    names[_ID + part.id] = part
