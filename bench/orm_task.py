"""(a) What most teams build: a Celery task per event, a SQLAlchemy session per task, a model per table.

    celery -A bench.orm_task worker

An event is applied in one transaction under its order's row lock, and remembered there by its source and
id, so that a repeated delivery changes nothing. One that comes too early is tried again by Celery.
Relationships load when they are needed. Everything below is meant to be good code of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from celery import Task
from sqlalchemy import Engine, ForeignKey, UniqueConstraint, create_engine, make_url, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.types import DateTime
from uuid_utils.compat import uuid7

from bench.baseline_app import RETRY_S, TRIES, TooEarly, celery_app, database_url

app = celery_app("naive")

# event → (from, to) of the order where the event alone decides; the rest hangs on its parts
STEPS = {
    "PaymentSucceeded": ({"pending", "failed"}, "paid"),
    "FulfillmentCreated": ({"paid", "preparing"}, "preparing"),
    "FulfillmentShipped": ({"preparing"}, "shipped"),
    "FulfillmentDelivered": ({"preparing", "shipped"}, "delivered"),
    "OrderConfirmed": ({"delivered"}, "confirmed"),
    "ReturnRequested": ({"delivered", "confirmed"}, "return_processing"),
}


# -- models ------------------------------------------------------------------------------------------------


class Base(DeclarativeBase):
    """The base of all models."""

    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB}  # noqa: RUF012 -- SQLAlchemy's


class Order(Base):
    """An order; its parts are loaded when they are needed."""

    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    number: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(default="pending")
    currency: Mapped[str]
    total_amount: Mapped[Decimal]
    customer: Mapped[str | None]
    customer_snapshot: Mapped[dict[str, Any] | None]
    shipping_address: Mapped[dict[str, Any] | None]
    placed_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    items: Mapped[list[Item]] = relationship(order_by="Item.name")
    transactions: Mapped[list[Transaction]] = relationship()
    fulfillments: Mapped[list[Fulfillment]] = relationship()
    returns: Mapped[list[Return]] = relationship()


class Item(Base):
    """A line of an order."""

    __tablename__ = "items"
    __table_args__ = (UniqueConstraint("order_id", "name"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"))
    name: Mapped[str]
    product: Mapped[str]
    option: Mapped[str | None]
    quantity: Mapped[int]
    unit_price: Mapped[Decimal]
    shipped_quantity: Mapped[int] = mapped_column(default=0)
    delivered_quantity: Mapped[int] = mapped_column(default=0)
    returned_quantity: Mapped[int] = mapped_column(default=0)


class Transaction(Base):
    """A payment, and what is to go back of it."""

    __tablename__ = "transactions"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), index=True)
    payment_id: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(default="pending")
    amount: Mapped[Decimal]
    refund_target: Mapped[Decimal] = mapped_column(default=Decimal(0))
    provider: Mapped[str | None]
    payment_method: Mapped[str | None]
    paid_at: Mapped[datetime | None]


class Fulfillment(Base):
    """A parcel, or (without a name) the plan for what no parcel holds yet."""

    __tablename__ = "fulfillments"
    __table_args__ = (UniqueConstraint("order_id", "name"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"))
    name: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="pending")
    carrier: Mapped[str | None]
    tracking_number: Mapped[str | None]
    shipped_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    shares: Mapped[list[FulfillmentItem]] = relationship(cascade="all, delete-orphan")


class FulfillmentItem(Base):
    """So many of one line in one parcel."""

    __tablename__ = "fulfillment_items"
    __table_args__ = (UniqueConstraint("fulfillment_id", "item_id"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    fulfillment_id: Mapped[UUID] = mapped_column(ForeignKey("fulfillments.id"))
    item_id: Mapped[UUID] = mapped_column(ForeignKey("items.id"))
    quantity: Mapped[int]


class Return(Base):
    """Items that come back."""

    __tablename__ = "returns"
    __table_args__ = (UniqueConstraint("order_id", "name"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"))
    name: Mapped[str]
    reason: Mapped[str]
    status: Mapped[str]
    refund_amount: Mapped[Decimal | None]
    requested_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    shares: Mapped[list[ReturnItem]] = relationship()


class ReturnItem(Base):
    """So many of one line in one return."""

    __tablename__ = "return_items"
    __table_args__ = (UniqueConstraint("return_id", "item_id"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    return_id: Mapped[UUID] = mapped_column(ForeignKey("returns.id"))
    item_id: Mapped[UUID] = mapped_column(ForeignKey("items.id"))
    quantity: Mapped[int]


class Event(Base):
    """An applied event, by its idempotency key: the order's history."""

    __tablename__ = "events"
    source: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(index=True)
    type: Mapped[str]
    time: Mapped[datetime]
    data: Mapped[dict[str, Any]]
    step_from: Mapped[str | None]
    step_to: Mapped[str]


