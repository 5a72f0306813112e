"""The Server API as one router: which path is which write."""
# No `from __future__ import annotations`: FastAPI reads the annotations.

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Body, Path
from fastapi import Request as HttpRequest
from starlette.responses import Response

from api.commands import (
    carts,
    catalogue,
    corrections,
    findings,
    fulfillments,
    orders,
    pauses,
    payments,
    privacy,
    refund_accounts,
    refunds,
    returns,
)
from api.commands import catalogue_models as m
from api.commands import request_models as s
from api.commands.fulfillment_models import CorrectFulfillment
from api.commands.json_body import ExactRoute
from api.commands.response_schemas import (
    account_changed,
    changed,
    erased,
    many_changed,
    paused,
    refund_created,
    refunded,
)
from api.commands.write_endpoint import REPLAYED, ByReader, BySecret
from api.commands.written_documents import selection
from api.path_converters import own_name
from api.query import openapi_parameters
from api.query.openapi_schemas import Schema
from api.tokens import CustomerId
from events.field_types import Name
from queries.schema import (
    CARTS,
    FINDINGS,
    FULFILLMENTS,
    OPTIONS,
    ORDERS,
    PRODUCTS,
    REFUNDS,
    RETURNS,
    TRANSACTIONS,
    VARIANTS,
)

router = APIRouter(route_class=ExactRoute)

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Told = dict[int | str, dict[str, Any]]  # responses, by status
Id = Annotated[Name, Path(description="as the documents show it", examples=["ord_019a3c1e8f7b7c1d9e2f3a4b5c6d7e8f"])]

NOT_FOUND: Told = {404: {"description": "There is none of that name, or none that you may see"}}
CONFLICT: Told = {
    409: {"description": "The present state, `data.status`, does not allow it; `data.allowed` names what it does"}
}
REUSED: Told = {422: {"description": "The `Idempotency-Key` came with another request before"}}
_REPLAY = {name: {"description": "The first answer to this `Idempotency-Key`, again", "schema": {"type": "string"}}
           for name in REPLAYED}  # fmt: skip
_FORM = {"schema": {"type": "object", "properties": {"_payload": {"type": "string", "description": "the JSON"}}}}
_BODY = {"requestBody": {"content": {"multipart/form-data": _FORM}}}


def writes(
    method: str,
    path: str,
    tag: str,
    answer: Schema,
    status: int = 200,
    *refusals: Told,
    query: Sequence[dict[str, Any]] = (),
) -> Callable[[Endpoint], Endpoint]:
    """A route: what it answers, how it refuses, and what it reads of the query string by itself."""
    responses: Told = {status: {"content": {"application/json": {"schema": answer}}, "headers": _REPLAY}, **REUSED}
    for each in refusals:
        responses |= each
    return router.api_route(
        path,
        methods=[method],
        tags=[tag],
        status_code=status,
        response_model=None,
        responses=responses,
        openapi_extra={"parameters": list(query)} | (_BODY if method != "DELETE" else {}),
    )


# -- orders ------------------------------------------------------------------------------------------------


@writes("POST", "/api/orders", "Orders", changed(ORDERS), 201, CONFLICT)
def create_order(sent: s.CreateOrder, write: BySecret) -> Response:
    """Create an order, pending until it is paid.

    It is `pending` with a pending transaction of `paymentId`; with a total of 0 it is `paid` at once. The same
    `orderNumber` with the same body answers the same order; with another body, 409 `order_number_taken`. Lines with
    `requiresShipping: false` are delivered once it is paid; an order of only such needs no address, and ships nothing.
    """
    return write.do(orders.create(write, sent))


@writes("POST", "/api/checkout", "Orders", changed(ORDERS), 201, NOT_FOUND, CONFLICT)
def checkout(sent: s.Checkout, write: BySecret) -> Response:
    """Make an order of a cart, once: a second checkout of a cart answers the first order."""
    return write.do(carts.checkout(write, sent))


@writes("PATCH", "/api/orders/{id}", "Orders", changed(ORDERS), 200, NOT_FOUND, CONFLICT)
def update_order(id: Id, sent: s.UpdateOrder, write: BySecret) -> Response:
    """Move an order (cancel it, confirm it, take a shipping step of its only open fulfillment), or edit it.

    `customerSnapshot`, `shippingAddress`, `customer` and `notes` are edited; of two edits of one field the later stands. An
    address may be edited until a parcel has left, then it is 409 (`data.shipped` names the parcels).
    """
    return write.do(orders.update(write, id, sent))


