"""A new order: the event that places it, and the order that a repeated request finds."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from api.commands.request_models import OrderedProduct, OrderProduct, ShippingAddress, Terms
from api.commands.write_endpoint import Document
from api.commands.written_documents import document
from api.errors import ApiError, validation_error
from domain.movements import plain
from domain.order import Status
from events.envelope import Envelope
from events.money import MoneyError, check
from journal.batch import Clash
from journal.commands import Refused, Request, Step
from queries.parser import Query
from queries.repository import find_order

CREATED = "Order successfully created."

# The order of a number, and the event that created it: the first that was applied.
_PLACED = text(f"""
    select o.id, j.type, j.version, j.time, j.digest from orders o
    join results r on r.order_id = o.id and r.apply_number = 1 join journal j using (seq)
    where o.order_number = :number and o.status <> '{Status.NEW}'
""")


def body_of(
    terms: Terms,
    lines: Sequence[OrderProduct],
    address: ShippingAddress | None,
    total: Decimal | None,
    currency: str,
    customer: str | None,
) -> dict[str, Any]:
    """The data of OrderCreated: one body for all requests that mean the same.

    Errors: ApiError 400 where amounts do not add up (`total` None: they need not), or are none of `currency`.
    """
    goods = sum((line.quantity * line.unitPrice for line in lines), Decimal(0))
    tax = terms.taxAmount or Decimal(0)
    comes_to = goods + terms.shippingAmount + tax - terms.discountAmount
    taxes = [(number, line.taxAmount) for number, line in enumerate(lines) if isinstance(line, OrderedProduct)]
    amounts = [
        *((f"orderProducts.{number}.unitPrice", line.unitPrice) for number, line in enumerate(lines)),
        ("shippingAmount", terms.shippingAmount),
        ("discountAmount", terms.discountAmount),
        ("taxAmount", tax),
        *((f"orderProducts.{number}.taxAmount", amount) for number, amount in taxes if amount is not None),
        ("totalAmount", comes_to if total is None else total),
    ]
    faults = [(path, fault) for path, amount in amounts if (fault := _fault(amount, currency))]
    if not faults and total is not None and total != comes_to:
        taxed = "" if terms.taxAmount is None else f" + {plain(tax)}"
        named = "goods + shipping − discount" if terms.taxAmount is None else "goods + shipping + tax − discount"
        sums = f"{plain(goods)} + {plain(terms.shippingAmount)}{taxed} − {plain(terms.discountAmount)}"
        faults = [("totalAmount", f"is {plain(total)}, but the {named} are {sums} = {plain(comes_to)}; send that")]
    if not faults and sum((amount for _, amount in taxes if amount is not None), Decimal(0)) > tax:
        faults = [
            ("taxAmount", f"is {plain(tax)}, less than the lines' taxAmount together; it holds them and shipping's")
        ]
    if terms.provider is not None and terms.paymentId is None:
        faults.append(("provider", "says who takes paymentId, which is not sent; send both, or neither"))
    if not faults and comes_to < 0:
        faults = [("discountAmount", f"{plain(terms.discountAmount)} is more than the goods and their shipping cost")]
    if faults:
        raise validation_error(faults)
    data = {
        "items": [_line(line) for line in lines],
        "totalAmount": plain(comes_to),
        "currency": currency,
        "discountCode": terms.discountCode,
        "discountAmount": plain(terms.discountAmount),
        "shippingAmount": plain(terms.shippingAmount),
        "taxAmount": None if terms.taxAmount is None else plain(terms.taxAmount),  # left out, or no repeat is the same
        "customer": customer,
        "customerSnapshot": terms.customerSnapshot.model_dump(exclude_none=True),
        "shippingAddress": address and address.model_dump(exclude_none=True),
        "paymentIds": [terms.paymentId] if terms.paymentId is not None else [],
        "provider": terms.provider,
        "notes": terms.notes,
    }
    return {name: value for name, value in data.items() if value is not None}


def placed(request: Request, number: str) -> Any | None:
    """The known facts of the order of that number, or None if nobody placed one."""
    return request.conn.execute(_PLACED, {"number": number}).one_or_none()


def again(request: Request, known: Any, number: str, data: dict[str, Any], depth: int) -> Document:
    """The order that was `placed` before. ApiError 409 order_number_taken where that was by another body."""
    same = Envelope("", "", known.type, known.time, number, data, known.version)
    if same.digest() != bytes(known.digest):
        raise number_taken(number)
    return document(request, "orders", known.id, depth)


def place(request: Request, number: str, data: dict[str, Any], depth: int) -> Document:
    """A new order. Clash where a rival has placed it since we looked: by the same body, maybe."""
    try:
        request.append(Step("OrderCreated", number, data))
    except Refused as refusal:
        if refusal.reason == "order_number_taken":
            raise Clash(str(refusal)) from refusal
        raise
    made = find_order(request.conn, number, Query(depth=depth))
    if made is None:
        raise LookupError(f"order {number} is gone within its own transaction")
    return made


def number_taken(number: str) -> ApiError:
    """409: another order has this number."""
    return ApiError(
        409, f"orderNumber {number}: another order has this number; make a new one", name="order_number_taken"
    )


def _line(line: OrderProduct) -> dict[str, Any]:
    found = {**line.model_dump(exclude={"unitPrice"}), "unitPrice": plain(line.unitPrice)}
    if found.get("taxAmount") is not None:
        found["taxAmount"] = plain(found["taxAmount"])
    return {name: value for name, value in found.items() if value is not None}


def _fault(amount: Decimal, currency: str) -> str | None:
    try:
        check(amount, currency)
    except MoneyError as error:
        return str(error)
    return None
