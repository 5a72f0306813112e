"""The guide's snippets word for word in Python, on a shop whose order lives its life; blocking, and with asyncio."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from order_lifecycle_client import (
    ApiError,
    Conflict,
    Forbidden,
    NotFound,
    Order,
    OrderItem,
    Product,
    ProductVariant,
    Unauthorized,
    ValidationFailed,
    create_async_server_client,
    create_client,
    create_server_client,
    generate_order_number,
)
from order_lifecycle_client.request_types import ItemInput, RefundAccountInput

JOHN = {"name": "John Doe", "email": "john@example.com", "phone": "010-1234-5678"}
ADDRESS = {
    "recipientName": "John Doe",  # as on the wire, as the guide has it
    "phone": "010-1234-5678",
    "postal_code": "06123",
    "address1": "123 Main St",
    "address2": "Apt 4B",
}


def an_order(client: Any, **more: Any) -> Any:
    """The guide's order, created by a client of either kind."""
    number = generate_order_number()
    line = {"product": "mug", "variant": "mug-blue", "option": "wrap", "quantity": 2, "unit_price": 10000}
    told = {
        "order_number": number,
        "customer_snapshot": JOHN,
        "shipping_address": ADDRESS,
        "order_products": [line],
        "total_amount": 20000,
        "payment_id": f"pay_{number}",
        **more,
    }
    return client.api.create_order(**told)


def delivered(client: Any, shop: Any, **more: Any) -> Order:
    order = an_order(client, **more)
    client.api.update_transaction(payment_id=f"pay_{order.order_number}", status="paid", payment_method="card")
    shop.settle()
    found: Order = client.api.update_order(order.id, status="delivered", depth=1)
    return found


def test_update_order_edits_it(client):
    order = an_order(client)
    found = client.api.update_order(
        order.id, shipping_address={"address1": "2 Side St", "address2": None}, notes="ring"
    )
    assert (found.shipping_address.address1, found.shipping_address.address2) == ("2 Side St", None)
    assert (found.shipping_address.postal_code, found.notes) == ("06123", "ring")
    found = client.api.update_order(order_number=order.order_number, customer="cus-2")
    assert (found.customer, found.notes) == ("cus-2", "ring")


def test_create_order(client):
    before = datetime.now(UTC) - timedelta(seconds=1)
    order = an_order(client, notes="ring twice")
    assert isinstance(order, Order)
    assert (order.status, order.currency, order.notes) == ("pending", "KRW", "ring twice")
    assert order.total_amount == 20000
    assert order.created_at > before
    assert order.created_at.utcoffset() == timedelta(0)
    assert order.customer_snapshot is not None
    assert order.customer_snapshot.email == "john@example.com"
    assert order.shipping_address is not None
    assert order.shipping_address.recipient_name == "John Doe"
    assert order.shipping_address.address1 == "123 Main St"
    assert client.api.get_order(order.order_number) == order


def test_the_same_order_again_is_that_order_and_another_of_its_number_a_conflict(client):
    order = an_order(client)
    again = an_order(client, order_number=order.order_number, payment_id=f"pay_{order.order_number}")
    assert again.id == order.id
    with pytest.raises(Conflict) as refused:
        an_order(client, order_number=order.order_number, payment_id="another")
    assert refused.value.name == "order_number_taken"
    assert refused.value.request_id


def test_money_is_exact_both_ways(client):
    line = {"product": "p", "quantity": 1, "unit_price": Decimal("99999999999999.99")}
    order = an_order(client, order_products=[line], total_amount=Decimal("99999999999999.99"), currency="USD")
    assert order.total_amount == Decimal("99999999999999.99")
    assert client.from_("orders").find(where={"total_amount": {"equals": order.total_amount}}).docs == [order]