@writes("PATCH", "/api/orders", "Orders", many_changed(ORDERS), query=openapi_parameters.selecting(ORDERS))
def update_orders(request: HttpRequest, sent: s.UpdateOrder, write: BySecret) -> Response:
    """Move or edit all orders that `where` selects, such as `?where[orderNumber][equals]=261101000001`.

    Those that may not move stand in `errors`, each with the reason; the others move.
    """
    return write.do(orders.update_many(write, selection(request.url.query), sent))


@writes("POST", "/api/orders/{id}/accept", "Orders", changed(ORDERS), 200, NOT_FOUND, CONFLICT)
def accept_order(id: Id, sent: s.AcceptOrder, write: BySecret) -> Response:
    """Take an underpayment as enough: the order is paid, and what is missing is written off.

    More money fills the difference first. 409 where nothing was captured, or less than `amount`, or nothing is missing.
    """
    return write.do(orders.accept(write, id, sent))


@writes("POST", "/api/orders/{id}/cancel-items", "Orders", changed(ORDERS), 200, NOT_FOUND, CONFLICT)
def cancel_order_items(id: Id, sent: s.CancelItems, write: BySecret) -> Response:
    """Cancel some of an order's items that are in no parcel: all that are listed, or none.

    Their share of what was paid goes back. Where nothing is left of the order, it is canceled as a whole. 409 where fewer
    are open (`data.open`), or `refundAmount` is more than they may give back (`data.refundable`).
    """
    return write.do(corrections.cancel_items(write, id, sent))


@writes("POST", "/api/orders/{id}/hold", "Orders", changed(ORDERS), 200, NOT_FOUND, CONFLICT)
def hold_order(id: Id, sent: s.HoldOrder, write: BySecret) -> Response:
    """Hold an order: requests that would ship any of it are answered 409 `order_held`.

    Shipments that the warehouse reports all the same are recorded, and the order is flagged `shipped_while_held`.
    """
    return write.do(corrections.hold(write, id, sent))


@writes("POST", "/api/orders/{id}/release", "Orders", changed(ORDERS), 200, NOT_FOUND, CONFLICT)
def release_order(id: Id, sent: s.ReleaseOrder, write: BySecret) -> Response:
    """Release a hold of an order. 409 names those that stand (`data.holds`) where none or several could be meant."""
    return write.do(corrections.release(write, id, sent))


@writes("PUT", "/api/orders/{id}/refund-account", "Orders", account_changed(), 200, NOT_FOUND, CONFLICT)
def put_refund_account(id: Id, sent: s.RefundAccount, write: ByReader) -> Response:
    """Tell the bank account that the order's refunds go to, where the way the money came takes none back.

    Refunds that wait for it go out. It is kept encrypted, answered masked, and erased two weeks after the refund. A
    customer may, of their own order. 409 while a refund is under way.
    """
    return write.do(refund_accounts.put(write, id, sent))


# -- payments ----------------------------------------------------------------------------------------------


@writes("POST", "/api/transactions/update", "Payments", changed(TRANSACTIONS), 200, NOT_FOUND, CONFLICT)
def update_transaction(sent: s.UpdateTransaction, write: BySecret) -> Response:
    """Tell what became of a payment, as its provider would; `paid` pays what is still owed on the order.

    `paid` of a payment that is paid, and brought too little: what is missing came otherwise, by bank transfer for instance. It
    becomes a payment `manual:PAYMENT`, which is answered; what goes back of that waits for a person.
    """
    return write.do(payments.update(write, sent))


# -- fulfillments ------------------------------------------------------------------------------------------


@writes("POST", "/api/fulfillments", "Fulfillments", changed(FULFILLMENTS), 201, NOT_FOUND, CONFLICT)
def create_fulfillment(sent: s.CreateFulfillment, write: BySecret) -> Response:
    """Create a fulfillment of items that are open: in the order's plan, or in none.

    With `replaces`, of items of a parcel that has left and is given up for lost, which nobody says has failed: they are sent
    again. 409 where others replace them already (`data.replaceable`). Should the lost one turn up, the order is flagged
    `over_fulfilled`.
    """
    return write.do(fulfillments.create(write, sent))


@writes("PATCH", "/api/fulfillments/{id}", "Fulfillments", changed(FULFILLMENTS), 200, NOT_FOUND, CONFLICT)
def update_fulfillment(id: Id, sent: s.UpdateFulfillment, write: BySecret) -> Response:
    """Move a fulfillment: packed, shipped, delivered or failed; or, without `status`, say who carries it.

    Of `carrier` and `trackingNumber` the half that is left out stays as it is. That works at any status: what was told by
    another number moves the fulfillment no more. What is to be taken back is corrected instead.
    """
    return write.do(fulfillments.update(write, id, sent))


