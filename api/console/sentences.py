"""Events as sentences: what happened, with its money and its place, in the language of the page.

A sentence is a text with {places} for values; what stands in [brackets] is said only where all its values are there. Its
English is the key of the table of words. A type that has none is told by its name; a test asks for one per type of the
catalogue, so a new event brings its line here and its Korean in `korean_domain`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from api.console.render import money_of
from api.console.words import Teller

SENTENCES: dict[str, str] = {
    "OrderCreated": "The order was placed[ for {totalAmount}][, with payment {paymentIds}]",
    "PaymentPending": "Payment {paymentId} is under way: {kind}[, {amount}][, until {until}]",
    "PaymentSucceeded": "{amount} came by payment {paymentId}[ ({paymentMethod})][, taken by {provider}]",
    "PaymentFailed": "Payment {paymentId} failed[: {message}][ ({code})]",
    "PaymentCanceled": "Payment {paymentId} was given up[: {message}][ ({code})]",
    "PaymentReversed": "A bank took payment {paymentId} back[: {reason}]",
    "PaymentRefunded": "Of payment {paymentId} money went back[: {amount}][, {refundedAmount} in all][, refund {refund}][ ({status})]",
    "RefundFailed": "Refund {refund} of payment {paymentId} did not arrive[: {amount}][, {message}][ ({code})]",
    "PaymentDisputed": "The payer's bank asks about payment {paymentId}[: {amount}][, {reason}][, outcome: {outcome}]",
    "OrderAccepted": "{amount} were accepted as enough[ by {by}][: {reason}]",
    "RefundRequested": "{amount} were to go back[, for {reason}][, asked for by {by}]",
    "RefundSettled": "Refund {refund} was paid back by hand, by {method}[: {amount}][, noted by {by}]",
    "RefundAllocated": "Refund {refund} was allocated: {reason}[, by {by}]",
    "OrderCanceled": "A cancel was asked for[ by {by}][: {reason}]",
    "OrderConfirmed": "What was delivered was confirmed[ by {by}][: {reason}]",
    "OrderExpired": "Nobody had paid in time[: {reason}]",
    "ItemsCanceled": "Items were canceled: {items}[, by {by}][, {refundAmount} go back][: {reason}]",
    "OrderHeld": "The order was held: {hold}[, by {by}][, until {until}][: {reason}]",
    "OrderEdited": "The order was edited[ by {by}][, customer: {customer}][: {reason}]",
    "OrderReleased": "The hold {hold} was released[ by {by}][: {reason}]",
    "FulfillmentCreated": "Parcel {fulfillment} was planned[ with {items}][, {carrier}][ {trackingNumber}]",
    "FulfillmentPacked": "Parcel {fulfillment} was packed[ with {items}]",
    "FulfillmentShipped": "Parcel {fulfillment} left[ with {carrier}][, number {trackingNumber}][: {items}]",
    "FulfillmentDelivered": "Parcel {fulfillment} arrived[: {items}]",
    "FulfillmentFailed": "Parcel {fulfillment} will not arrive[: {reason}]",
    "FulfillmentTrackingChanged": "Parcel {fulfillment} has another carrier and number: {carrier} {trackingNumber}",
    "FulfillmentCorrected": "Parcel {fulfillment} was corrected: {status}[, by {by}][: {reason}]",
    "TrackingUpdated": "{carrier} scanned {trackingNumber}: {status}[ in {location}][, {description}]",
    "ReturnRequested": "Return {return} was asked for: {reason}[, {items}]",
    "ReturnTrackingChanged": "Return {return} is brought back by {carrier}, number {trackingNumber}",
    "ReturnApproved": "Return {return} was approved[ by {by}]",
    "ReturnRejected": "Return {return} was rejected[ by {by}]",
    "ReturnProcessingStarted": "Return {return} is being worked on[ by {by}]",
    "ReturnReceived": "What return {return} sends back has arrived[, noted by {by}]",
    "ReturnCompleted": "Return {return} came back[ with {items}][, {refundAmount} go back]",
}
_MONEY = frozenset(("totalAmount", "amount", "refundedAmount", "refundAmount"))
_WORDS = frozenset(("status", "kind", "outcome"))  # of closed sets: told in the page's language
_REASONED = frozenset(("RefundRequested", "RefundAllocated", "ReturnRequested"))  # whose reason is of a closed set
_PART = re.compile(r"\[([^\]]*)\]")
_PLACE = re.compile(r"\{(\w+)\}")
MOST_ITEMS = 5
LONGEST = 300  # characters of one value


def sentence(tell: Teller, kind: str, data: Mapping[str, Any], currency: str | None) -> str:
    """The sentence of an event of that type and body; money without a currency of its own is of `currency`."""
    template = SENTENCES.get(kind)
    if template is None:
        return kind
    values = _values(tell, kind, data, currency)
    pieces = [_fill(piece, values) for piece in _PART.split(tell(template))]  # outside of brackets, inside, outside …
    if None in pieces[::2]:  # what must be said is not there: a dead event may lack anything
        return f"{kind}: {', '.join(f'{name} {value}' for name, value in values.items())}"
    return "".join(piece or "" for piece in pieces)


def _values(tell: Teller, kind: str, data: Mapping[str, Any], currency: str | None) -> dict[str, str]:
    found = {}
    for name, value in data.items():
        if value in (None, "", [], {}):
            continue
        if name in _MONEY:
            text = _money(value, str(data.get("currency") or currency or ""))
        elif name == "items":
            text = _items(value)
        elif name in _WORDS or (name == "reason" and kind in _REASONED):
            text = tell(str(value))
        elif isinstance(value, list):
            text = ", ".join(map(str, value[:MOST_ITEMS]))
        else:
            text = str(value)
        found[name] = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return found


def _fill(template: str, values: Mapping[str, str]) -> str | None:
    """The template with its values, None where one is missing. Values are put in at once: none is read as a template."""
    if not all(name in values for name in _PLACE.findall(template)):
        return None
    return _PLACE.sub(lambda place: values[place[1]], template)


def _money(value: Any, currency: str) -> str:
    try:
        return money_of(value, currency)
    except ArithmeticError:  # a dead event may say anything
        return str(value)


def _items(value: Any) -> str:
    """`2 × mug, 1 × tea` of an event's list of items."""
    lines = [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
    told = [
        f"{each.get('quantity', '?')} × {each.get('item') or each.get('product', '?')}" for each in lines[:MOST_ITEMS]
    ]
    return ", ".join(told) + (f" … ({len(lines)})" if len(lines) > MOST_ITEMS else "")
