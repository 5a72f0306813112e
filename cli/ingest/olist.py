"""Olist's public order history (a folder of CSVs) → our events, sorted by time.

What the files say is taken as it is: no time, payment or parcel is made up, and none is put right.
An order comes whole or not at all: one bad row leaves its order out, and both rows are told. So an
order that comes later, from a mended file, meets no half of itself under the same event ids.

The mapping, and what each oddity of the data becomes, is told in docs/howto/replay-olist.md.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cli.ingest.line_reader import BROKEN, BadLine, bounded, open_lines
from events.envelope import Envelope
from events.errors import OrdersError
from events.money import MoneyError, check

SOURCE = "olist"
CURRENCY = "BRL"
ZONE = "America/Sao_Paulo"
MAX_LINE_BYTES = 65_536
MAX_ID = 100  # characters; two of them and a type make an event id of at most 255

ORDERS = "olist_orders_dataset.csv"
ITEMS = "olist_order_items_dataset.csv"
PAYMENTS = "olist_order_payments_dataset.csv"
CUSTOMERS = "olist_customers_dataset.csv"
COLUMNS = {
    CUSTOMERS: (
        "customer_id", "customer_unique_id", "customer_zip_code_prefix", "customer_city",
        "customer_state",
    ),
    ORDERS: (
        "order_id", "customer_id", "order_status", "order_purchase_timestamp",
        "order_approved_at", "order_delivered_carrier_date", "order_delivered_customer_date",
    ),
    ITEMS: ("order_id", "order_item_id", "product_id", "seller_id", "price", "freight_value"),
    PAYMENTS: ("order_id", "payment_sequential", "payment_type", "payment_value"),
}  # fmt: skip
STATUSES = (
    "created", "approved", "invoiced", "processing", "shipped", "delivered", "canceled",
    "unavailable",
)  # fmt: skip
CALLED_OFF = ("canceled", "unavailable")

# The order of a life, which decides between events of the same second.
LIFE = (
    "OrderCreated", "PaymentSucceeded", "FulfillmentShipped", "FulfillmentDelivered",
    "OrderCanceled",
)  # fmt: skip
CREATED, PAID, SHIPPED, DELIVERED, CANCELED = range(len(LIFE))

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_AMOUNT = re.compile(r"\d{1,14}(\.\d{1,9})?", re.ASCII)
_COUNT = re.compile(r"\d{1,6}", re.ASCII)

# One event of an order: when, which step of LIFE, whose, and which payment or parcel of it.
Moment = tuple[datetime, int, str, int]


class OlistError(OrdersError):
    """The folder cannot be read as Olist's; the message names file, line and column."""

    code = "olist_unreadable"
    remedy = "Mend the file, or fetch it again; docs/howto/replay-olist.md says what is read."

    def __init__(self, file: str, message: str, line: int | None = None, column: str | None = None) -> None:
        self.reason = f"{column}: {message}" if column else message
        super().__init__(f"{file}{'' if line is None else f', line {line}'}: {self.reason}")
        self.file, self.line, self.column = file, line, column


@dataclass(frozen=True, slots=True)
class _Item:
    number: int
    product: str
    seller: str
    price: Decimal
    freight: Decimal


@dataclass(frozen=True, slots=True)
class _Payment:
    number: int
    method: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class _Customer:
    unique_id: str
    address: dict[str, str]


@dataclass(slots=True)
class _Order:
    line: int
    id: str
    status: str
    customer: _Customer
    purchased: datetime
    approved: datetime | None
    shipped: datetime | None
    delivered: datetime | None
    items: dict[int, _Item] = field(default_factory=dict)
    payments: dict[int, _Payment] = field(default_factory=dict)

    def paid_parts(self) -> list[_Payment]:
        return [self.payments[number] for number in sorted(self.payments)]

    def lines(self) -> list[_Item]:
        return [self.items[number] for number in sorted(self.items)]

    def parcels(self) -> list[tuple[str, list[_Item]]]:
        """Each seller with its items; a parcel of nobody's where the order has no item rows."""
        parcels: dict[str, list[_Item]] = {}
        for item in self.lines():
            parcels.setdefault(item.seller, []).append(item)
        return list(parcels.items()) or [("unknown", [])]

    def total(self) -> Decimal:
        """What was asked for: the items and their freight; without item rows, what was charged."""
        if self.items:
            return sum((item.price + item.freight for item in self.items.values()), Decimal())
        return sum((payment.amount for payment in self.payments.values()), Decimal())