# -- the task ----------------------------------------------------------------------------------------------


@app.task(bind=True, max_retries=TRIES)
def apply(self: Task, event: dict[str, Any]) -> None:
    """Apply one event, once."""
    try:
        with Session(_engine()) as session, session.begin():
            _apply(session, event)
    except (TooEarly, IntegrityError, OperationalError) as error:  # early, a rival, or a server away
        raise self.retry(exc=error, countdown=RETRY_S) from error


@cache
def _engine() -> Engine:
    """One per process, opened by its first task."""
    return create_engine(make_url(database_url()).set(drivername="postgresql+psycopg"), pool_size=1)


def _apply(session: Session, event: dict[str, Any]) -> None:
    if session.get(Event, (event["source"], event["id"])) is not None:
        return  # a repeated delivery
    order = session.scalar(select(Order).where(Order.number == event["subject"]).with_for_update())
    before = None if order is None else order.status
    at, data = datetime.fromisoformat(event["time"]), event["data"]
    if event["type"] == "OrderCreated":
        order = _created(event["subject"], at, data)
        session.add(order)
        session.flush()  # its id
    elif order is None:
        raise TooEarly(event["subject"])
    else:
        _HANDLERS[event["type"]](order, at, data)
    session.add(
        Event(
            source=event["source"], id=event["id"], order_id=order.id, type=event["type"], time=at, data=data,
            step_from=before, step_to=order.status,
        )
    )  # fmt: skip


def _move(order: Order, event: str) -> None:
    sources, target = STEPS[event]
    if order.status not in sources:
        raise TooEarly(f"{order.number} is {order.status}: {event}")
    order.status = target


def _created(number: str, at: datetime, data: Mapping[str, Any]) -> Order:
    return Order(
        number=number,
        status="pending",
        currency=data["currency"],
        total_amount=Decimal(data["totalAmount"]),
        customer=data["customer"],
        customer_snapshot=data["customerSnapshot"],
        shipping_address=data["shippingAddress"],
        placed_at=at,
        items=[
            Item(
                name=line["item"], product=line["product"], option=line["option"], quantity=line["quantity"],
                unit_price=Decimal(line["unitPrice"]),
            )
            for line in data["items"]
        ],
        transactions=[Transaction(payment_id=name, amount=Decimal(0)) for name in data["paymentIds"]],
    )  # fmt: skip


def _paid(order: Order, at: datetime, data: Mapping[str, Any]) -> None:
    paid = next((t for t in order.transactions if t.payment_id == data["paymentId"]), None)
    if paid is None:
        paid = Transaction(payment_id=data["paymentId"])
        order.transactions.append(paid)
    paid.status, paid.amount, paid.paid_at = "paid", Decimal(data["amount"]), at
    paid.provider, paid.payment_method = data["provider"], data["paymentMethod"]
    captured = sum((t.amount for t in order.transactions if t.status == "paid"), Decimal(0))
    if captured >= order.total_amount:
        _move(order, "PaymentSucceeded")
        plan = Fulfillment(shares=[FulfillmentItem(item_id=i.id, quantity=i.quantity) for i in order.items])
        order.fulfillments.append(plan)
        _move(order, "FulfillmentCreated")