@writes("POST", "/api/fulfillments/{id}/correct", "Fulfillments", changed(FULFILLMENTS), 200, NOT_FOUND, CONFLICT)
def correct_fulfillment(id: Id, sent: CorrectFulfillment, write: BySecret) -> Response:
    """Say where a fulfillment really stands, such as after *delivered* by mistake.

    What was told of it until now counts no more; what is told of later times moves it on from there. The answer has the
    status that it led to. 409 where the order was canceled.
    """
    return write.do(fulfillments.correct(write, id, sent))


# -- returns -----------------------------------------------------------------------------------------------


@writes("POST", "/api/returns", "Returns", changed(RETURNS), 201, NOT_FOUND, CONFLICT)
def create_return(sent: s.CreateReturn, write: ByReader) -> Response:
    """Ask for a return of what was delivered. A customer may, of their own order."""
    return write.do(returns.create(write, sent))


@writes("PATCH", "/api/returns/{id}", "Returns", changed(RETURNS), 200, NOT_FOUND, CONFLICT)
def update_return(id: Id, sent: s.UpdateReturn, write: BySecret) -> Response:
    """Move a return (approved, processing, completed or rejected), note that it was received, or who brings it back.

    Its parcel is followed by `carrier` and `trackingNumber`; once it is delivered, the return was received.

    With `completed`, `items` says what really came back (the rest may be asked back again), and `refundAmount` or
    `restockingFee` what is given back. 409 where that is more than these items may give back (`data.refundable`).
    """
    return write.do(returns.update(write, id, sent))


@writes("POST", "/api/returns/{id}/withdraw", "Returns", changed(RETURNS), 200, NOT_FOUND, CONFLICT)
def withdraw_return(id: Id, sent: s.WithdrawReturn, write: ByReader) -> Response:
    """Withdraw a return: it is `rejected`, by `customer`, and its items are free again. A customer may, of their own order.

    409 once it was received (`data.receivedAt`) or completed, or staff rejected it.
    """
    return write.do(returns.withdraw(write, id, sent))


@writes("POST", "/api/returns/return-with-refund", "Returns", refunded(), 201, NOT_FOUND, CONFLICT)
def return_with_refund(sent: s.ReturnWithRefund, write: BySecret) -> Response:
    """Take a return from its request to its end at once, and have it refunded."""
    return write.do(returns.with_refund(write, sent))


# -- refunds -----------------------------------------------------------------------------------------------


@writes("POST", "/api/refunds", "Refunds", refund_created(), 201, NOT_FOUND, CONFLICT)
def create_refund(sent: s.CreateRefund, write: BySecret) -> Response:
    """Give money back without a return: at most what was captured and neither lost nor contested, less the larger of
    what is due and what went back.

    `givenBackBefore` says what went back before, whoever made it. `doc` is the refund that goes out, with all that its
    payment has to give back; it is null where what was given back before covers it. 409 has the figures.
    """
    return write.do(refunds.create(write, sent))


@writes("POST", "/api/refunds/{id}/settle", "Refunds", changed(REFUNDS), 200, NOT_FOUND, CONFLICT)
def settle_refund(id: Id, sent: s.SettleRefund, write: BySecret) -> Response:
    """Tell that a refund was paid back by hand, past the provider: one that failed, was refused, or is yet to be made.

    409 while an attempt is under way or in doubt, and where it went back.
    """
    return write.do(refunds.settle(write, id, sent))


@writes("POST", "/api/refunds/{id}/allocate", "Refunds", changed(REFUNDS), 200, NOT_FOUND, CONFLICT)
def allocate_refund(id: Id, sent: s.AllocateRefund, write: BySecret) -> Response:
    """Say what a refund was for that somebody made at the provider; until then it counts toward what is due."""
    return write.do(refunds.allocate(write, id, sent))


@writes("POST", "/api/refunds/{id}/retry", "Refunds", changed(REFUNDS), 200, NOT_FOUND, CONFLICT)
def retry_refund(id: Id, write: BySecret) -> Response:
    """Try a refund again that failed, as a new attempt: the provider is asked first what went back.

    `doc` is the refund that goes out, which may be another one than that which failed.
    """
    return write.do(refunds.retry(write, id))


# -- findings ----------------------------------------------------------------------------------------------


@writes("POST", "/api/findings/{id}/resolve", "Findings", changed(FINDINGS), 200, NOT_FOUND, CONFLICT)
def resolve_finding(id: Id, sent: s.ResolveFinding, write: BySecret) -> Response:
    """Resolve a finding that waits for a person, with a note. It is not found again, unless either side says something else.

    409 where it does not wait: it healed, went by itself, or was resolved before.
    """
    return write.do(findings.resolve(write, id, sent))