def read(folder: Path) -> Iterator[Envelope | BadLine]:
    """First the bad rows, then every event, sorted by time.

    Memory: the rows of the folder, about 1 KB an order; the events are made one by one.
    Errors: OlistError where a file or a column is missing, or the time zone.
    """
    orders, bad = _Loader(folder, _zone()).load()
    yield from bad
    for moment in sorted(moment for order in orders.values() for moment in _moments(order)):
        yield _event(orders[moment[2]], moment)


# ---------------------------------------------------------------- an order → events


def _moments(order: _Order) -> Iterator[Moment]:
    """When an order's events happened. A step whose time is not recorded gives none."""
    yield order.purchased, CREATED, order.id, 0
    if order.approved:
        for part in range(len(order.payments)):
            yield order.approved, PAID, order.id, part
    for time, step in ((order.shipped, SHIPPED), (order.delivered, DELIVERED)):
        if time:
            for part in range(len(order.parcels())):
                yield time, step, order.id, part
    if order.status in CALLED_OFF:
        known = (order.purchased, order.approved, order.shipped, order.delivered)
        last = max(time for time in known if time)
        yield last + timedelta(seconds=1), CANCELED, order.id, 0


def _event(order: _Order, moment: Moment) -> Envelope:
    time, step, _, part = moment
    kind = LIFE[step]
    if step == CREATED:
        return _envelope(order, f"{order.id}:{kind}", kind, time, _created(order))
    if step == CANCELED:
        return _envelope(order, f"{order.id}:{kind}", kind, time, {"reason": order.status})
    if step == PAID:
        payment = order.paid_parts()[part]
        data: dict[str, Any] = {
            "paymentId": f"{order.id}:{payment.number}",
            "amount": _money(payment.amount),
            "currency": CURRENCY,
            "paymentMethod": payment.method,
        }
        return _envelope(order, f"{order.id}:{kind}:{payment.number}", kind, time, data)
    seller, items = order.parcels()[part]
    data = {"fulfillment": f"{order.id}:{seller}"}
    if items:
        data["items"] = [{"item": f"{order.id}:{item.number}", "quantity": 1} for item in items]
    return _envelope(order, f"{order.id}:{kind}:{seller}", kind, time, data)


def _envelope(order: _Order, event_id: str, kind: str, time: datetime, data: dict[str, Any]) -> Envelope:
    return Envelope(id=event_id, source=SOURCE, type=kind, time=time, subject=order.id, data=data)


def _created(order: _Order) -> dict[str, Any]:
    data: dict[str, Any] = {
        "items": [
            {
                "item": f"{order.id}:{item.number}",
                "product": item.product,
                "quantity": 1,
                "unitPrice": _money(item.price),
            }
            for item in order.lines()
        ],
        "totalAmount": _money(order.total()),
        "currency": CURRENCY,
        "customer": order.customer.unique_id,
        "paymentIds": [f"{order.id}:{payment.number}" for payment in order.paid_parts()],
        "shippingAddress": order.customer.address,
    }
    if order.items:  # else the freight is unknown, not 0
        freight = sum((item.freight for item in order.items.values()), Decimal())
        data["shippingAmount"] = _money(freight)
    return data


def _money(amount: Decimal) -> str:
    return format(amount, ".2f")  # exact: no row has more decimals


