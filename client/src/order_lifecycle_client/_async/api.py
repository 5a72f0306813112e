"""The Server API: what changes orders and what hangs on them.

Every write may be given an `idempotency_key`: the same key and values again are answered the first answer again, for
24 hours. Without one, each call makes its own, which covers the tries of that call. `depth` 1 answers relationships
as documents.
"""

from __future__ import annotations

from collections.abc import Sequence

from order_lifecycle_client._async.carts import AsyncCarts, AsyncCatalogue
from order_lifecycle_client._async.customer_api import AsyncCustomerApi
from order_lifecycle_client._async.refunds import AsyncRefunds
from order_lifecycle_client.codec import encode, query_string, segment
from order_lifecycle_client.models import (
    Balance,
    CustomerToken,
    Fulfillment,
    Order,
    Return,
    ReturnRefunded,
    Transaction,
)
from order_lifecycle_client.request_types import (
    Amount,
    CorrectedStatus,
    CustomerSnapshotInput,
    FulfillmentStatus,
    ItemInput,
    OrderedProductInput,
    OrderStatus,
    Reason,
    RefundAccountInput,
    ReturnStatus,
    ShippingAddressInput,
    TransactionStatus,
)
from order_lifecycle_client.retry_policy import Call, ask, doc, the_only_order, write