def _parcel(order: Order, data: Mapping[str, Any]) -> Fulfillment:
    """The parcel of that name. A new one takes its items, all where none are listed, out of the plan."""
    if order.status in ("pending", "failed"):
        raise TooEarly(f"{order.number} is not paid")
    found = next((f for f in order.fulfillments if f.name == data["fulfillment"]), None)
    if found is not None:
        return found
    parcel = Fulfillment(name=data["fulfillment"], shares=_shares(order, data.get("items"), FulfillmentItem))
    plan = next((f for f in order.fulfillments if f.name is None), None)
    if plan is not None:
        taken = {share.item_id: share.quantity for share in parcel.shares}
        for share in list(plan.shares):
            share.quantity -= taken.get(share.item_id, 0)
            if share.quantity <= 0:
                plan.shares.remove(share)
        if not plan.shares:
            order.fulfillments.remove(plan)
            session = Session.object_session(order)
            if session is not None:
                session.delete(plan)
    order.fulfillments.append(parcel)
    return parcel


def _shares(order: Order, listed: Sequence[Mapping[str, Any]] | None, model: Callable[..., Any]) -> list[Any]:
    if listed is None:
        return [model(item_id=item.id, quantity=item.quantity) for item in order.items]
    ids = {item.name: item.id for item in order.items}
    return [model(item_id=ids[share["item"]], quantity=share["quantity"]) for share in listed]


def _reported(order: Order, at: datetime, data: Mapping[str, Any]) -> None:
    _parcel(order, data)


def _shipped(order: Order, at: datetime, data: Mapping[str, Any]) -> None:
    parcel = _parcel(order, data)
    parcel.status, parcel.shipped_at = "shipped", at
    parcel.carrier, parcel.tracking_number = data["carrier"], data["trackingNumber"]
    items = {item.id: item for item in order.items}
    for share in parcel.shares:
        items[share.item_id].shipped_quantity += share.quantity
    if all(item.shipped_quantity >= item.quantity for item in order.items):
        _move(order, "FulfillmentShipped")


def _delivered(order: Order, at: datetime, data: Mapping[str, Any]) -> None:
    parcel = _parcel(order, data)
    if parcel.status != "shipped":
        raise TooEarly(f"{parcel.name} has not left")
    parcel.status, parcel.delivered_at = "delivered", at
    items = {item.id: item for item in order.items}
    for share in parcel.shares:
        items[share.item_id].delivered_quantity += share.quantity
    if all(item.delivered_quantity >= item.quantity for item in order.items):
        _move(order, "FulfillmentDelivered")
        order.delivered_at = at


def _confirmed(order: Order, at: datetime, data: Mapping[str, Any]) -> None:
    _move(order, "OrderConfirmed")
    order.confirmed_at = at


def _return_requested(order: Order, at: datetime, data: Mapping[str, Any]) -> None:
    """Inside the window a request is approved by itself, and its processing starts."""
    _move(order, "ReturnRequested")
    back = Return(name=data["return"], reason=data["reason"], status="processing", requested_at=at)
    back.shares = _shares(order, data.get("items"), ReturnItem)
    order.returns.append(back)


def _return_completed(order: Order, at: datetime, data: Mapping[str, Any]) -> None:
    back = next((r for r in order.returns if r.name == data["return"]), None)
    if back is None or back.status != "processing":
        raise TooEarly(f"{order.number}: no return {data['return']} is processed")
    back.status, back.completed_at, back.refund_amount = "completed", at, Decimal(data["refundAmount"])
    items = {item.id: item for item in order.items}
    for share in back.shares:
        items[share.item_id].returned_quantity += share.quantity
    payment = next(t for t in order.transactions if t.status == "paid")
    payment.refund_target += back.refund_amount
    if all(item.returned_quantity >= item.quantity for item in order.items):
        order.status = "returned"
    else:
        order.status = "confirmed" if order.confirmed_at else "delivered"


_HANDLERS: dict[str, Callable[[Order, datetime, Mapping[str, Any]], None]] = {
    "PaymentSucceeded": _paid,
    "FulfillmentCreated": _reported,
    "FulfillmentShipped": _shipped,
    "FulfillmentDelivered": _delivered,
    "OrderConfirmed": _confirmed,
    "ReturnRequested": _return_requested,
    "ReturnCompleted": _return_completed,
}
