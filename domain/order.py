"""The order and its lifecycle as a table: change a row here and nothing else.

After each event the machine advances until no guard lets it further, so that the status follows
from the order's parts and decisions, whatever order they came in. Among the rows of one state the
first whose guards hold is taken. So a row's event is only what usually makes its guards hold, when
events come in the order in which they happened; any other that does, moves the order as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.dirty_tracking import CLEAN
from domain.dues import required
from domain.fulfillment import Fulfillment, FulfillmentItem
from domain.goods import FEW, Goods
from domain.payments import Payments
from domain.returns import Return, ReturnItem
from domain.state_machine import build, steps
from domain.transaction import Transaction
from domain.words import Worded


class Status(Worded):
    """Stages of an order."""

    NEW = "new", "named by an event, not created yet: hidden from everyone"
    PENDING = "pending", "placed, not paid"
    PAID = "paid", "captured money covers the total, or did before a payment was reversed"
    FAILED = "failed", "every payment failed; a later success revives it"
    PREPARING = "preparing", "a fulfillment exists"
    SHIPPED = "shipped", "every item has left"
    DELIVERED = "delivered", "every item has arrived"
    CONFIRMED = "confirmed", "by the customer, or by the timer"
    CANCELED = "canceled", "final; captured money goes back"
    RETURN_REQUESTED = "return_requested", "everything arrived, and a return is open"
    RETURN_PROCESSING = "return_processing", "an open return is being worked on"
    RETURNED = "returned", "every item came back"


S = Status
LIFECYCLE = (
    # usual cause (the machine tries every row after every event)   from   to   guards on Order
    ("OrderCreated", (S.NEW,), S.PENDING, "is_created"),
    ("OrderCanceled", (S.PENDING, S.FAILED, S.PAID, S.PREPARING), S.CANCELED, "is_canceled"),
    ("OrderCanceled", (S.DELIVERED, S.CONFIRMED), S.CANCELED, "is_canceled"),  # nothing of it needs shipping
    ("PaymentSucceeded", (S.PENDING, S.FAILED), S.PAID, "was_covered"),
    ("PaymentSucceeded", (S.FAILED,), S.PENDING, "payment_lives"),
    ("PaymentSucceeded", (S.PAID,), S.DELIVERED, "is_delivered"),  # likewise
    ("PaymentFailed", (S.PENDING,), S.FAILED, "every_payment_failed"),
    ("FulfillmentCreated", (S.PAID,), S.PREPARING, "has_fulfillment"),
    ("FulfillmentDelivered", (S.PREPARING, S.SHIPPED), S.DELIVERED, "is_delivered"),
    ("FulfillmentShipped", (S.PREPARING,), S.SHIPPED, "is_shipped"),
    ("FulfillmentFailed", (S.SHIPPED,), S.PREPARING, "has_items_to_ship"),
    # Everything came back while the order waited for the rest of its items; those have arrived now, or are canceled.
    ("FulfillmentDelivered", (S.DELIVERED, S.CONFIRMED), S.RETURNED, "is_returned"),
    # A delivery was taken back, or a step that arrived late lists fewer items than we took the parcel to hold.
    (
        "FulfillmentCorrected",
        (S.DELIVERED, S.CONFIRMED, S.RETURN_REQUESTED, S.RETURN_PROCESSING, S.RETURNED),
        S.PREPARING,
        "awaits_items",
    ),
    ("ReturnRequested", (S.DELIVERED, S.CONFIRMED), S.RETURN_REQUESTED, "has_open_return"),
    ("ReturnProcessingStarted", (S.RETURN_REQUESTED,), S.RETURN_PROCESSING, "processes_return"),
    ("ReturnCompleted", (S.RETURN_REQUESTED, S.RETURN_PROCESSING), S.RETURNED, "is_returned"),
    ("ReturnCompleted", (S.RETURN_PROCESSING,), S.RETURN_REQUESTED, "only_requests_returns"),
    (
        "ReturnRejected",
        (S.RETURN_REQUESTED, S.RETURN_PROCESSING),
        S.CONFIRMED,
        "no_open_return",
        "is_confirmed",
    ),
    ("ReturnRejected", (S.RETURN_REQUESTED, S.RETURN_PROCESSING), S.DELIVERED, "no_open_return"),
    ("OrderConfirmed", (S.DELIVERED,), S.CONFIRMED, "is_confirmed"),
    # The timer had confirmed it, and a parcel arrived after that.
    ("TrackingUpdated", (S.CONFIRMED,), S.DELIVERED, "awaits_confirmation"),
)
MACHINE = build(Status, LIFECYCLE)

BEFORE_PAYMENT = frozenset((S.PENDING, S.FAILED))
ENDED = frozenset((S.CONFIRMED, S.CANCELED, S.RETURNED))  # nobody waits for anything but money of it
AFTER_DELIVERY = frozenset((S.DELIVERED, S.CONFIRMED, S.RETURN_REQUESTED, S.RETURN_PROCESSING, S.RETURNED))


@dataclass(slots=True, eq=False)
class OrderItem:
    """A line of an order. The three counted quantities follow from fulfillments and returns."""

    id: str
    order_id: str
    position: int
    reference: str | None
    product: str
    variant: str | None
    option: str | None
    quantity: int
    unit_price: Decimal
    total_price: Decimal
    shipped_quantity: int = 0
    delivered_quantity: int = 0
    returned_quantity: int = 0
    tax_amount: Decimal | None = None  # on top of the price; None: the order's is spread by price
    tax_free: bool | None = None
    canceled_quantity: int = 0  # taken out of the order again
    requires_shipping: bool = True  # else it is delivered once paid (domain/digital.py)
    change_state: int = CLEAN
    taken: int = 0  # in living parcels, the plan aside; these seven are kept by the order's goods
    sent: int = 0  # in parcels that left
    arrived: int = 0  # in parcels that arrived
    ever: int = 0  # in parcels that arrived at some time, whatever is known of them since
    claimed: int = 0  # in returns that hold them
    came_back: int = 0  # in completed returns
    brought: datetime | None = None  # when the last parcel that holds some arrived

    def ever_delivered(self) -> int:
        """So many of it arrived at some time, as far as the order's goods have counted."""
        return min(self.ever, self.quantity) if self.requires_shipping else self.delivered_quantity

    def wanted(self) -> int:
        """So many of it are to reach the customer: what was ordered and not canceled."""
        return self.quantity - self.canceled_quantity

    def open(self) -> int:
        """So many of it are to ship, and are in no living parcel but the plan; less than 0 where parcels hold too many."""
        return self.quantity - self.canceled_quantity - self.taken if self.requires_shipping else 0

    def cancelable(self) -> int:
        """So many of it may be canceled: those in no living parcel; of what needs no shipping, those in no return."""
        return self.wanted() - (self.taken if self.requires_shipping else self.claimed)


