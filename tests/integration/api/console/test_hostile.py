"""Hostile text in every field that others fill is harmless in the console: shown, spelled out, cut; never obeyed."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.builders import told

SCRIPT = "<script>alert(1)</script>"
ATTRIBUTE = "\" onmouseover='alert(1)' x=\""
TEMPLATE = "{{ 7919 * 7927 }}{% raw %}${7919*7927}"
DIRECTION = "gpj.\u202egnp\u2066\u200f"
CONTROL = "a\x1b[2Jb\x9bc\x7f"
LINK = "javascript:alert(1)"
HOSTILE = (SCRIPT, ATTRIBUTE, TEMPLATE, LINK)
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def orders(module_shop):
    """An order per hostile text, which stands in every field that a shop, a provider or a carrier fills."""
    found = []
    for number, text in enumerate(HOSTILE):
        name = f"H{number} {text}"
        body = module_shop.body(
            {"product": text, "quantity": 2, "unitPrice": 5000},
            orderNumber=name, paymentId=f"pay {name}", customer=text, notes=text,
            customerSnapshot={"name": text, "email": text, "phone": text},
            shippingAddress={"recipientName": text, "address1": text, "postalCode": text},
        )  # fmt: skip
        order = module_shop.ok("POST", "/api/orders", body)["doc"]
        module_shop.tell(
            told("PaymentSucceeded", subject=name, paymentId=f"pay {name}", amount="10000", provider=text, paymentMethod=text),
            told("FulfillmentShipped", subject=name, fulfillment=text, carrier=text, trackingNumber=f"{number} {text}"),
            told("TrackingUpdated", subject=None, carrier=text, trackingNumber=f"{number} {text}", status="in_transit",
                 location=text + DIRECTION, description=text),
            told("OrderHeld", subject=name, hold=text, by=text, reason=text + DIRECTION),
            told("PaymentFailed", subject=name, paymentId=f"no {name}", message=text, code=text),
        )  # fmt: skip
        found.append(order)
    long = module_shop.paid(customer="long")
    module_shop.do(
        "insert into subscriptions (id, url, collections, operations, secrets, notice) "
        "values (gen_random_uuid(), :url, '{orders}', '{create}', '{}', :notice)",
        url=f"https://x.example/{SCRIPT}", notice=CONTROL + "y" * 1_000_000,
    )  # fmt: skip
    module_shop.do("update transactions set payment_method = :text where order_id = cast(:id as uuid)",
                   text=CONTROL + "x" * 1_000_000, id=_uuid(long))  # fmt: skip
    yield [*found, long]
    module_shop.do("update transactions set payment_method = null where order_id = cast(:id as uuid)", id=_uuid(long))


def _uuid(order):
    from domain.ids import uuid_of

    return uuid_of(order["id"])


class Attributes(HTMLParser):
    """Every attribute of a page, as a browser reads it; `pages` counts whole ones."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.pages = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.pages += tag == "html"
        self.found += [(name, value or "") for name, value in attrs]


def harmless(text: str) -> None:
    """Nothing of it is a script, an attribute of ours, or a character that turns or hides what follows."""
    assert SCRIPT not in text
    reader = Attributes()
    reader.feed(text)
    assert [name for name, _ in reader.found if name.startswith("on")] == []
    assert [
        value for name, value in reader.found if name in ("href", "src", "action") and not value.startswith("/")
    ] == ["#main"] * reader.pages
    assert "62773913" not in text, "7919 × 7927 was computed"
    assert UNSEEN.findall(text) == []
    assert len(text) < 400_000, "what is long is cut"


def test_the_page_of_an_order_shows_all_of_it_and_obeys_nothing(console, orders):
    for order in orders:
        harmless(console.page(f"/orders/{order['id']}"))
        harmless(console.page(f"/orders/{order['id']}?event=1"))
        harmless(console.post(f"/orders/{order['id']}/personal").text)
        harmless(console.post(f"/orders/{order['id']}/acts/hold", {"hold": SCRIPT, "reason": ATTRIBUTE}).text)
    long = console.page(f"/orders/{orders[-1]['id']}")
    assert "1,000,010 characters" in long or "characters)" in long
    assert "\\x1b[2J" in long


@pytest.mark.parametrize(
    "path", ["/orders", "/flagged", "/parked", "/refunds", "/deliveries", "/trackers", "/now", "/audit"]
)
def test_lists_show_it_and_obey_nothing(console, orders, path):
    harmless(console.page(path))


@pytest.mark.parametrize(
    "path", ["/orders?q=", "/orders?status=", "/orders?after=", "/refunds?status=", "/audit?actor=", "/login?next="]
)
def test_what_is_asked_is_no_code_either(console, path):
    for asked in (SCRIPT, ATTRIBUTE, TEMPLATE, DIRECTION, "\x00", "%", "'; drop table orders; --", "x" * 5000):
        answer = console.client.get(f"/console{path.partition('?')[0]}", params={path.partition("?")[2][:-1]: asked})
        if answer.status_code == 303:  # a customer is called so, and has one order
            assert re.fullmatch(r"/console/orders/ord_[0-9a-f]{32}", answer.headers["location"])
        else:
            assert answer.status_code in (200, 400, 404), asked
            harmless(answer.text)
