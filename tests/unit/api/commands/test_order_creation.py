"""The body that createOrder makes: the same for all requests that mean the same, also those of a release before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from api.commands.order_creation import body_of
from api.commands.request_models import CreateOrder
from api.errors import ApiError
from events.catalogue import decode
from events.envelope import Envelope

SENT: dict[str, Any] = {
    "orderNumber": "261101000001",
    "customerSnapshot": {"name": "Kim Minji", "email": "minji@shop.example"},
    "shippingAddress": {"recipientName": "Kim Minji", "postalCode": "04524"},
    "orderProducts": [
        {"product": "mug", "variant": "mug-blue", "quantity": 2, "unitPrice": 10000},
        {"product": "tea", "quantity": 1, "unitPrice": "4500.0"},
    ],
    "totalAmount": 26500, "shippingAmount": 3000, "discountAmount": 1000, "discountCode": "HI",
    "paymentId": "pay_1", "customer": "cus_1", "notes": "ring twice",
}  # fmt: skip
# Of the release before taxes: an order that it placed is told by this whether a request is the same.
DIGEST = "a2e248d927eaeb369e25b2a1f8facfd6"


def made(**changed: Any) -> dict[str, Any]:
    sent = CreateOrder.model_validate({**SENT, **changed})
    return body_of(sent, sent.orderProducts, sent.shippingAddress, sent.totalAmount, "KRW", sent.customer)


def digest(body: dict[str, Any]) -> str:
    return Envelope("", "", "OrderCreated", datetime(2026, 11, 1, tzinfo=UTC), SENT["orderNumber"], body).digest().hex()


def test_a_request_without_new_fields_has_the_digest_that_it_had():
    assert digest(made()) == DIGEST
    assert digest(made(taxAmount=None)) == DIGEST
    assert digest(made(provider=None)) == DIGEST
    assert digest(made(orderProducts=[{**one, "requiresShipping": None} for one in SENT["orderProducts"]])) == DIGEST


def test_tax_is_on_top_of_the_prices():
    body = made(taxAmount="2650.0", totalAmount=29150, orderProducts=[{**SENT["orderProducts"][0], "taxAmount": 2000},
                                                                     {**SENT["orderProducts"][1], "taxFree": True}])  # fmt: skip
    assert (body["taxAmount"], body["items"][0]["taxAmount"], body["items"][1]["taxFree"]) == ("2650", "2000", True)
    decode("OrderCreated", 1, SENT["orderNumber"], body)
    assert digest(made(taxAmount=0)) != DIGEST


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"taxAmount": 100}, "is 26500, but the goods + shipping + tax − discount are 24500 + 3000 + 100 − 1000 = 26600"),
        ({"totalAmount": 1}, "is 1, but the goods + shipping − discount are 24500 + 3000 − 1000 = 26500; send that"),
        ({"taxAmount": "0.5", "totalAmount": 26500}, "has more than 0 decimals"),
        (
            {"orderProducts": [{**one, "taxAmount": 60} for one in SENT["orderProducts"]], "taxAmount": 100,
             "totalAmount": 26600},
            "is 100, less than the lines' taxAmount together",
        ),
    ],
)  # fmt: skip
def test_amounts_that_do_not_add_up_are_refused_in_words(changed: dict[str, Any], said: str):
    with pytest.raises(ApiError) as caught:
        made(**changed)
    assert said in str(caught.value.data)