@dataclass(slots=True, eq=False)
class Order:
    """An order with all its parts: what one event is applied to. Money in `currency`, major units."""

    id: str
    order_number: str
    shard: int
    status: str = S.NEW
    version: int = 0  # how many events were applied or settled: the last apply number
    effects_suppressed: bool = False  # history: no timer runs and no effect goes out
    customer: str | None = None
    personal_id: str | None = None
    currency: str | None = None
    total_amount: Decimal = Decimal(0)
    discount_code: str | None = None
    discount_amount: Decimal = Decimal(0)
    shipping_amount: Decimal = Decimal(0)
    tax_amount: Decimal = Decimal(0)  # on top of the prices
    flags: list[str] = field(default_factory=list)  # sorted
    placed_at: datetime | None = None
    canceled_at: datetime | None = None
    confirmed_at: datetime | None = None
    facts: dict[str, Any] | None = None  # what is kept of events besides, by kind (domain/dues.py)
    change_state: int = CLEAN
    items: list[OrderItem] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)
    returns: list[Return] = field(default_factory=list)
    deleted: list[Any] = field(default_factory=list)  # stored parts to delete
    goods_kept: Goods | None = None
    payments_kept: Payments | None = None

    @property
    def fulfillment_items(self) -> list[FulfillmentItem]:
        """The shares of all parcels together."""
        return [share for parcel in self.fulfillments for share in parcel.shares.values()]

    @property
    def return_items(self) -> list[ReturnItem]:
        """The shares of all returns together."""
        return [share for back in self.returns for share in back.shares]

    def goods(self) -> Goods:
        """The counts over the order's parcels and returns. Whoever changes one of them keeps these in step."""
        kept = self.goods_kept
        if kept is None:
            kept = self.goods_kept = Goods(self)
        return kept

    def tracked(self, key: str) -> list[Fulfillment]:
        """The parcels that this tracking key was ever named for."""
        if self.goods_kept is None and len(self.fulfillments) <= FEW:
            return [parcel for parcel in self.fulfillments if key in parcel.parcels]
        return self.goods().tracked(key)

    def payments(self) -> Payments:
        """The sums over the order's transactions. Whoever changes one of them keeps these in step."""
        kept = self.payments_kept
        if kept is None:
            kept = self.payments_kept = Payments(self)
        return kept

    def captured(self) -> Decimal:
        """Money captured, refunded or not; not what was reversed."""
        return self.payments().captured

    def is_created(self) -> bool:
        """Guard: OrderCreated was applied."""
        return self.placed_at is not None

    def is_covered(self) -> bool:
        """Paid in full: captured money, refunded or not, reaches the total."""
        price = self.total_amount if self.facts is None else required(self)  # `price()` without its call
        return self.payments().captured >= price

    def price(self) -> Decimal:
        """The amount that covers the order."""
        return self.total_amount if self.facts is None else required(self)

    def was_covered(self) -> bool:
        """Guard: captured money, refunded, reversed or not, reaches the total.

        A reversal may be reported before or after what it reverses, and after a parcel has left: only what no
        reversal takes away brings every order of arrival to one status. That the money is gone, the flag says.
        """
        payments = self.payments_kept or self.payments()
        price = self.total_amount if self.facts is None else required(self)
        if payments.captured >= price:
            return True
        return payments.reversed > 0 and payments.ever_captured() >= price

    def payment_lives(self) -> bool:
        """Guard: a payment is pending, or captured."""
        return self.payments().living > 0

    def every_payment_failed(self) -> bool:
        """Guard: there were payments, and none of them lives."""
        return bool(self.transactions) and self.payments().living == 0

    def is_canceled(self) -> bool:
        """Guard: somebody, or the unpaid timer, canceled it."""
        return self.canceled_at is not None

    def has_fulfillment(self) -> bool:
        """Guard: a plan or a parcel exists."""
        return bool(self.fulfillments)

    def is_shipped(self) -> bool:
        """Guard: every item to ship has left."""
        goods = self.goods_kept
        if goods is None:
            if len(self.items) <= FEW:
                for item in self.items:
                    if item.shipped_quantity < item.quantity and item.shipped_quantity < item.wanted():
                        return False
                return bool(self.items)
            goods = self.goods()
        return goods.to_ship == 0 and bool(self.items)

    def has_items_to_ship(self) -> bool:
        """Guard: an item has yet to leave."""
        return not self.is_shipped()

    def is_delivered(self) -> bool:
        """Guard: every item has arrived."""
        goods = self.goods_kept
        if goods is None:
            if len(self.items) <= FEW:
                for item in self.items:  # as stored: nothing has moved since
                    if item.delivered_quantity < item.quantity and item.delivered_quantity < item.wanted():
                        return False
                return bool(self.items)
            goods = self.goods()
        return goods.to_arrive == 0 and bool(self.items)

    def awaits_items(self) -> bool:
        """Guard: an item has yet to arrive."""
        return not self.is_delivered()

    def is_confirmed(self) -> bool:
        """Guard: the delivery was confirmed."""
        return self.confirmed_at is not None

    def awaits_confirmation(self) -> bool:
        """Guard: nobody confirmed the delivery, or the timer did before the last parcel arrived."""
        return self.confirmed_at is None

    def has_open_return(self) -> bool:
        """Guard: a return is neither rejected nor completed."""
        return bool(self.returns) and self.goods().open_returns > 0

    def no_open_return(self) -> bool:
        """Guard: every return is rejected or completed."""
        return not self.has_open_return()

    def processes_return(self) -> bool:
        """Guard: an open return is being processed."""
        return bool(self.returns) and self.goods().processing > 0

    def only_requests_returns(self) -> bool:
        """Guard: returns are open, and none is being processed yet."""
        return self.has_open_return() and not self.processes_return()

    def is_returned(self) -> bool:
        """Guard: no return is open and every item came back."""
        return bool(self.items and self.returns) and self.goods().to_return == 0 and not self.has_open_return()

    def last_delivery(self) -> datetime | None:
        """The time at which the last parcel arrived, as far as we know."""
        return max((f.delivered_at for f in self.fulfillments if f.delivered_at), default=None)

    def plan(self) -> Fulfillment | None:
        """The fulfillment that the order started by itself, as long as there is something left in it."""
        goods = self.goods_kept
        if goods is None:
            if len(self.fulfillments) <= FEW:
                for parcel in self.fulfillments:
                    if parcel.planned:
                        return parcel
                return None
            goods = self.goods()
        return goods.plan

    def open_shares(self) -> list[tuple[OrderItem, int]]:
        """The items that no living fulfillment has, the plan aside: (item, quantity), empty ones left out."""
        if not self.fulfillments:
            return [
                (item, left)
                for item in self.items
                if item.requires_shipping and (left := item.quantity - item.canceled_quantity)
            ]
        if self.goods().open == 0:
            return []
        return [(item, left) for item in self.items if (left := item.open()) > 0]


STEPS = steps(MACHINE, Order)
