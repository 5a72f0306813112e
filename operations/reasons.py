"""Reasons for which things are given up, in one list: what each means, what to do, and which field is at fault.

Those of events stand in `domain.outcome` with all other reasons; those of refunds, payment look-ups and deliveries are
said here. docs/reference/reasons.md is made of it. Codes are stable: programs and runbooks may rely on them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from domain.outcome import DEAD, Reason
from outbound import payment_lookups, refund_attempt, refund_routes

EVENT, REFUND, LOOKUP, DELIVERY = KINDS = ("event", "refund", "lookup", "delivery")
WEBHOOK_REFUSED, WEBHOOK_UNREACHABLE, WEBHOOK_GONE = "webhook_refused", "webhook_unreachable", "webhook_gone"
LOOKUP_GIVEN_UP = "lookup_given_up"
FIELD_IN_DETAIL = Reason.MALFORMED  # its detail begins with the field
FIELD = "^([A-Za-z][A-Za-z0-9_.\\[\\]]{0,99}): "  # there; PostgreSQL and Python read it alike


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason: of what kind of thing, what it means, and what to do about it."""

    code: str
    kind: str  # of KINDS
    means: str
    remedy: str
    field: str | None = None  # at fault, where the code alone says which


_EVENTS = {
    Reason.MALFORMED: ("edit the field that the detail names, then replay", None),
    Reason.UNKNOWN_VERSION: ("upgrade to the release that reads the version, then replay", None),
    Reason.CURRENCY_MISMATCH: (
        "edit the event where it is wrong, then replay; else refund at the provider",
        "currency",
    ),
    Reason.ORDER_NUMBER_TAKEN: ("give the event a number of its own (edit its subject), then replay", "subject"),
    Reason.PAYMENT_ID_TAKEN: ("correct the order's number or the payment, then replay", "paymentId"),
    Reason.UNKNOWN_ITEM: ("edit the item's name, then replay", "items"),
    Reason.TOO_MANY_ITEMS: ("edit the quantities, then replay", "items"),
    Reason.TIME_AHEAD: (
        "correct the sender's clock, and replay once its time is within three days, or discard it",
        None,
    ),
    Reason.PARKED_TOO_LONG: ("replay it once its cause has come, or discard it", None),
    Reason.BUG: ("report the detail, upgrade, run `orders preflight`, then replay", None),
    Reason.DATABASE_REFUSED: ("edit the value that the detail names, then replay", None),
}
_OTHERS = (
    Cause(refund_attempt.REFUSED, REFUND, "the provider refuses the refund for good; the detail has its words",
          "mend at the provider what it names, then replay; or pay by another way and settle it, which closes it: never both"),
    Cause(refund_attempt.GAVE_UP, REFUND, "the provider could not be asked, or gave no usable answer, too often",
          "look at the provider's status and at its key here, then replay"),
    Cause(refund_attempt.IN_DOUBT, REFUND, "somebody else refunds this payment too, or ours stays open for a month",
          "look at the provider's books; replay asks it before anything goes out"),
    Cause(refund_attempt.FAILED, REFUND, "the refund had gone out and failed at the provider afterwards",
          "see at the provider why; then replay, or pay by another way and settle it, which closes it: never both"),
    Cause(refund_routes.NO_CLIENT, REFUND, "nobody gives back here what that provider took",
          "name a service that does (ORDERS_REFUND_URL), then replay; or refund by hand and settle it, which closes it: never both"),
    Cause(payment_lookups.NO_ANSWER, LOOKUP, "the provider gave no answer for as long as a look-up may wait",
          "look at the provider's status and at its key here, then replay: it is asked again"),
    Cause(payment_lookups.NOT_TOLD, LOOKUP, "the provider knows nothing of the payment that its webhook named",
          "compare the key with the shop that the webhook is of, then replay; discard what was made up"),
    Cause(payment_lookups.UNFIT, LOOKUP, "the provider's answer made no event that can be kept",
          "report the detail; upgrade, then replay"),
    Cause(payment_lookups.ORDER_ABSENT, LOOKUP, "the payment is known there, and its order never came here",
          "send the order's OrderCreated, then replay; discard what is another shop's"),
    Cause(LOOKUP_GIVEN_UP, LOOKUP, "given up by a release that did not note why; the detail has its words",
          "do as the detail says, then replay"),
    Cause(WEBHOOK_REFUSED, DELIVERY, "the receiver answered otherwise than 2xx for three days",
          "have the receiver mended, then replay: it goes out under the same id"),
    Cause(WEBHOOK_UNREACHABLE, DELIVERY, "the receiver could not be reached, or did not answer in time, for three days",
          "check its address (`orders webhooks list`), then replay"),
    Cause(WEBHOOK_GONE, DELIVERY, "the receiver answered 410: it wants no more of this subscription",
          "ask whoever runs it; enable the subscription again, then replay, or discard"),
)  # fmt: skip

CAUSES: dict[str, Cause] = {
    reason: Cause(reason, EVENT, reason.words.partition(":")[0], *_EVENTS[reason])
    for reason in Reason
    if reason.kind is DEAD
} | {each.code: each for each in _OTHERS}


def cause_of(code: str) -> Cause:
    """The cause of that code; one of another release is shown as its code."""
    return CAUSES.get(code) or Cause(
        code, EVENT, code.replace("_", " "), "see docs/reference/reasons.md of that release"
    )


def field_of(code: str | None, detail: str | None) -> str | None:
    """The field at fault, None where neither the code nor the detail says so."""
    if code == FIELD_IN_DETAIL:
        found = re.match(FIELD, detail or "")
        return None if found is None else found[1]
    return None if code is None else cause_of(code).field