# -- operations --------------------------------------------------------------------------------------------


@writes("POST", "/api/customers/{id}/erase", "Operations", erased(), 200, NOT_FOUND)
def erase_customer(id: CustomerId, sent: s.EraseCustomer, write: BySecret) -> Response:
    """Erase a customer's names, addresses, notes and bank accounts, wherever they are kept. It cannot be undone.

    Orders, amounts and the shop's id of the customer stay. May be repeated.
    """
    return write.do(privacy.erase(write, id, sent))


@writes("POST", "/api/pauses", "Operations", paused(), 201)
def create_pause(sent: s.CreatePause, write: BySecret) -> Response:
    """Pause an order, a type of event, a provider, a carrier, a kind of calls, a subscription, or all that goes outward.

    Obeyed within a second by every process. Nothing is lost: events wait in the journal, refunds and deliveries stay due.
    What is paused already has its reason and end replaced.
    """
    return write.do(pauses.create(write, sent))


@writes("POST", "/api/pauses/{id}/resume", "Operations", paused(), 200, NOT_FOUND)
def resume_pause(id: Id, write: BySecret) -> Response:
    """Resume what was paused: calls at once; events that waited are applied in their order, by the workers."""
    return write.do(pauses.resume(write, id))


# -- carts -------------------------------------------------------------------------------------------------


@writes("POST", "/api/carts", "Carts", changed(CARTS), 201)
def create_cart(sent: s.CreateCart, write: BySecret) -> Response:
    """Create a cart without lines."""
    return write.do(carts.create(write, sent))


@writes("POST", "/api/carts/{id}/items", "Carts", changed(CARTS), 201, NOT_FOUND, CONFLICT)
def add_cart_item(id: Id, sent: s.OrderProduct, write: BySecret) -> Response:
    """Add a line to a cart."""
    return write.do(carts.add(write, id, sent))


@writes("PATCH", "/api/carts/{id}/items/{item}", "Carts", changed(CARTS), 200, NOT_FOUND, CONFLICT)
def update_cart_item(id: Id, item: Id, sent: s.UpdateCartItem, write: BySecret) -> Response:
    """Change how many of a line there are."""
    return write.do(carts.change(write, id, item, sent.quantity))


@writes("DELETE", "/api/carts/{id}/items/{item}", "Carts", changed(CARTS), 200, NOT_FOUND, CONFLICT)
def remove_cart_item(id: Id, item: Id, write: BySecret) -> Response:
    """Take a line out of a cart."""
    return write.do(carts.remove(write, id, item))


# -- catalogue ---------------------------------------------------------------------------------------------

Key = Annotated[Name, Path(description="your own id", examples=["mug"])]
MANY = Body(max_length=s.LINES)


@writes("PUT", f"/api/products/{own_name('id')}", "Catalogue", changed(PRODUCTS))
def put_product(id: Key, sent: m.Product, write: BySecret) -> Response:
    """Tell what a product is."""
    return write.do(catalogue.put("products", m.BulkProduct(id=id, **dict(sent))))


@writes("PUT", "/api/products", "Catalogue", many_changed(PRODUCTS))
def put_products(sent: Annotated[list[m.BulkProduct], MANY], write: BySecret) -> Response:
    """Tell what many products are: all of them or none."""
    return write.do(catalogue.put_many("products", sent))


@writes("PUT", f"/api/product-variants/{own_name('id')}", "Catalogue", changed(VARIANTS))
def put_product_variant(id: Key, sent: m.ProductVariant, write: BySecret) -> Response:
    """Tell what a variant of a product is."""
    return write.do(catalogue.put("product_variants", m.BulkProductVariant(id=id, **dict(sent))))


@writes("PUT", "/api/product-variants", "Catalogue", many_changed(VARIANTS))
def put_product_variants(sent: Annotated[list[m.BulkProductVariant], MANY], write: BySecret) -> Response:
    """Tell what many variants are: all of them or none."""
    return write.do(catalogue.put_many("product_variants", sent))


@writes("PUT", f"/api/product-options/{own_name('id')}", "Catalogue", changed(OPTIONS))
def put_product_option(id: Key, sent: m.ProductOption, write: BySecret) -> Response:
    """Tell what an option of a variant is."""
    return write.do(catalogue.put("product_options", m.BulkProductOption(id=id, **dict(sent))))


@writes("PUT", "/api/product-options", "Catalogue", many_changed(OPTIONS))
def put_product_options(sent: Annotated[list[m.BulkProductOption], MANY], write: BySecret) -> Response:
    """Tell what many options are: all of them or none."""
    return write.do(catalogue.put_many("product_options", sent))
