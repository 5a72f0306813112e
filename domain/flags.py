"""Flags: notes for a person about an order besides its status, which follow from its parts."""

from __future__ import annotations

from domain.dues import settled, unanswered
from domain.edits import addressed_after_shipping
from domain.holds import REFUNDED, RETURNED_TO_SENDER, by_people, note_standing, shipped_while_held
from domain.item_cancels import is_capped
from domain.order import BEFORE_PAYMENT, Order
from domain.refunds import due, lacks_reversed_money
from domain.replacements import holds_too_many
from domain.words import Worded


class Flag(Worded):
    """A note that something about an order may need a person, with the remedy."""

    UNDERPAID = "underpaid", "less was captured than the total: it stays unpaid until more comes or a person decides"
    SHIPPED_AFTER_CANCEL = (
        "shipped_after_cancel",
        "a parcel left although the order was canceled: get it back, or charge for it",
    )
    INQUIRY = "inquiry", "the payer's bank inquires about a payment, and may dispute it: answer it at the provider"
    DISPUTED = "disputed", "the payer's bank asks about a payment: answer it at the provider"
    OVER_FULFILLED = (
        "over_fulfilled",
        "parcels hold more of an item than was ordered, beyond what replaces a parcel that has not arrived",
    )
    AMOUNTS_DIFFER = "amounts_differ", "its lines, shipping, tax and discount do not add up to its total"
    CANCEL_TOO_LATE = "cancel_too_late", "a cancel came after a parcel was delivered: it was not canceled"
    EXPIRED = "expired", "it was canceled because nobody paid in time"
    RETURN_CONTRADICTED = (
        "return_contradicted",
        "a return was both rejected and completed, or withdrawn after it was received: the first to come counts",
    )
    PAYMENT_REVERSED = "payment_reversed", "the provider took a payment back after it had reported it"
    REFUND_FAILED = (
        "refund_failed",
        "a refund did not arrive, and its money is still owed: try it again, or settle it by hand",
    )
    REFUND_CAPPED = (
        "refund_capped",
        "more was stated for a return or an item cancel than its lines cost, or than is left of what was paid for them: less goes back",
    )
    HELD = "held", "somebody holds it: nothing more ships until it is released"
    REFUNDED = "refunded", "all its money went back, and items are open: they do not ship unless it is released"
    RETURNED_TO_SENDER = (
        "returned_to_sender",
        "a parcel goes back to its sender: release the hold to send its items again, or cancel them",
    )
    SHIPPED_WHILE_HELD = (
        "shipped_while_held",
        "a parcel left while the order was held: get it back, or release the hold",
    )
    RETURN_WITHOUT_DELIVERY = (
        "return_without_delivery",
        "a return holds items of which fewer were delivered than it was asked for: look into both",
    )
    WITHDRAWN_RETURN_RECEIVED = (
        "withdrawn_return_received",
        "items of a return that the customer withdrew came back all the same: send them out again, or have it asked for anew",
    )
    ADDRESS_AFTER_SHIPPING = (
        "address_after_shipping",
        "the address was edited after a parcel had left for the one before: ask its carrier, or the customer",
    )
    OVER_REFUNDED = "over_refunded", "more went back than is due: ask for it again, or allocate it as goodwill"


F = Flag
# Set once and kept: what the parts do not show. All other flags follow from the parts.
_STICKY: frozenset[str] = frozenset((F.CANCEL_TOO_LATE, F.RETURN_CONTRADICTED, F.EXPIRED, F.AMOUNTS_DIFFER))
_OF_MONEY: frozenset[str] = frozenset(
    (F.DISPUTED, F.INQUIRY, F.PAYMENT_REVERSED, F.REFUND_FAILED, F.OVER_REFUNDED)
)  # follow from what moves money
_OF_ITEMS: frozenset[str] = frozenset(
    (F.SHIPPED_AFTER_CANCEL, F.OVER_FULFILLED, F.REFUND_CAPPED, F.RETURN_WITHOUT_DELIVERY, F.WITHDRAWN_RETURN_RECEIVED)
)  # follow from what moves items
_OF_HOLDS: frozenset[str] = frozenset(
    (F.HELD, F.REFUNDED, F.RETURNED_TO_SENDER, F.SHIPPED_WHILE_HELD)
)  # looked at where anything is amiss
_NONE: list[str] = []


