"""Schemathesis reads our OpenAPI document and asks a served application all that it describes, and what it forbids.

No answer is a 5xx, and each is as documented: its status, its headers, its type, its body. What the document forbids
is refused; what it allows is taken, as far as a schema can tell: not where amounts must add up, or an order must stand
so and so. Most requests that would otherwise name nothing name what is really there.

ORDERS_FUZZ=N asks N examples of each operation instead of a few, and everything at the borders: minutes, by hand.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.generation.meta import TestPhase
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from api.app import create_app
from api.resources import open_doors
from cli.schema import document
from journal.streams import Streams
from settings.environment import read
from tests.api_server import served
from tests.integration.api.commands.conftest import SECRET, Shop

ACCOUNT_KEY = base64.b64encode(bytes(32)).decode()
LONG = int(os.environ.get("ORDERS_FUZZ", "0"))
EXAMPLES = LONG or 4
LONGEST = 10_000  # characters of a query; uvicorn itself refuses an address over 64 KiB, and each may become six of it
SHARE = 8  # of what lies at the borders of what the document describes (27,000 requests) one in so many is asked


@dataclass
class There:
    """The names of what exists, by the field that names it."""

    key: str
    ids: dict[str, list[str]] = field(default_factory=dict)  # collection → ids
    named: dict[str, list[str]] = field(default_factory=dict)  # field of a body, or of a path → values


def _seed(shop: Shop) -> There:
    """A shop in which something has happened already."""
    there = There(shop.key("secret"))
    for name in ("mug", "cup"):
        shop.ok("PUT", f"/api/products/{name}", {"title": name, "price": 5000})
    shop.ok("PUT", "/api/product-variants/mug-blue", {"product": "mug", "title": "blue"})
    shop.ok("PUT", "/api/product-options/wrap", {"variant": "mug-blue", "title": "gift wrap"})
    orders = [shop.create(), shop.create(), shop.paid(), shop.paid(), shop.delivered(), shop.delivered()]
    back = {"orderNumber": orders[-1]["orderNumber"], "reason": "defective", "note": "chipped"}
    shop.ok("POST", "/api/returns", back)
    for _ in range(2):
        cart = shop.ok("POST", "/api/carts", {"customer": "c1"})["doc"]
        shop.ok("POST", f"/api/carts/{cart['id']}/items", {"product": "mug", "quantity": 2, "unitPrice": 5000})
    shop.work()
    for collection in (
        "orders", "order-items", "transactions", "fulfillments", "fulfillment-items", "returns", "return-items",
        "carts", "cart-items", "products", "product-variants", "product-options",
    ):  # fmt: skip
        there.ids[collection] = [doc["id"] for doc in shop.ok("GET", f"/api/{collection}?limit=0")["docs"]]
        assert there.ids[collection], f"no {collection} to ask about"
    there.named = {
        "orderNumber": [order["orderNumber"] for order in orders],
        "paymentId": [f"pay-{order['orderNumber']}" for order in orders],
        "order": there.ids["orders"],
        "orderItem": there.ids["order-items"],
        "cartId": there.ids["carts"],
        "item": there.ids["cart-items"],
    }
    return there


# -- requests about something ----------------------------------------------------------------------------------


def _meant(case: Any, there: There, dice: int) -> None:
    """Have `case` name what is there, unless it is to be refused for the part that would change."""
    if not dice % 4:
        return
    if case.path_parameters and _is_sound(case, ParameterLocation.PATH):
        collection = case.path.split("/")[2]
        for name in case.path_parameters:
            values = there.named.get(name) or (there.ids.get(collection) if name == "id" else None)
            if values:
                case.path_parameters[name] = values[dice % len(values)]
    if isinstance(case.body, dict) and _is_sound(case, ParameterLocation.BODY):
        case.body = _named(case.body, case.path, there, dice)


def _is_sound(case: Any, location: ParameterLocation) -> bool:
    return case.meta is None or not case.meta.is_negative_at(location)


def _named(body: dict[str, Any], path: str, there: There, dice: int) -> dict[str, Any]:
    def pick(name: str) -> str:
        return there.named[name][dice % len(there.named[name])]

    body = dict(body)
    if path in ("/api/fulfillments", "/api/returns", "/api/returns/return-with-refund"):
        body.pop("order", None)
        body["orderNumber"] = pick("orderNumber")
        if dice % 3:
            body.pop("items", None)  # all that can be
    elif path == "/api/transactions/update":
        body["paymentId"] = pick("paymentId")
    elif path == "/api/checkout":
        body["cartId"] = pick("cartId")
        body.pop("totalAmount", None)
    elif path == "/api/orders" and isinstance(body.get("orderProducts"), list):
        lines = [{**line, "unitPrice": dice % 1000, "quantity": 1 + dice % 9} for line in body["orderProducts"]]
        goods = sum(line["unitPrice"] * line["quantity"] for line in lines)
        body |= {"orderProducts": lines, "shippingAmount": 0, "discountAmount": 0, "totalAmount": goods}
    return body


# -- the test ----------------------------------------------------------------------------------------------------

# Every operation without a key is refused: tests/integration/api/service/test_documentation.py.
CHECKED = [check for check in CHECKS.get_all() if check is not ignored_auth]
# Operations of which the document can say all that is needed for a yes.
ALL_SAID = ("find", "count", "checkKey", "createCustomerToken")


COMPARED = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "equals", "not_equals")
TIMES = ["2026-11-01T12:00:00+09:00", "1970-01-01T00:00:00Z", "2026-11-01", 1793502000000]


def _narrowed(openapi: dict[str, Any]) -> dict[str, Any]:
    """The document with less in wheres, selects and joins: each combination of all their fields would be thousands.

    A field of each kind, and times that Python has in any zone; no path over relationships, for one that is made up leads nowhere.
    """
    schemas = openapi["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith("Where"):
            branches = {each: schema["properties"].pop(each) for each in ("and", "or")}
            properties = reversed(schema["properties"].items())
            kinds = {told.get("$ref", field): (field, told) for field, told in properties}
            inside = {"type": "object", "properties": dict(list(kinds.values())[:1]), "additionalProperties": False}
            branch = {**branches["or"], "items": inside, "maxItems": 2}
            schema |= {"properties": {**dict(kinds.values()), "or": branch}, "additionalProperties": False}
    schemas["TimeCondition"]["properties"] |= {name: {"enum": TIMES} for name in COMPARED}
    for operation in (each for path in openapi["paths"].values() for each in path.values()):
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in ("select", "joins"):
                properties = parameter["schema"]["properties"]
                parameter["schema"]["properties"] = dict(list(properties.items())[:2])
                for each in properties.values():
                    each.get("properties", {}).pop("where", None)
    return openapi


DOCUMENT = _narrowed(json.loads(document("openapi")))
OPERATIONS = [each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()]
api = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig())
api.config.generation.update(deterministic=not LONG, allow_x00=False, allow_extra_parameters=False)


@api.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Leave those out that are not asked before Hypothesis makes an example of each: a third of the time."""
    return case.meta.phase.name is not TestPhase.COVERAGE or bool(LONG) or not _dice(case) % SHARE


