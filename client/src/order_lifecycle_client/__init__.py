"""Python client of the Order Lifecycle API.

    client = create_server_client(secret_key="sk01_…", base_url="http://127.0.0.1:8000")
    client.from_("orders").find(where={"status": {"equals": "paid"}}, sort="-created_at")

models          documents as the API answers them
request_types   bodies of requests
errors          the API's errors, as exceptions
webhooks        changes that the API posts, verified
order_numbers   numbers for new orders
client_factory  keys and addresses, checked
retry_policy    a call without the network: request, answer, when to try again
codec           the encoding of query strings and bodies
_async, _sync   the clients; the second is written from the first
"""

from order_lifecycle_client._async.client import (
    AsyncClient,
    AsyncServerClient,
    create_async_client,
    create_async_server_client,
)
from order_lifecycle_client._sync.client import Client, ServerClient, create_client, create_server_client
from order_lifecycle_client.errors import (
    ApiError,
    BadSignature,
    Conflict,
    Fault,
    Forbidden,
    KeyReused,
    NotFound,
    OrdersError,
    RateLimited,
    Unauthorized,
    Unavailable,
    ValidationFailed,
)
from order_lifecycle_client.models import (
    Balance,
    Cart,
    CartItem,
    CustomerToken,
    Dispute,
    Document,
    Finding,
    Fulfillment,
    FulfillmentItem,
    Join,
    Order,
    OrderItem,
    Page,
    Product,
    ProductOption,
    ProductVariant,
    Refund,
    RefundAccount,
    RefundCreated,
    RefundReason,
    Return,
    ReturnItem,
    ReturnRefunded,
    TimelineEntry,
    Transaction,
)
from order_lifecycle_client.order_numbers import generate_order_number
from order_lifecycle_client.webhooks import Webhook, verify_webhook

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncServerClient",
    "BadSignature",
    "Balance",
    "Cart",
    "CartItem",
    "Client",
    "Conflict",
    "CustomerToken",
    "Dispute",
    "Document",
    "Fault",
    "Finding",
    "Forbidden",
    "Fulfillment",
    "FulfillmentItem",
    "Join",
    "KeyReused",
    "NotFound",
    "Order",
    "OrderItem",
    "OrdersError",
    "Page",
    "Product",
    "ProductOption",
    "ProductVariant",
    "RateLimited",
    "Refund",
    "RefundAccount",
    "RefundCreated",
    "RefundReason",
    "Return",
    "ReturnItem",
    "ReturnRefunded",
    "ServerClient",
    "TimelineEntry",
    "Transaction",
    "Unauthorized",
    "Unavailable",
    "ValidationFailed",
    "Webhook",
    "create_async_client",
    "create_async_server_client",
    "create_client",
    "create_server_client",
    "generate_order_number",
    "verify_webhook",
]
