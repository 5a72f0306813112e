"""Carts, and checkout: a cart becomes an order, once.

Whoever changes a cart, or makes an order of it, locks its row first: so what is ordered is what the
cart held, and the second of two checkouts finds the first one's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from api.commands.lookups import not_found, wanted_id
from api.commands.order_creation import CREATED, body_of, number_taken, place, placed
from api.commands.request_models import LINES, Checkout, CreateCart, OrderProduct
from api.commands.write_endpoint import UPDATED, Document, Work, Write
from api.commands.written_documents import document
from api.errors import ApiError, validation_error
from domain.ids import format_id, fresh, parse_id
from events.money import MoneyError, check
from journal.commands import Request
from queries.documents import join, of_row
from queries.schema import CART_ITEMS, CARTS

_NEW = text("insert into carts (id, customer, currency) values (:id, :customer, :currency) returning *")
_LOCK = text("select * from carts where id = cast(:id as uuid) for update")
_ITEMS = text("select * from cart_items where cart_id = :cart order by id")
_COUNT = text("select count(*) from cart_items where cart_id = :cart")
_ADD = text(
    "insert into cart_items (id, cart_id, product, variant, option, quantity, unit_price, requires_shipping) "
    "values (:id, :cart, :product, :variant, :option, :quantity, :unit_price, :requires_shipping)"
)
_CHANGE = text(
    "update cart_items set quantity = :quantity, updated_at = now() "
    "where cart_id = :cart and id = cast(:item as uuid) returning true"
)
_REMOVE = text("delete from cart_items where cart_id = :cart and id = cast(:item as uuid) returning true")
_TOUCH = text("update carts set updated_at = now() where id = :cart returning *")
_ORDERED = text("update carts set order_id = :order_id, updated_at = now() where id = :cart")


def create(write: Write, sent: CreateCart) -> Work:
    """Create a cart without lines."""
    currency = sent.currency or write.doors.settings.policy.currency

    def work(request: Request) -> tuple[int, Document]:
        values = {"id": fresh(request.now), "customer": sent.customer, "currency": currency}
        cart = request.conn.execute(_NEW, values).one()
        return 201, {"doc": _document(cart, []), "message": "Cart successfully created."}

    return work


def add(write: Write, cart_id: str, sent: OrderProduct) -> Work:
    """Add a line to a cart."""

    def work(request: Request) -> tuple[int, Document]:
        cart = _open_cart(request, cart_id)
        try:
            check(sent.unitPrice, cart.currency)
        except MoneyError as error:
            raise validation_error([("unitPrice", str(error))]) from None
        if request.conn.execute(_COUNT, {"cart": cart.id}).scalar_one() >= LINES:
            raise ApiError(409, f"cart {format_id('carts', cart.id)} has {LINES} items; no more fit into an order")
        line = {
            **sent.model_dump(exclude={"unitPrice", "requiresShipping"}),
            "unit_price": sent.unitPrice,
            "requires_shipping": sent.requiresShipping is not False,
        }
        request.conn.execute(_ADD, {"id": fresh(request.now), "cart": cart.id, **line})
        return 201, _changed(request, cart.id)

    return work


def change(write: Write, cart_id: str, item_id: str, quantity: int) -> Work:
    """So many of a line."""

    def work(request: Request) -> tuple[int, Document]:
        cart, item = _open_cart(request, cart_id), wanted_id("cart-items", item_id)
        values = {"cart": cart.id, "item": item, "quantity": quantity}
        if item is None or not request.conn.execute(_CHANGE, values).scalar():
            raise not_found()
        return 200, _changed(request, cart.id)

    return work


def remove(write: Write, cart_id: str, item_id: str) -> Work:
    """Remove a line from a cart."""

    def work(request: Request) -> tuple[int, Document]:
        cart, item = _open_cart(request, cart_id), wanted_id("cart-items", item_id)
        if item is None or not request.conn.execute(_REMOVE, {"cart": cart.id, "item": item}).scalar():
            raise not_found()
        return 200, _changed(request, cart.id)

    return work


def checkout(write: Write, sent: Checkout) -> Work:
    """The cart becomes an order; one that did already is answered with that order."""

    def work(request: Request) -> tuple[int, Document]:
        cart = _locked(request, sent.cartId)
        if cart.order_id is not None:
            return 201, {"doc": document(request, "orders", cart.order_id, write.depth), "message": CREATED}
        rows = request.conn.execute(_ITEMS, {"cart": cart.id}).all()
        if not rows:
            raise validation_error([("cartId", "the cart is empty; add an item to it first")])
        if placed(request, sent.orderNumber) is not None:
            raise number_taken(sent.orderNumber)
        lines = [
            OrderProduct.model_construct(
                product=row.product,
                variant=row.variant,
                option=row.option,
                quantity=row.quantity,
                unitPrice=row.unit_price,
                requiresShipping=None if row.requires_shipping else False,
            )
            for row in rows
        ]
        customer = sent.customer if sent.customer is not None else cart.customer
        data = body_of(sent, lines, sent.shippingAddress, sent.totalAmount, cart.currency, customer)
        doc = place(request, sent.orderNumber, data, write.depth)
        request.conn.execute(_ORDERED, {"cart": cart.id, "order_id": parse_id("orders", doc["id"])})
        return 201, {"doc": doc, "message": CREATED}

    return work


def _locked(request: Request, cart_id: str) -> Any:
    own = wanted_id("carts", cart_id)
    cart = request.conn.execute(_LOCK, {"id": own}).one_or_none() if own else None
    if cart is None:
        raise not_found()
    return cart


def _open_cart(request: Request, cart_id: str) -> Any:
    cart = _locked(request, cart_id)
    if cart.order_id is not None:
        order = format_id("orders", cart.order_id)
        raise ApiError(
            409,
            f"this cart became order {order}; make a new one",
            name="Conflict",
            data={"order": order, "allowed": []},
        )
    return cart


def _changed(request: Request, cart_id: str) -> Document:
    cart = request.conn.execute(_TOUCH, {"cart": cart_id}).one()
    items = request.conn.execute(_ITEMS, {"cart": cart_id}).all()
    return {"doc": _document(cart, items), "message": UPDATED}


def _document(cart: Any, items: Sequence[Any]) -> Document:
    return of_row(CARTS, cart, {"items": join([of_row(CART_ITEMS, item) for item in items])})