def test_checkout(client):
    cart = client.api.create_cart(customer="john")
    cart = client.api.add_cart_item(cart.id, product="tea", variant="green", quantity=1, unit_price=6000)
    cart = client.api.add_cart_item(cart.id, product="mug", quantity=1, unit_price="10000")
    tea, mug = cart.items.documents
    cart = client.api.update_cart_item(cart.id, tea.id, quantity=3)
    cart = client.api.remove_cart_item(cart.id, mug.id)
    assert [(line.product, line.variant, line.quantity) for line in cart.items.documents] == [("tea", "green", 3)]
    number = generate_order_number()
    told = {"cart_id": cart.id, "customer_snapshot": {"name": "John Doe"}, "payment_id": "pay_789"}
    order2 = client.api.checkout(order_number=number, **told)
    assert (order2.total_amount, order2.customer) == (18000, "john")
    assert client.api.checkout(order_number=generate_order_number(), **told).id == order2.id
    assert client.from_("carts").find_by_id(cart.id).order == order2.id
    with pytest.raises(Conflict):
        client.api.remove_cart_item(cart.id, tea.id)
    with pytest.raises(NotFound):
        client.api.checkout(order_number=number, **{**told, "cart_id": "crt_" + "0" * 32})


def test_query_orders(client, shop):
    mine = [an_order(client, customer="john") for _ in range(3)]
    an_order(client, customer="jane")
    token = client.api.customer_token("john")
    assert token.expires_at > datetime.now(UTC)
    with create_client(
        publishable_key=shop.publishable_key, customer_token=token.token, base_url=f"{shop.url}/api"
    ) as page:
        # My orders
        orders = page.from_("orders").find(where={"customer": {"equals": "john"}}, sort="-createdAt", limit=2)
        assert [order.id for order in orders.docs] == [mine[2].id, mine[1].id]
        assert (orders.total_docs, orders.total_pages, orders.has_next_page, orders.next_page) == (3, 2, True, 2)
        assert page.from_("orders").count() == 3  # hers are not his
        # Order detail (with order products)
        order = page.from_("orders").find_by_id(mine[0].id, depth=1)
        assert [item.total_price for item in order.products.documents] == [20000]
        with pytest.raises(Forbidden):
            page.api._connection.send(create_cart_call())
    everything = client.from_("orders").iterate(page_size=2)
    assert [each.customer for each in everything] == ["john", "john", "john", "jane"]
    assert [o.id for o in client.from_("orders").iterate(where={"order_number": {"in": [mine[1].order_number]}})] == [
        mine[1].id
    ]


def create_cart_call() -> Any:
    from order_lifecycle_client import Cart
    from order_lifecycle_client.retry_policy import doc, write

    return write("POST", "/api/carts", doc(Cart), {})


def test_order_items_with_what_the_catalogue_knows(client):
    client.api.put_products([{"id": "mug", "title": "Mug", "price": 10000}, {"id": "tea", "title": "Tea"}])
    assert client.api.put_product("mug", title="The mug", price="10000").title == "The mug"
    client.api.put_product_variants([{"id": "mug-blue", "product": "mug", "title": "Blue"}])
    assert client.api.put_product_variant("mug-red", product="mug", title="Red").product == "mug"
    client.api.put_product_options([{"id": "ribbon", "variant": "mug-blue", "title": "Ribbon"}])
    assert client.api.put_product_option("ribbon", variant="mug-red", title="Ribbon").variant == "mug-red"
    order = an_order(client)
    [item] = client.from_("order-items").find(where={"order": {"equals": order.id}}, depth=1).docs
    assert isinstance(item.product, Product)
    assert item.product.title == "The mug"
    assert item.product.price == 10000
    assert isinstance(item.variant, ProductVariant)
    assert item.option == "wrap"  # not told: it stays an id
    assert isinstance(item.order, Order)
    assert item.order.products.docs == [item.id]
    assert client.from_("order-products").count() == 1
    with pytest.raises(ValueError, match="depth=1"):
        _ = item.order.products.documents


def test_payment_status(client, shop):
    order = an_order(client)
    with pytest.raises(NotFound):
        client.api.update_transaction(payment_id="nobody's", status="paid")
    paid = client.api.update_transaction(payment_id=f"pay_{order.order_number}", status="paid", payment_method="card")
    assert paid.paid_at is not None
    [transaction] = client.from_("transactions").find(where={"order": {"equals": order.id}}).docs
    assert (transaction.status, transaction.amount, transaction.payment_method) == ("paid", 20000, "card")
    with pytest.raises(Conflict) as refused:
        client.api.update_transaction(payment_id=paid.payment_id, status="canceled")
    assert refused.value.status == "paid"
    assert "canceled" not in refused.value.allowed
    assert client.from_("transactions").count(where={"order.order_number": {"equals": order.order_number}}) == 1