# ---------------------------------------------------------------- rows → orders


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of a CSV; its cells are checked as they are asked for, OlistError at the first."""

    file: str
    line: int
    cells: dict[str, str]  # what could be read, for naming the order that the row belongs to
    fault: str | None

    def check(self) -> None:
        if self.fault:
            raise OlistError(self.file, self.fault, self.line)

    def error(self, column: str, message: str) -> OlistError:
        return OlistError(self.file, message, self.line, column)

    def text(self, column: str) -> str:
        value = self.cells[column].strip()
        if not value or len(value) > MAX_ID or not value.isprintable():
            raise self.error(column, f"{_shown(value)} is no text of 1 to {MAX_ID} characters")
        return value

    def number(self, column: str) -> int:
        value = self.cells[column].strip()
        if not _COUNT.fullmatch(value):
            raise self.error(column, f"{_shown(value)} is no whole number such as 1")
        return int(value)

    def amount(self, column: str) -> Decimal:
        value = self.cells[column].strip()
        if not _AMOUNT.fullmatch(value):
            raise self.error(column, f"{_shown(value)} is no amount such as 35.90")
        try:
            return check(Decimal(value), CURRENCY)
        except MoneyError as error:
            raise self.error(column, f"{error}; give the amount as it was charged") from None

    def time(self, column: str, zone: ZoneInfo) -> datetime:
        """Local time as UTC. Of an hour that came twice, the first is meant; a time that the clocks
        skipped keeps its distance to the midnight before."""
        value = self.cells[column].strip()
        try:
            if _TIME.fullmatch(value):
                return datetime.fromisoformat(value).replace(tzinfo=zone).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise self.error(column, f"{_shown(value)} is no time such as 2018-06-12 20:07:44")

    def time_or_none(self, column: str, zone: ZoneInfo) -> datetime | None:
        return self.time(column, zone) if self.cells[column].strip() else None


class _Loader:
    """The four files as orders, and the rows that could not be taken."""

    def __init__(self, folder: Path, zone: ZoneInfo) -> None:
        self.paths = _find(folder)
        self.zone = zone
        self.bad: list[BadLine] = []
        self.customers: dict[str, _Customer] = {}
        self.orders: dict[str, _Order] = {}
        self.refused: dict[str, str] = {}  # order → the row that keeps it out

    def load(self) -> tuple[dict[str, _Order], list[BadLine]]:
        for file, take in (
            (CUSTOMERS, self._customer),
            (ORDERS, self._order),
            (ITEMS, self._item),
            (PAYMENTS, self._payment),
        ):
            for row in _rows(self.paths[file], file):
                try:
                    row.check()
                    take(row)
                except OlistError as error:
                    self.bad.append(BadLine(self.paths[file].name, row.line, error.reason))
                    if order_id := row.cells.get("order_id", "").strip():
                        self.refused.setdefault(order_id, f"{file}, line {row.line}")
        self._leave_out()
        return self.orders, self.bad

    def _customer(self, row: _Row) -> None:
        customer_id = row.text("customer_id")
        if customer_id in self.customers:
            raise row.error("customer_id", f"{customer_id} stands twice; keep one row")
        place = f"{row.text('customer_city')}, {row.text('customer_state')}"
        # A table program took the leading zeros of São Paulo's codes; a prefix has five digits.
        address = {"postalCode": row.text("customer_zip_code_prefix").zfill(5), "address1": place}
        self.customers[customer_id] = _Customer(row.text("customer_unique_id"), address)

    def _order(self, row: _Row) -> None:
        order_id = row.text("order_id")
        if order_id in self.orders:
            raise row.error("order_id", f"{order_id} stands twice; keep one row")
        customer_id, status = row.text("customer_id"), row.text("order_status")
        if customer_id not in self.customers:
            remedy = f"has no good row in {CUSTOMERS}; mend or add it"
            raise row.error("customer_id", f"{customer_id} {remedy}")
        if status not in STATUSES:
            raise row.error("order_status", f"{status} is unknown; use {', '.join(STATUSES)}")
        self.orders[order_id] = _Order(
            line=row.line,
            id=order_id,
            status=status,
            customer=self.customers[customer_id],
            purchased=row.time("order_purchase_timestamp", self.zone),
            approved=row.time_or_none("order_approved_at", self.zone),
            shipped=row.time_or_none("order_delivered_carrier_date", self.zone),
            delivered=row.time_or_none("order_delivered_customer_date", self.zone),
        )

    def _item(self, row: _Row) -> None:
        if (order := self._owner(row)) is None:
            return
        number = row.number("order_item_id")
        if number in order.items:
            raise row.error("order_item_id", f"{number} stands twice in {order.id}; keep one row")
        order.items[number] = _Item(
            number,
            row.text("product_id"),
            row.text("seller_id"),
            row.amount("price"),
            row.amount("freight_value"),
        )

    def _payment(self, row: _Row) -> None:
        if (order := self._owner(row)) is None:
            return
        number, column = row.number("payment_sequential"), "payment_sequential"
        if number in order.payments:
            raise row.error(column, f"{number} stands twice in {order.id}; keep one row")
        order.payments[number] = _Payment(number, row.text("payment_type"), row.amount("payment_value"))

    def _owner(self, row: _Row) -> _Order | None:
        """The row's order; None where that is left out already, and told."""
        order_id = row.text("order_id")
        if order_id not in self.orders and order_id not in self.refused:
            raise row.error("order_id", f"{order_id} has no row in {ORDERS}; add it or drop this")
        return self.orders.get(order_id)

    def _leave_out(self) -> None:
        for order_id, where in self.refused.items():
            if order := self.orders.pop(order_id, None):
                reason = f"order {order_id} is left out for {where}; mend that, then ingest again"
                self.bad.append(BadLine(self.paths[ORDERS].name, order.line, reason))