def _dice(case: Any) -> int:
    return crc32(repr((case.method, case.path_parameters, case.query, case.headers, case.body)).encode())


@pytest.fixture(scope="module")
def there(module_database_url: str, module_redis_url: str) -> There:
    """A shop's database, and what is in it."""
    shop = Shop(module_database_url, module_redis_url, ORDERS_RATE_LIMIT="off")
    try:
        return _seed(shop)
    finally:
        shop.close()


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One connection for all requests."""
    with requests.Session() as opened:
        yield opened


@pytest.fixture(scope="module")
def url(there: There, module_database_url: str, module_redis_url: str) -> Iterator[str]:
    """The address of the application; its workers do nothing."""
    urls = {"DATABASE_URL": module_database_url, "REDIS_URL": module_redis_url, "ORDERS_TOKEN_SECRET": SECRET}
    doors = open_doors(
        read({**urls, "ORDERS_RATE_LIMIT": "off", "ORDERS_ACCOUNT_KEYS": ACCOUNT_KEY}, Path("/nonexistent"))
    )
    streams = Streams(doors.streams.client, doors.shop.shards, lambda shard: None)
    with served(create_app(replace(doors, streams=streams))) as url:
        yield url


# An operation is prepared when its turn comes, and not as `api.parametrize()` does it, all while tests are collected: that
# takes each process of a run half a minute and 1.6 GB.
@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_answer_is_as_the_document_says(
    operation: str, there: There, url: str, session: requests.Session
) -> None:
    def asked(case: Any) -> None:
        if len(repr(case.query)) > LONGEST:
            return
        _meant(case, there, _dice(case))
        case.call_and_validate(
            base_url=url,
            headers={"Authorization": f"Bearer {there.key}"},
            checks=CHECKED,
            excluded_checks=list(_beyond_it(case)),
            session=session,
        )

    few = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    [made] = get_all_tests(schema=api.include(operation_id=operation), test_func=asked, settings=few, given_kwargs=None)
    assert isinstance(made, Ok), made  # else the document says nothing sound of it
    made.ok()[1]()


def _beyond_it(case: Any) -> Iterator[Any]:
    """The checks of what a schema cannot tell of this request."""
    if not case.operation.definition.raw["operationId"].startswith(ALL_SAID):
        yield positive_data_acceptance
    # More is taken than is described: an empty value is none, as the official SDK writes null; of two the last counts;
    # a where may hold a value where a list is meant; whatever nobody has may be selected.
    query = case.query or {}
    lenient = any(name.startswith(("select", "where")) for name in query)
    if lenient or any(value in ("", {}) or isinstance(value, list) for value in query.values()):
        yield negative_data_rejection
