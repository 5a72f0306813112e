"""What became of an event, and why, in words that a person understands."""

from __future__ import annotations

from dataclasses import dataclass

APPLIED, IGNORED, PARKED, DEAD = "applied", "ignored", "parked", "dead"

# Every reason that a result, a parked event or a dead letter may carry.
REASONS = {
    # ignored: nothing is left to do
    "overtaken": "history went past this step already; recorded, and nothing moves",
    "repeated": "says what an earlier event said already",
    "unknown_type": "no such event in the catalogue; kept, and not used",
    "already_delivered": "a parcel of the order was delivered before the cancel came",
    "already_paid": "the order was paid before it could expire",
    "order_canceled": "the order was canceled before",
    "shipped_after_cancel": "the parcel left although the order was canceled; recorded and flagged",
    "paid_after_expiry": "the payment came after the order had expired; recorded, and the money goes back",
    "return_rejected": "the return was rejected before; a completed return contradicts that",
    "return_completed": "the return was completed before; a rejection contradicts that",
    "discarded": "an operator discarded it",
    # applied, with something to say
    "rejected_already": "the return's rejection had come before its request",
    "reversed_since": "the payment was reversed after that; recorded, and it pays for nothing",
    # parked: waits for …
    "order_unknown": "waits for OrderCreated of that number",
    "payment_unknown": "waits for the order that names this payment",
    "parcel_unknown": "waits for the fulfillment that names this tracking number",
    "not_paid": "waits until the order is paid in full",
    "fulfillment_unknown": "waits for the event that names this fulfillment and its items",
    "parcel_out": "a cancel waits until the parcel that is out fails or arrives",
    "not_delivered": "waits until the items were delivered",
    "items_held": "waits until other returns let go of these items",
    "return_unknown": "waits for ReturnRequested of that name",
    "return_not_processing": "waits until the return is being processed",
    # dead: given up; a person edits, replays or discards it
    "malformed": "the body does not fit its type: edit it, then replay",
    "unknown_version": "a newer version than this release reads: upgrade, then replay",
    "currency_mismatch": "money of another currency than the order's: edit the event or refund at the provider",
    "order_number_taken": "another order has this number: give it a number of its own, then replay",
    "payment_id_taken": "this payment belongs to another order: correct the number or the payment, then replay",
    "unknown_item": "names an item that the order does not have: edit it, then replay",
    "too_many_items": "asks for more of an item than was ordered: edit it, then replay",
    "parked_too_long": "nothing made it applicable in time: replay it once its cause has come, or discard it",
    "bug": "our own code failed on it: report the message, upgrade, then replay",
    "database_refused": "the database refuses its values: edit it, then replay",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """applied, ignored, parked or dead; `implied` lists steps that a later fact stands for."""

    kind: str
    reason: str | None = None
    detail: str | None = None
    implied: str | None = None


DONE = Outcome(APPLIED)


def ignored(reason: str) -> Outcome:
    """Nothing is left to do, for a reason of REASONS."""
    return _IGNORED[reason]


def parked(reason: str) -> Outcome:
    """Too early; waits in SQL."""
    return _PARKED[reason]


def dead(reason: str, detail: str) -> Outcome:
    """Cannot be applied as it is; `detail` names the values at fault."""
    return Outcome(DEAD, reason, detail)


_IGNORED = {reason: Outcome(IGNORED, reason) for reason in REASONS}
_PARKED = {reason: Outcome(PARKED, reason) for reason in REASONS}