class AsyncServerApi(AsyncCustomerApi, AsyncRefunds, AsyncCarts, AsyncCatalogue):
    """The changes that a shop's backend may make, with its secret key."""

    # -- orders

    async def create_order(
        self,
        *,
        order_number: str,
        customer_snapshot: CustomerSnapshotInput,
        shipping_address: ShippingAddressInput | None = None,
        order_products: Sequence[OrderedProductInput],
        total_amount: Amount,
        payment_id: str | None = None,
        customer: str | None = None,
        currency: str | None = None,
        discount_code: str | None = None,
        discount_amount: Amount | None = None,
        shipping_amount: Amount | None = None,
        tax_amount: Amount | None = None,
        notes: str | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Order:
        """Create an order: pending, with a pending transaction for `payment_id`; paid at once where the total is 0.

        It needs an address unless each of its lines says `requires_shipping` False.
        The same number with the same values answers the same order. Errors: ValidationFailed where the amounts do
        not add up; Conflict "order_number_taken" where another order has the number.
        """
        body = {
            "order_number": order_number,
            "customer_snapshot": customer_snapshot,
            "shipping_address": shipping_address,
            "order_products": order_products,
            "total_amount": total_amount,
            "payment_id": payment_id,
            "customer": customer,
            "currency": currency,
            "discount_code": discount_code,
            "discount_amount": discount_amount,
            "shipping_amount": shipping_amount,
            "tax_amount": tax_amount,
            "notes": notes,
        }
        query = query_string(depth=depth)
        call = write("POST", "/api/orders", doc(Order), body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def checkout(
        self,
        *,
        cart_id: str,
        order_number: str,
        customer_snapshot: CustomerSnapshotInput,
        shipping_address: ShippingAddressInput | None = None,
        payment_id: str | None = None,
        customer: str | None = None,
        total_amount: Amount | None = None,
        discount_code: str | None = None,
        discount_amount: Amount | None = None,
        shipping_amount: Amount | None = None,
        tax_amount: Amount | None = None,
        notes: str | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Order:
        """Make an order of a cart, once: a second checkout of the cart answers the first order.

        `total_amount`, where it is given, must be what the cart comes to. Errors: NotFound for no such cart;
        ValidationFailed for an empty one; Conflict "order_number_taken".
        """
        body = {
            "cart_id": cart_id,
            "order_number": order_number,
            "customer_snapshot": customer_snapshot,
            "shipping_address": shipping_address,
            "payment_id": payment_id,
            "customer": customer,
            "total_amount": total_amount,
            "discount_code": discount_code,
            "discount_amount": discount_amount,
            "shipping_amount": shipping_amount,
            "tax_amount": tax_amount,
            "notes": notes,
        }
        query = query_string(depth=depth)
        call = write("POST", "/api/checkout", doc(Order), body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def get_order(self, order_number: str, *, depth: int = 0) -> Order:
        """The order of that number. Errors: NotFound."""
        path = f"/api/orders/by-number/{segment(order_number)}"
        return await self._connection.send(ask(path, Order.model_validate, query_string(depth=depth)))

    async def update_order(
        self,
        id: str | None = None,
        *,
        order_number: str | None = None,
        status: OrderStatus | None = None,
        refund_account: RefundAccountInput | None = None,
        customer_snapshot: CustomerSnapshotInput | None = None,
        shipping_address: ShippingAddressInput | None = None,
        customer: str | None = None,
        notes: str | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Order:
        """Cancel an order, confirm it, take a shipping step of its only open fulfillment, or edit it. Name it by id or number.

        Of a group such as the address, what is left out stays, and None empties it; an address may be edited until a parcel
        has left. Errors: NotFound; Conflict, which tells the present status and what is allowed.
        """
        if (id is None) == (order_number is None):
            raise TypeError("update_order: give either the order's id or its order_number")
        body = {
            "status": status,
            "refund_account": refund_account,
            "customer_snapshot": customer_snapshot,
            "shipping_address": shipping_address,
            "customer": customer,
            "notes": notes,
        }
        if id is not None:
            path, read, query = f"/api/orders/{segment(id)}", doc(Order), query_string(depth=depth)
        else:
            query = query_string(where={"order_number": {"equals": order_number}}, depth=depth)
            path, read = "/api/orders", the_only_order
        call = write("PATCH", path, read, body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def accept_order(
        self,
        id: str,
        *,
        amount: Amount | None = None,
        reason: str | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Order:
        """Take an underpayment as enough: `amount`, or what was captured. More money fills the difference first.

        Errors: NotFound; Conflict where nothing, or less than `amount`, was captured, or nothing is missing.
        """
        body, query = {"amount": amount, "reason": reason}, query_string(depth=depth)
        path = f"/api/orders/{segment(id)}/accept"
        call = write("POST", path, doc(Order), body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def cancel_items(
        self,
        id: str,
        *,
        items: Sequence[ItemInput],
        refund_amount: Amount | None = None,
        reason: str | None = None,
        refund_account: RefundAccountInput | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Order:
        """Cancel some of an order's items that are in no parcel: all that are listed, or none.

        Their share of what was paid goes back, or `refund_amount`. Errors: NotFound; Conflict where fewer are open, or
        `refund_amount` is more than they may give back.
        """
        body = {"items": items, "refund_amount": refund_amount, "reason": reason, "refund_account": refund_account}
        query = query_string(depth=depth)
        path = f"/api/orders/{segment(id)}/cancel-items"
        call = write("POST", path, doc(Order), body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def hold_order(
        self,
        id: str,
        *,
        hold: str | None = None,
        reason: str | None = None,
        until: str | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Order:
        """Hold an order by the name `hold`, else "staff": nothing more ships until it is released, or by itself at `until`.

        `until` is an RFC 3339 time. Errors: NotFound; Conflict where it was canceled, or `until` is not ahead.
        """
        body, query = {"hold": hold, "reason": reason, "until": until}, query_string(depth=depth)
        path = f"/api/orders/{segment(id)}/hold"
        call = write("POST", path, doc(Order), body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def release_order(
        self,
        id: str,
        *,
        hold: str | None = None,
        reason: str | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Order:
        """Release a hold by its name, or the only one that stands. Errors: NotFound; Conflict, whose data has `holds`."""
        body, query = {"hold": hold, "reason": reason}, query_string(depth=depth)
        path = f"/api/orders/{segment(id)}/release"
        call = write("POST", path, doc(Order), body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def order_balance(self, id: str) -> Balance:
        """The money of an order, added up: what came, what is due back, and what of it is still owed. Errors: NotFound."""
        path = f"/api/orders/{segment(id)}/balance"
        return await self._connection.send(ask(path, Balance.model_validate, ""))

    # -- payments

    async def update_transaction(
        self,
        *,
        payment_id: str,
        status: TransactionStatus,
        payment_method: str | None = None,
        receipt_url: str | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Transaction:
        """Tell what became of a payment, as its provider would; "paid" pays what is still owed on the order.

        Of a payment that is paid and brought too little it answers another, `manual:PAYMENT`, with what was missing.
        Errors: NotFound for no such payment; Conflict, such as "canceled" of one that is paid: that is a refund.
        """
        body = {
            "payment_id": payment_id,
            "status": status,
            "payment_method": payment_method,
            "receipt_url": receipt_url,
        }
        path, query = "/api/transactions/update", query_string(depth=depth)
        call = write("POST", path, doc(Transaction), body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    # -- fulfillments

    async def create_fulfillment(
        self,
        *,
        order: str | None = None,
        order_number: str | None = None,
        items: Sequence[ItemInput] | None = None,
        carrier: str | None = None,
        tracking_number: str | None = None,
        reference: str | None = None,
        replaces: str | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Fulfillment:
        """Items that ship together; without `items`, all that is open, or all of the parcel that it `replaces`.

        Name the order by id or number.

        Errors: NotFound; Conflict where the order may not ship, or more than is open was asked for.
        """
        body = {
            "order": order,
            "order_number": order_number,
            "items": items,
            "carrier": carrier,
            "tracking_number": tracking_number,
            "reference": reference,
            "replaces": replaces,
        }
        query = query_string(depth=depth)
        call = write("POST", "/api/fulfillments", doc(Fulfillment), body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def update_fulfillment(
        self,
        id: str,
        *,
        status: FulfillmentStatus | None = None,
        carrier: str | None = None,
        tracking_number: str | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Fulfillment:
        """The step that a fulfillment took; without `status`, who carries it, whatever its status.

        Of `carrier` and `tracking_number` the half that is left out stays as it is. Errors: NotFound; Conflict.
        """
        body = {"status": status, "carrier": carrier, "tracking_number": tracking_number}
        path, query = f"/api/fulfillments/{segment(id)}", query_string(depth=depth)
        call = write("PATCH", path, doc(Fulfillment), body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def correct_fulfillment(
        self,
        id: str,
        *,
        status: CorrectedStatus,
        reason: str | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Fulfillment:
        """The status that a fulfillment really has, such as "shipped" after "delivered" by mistake.

        What was told of it until now counts no more. Errors: NotFound; Conflict where its order was canceled.
        """
        path, query = f"/api/fulfillments/{segment(id)}/correct", query_string(depth=depth)
        body = {"status": status, "reason": reason}
        call = write("POST", path, doc(Fulfillment), body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    # -- returns

    async def update_return(
        self,
        id: str,
        *,
        status: ReturnStatus | None = None,
        received: bool | None = None,
        carrier: str | None = None,
        tracking_number: str | None = None,
        items: Sequence[ItemInput] | None = None,
        refund_amount: Amount | None = None,
        restocking_fee: Amount | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> Return:
        """The step that a return takes, or that it was `received` (True); with "completed", the `items` that came back.

        That is `refund_amount`, or the lines' share less `restocking_fee`. Errors: NotFound; Conflict, such as where it
        is more than these items may give back.
        """
        body = {
            "status": status,
            "received": received,
            "carrier": carrier,
            "tracking_number": tracking_number,
            "items": items,
            "refund_amount": refund_amount,
            "restocking_fee": restocking_fee,
        }
        path, query = f"/api/returns/{segment(id)}", query_string(depth=depth)
        call = write("PATCH", path, doc(Return), body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    async def return_with_refund(
        self,
        *,
        order: str | None = None,
        order_number: str | None = None,
        reason: Reason,
        items: Sequence[ItemInput] | None = None,
        note: str | None = None,
        refund_amount: Amount | None = None,
        refund_account: RefundAccountInput | None = None,
        depth: int = 0,
        idempotency_key: str | None = None,
    ) -> ReturnRefunded:
        """Take a return from its request to its end at once, and have it refunded.

        Without `refund_amount` it is the lines' price less their share of the discount, without shipping.
        Errors: NotFound; Conflict where the items cannot be returned, or more was asked for than was captured.
        """
        body = {
            "order": order,
            "order_number": order_number,
            "reason": reason,
            "items": items,
            "note": note,
            "refund_amount": refund_amount,
            "refund_account": refund_account,
        }
        path, query = "/api/returns/return-with-refund", query_string(depth=depth)
        read = ReturnRefunded.model_validate
        call = write("POST", path, read, body, query=query, idempotency_key=idempotency_key)
        return await self._connection.send(call)

    # -- customers

    async def customer_token(self, id: str, *, expires_in: int | None = None) -> CustomerToken:
        """A token with which a page reads this customer's orders; `expires_in` seconds (60 to 86400), else an hour.

        Ask for it once you know who is signed in. Errors: Unavailable where the API has no secret to sign with.
        """
        body = {} if expires_in is None else {"expires_in": expires_in}
        path = f"/api/customers/{segment(id)}/token"
        return await self._connection.send(Call("POST", path, CustomerToken.model_validate, body=encode(body)))
