"""Lives that contradict themselves: one more thing is told that cannot be true beside what was told already.

Which of the two counts may depend on which came first, and the design says of some that it does. So nothing is expected of
how such a life ends; of its money it must hold all the same that nobody gives back more than there is.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.scenario_generator.choices import Choices
from tests.scenario_generator.goods import written
from tests.scenario_generator.life import Life, Pen

SAID = "261231"  # of ids: no event of the life itself has it


def contradicted(life: Life, choices: Choices) -> Life:
    """The same life with one contradiction, named in `contradictions`; the life itself where none fits it."""
    fitting = [kind for kind in _KINDS if _KINDS[kind](life) is not None]
    if not fitting:
        return life
    kind = choices.pick(fitting)
    told = _KINDS[kind](life)
    assert told is not None
    pen = Pen(choices, f"{life.order}-{SAID}")
    at = max(event.time for event in life.events) + timedelta(seconds=choices.pick((-3600, 0, 1, 3600)))
    event = replace(pen.tell(told[0], told[1], source="shop", at=at), subject=life.order)
    return replace(life, events=[*life.events, event], contradictions=frozenset((kind,)))


Told = tuple[str, dict[str, Any]] | None  # an event's type and data, None where it would contradict nothing


def _rejected_though_completed(life: Life) -> Told:
    done = [name for name, one in life.expected["returns"].items() if one["status"] == "completed"]
    return ("ReturnRejected", {"return": done[0]}) if done else None


def _completed_though_rejected(life: Life) -> Told:
    refused = [name for name, one in life.expected["returns"].items() if one["status"] == "rejected"]
    return ("ReturnCompleted", {"return": refused[0]}) if refused else None


def _canceled_though_delivered(life: Life) -> Told:
    arrived = any(one["status"] == "delivered" for one in life.expected["fulfillments"].values())
    return ("OrderCanceled", {}) if arrived and life.expected["status"] != "canceled" else None


def _shipped_though_canceled(life: Life) -> Told:
    canceled = life.expected["status"] == "canceled" and life.events[0].data["items"]
    return ("FulfillmentShipped", {"fulfillment": f"box-{SAID}"}) if canceled else None


def _ordered_twice(life: Life) -> Told:
    data = life.events[0].data
    dearer = {name: written(Decimal(data.get(name, "0")) + 1) for name in ("totalAmount", "shippingAmount")}
    return ("OrderCreated", {**data, **dearer})


def _paid_in_another_currency(life: Life) -> Told:
    currency = life.events[0].data.get("currency", "KRW")
    payments = sorted(life.expected["transactions"])
    other = {"amount": "7", "currency": "USD" if currency != "USD" else "KRW"}
    return ("PaymentSucceeded", {"paymentId": payments[0], **other}) if payments else None


def _more_came_back_than_was_ordered(life: Life) -> Told:
    lines = life.events[0].data["items"]
    if not lines:
        return None
    much = [{"item": lines[0]["item"], "quantity": int(lines[0]["quantity"]) + 1}]
    return ("ReturnRequested", {"return": f"ret-{SAID}", "reason": "other", "items": much})


_KINDS = {
    "a return rejected though it was completed": _rejected_though_completed,
    "a return completed though it was rejected": _completed_though_rejected,
    "canceled though it was delivered": _canceled_though_delivered,
    "shipped though it was canceled": _shipped_though_canceled,
    "ordered twice": _ordered_twice,
    "paid in another currency": _paid_in_another_currency,
    "more came back than was ordered": _more_came_back_than_was_ordered,
}
CONTRADICTIONS = frozenset(_KINDS)