def test_shipment_tracking(client, shop):
    order = an_order(client)
    client.api.update_transaction(payment_id=f"pay_{order.order_number}", status="paid")
    shop.settle()
    [item] = client.from_("order-items").find(where={"order": {"equals": order.id}}).docs
    one = [{"order_item": item.id, "quantity": 1}]
    made = client.api.create_fulfillment(
        order_number=order.order_number, items=one, carrier="CJ Logistics", reference="A", depth=1
    )
    assert (made.status, made.reference, made.items.documents[0].quantity) == ("pending", "A", 1)
    shipped = client.api.update_fulfillment(made.id, status="shipped", tracking_number="1")
    assert (shipped.status, shipped.carrier, shipped.tracking_number) == ("shipped", "CJ Logistics", "1")
    assert shipped.shipped_at is not None
    fulfillments = client.from_("fulfillments").find(where={"order": {"equals": order.id}})
    assert fulfillments.total_docs == 2  # it, and the plan of the rest
    [inside] = client.from_("fulfillment-items").find(where={"fulfillment": {"equals": made.id}}, depth=1).docs
    assert isinstance(inside.order_item, OrderItem)
    assert (inside.order_item.id, inside.quantity) == (item.id, 1)
    with pytest.raises(Conflict) as refused:
        client.api.create_fulfillment(order=order.id, items=[{"order_item": item.id, "quantity": 2}])
    assert refused.value.data["open"] == 1


def test_view_returns(client, shop):
    order = delivered(client, shop, customer="john")
    [item] = order.products.documents
    one: list[ItemInput] = [{"order_item": item.id, "quantity": 1}]
    token = client.api.customer_token("john", expires_in=60).token
    with create_client(publishable_key=shop.publishable_key, customer_token=token, base_url=shop.url) as page:
        asked = page.api.create_return(order=order.id, reason="change_of_mind", items=one, note="too blue")
    shop.settle()
    [found] = client.from_("returns").find(where={"order": {"equals": order.id}}).docs
    assert (found.id, found.status, found.reason, found.note) == (asked.id, "processing", "change_of_mind", "too blue")
    [inside] = client.from_("return-items").find(where={"return": {"equals": found.id}}, depth=1).docs
    assert not isinstance(inside.return_, str)
    assert (inside.return_.id, inside.quantity) == (found.id, 1)
    assert client.api.update_return(found.id, status="completed").refund_amount == 10000
    rest = client.api.return_with_refund(order_number=order.order_number, reason="defective", refund_amount=5000)
    assert (rest.return_.status, rest.return_.refund_amount) == ("completed", 5000)
    assert rest.transaction is not None
    assert rest.transaction.payment_id == f"pay_{order.order_number}"
    shop.settle()
    entries = client.timeline(order.id, limit=0).docs
    assert [entry.type for entry in entries][:2] == ["OrderCreated", "PaymentSucceeded"]
    assert {entry.outcome for entry in entries} == {"applied"}


def test_a_refund_takes_the_bank_account_that_it_goes_to(client):
    account = RefundAccountInput(bank="nobody's", number="110-123-456789", holder_name="Kim")
    order = an_order(client)
    client.api.update_transaction(payment_id=f"pay_{order.order_number}", status="paid")
    with pytest.raises(ApiError) as refused:
        client.api.create_refund(order=order.id, amount=200, reason="other", refund_account=account)
    assert "ORDERS_ACCOUNT_KEYS" in str(refused.value), "it was read: this shop has no key to keep it under"