def flags_after(order: Order, moved_money: bool, moved_items: bool) -> list[str]:
    """The order's flags after an event; those of what it did not move stay as they are."""
    if not order.flags and order.facts is None and _is_plain(order, moved_money, moved_items):
        return _NONE
    money, goods = moved_money, order.goods_kept if moved_items else None
    items = goods is not None
    flags: set[str] = set()
    for flag in order.flags:
        if flag in _STICKY or (flag in _OF_MONEY and not money) or (flag in _OF_ITEMS and not items):
            flags.add(flag)
    if order.status in BEFORE_PAYMENT and 0 < order.captured() < order.price():
        flags.add(F.UNDERPAID)
    if money and order.transactions:
        payments = order.payments()
        if payments.disputed:
            flags.add(F.DISPUTED)
        if payments.inquired:
            flags.add(F.INQUIRY)
        if payments.reversed and lacks_reversed_money(order):
            flags.add(F.PAYMENT_REVERSED)
        if payments.refunded and payments.refunded + settled(order) > due(order):
            flags.add(F.OVER_REFUNDED)
        if payments.untried and payments.refunded + settled(order) < due(order) and unanswered(order):
            flags.add(F.REFUND_FAILED)
    if goods is not None:
        if (order.returns and goods.capped) or (order.facts is not None and is_capped(order)):
            flags.add(F.REFUND_CAPPED)
        if order.returns and goods.adrift:
            flags.add(F.RETURN_WITHOUT_DELIVERY)
        if order.returns and any(back.received_at and back.withdrawn() for back in order.returns):
            flags.add(F.WITHDRAWN_RETURN_RECEIVED)
        if goods.sent and order.canceled_at is not None:
            flags.add(F.SHIPPED_AFTER_CANCEL)
        if goods.over and holds_too_many(order):
            flags.add(F.OVER_FULFILLED)
    if order.facts is not None and addressed_after_shipping(order):
        flags.add(F.ADDRESS_AFTER_SHIPPING)
    if order.flags or order.facts is not None:
        flags |= _of_holds(order)
    elif money or items:  # only money that is amiss, and parcels that go back, make an order hold itself
        kept, counted = order.payments_kept, order.goods_kept
        if (kept.amiss if kept is not None else _is_money_amiss(order)) or (counted is not None and counted.going_back):
            flags |= _of_holds(order)
    return sorted(flags) if flags else _NONE


def _is_plain(order: Order, moved_money: bool, moved_items: bool) -> bool:
    """True where nothing is there that a flag could tell of, as of most orders after most of their events.

    Asked of an order without flags and facts; where it is false, a flag need not follow.
    """
    if order.status in BEFORE_PAYMENT and order.captured():
        return False
    goods = order.goods_kept
    if goods is not None:
        if goods.going_back or (moved_items and (goods.over or order.returns or order.canceled_at is not None)):
            return False
    elif not moved_money:
        return True
    if not (moved_money or moved_items):
        return True
    payments = order.payments_kept
    if payments is None:
        return not _is_money_amiss(order)
    return not (payments.amiss or payments.inquired or payments.untried)


def _is_money_amiss(order: Order) -> bool:
    """True where money went back, was taken back or is asked about; without counting it, as scans of parcels do not."""
    for payment in order.transactions:
        if payment.facts is not None or payment.reversed_at is not None or payment.refunded_amount:
            return True
    return False


def _of_holds(order: Order) -> set[str]:
    standing, found = note_standing(order), set()
    if standing and by_people(order, standing):
        found.add(F.HELD)
    if REFUNDED in standing:
        found.add(F.REFUNDED)
    if RETURNED_TO_SENDER in standing:
        found.add(F.RETURNED_TO_SENDER)
    if shipped_while_held(order):
        found.add(F.SHIPPED_WHILE_HELD)
    return {str(flag) for flag in found}


def add_flag(order: Order, flag: Flag) -> None:
    """Set a flag that no later event takes away."""
    order.flags = sorted({*order.flags, flag})
