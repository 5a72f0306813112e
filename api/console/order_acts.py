"""The table of what an operator may do to an order: each act with its fields, and one way for all: preview, then do.

To add an act, add a row to ACTS (or REFUND_ACTS): its name, words, fields, and a function that does it to the locked order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from api.console.session import Form
from api.console.times import moment_if_told
from api.console.words import word
from domain.balance import balance
from domain.holds import holds
from domain.ids import format_id
from domain.order import BEFORE_PAYMENT, Order, OrderItem
from domain.permitted_transitions import order_statuses
from events.errors import OrdersError
from events.field_types import Allocation, Amount, FulfillmentStatus, GrantReason, Moment, Name, said
from journal.commands import Request, Step
from operations import acts, corrections, parcel_corrections, refund_decisions

_AMOUNT: TypeAdapter[Decimal] = TypeAdapter(Amount)
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
_NAME: TypeAdapter[str] = TypeAdapter(Name)


class FieldRefused(OrdersError, ValueError):
    """A field of a form in the console holds what cannot be taken; nothing was changed."""

    code = "console_field"
    remedy = "Correct the field that the message names, and send the form again."
    status = 400

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}. Nothing was changed")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an act's form."""

    name: str
    label: str
    kind: str = "text"  # text, amount, moment, choice, items, parcel
    required: bool = False
    choices: tuple[str, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that may be done: `fits` says to which orders, `run` does it to the locked one."""

    name: str
    title: str
    about: str
    fields: tuple[Field, ...]
    run: Callable[[Request, Order, Form, str], object]
    fits: Callable[[Order], bool]


REASON = Field("reason", word("Why, for the timeline"))


def _hold(request: Request, order: Order, form: Form, by: str) -> None:
    name = _parsed(_NAME, "hold", form.get("hold") or "staff")
    until = _optional(_MOMENT, "until", form)
    step = corrections.hold(request, order, name, by=by, reason=_reason(form), until=until)
    corrections.apply(request, order, step, by)


def _release(request: Request, order: Order, form: Form, by: str) -> None:
    step = corrections.release(request, order, form.get("hold") or None, by=by, reason=_reason(form))
    corrections.apply(request, order, step, by)


def _cancel_items(request: Request, order: Order, form: Form, by: str) -> None:
    amount = _optional(_AMOUNT, "refund", form)
    lines = _lines(order, form)
    step = corrections.cancel_items(request, order, lines, by=by, reason=_reason(form), refund_amount=amount)
    corrections.apply(request, order, step, by)


def _cancel(request: Request, order: Order, form: Form, by: str) -> None:
    reason = acts.reason_if_said(form.get("reason"))
    step = Step("OrderCanceled", order.order_number, {"by": by, **({"reason": reason} if reason else {})})
    corrections.apply(request, order, step, by)


def _correct(request: Request, order: Order, form: Form, by: str) -> None:
    name = form.get("parcel")
    parcel = next((each for each in order.fulfillments if parcel_corrections.name_of(each) == name), None)
    if parcel is None:
        raise FieldRefused("parcel", f"the order has no parcel {name[:100]!r}")
    status = _choice("status", form, get_args(FulfillmentStatus))
    step = parcel_corrections.correct(request, order, parcel, status, by=by, reason=_reason(form))
    corrections.apply(request, order, step, by)


def _refund(request: Request, order: Order, form: Form, by: str) -> None:
    amount = _parsed(_AMOUNT, "amount", form.get("amount"))
    reason = _choice("purpose", form, get_args(GrantReason))
    refund_decisions.ask(request, order, amount, reason, by=by, note=_reason(form))


def _accept(request: Request, order: Order, form: Form, by: str) -> None:
    refund_decisions.accept(request, order, _optional(_AMOUNT, "amount", form), _reason(form), by=by)


ACTS: tuple[Act, ...] = (
    Act(
        "hold", word("Hold it"), word("Nothing more of it ships until the hold is released."),
        (Field("hold", word("Name of the hold"), hint="staff"), Field("until", word("Until (UTC)"), "moment"), REASON),
        _hold, lambda order: order.canceled_at is None,
    ),
    Act(
        "release", word("Release a hold"), word("What is paid may ship again."),
        (Field("hold", word("Name of the hold")), REASON), _release, lambda order: bool(holds(order)),
    ),
    Act(
        "cancel-items", word("Cancel items"), word("Takes items out that are in no parcel; their share goes back."),
        (Field("items", word("How many of each"), "items"), Field("refund", word("Amount that goes back, else their share"), "amount"), REASON),
        _cancel_items, lambda order: order.canceled_at is None and bool(order.open_shares()),
    ),
    Act(
        "cancel", word("Cancel the order"), word("All of it; what was captured goes back."), (REASON,),
        _cancel, lambda order: "canceled" in order_statuses(order),
    ),
    Act(
        "correct", word("Correct where a parcel stands"), word("Says where it is in truth; what was told of it until then counts no more."),
        (Field("parcel", word("Parcel"), "parcel", required=True),
         Field("status", word("Where it stands"), "choice", required=True, choices=get_args(FulfillmentStatus)), REASON),
        _correct, lambda order: order.canceled_at is None and bool(order.fulfillments),
    ),
    Act(
        "refund", word("Give money back"), word("Without a return; at most what was captured and is not due back already."),
        (Field("amount", word("Amount"), "amount", required=True),
         Field("purpose", word("For"), "choice", required=True, choices=get_args(GrantReason)),
         Field("reason", word("Note"))),
        _refund, lambda order: balance(order).captured > 0,
    ),
    Act(
        "accept", word("Accept what was paid"), word("Takes an underpayment as enough; the rest is written off."),
        (Field("amount", word("Amount that is enough, else what was captured"), "amount"), REASON),
        _accept, lambda order: order.status in BEFORE_PAYMENT and 0 < order.captured() < order.price(),
    ),
)  # fmt: skip


# -- of one refund ---------------------------------------------------------------------------------------------


def _on_refund(decide: Callable[..., Any]) -> Callable[[Request, Order, Form, str], object]:
    return lambda request, order, form, by: decide(request, form.get("refund"), by=by)


def _settle(request: Request, order: Order, form: Form, by: str) -> None:
    method = _parsed(_NAME, "method", form.get("method"))
    refund_decisions.settle(request, form.get("refund"), method, by=by, note=_reason(form))


def _allocate(request: Request, order: Order, form: Form, by: str) -> None:
    reason = _choice("purpose", form, get_args(Allocation))
    refund_decisions.allocate(request, form.get("refund"), reason, by=by)


def _always(order: Order) -> bool:
    return True


REFUND_ACTS: tuple[Act, ...] = (
    Act("retry-refund", word("Try it again"), word("A new attempt; the provider is asked first what went back."), (),
        _on_refund(refund_decisions.retry), _always),
    Act("release-refund", word("Let it go out"), word("It waits for a person, as under a dispute."), (),
        _on_refund(refund_decisions.release), _always),
    Act("settle-refund", word("Paid back by hand"), word("Notes that it was paid back past the provider."),
        (Field("method", word("How"), required=True, hint="bank transfer"), Field("reason", word("Note"))), _settle, _always),
    Act("allocate-refund", word("Say what it was for"), word("For a refund that somebody made at the provider."),
        (Field("purpose", word("For"), "choice", required=True, choices=get_args(Allocation)),), _allocate, _always),
)  # fmt: skip
BY_NAME = {act.name: act for act in (*ACTS, *REFUND_ACTS)}


# -- values of forms ---------------------------------------------------------------------------------------------


def _lines(order: Order, form: Form) -> list[tuple[OrderItem, int]]:
    """The items that are to be canceled, out of fields `item ID`. Errors: FieldRefused."""
    found = []
    for item in order.items:
        told = form.get(f"item {format_id('order-items', item.id)}")
        if told and told != "0":
            if not told.isascii() or not told.isdigit() or len(told) > 9:
                raise FieldRefused(corrections.name_of_item(item), f"{told!r} is no number of items")
            found.append((item, int(told)))
    if not found:
        raise FieldRefused("items", "say how many of at least one item")
    return found


def _reason(form: Form) -> str | None:
    return acts.reason_if_said(form.get("reason"))


def _optional(kind: TypeAdapter[Any], name: str, form: Form) -> Any:
    told = form.get(name)
    if told and kind is _MOMENT and (moment := moment_if_told(told)) is not None:
        told = moment.isoformat()
    return _parsed(kind, name, told) if told else None


def _choice(name: str, form: Form, known: tuple[str, ...]) -> str:
    told = form.get(name)
    if told not in known:
        raise FieldRefused(name, f"{told!r} is none of {', '.join(known)}")
    return told


def _parsed(kind: TypeAdapter[Any], name: str, told: str) -> Any:
    """The value of a field, by the rules of the events' fields. Errors: FieldRefused."""
    try:
        return kind.validate_strings(told)
    except ValidationError as error:
        raise FieldRefused(name, f"{said(error.errors()[0])}; it was {told[:100]!r}") from None
