"""Outcomes of events and the reasons for them, in words that a person understands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from domain.words import Worded


class Kind(Worded):
    """The four ends of an event that was accepted."""

    APPLIED = "applied", "it took its step, or was recorded"
    IGNORED = "ignored", "recorded; nothing was left to do, and the reason says why"
    PARKED = "parked", "too early; it waits in SQL for what the reason names"
    DEAD = "dead", "given up, with the reason and how to replay it"


# On Python 3.11 a member of an enum costs 0.2 µs each time it is looked up in its class; a global costs nothing.
APPLIED: Final = Kind.APPLIED
IGNORED: Final = Kind.IGNORED
PARKED: Final = Kind.PARKED
DEAD: Final = Kind.DEAD


class Reason(StrEnum):
    """Every reason that a result, a parked event or a dead letter may carry; each belongs to one outcome."""

    kind: Kind
    words: str

    def __new__(cls, value: str, kind: Kind | None = None, words: str = "") -> Self:
        """A member out of its text, the outcome that it gives reason to, and its meaning in words: all three."""
        if kind is None or not words:
            raise TypeError(f"{value}: say the outcome and the words, too")
        member = str.__new__(cls, value)
        member._value_ = value
        member.kind, member.words = kind, words
        return member

    # ignored: nothing is left to do
    OVERTAKEN = "overtaken", IGNORED, "history went past this step already; recorded, and nothing moves"
    REPEATED = "repeated", IGNORED, "says what an earlier event said already"
    UNKNOWN_TYPE = "unknown_type", IGNORED, "no such event in the catalogue; kept, and not used"
    ALREADY_DELIVERED = (
        "already_delivered",
        IGNORED,
        "the goods had been delivered, and did not come back in the time that the cancel waited",
    )
    ALREADY_PAID = "already_paid", IGNORED, "the order was paid before it could expire"
    ORDER_CANCELED = "order_canceled", IGNORED, "the order was canceled before"
    SHIPPED_AFTER_CANCEL = (
        "shipped_after_cancel",
        IGNORED,
        "the parcel left although the order was canceled; recorded and flagged",
    )
    ANOTHER_PARCEL = (
        "another_parcel",
        IGNORED,
        "carriers give numbers out again: at that time this one was another parcel's; recorded, and nothing moves",
    )
    NUMBER_REPLACED = (
        "number_replaced",
        IGNORED,
        "the parcel has another carrier or number; recorded, and nothing moves",
    )
    PAID_AFTER_EXPIRY = (
        "paid_after_expiry",
        IGNORED,
        "the payment came after the order had expired; recorded, and the money goes back",
    )
    RETURN_REJECTED = "return_rejected", IGNORED, "the return was rejected before; a completed return contradicts that"
    RETURN_COMPLETED = "return_completed", IGNORED, "the return was completed before; a rejection contradicts that"
    RETURN_RECEIVED = (
        "return_received",
        IGNORED,
        "the return had been received before the customer withdrew it; look into both",
    )
    DISCARDED = "discarded", IGNORED, "an operator discarded it"
    # applied, with something to say
    REJECTED_ALREADY = "rejected_already", APPLIED, "the return's rejection had come before its request"
    REVERSED_SINCE = "reversed_since", APPLIED, "the payment was reversed after that; recorded, and it pays for nothing"
    # parked: waits for …
    ORDER_UNKNOWN = "order_unknown", PARKED, "waits for OrderCreated of that number"
    PAYMENT_UNKNOWN = "payment_unknown", PARKED, "waits for the order that names this payment"
    PARCEL_UNKNOWN = "parcel_unknown", PARKED, "waits for the fulfillment that names this tracking number"
    NOT_PAID = "not_paid", PARKED, "waits until the order is paid in full"
    FULFILLMENT_UNKNOWN = "fulfillment_unknown", PARKED, "waits for the event that names this fulfillment and its items"
    PAYMENT_UNDER_WAY = (
        "payment_under_way",
        PARKED,
        "waits while a payment of the order is under way, until its time is up or it comes to an end",
    )
    PARCEL_OUT = "parcel_out", PARKED, "a cancel waits until no parcel is out or delivered, as one that fails is not"
    ITEMS_OUT = "items_out", PARKED, "an item cancel waits until so many of the items are in no living parcel"
    NOT_DELIVERED = "not_delivered", PARKED, "waits until the items were delivered"
    ITEMS_HELD = "items_held", PARKED, "waits until other returns let go of these items"
    RETURN_UNKNOWN = "return_unknown", PARKED, "waits for ReturnRequested of that name"
    RETURN_NOT_PROCESSING = "return_not_processing", PARKED, "waits until the return is being processed"
    AHEAD = "ahead", PARKED, "waits until its time is no more than a day ahead"
    PAUSED = "paused", PARKED, "an operator paused it; it is applied in its order once that is resumed"
    # dead: given up; a person edits, replays or discards it
    MALFORMED = "malformed", DEAD, "the body does not fit its type: edit it, then replay"
    UNKNOWN_VERSION = "unknown_version", DEAD, "a newer version than this release reads: upgrade, then replay"
    CURRENCY_MISMATCH = (
        "currency_mismatch",
        DEAD,
        "money of another currency than the order's: edit the event or refund at the provider",
    )
    ORDER_NUMBER_TAKEN = (
        "order_number_taken",
        DEAD,
        "another order has this number: give it a number of its own, then replay",
    )
    PAYMENT_ID_TAKEN = (
        "payment_id_taken",
        DEAD,
        "this payment belongs to another order: correct the number or the payment, then replay",
    )
    UNKNOWN_ITEM = "unknown_item", DEAD, "names an item that the order does not have: edit it, then replay"
    TOO_MANY_ITEMS = (
        "too_many_items",
        DEAD,
        "asks for more of an item than was ordered and not canceled: edit it, then replay",
    )
    TIME_AHEAD = (
        "time_ahead",
        DEAD,
        "its time was more than three days ahead when it was received: correct the sender's clock, edit it, then replay",
    )
    PARKED_TOO_LONG = (
        "parked_too_long",
        DEAD,
        "nothing made it applicable in time: replay it once its cause has come, or discard it",
    )
    BUG = "bug", DEAD, "our own code failed on it: report the message, upgrade, then replay"
    DATABASE_REFUSED = "database_refused", DEAD, "the database refuses its values: edit it, then replay"


REASONS: dict[str, str] = {
    reason: reason.words for reason in Reason
}  # for reasons as stored: the texts are found here as well


@dataclass(frozen=True, slots=True)
class Outcome:
    """applied, ignored, parked or dead; `implied` lists steps that a later fact stands for."""

    kind: Kind
    reason: Reason | None = None
    detail: str | None = None
    implied: str | None = None

    def why(self) -> Reason:
        """The reason of an outcome that must have one."""
        if self.reason is None:
            raise ValueError(f"{self.kind} without a reason")
        return self.reason


DONE = Outcome(APPLIED)


def ignored(reason: Reason) -> Outcome:
    """Nothing is left to do."""
    return _IGNORED[reason]


def parked(reason: Reason) -> Outcome:
    """Too early; waits in SQL."""
    return _PARKED[reason]


def dead(reason: Reason, detail: str) -> Outcome:
    """Cannot be applied as it is; `detail` names the values at fault."""
    return Outcome(DEAD, reason, detail)


_IGNORED = {reason: Outcome(IGNORED, reason) for reason in Reason if reason.kind is IGNORED}
_PARKED = {reason: Outcome(PARKED, reason) for reason in Reason if reason.kind is PARKED}