def test_refunds(client, shop):
    order = an_order(client, customer="john")
    client.api.update_transaction(payment_id=f"pay_{order.order_number}", status="paid")
    shop.settle()
    asked = client.api.create_refund(order=order.id, amount=500, reason="goodwill", note="a scratch on the box")
    assert asked.doc is not None
    assert (asked.doc.status, asked.doc.waits_for, asked.given_back_before, asked.also_of) == ("pending", "turn", 0, [])
    assert [(each.reason, each.amount) for each in asked.doc.reasons] == [("goodwill", 500)]
    [found] = client.from_("refunds").find(where={"order": {"equals": order.id}}).docs
    assert (found.id, found.note) == (asked.doc.id, "a scratch on the box")
    with pytest.raises(Conflict) as refused:
        client.api.retry_refund(found.id)
    assert refused.value.status == "pending"
    settled = client.api.settle_refund(found.id, method="in cash")
    assert (settled.status, settled.settled_method) == ("canceled", "in cash")
    with pytest.raises(Conflict):
        client.api.allocate_refund(found.id, reason="other")
    token = client.api.customer_token("john", expires_in=60).token
    with create_client(publishable_key=shop.publishable_key, customer_token=token, base_url=shop.url) as page:
        assert [(each.id, each.note) for each in page.from_("refunds").find().docs] == [(found.id, None)]


def test_an_order_is_updated_by_its_number_or_told_why_not(client, shop):
    order = an_order(client)
    assert client.api.update_order(order_number=order.order_number, status="canceled").status == "canceled"
    with pytest.raises(Conflict) as refused:
        client.api.update_order(order_number=order.order_number, status="confirmed")
    assert (refused.value.status, refused.value.status_code) == ("canceled", 409)
    with pytest.raises(NotFound):
        client.api.update_order(order_number="nobody's", status="canceled")
    with pytest.raises(TypeError, match="order_number"):
        client.api.update_order(status="canceled")


def test_what_is_wrong_names_its_field(client):
    with pytest.raises(ValidationFailed) as refused:
        an_order(client, order_products=[{"product": "p", "quantity": 0, "unit_price": 1}])
    assert [fault.path for fault in refused.value.faults] == ["orderProducts.0.quantity"]
    assert "orderProducts.0.quantity" in str(refused.value)
    with pytest.raises(ValidationFailed, match="nonsense"):
        client.from_("orders").find(where={"nonsense": {"equals": 1}})
    with pytest.raises(ValueError, match="there is no collection 'nonsense'"):
        client.from_("nonsense")


def test_a_key_that_nobody_has_is_unauthorized(shop):
    stranger = create_server_client(secret_key="sk01_" + "x" * 28, base_url=shop.url)
    with stranger, pytest.raises(Unauthorized):
        stranger.from_("orders").find()


def test_select_and_joins_leave_the_rest_none(client):
    order = an_order(client)
    [found] = client.from_("orders").find(select={"order_number": True, "customer_snapshot.name": True}).docs
    assert (found.id, found.order_number, found.status) == (order.id, order.order_number, None)
    assert found.customer_snapshot.name == "John Doe"
    assert found.customer_snapshot.email is None
    found = client.from_("orders").find_by_id(order.id, depth=1, joins={"products": {"limit": 1}, "returns": False})
    assert [item.quantity for item in found.products.documents] == [2]
    assert found.returns is None
    assert client.from_("orders").find_by_id(order.id, joins=False).products is None


def test_a_repeated_idempotency_key_is_answered_the_first_answer(client):
    first, again = (client.api.create_cart(customer="john", idempotency_key="once") for _ in range(2))
    assert first.id == again.id
    assert client.from_("carts").count() == 1


def test_the_same_life_with_asyncio(shop):
    async def live() -> None:
        async with create_async_server_client(secret_key=shop.secret_key, base_url=shop.url) as client:
            order, *_ = await asyncio.gather(*(an_order(client, customer="john") for _ in range(3)))
            await client.api.update_transaction(payment_id=f"pay_{order.order_number}", status="paid")
            shop.settle()
            done = await client.api.update_order(order.id, status="delivered")
            assert done.status == "delivered"
            orders = client.from_("orders")
            assert (await orders.find_by_id(order.id, depth=1)).products.documents[0].delivered_quantity == 2
            assert len([each async for each in orders.iterate(page_size=1)]) == await orders.count() == 3
            assert (await orders.find(sort=["-created_at"], limit=1)).docs[0].customer == "john"
            back = await client.api.return_with_refund(order=order.id, reason="damaged")
            assert back.return_.refund_amount == 20000
            with pytest.raises(NotFound):
                await orders.find_by_id("ord_" + "0" * 32)

    asyncio.run(live())