# ---------------------------------------------------------------- files → rows


def _find(folder: Path) -> dict[str, Path]:
    """Each file, plain or .gz; OlistError names all that are missing."""
    paths = {
        file: path
        for file in COLUMNS
        for path in (folder / f"{file}.gz", folder / file)  # the last wins: plain before packed
        if path.is_file()
    }
    if missing := [file for file in COLUMNS if file not in paths]:
        wanted = f"no {', no '.join(missing)} (nor .gz); the folder needs all four of Olist's files"
        raise OlistError(str(folder), wanted)
    return paths


def _rows(path: Path, file: str) -> Iterator[_Row]:
    """The rows of one CSV, a row per line: in these files no cell holds a line end, so a stray
    quote costs its own line and no other."""
    header: list[str] | None = None
    try:
        with open_lines(path) as stream:
            for line, raw in bounded(stream, MAX_LINE_BYTES):
                cells, fault = _split(raw)
                if header is None:
                    header = _header(path, file, cells)
                elif fault or cells:
                    if not fault and len(cells) != len(header):
                        fault = f"has {len(cells)} cells; the header has {len(header)}"
                    yield _Row(path.name, line, dict(zip(header, cells, strict=False)), fault)
    except BROKEN as error:
        raise OlistError(path.name, f"is broken ({error}); fetch the file again") from None
    if header is None:
        raise OlistError(path.name, "is empty; fetch the file again")


def _split(raw: bytes | None) -> tuple[list[str], str | None]:
    """One line's cells, none for a blank one, and what is wrong with it."""
    if raw is None:
        return [], f"is longer than {MAX_LINE_BYTES} bytes; mend or drop it"
    fault = None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        text, fault = raw.decode(errors="replace"), f"byte {error.start + 1} is no UTF-8; mend it"
    try:
        return next(csv.reader([text], strict=True), []), fault
    except csv.Error as error:
        return [text.partition(",")[0].strip('"')], fault or f"is no CSV ({error}); mend it"


def _header(path: Path, file: str, cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    if missing := [column for column in COLUMNS[file] if column not in header]:
        message = "is missing in the header; name the columns as Olist does"
        raise OlistError(path.name, message, 1, ", ".join(missing))
    return header


def _zone() -> ZoneInfo:
    try:
        return ZoneInfo(ZONE)
    except ZoneInfoNotFoundError:
        remedy = "the orders' times are local to it; `pip install tzdata`, or the system's"
        raise OlistError(ZONE, f"this Python knows no such time zone; {remedy}") from None


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:39] + "…")
