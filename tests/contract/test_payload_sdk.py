"""The official SDK of Payload CMS (npm: @payloadcms/sdk), unmodified, in Node, against a served application.

Its `payload` dependency is for its types alone and brings ninety packages, so `package.json` puts a package that is
there anyway in its place. Skipped where node or npm is missing, or nothing can be installed; -ra tells which.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from api.auth import issue
from api.resources import open_doors
from journal.streams import Streams
from settings.environment import read
from tests.api_server import served
from tests.integration.api.commands.conftest import SECRET, Shop

HERE = Path(__file__).parent
INSTALL_S = 90
GONE = "ord_" + "0" * 32


class Failed(Exception):
    """An error that the SDK threw."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["message"])
        self.thrown, self.status = told["thrown"], told.get("status")
        self.errors: list[dict[str, Any]] = told.get("errors") or []


class Sdk:
    """`sdk.find(collection="orders", …)` is the SDK's own; `customer` and `posted` are told in calls.mjs."""

    def __init__(self, node: subprocess.Popen[str]) -> None:
        self._node = node

    def call(self, method: str, *, customer: str | None = None, posted: bool = False, **options: Any) -> Any:
        assert self._node.stdin
        assert self._node.stdout
        asked = {"method": method, "options": options, "customer": customer, "posted": posted}
        self._node.stdin.write(json.dumps(asked) + "\n")
        self._node.stdin.flush()
        outcome = json.loads(self._node.stdout.readline())
        if "error" in outcome:
            raise Failed(outcome["error"])
        return outcome.get("value")

    def find(self, collection: str = "orders", **options: Any) -> Any:
        return self.call("find", collection=collection, **options)

    def numbers(self, where: dict[str, Any] | None = None, **options: Any) -> list[str]:
        """The numbers of the orders that are found."""
        told = {"limit": 0, "sort": "createdAt", **options}
        return [doc["orderNumber"] for doc in self.find(where=where or {}, **told)["docs"]]


@pytest.fixture(scope="module")
def world(module_database_url: str, module_redis_url: str) -> dict[str, Any]:
    """Orders A (pending, 10,000 of customer c1), B (paid, 15,000, c1), C and D (delivered, 10,000 and 9,000, c2)."""
    shop = Shop(module_database_url, module_redis_url)
    try:
        shop.ok("PUT", "/api/products/mug", {"title": "Mug", "price": 5000})
        cups = {"product": "cup", "quantity": 3, "unitPrice": 5000}
        made = {
            "A": shop.create(orderNumber="A", paymentId="pay-A", customer="c1", notes="ring twice"),
            "B": shop.paid(cups, orderNumber="B", paymentId="pay-B", customer="c1"),
            "C": shop.delivered(orderNumber="C", paymentId="pay-C", customer="c2"),
            "D": shop.delivered(
                {"product": "mug", "quantity": 1, "unitPrice": 5000}, {"product": "cup", "quantity": 2, "unitPrice": 2000},
                orderNumber="D", paymentId="pay-D", customer="c2", customerSnapshot={"name": "Kim Da-eun"},
            ),
        }  # fmt: skip
        token, _ = issue("c2", SECRET, datetime.now(UTC), timedelta(hours=1))
        return {**made, "secret": shop.key("secret"), "publishable": shop.key("publishable"), "token": token}
    finally:
        shop.close()


@pytest.fixture(scope="module")
def url(world: dict[str, Any], module_database_url: str, module_redis_url: str) -> Iterator[str]:
    """The API's base URL."""
    urls = {"DATABASE_URL": module_database_url, "REDIS_URL": module_redis_url, "ORDERS_TOKEN_SECRET": SECRET}
    doors = open_doors(read(urls, Path("/nonexistent")))
    streams = Streams(doors.streams.client, doors.shop.shards, lambda shard: None)
    with served(create_app(replace(doors, streams=streams))) as url:
        yield f"{url}/api"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Node finds the SDK, of the versions and with the hashes of package-lock.json."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("the SDK of Payload was not tried: node and npm are not on the PATH")
    folder = tmp_path_factory.mktemp("sdk")
    for name in ("package.json", "package-lock.json", "calls.mjs"):
        shutil.copy(HERE / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the SDK of Payload was not tried: npm ci took over {INSTALL_S} s")
    if done.returncode:
        said = " ".join(done.stderr.split("\n", 3)[:3])
        pytest.skip(f"the SDK of Payload was not tried: npm ci says {said}")
    return folder


def _started(installed: Path, url: str, key: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["node", "calls.mjs"],
        cwd=installed,
        env={**os.environ, "ORDERS_URL": url, "ORDERS_SECRET_KEY": key},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def sdk(installed: Path, url: str, world: dict[str, Any]) -> Iterator[Sdk]:
    """The SDK with a secret key."""
    with _started(installed, url, world["secret"]) as node:
        yield Sdk(node)


@pytest.fixture(scope="module")
def page(installed: Path, url: str, world: dict[str, Any]) -> Iterator[Sdk]:
    """The SDK with a publishable key."""
    with _started(installed, url, world["publishable"]) as node:
        yield Sdk(node)


# -- what is installed -------------------------------------------------------------------------------------


def test_the_lock_has_hashes_and_names_no_registry():
    lock = json.loads((HERE / "package-lock.json").read_text())["packages"]
    packages = {name: told for name, told in lock.items() if name}
    assert len(packages) == 4
    assert all(told["integrity"].startswith("sha512-") and "resolved" not in told for told in packages.values())


def test_it_is_the_official_sdk(installed):
    package = json.loads((installed / "node_modules/@payloadcms/sdk/package.json").read_text())
    assert (package["name"], package["version"].rpartition(".")[0]) == ("@payloadcms/sdk", "3.90")


# -- find --------------------------------------------------------------------------------------------------


def test_find_answers_a_page(sdk):
    found = sdk.find(limit=3, page=2, sort="createdAt")
    assert [doc["orderNumber"] for doc in found.pop("docs")] == ["D"]
    assert found == {
        "totalDocs": 4, "limit": 3, "totalPages": 2, "page": 2, "pagingCounter": 4,
        "hasPrevPage": True, "hasNextPage": False, "prevPage": 1, "nextPage": None,
    }  # fmt: skip


def test_find_without_pagination_answers_all(sdk):
    found = sdk.find(pagination=False)
    assert (len(found["docs"]), found["totalDocs"], found["totalPages"]) == (4, 4, 1)


def test_documents_hold_numbers_and_times_that_javascript_reads(sdk, world):
    doc = sdk.call("findByID", collection="orders", id=world["D"]["id"])
    assert (doc["totalAmount"], doc["status"], doc["customerSnapshot"]) == (9000, "delivered", {"name": "Kim Da-eun"})
    assert datetime.fromisoformat(doc["createdAt"]).tzinfo is not None
    assert doc["products"] == {"docs": [item["id"] for item in world["D"]["products"]["docs"]], "hasNextPage": False}


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ({"status": {"equals": "delivered"}}, "CD"),
        ({"orderNumber": {"in": ["A", "D"]}}, "AD"),
        ({"orderNumber": {"in": []}}, ""),
        ({"orderNumber": {"not_in": []}}, "ABCD"),
        ({"orderNumber": {"not_in": ["A", "D"]}}, "BC"),
        ({"notes": {"exists": True}}, "A"),
        ({"notes": {"equals": None}}, "BCD"),
        ({"totalAmount": {"greater_than": 9000.5}, "customer": {"equals": "c1"}}, "AB"),
        ({"createdAt": {"less_than": {"$date": "2020-01-01T00:00:00Z"}}}, ""),
        ({"createdAt": {"greater_than": {"$date": "2020-01-01T00:00:00Z"}}}, "ABCD"),
        ({"or": [{"orderNumber": {"equals": "A"}}, {"and": [{"customer": {"equals": "c2"}},
                                                            {"totalAmount": {"less_than": 9500}}]}]}, "AD"),
        ({"or": [], "status": {"equals": "paid"}}, ""),
        ({"and": [{"or": [{"status": {"equals": "pending"}}, {"status": {"equals": "delivered"}}]},
                  {"customerSnapshot.name": {"like": "da-eun kim"}}]}, "D"),
        ({"customerSnapshot.email": {"contains": "john@"}}, "ABC"),
        ({"orderNumber": {"equals": "a & b = c + d % é"}}, ""),
    ],
)  # fmt: skip
def test_wheres(sdk, where, numbers):
    assert "".join(sdk.numbers(where)) == numbers
    assert "".join(sdk.numbers(where, posted=True)) == numbers
    assert sdk.call("count", collection="orders", where=where) == {"totalDocs": len(numbers)}


def test_a_where_goes_over_relationships(sdk):
    items = sdk.find("order-items", where={"order.customerSnapshot.name": {"equals": "Kim Da-eun"}}, sort="-unitPrice")
    assert [(item["product"], item["quantity"]) for item in items["docs"]] == [("mug", 1), ("cup", 2)]
    assert sdk.find("order-products", where={"order.orderNumber": {"equals": "B"}})["totalDocs"] == 1


def test_sorts(sdk):
    assert sdk.numbers(sort="-orderNumber") == ["D", "C", "B", "A"]
    assert sdk.numbers(sort=["totalAmount", "-orderNumber"]) == ["D", "C", "A", "B"]


def test_a_query_that_is_too_long_for_an_address_is_posted(sdk):
    many = [f"no-such-number-{number:05d}" for number in range(900)]
    assert sdk.numbers({"orderNumber": {"in": [*many, "C"]}}, posted=True) == ["C"]


def test_select_leaves_the_rest_out(sdk):
    (doc,) = sdk.find(where={"orderNumber": {"equals": "D"}}, select={"orderNumber": True, "customerSnapshot": True})[
        "docs"
    ]
    assert set(doc) == {"id", "orderNumber", "customerSnapshot"}
    left = sdk.find(limit=1, select={"products": False, "notes": False})["docs"][0]
    assert not {"products", "notes"} & set(left)
    assert "transactions" in left


def test_joins_are_paged_sorted_narrowed_and_left_out(sdk, world):
    by_id = {"collection": "orders", "id": world["D"]["id"]}
    ids = {item["product"]: item["id"] for item in world["D"]["products"]["docs"]}
    doc = sdk.call(
        "findByID",
        **by_id,
        joins={"products": {"limit": 1, "sort": "unitPrice", "count": True}, "fulfillments": False},
    )
    assert doc["products"] == {"docs": [ids["cup"]], "hasNextPage": True, "totalDocs": 2}
    assert "fulfillments" not in doc
    narrowed = sdk.call("findByID", **by_id, joins={"products": {"where": {"product": {"equals": "mug"}}}})
    assert narrowed["products"]["docs"] == [ids["mug"]]


def test_depth_shows_what_relationships_point_at(sdk, world):
    item = sdk.find("order-items", depth=1, where={"order": {"equals": world["D"]["id"]}, "product": {"equals": "mug"}})
    assert item["docs"][0]["product"]["title"] == "Mug"
    assert item["docs"][0]["order"]["orderNumber"] == "D"
    doc = sdk.call("findByID", collection="orders", id=world["D"]["id"], depth=1)
    assert [line["quantity"] for line in doc["products"]["docs"]] == [1, 2]


def test_parameters_that_mean_nothing_here_do_no_harm(sdk):
    told = {
        "draft": False,
        "trash": False,
        "locale": "ko",
        "fallbackLocale": "en",
        "populate": {"products": {"title": True}},
    }
    assert sdk.find(**told)["totalDocs"] == 4


# -- write -------------------------------------------------------------------------------------------------


def body(number: str, **more: Any) -> dict[str, Any]:
    line = {"product": "mug", "quantity": 2, "unitPrice": 5000}
    told = {
        "customerSnapshot": {"name": "Lee"},
        "shippingAddress": {"address1": "1 Road"},
        "paymentId": f"pay-{number}",
    }
    return {"orderNumber": number, "orderProducts": [line], "totalAmount": 10_000, **told, **more}


def test_create_answers_the_document(sdk):
    doc = sdk.call("create", collection="orders", data=body("E"), depth=2)
    assert (doc["orderNumber"], doc["status"], doc["products"]["docs"][0]["product"]["title"]) == (
        "E",
        "pending",
        "Mug",
    )
    cart = sdk.call("create", collection="carts", data={"customer": "c9"})
    assert cart["items"] == {"docs": [], "hasNextPage": False}


def test_update_by_id_answers_the_document(sdk):
    made = sdk.call("create", collection="orders", data=body("F"))
    doc = sdk.call("update", collection="orders", id=made["id"], data={"status": "canceled"}, depth=1)
    assert (doc["id"], doc["status"], doc["transactions"]["docs"][0]["paymentId"]) == (made["id"], "canceled", "pay-F")


def test_update_by_where_answers_documents_and_errors(sdk, world):
    made = [sdk.call("create", collection="orders", data=body(number)) for number in ("G1", "G2", "G3")]
    where = {"orderNumber": {"in": ["G1", "G2", "G3", "D"]}}
    told = {"collection": "orders", "where": where, "data": {"status": "canceled"}}
    first = sdk.call("update", **told, limit=1, sort="-orderNumber")
    assert [doc["orderNumber"] for doc in first["docs"]] == ["G3"]
    rest = sdk.call("update", **told)
    assert {doc["id"] for doc in rest["docs"]} == {doc["id"] for doc in made[:2]}
    assert {error["id"] for error in rest["errors"]} == {world["D"]["id"], made[2]["id"]}
    assert all("cannot become canceled" in error["message"] for error in rest["errors"])


def test_a_return_and_a_parcel_are_made_and_moved(sdk, world):
    back = sdk.call("create", collection="returns", data={"order": world["C"]["id"], "reason": "defective"})
    assert back["order"] == world["C"]["id"]
    moved = sdk.call("update", collection="returns", id=back["id"], data={"status": "approved"})
    assert moved["status"] in ("approved", "processing")
    parcel = sdk.call("create", collection="fulfillments", data={"orderNumber": "B", "carrier": "CJ Logistics"})
    shipped = sdk.call("update", collection="fulfillments", id=parcel["id"], data={"status": "shipped"})
    assert (shipped["status"], shipped["carrier"]) == ("shipped", "CJ Logistics")


# -- errors ------------------------------------------------------------------------------------------------


def refused(sdk: Sdk, method: str, **options: Any) -> Failed:
    with pytest.raises(Failed) as caught:
        sdk.call(method, **options)
    assert caught.value.thrown == "PayloadSDKError"
    return caught.value


def test_what_is_not_there_is_not_found(sdk):
    error = refused(sdk, "findByID", collection="orders", id=GONE)
    assert (error.status, str(error), error.errors) == (404, "Not Found", [{"message": "Not Found"}])
    assert sdk.call("findByID", collection="orders", id=GONE, disableErrors=True) is None


def test_a_query_that_is_wrong_names_its_field(sdk):
    error = refused(sdk, "find", collection="orders", where={"colour": {"equals": "red"}})
    assert (error.status, error.errors[0]["name"]) == (400, "ValidationError")
    assert error.errors[0]["data"]["errors"][0]["path"] == "colour"


def test_a_document_that_is_wrong_names_its_fields(sdk):
    error = refused(sdk, "create", collection="orders", data=body("H", totalAmount=1))
    assert (error.status, error.errors[0]["name"]) == (400, "ValidationError")
    assert [fault["path"] for fault in error.errors[0]["data"]["errors"]] == ["totalAmount"]
    assert str(error) == error.errors[0]["message"]


def test_a_step_that_is_not_allowed_says_what_is(sdk, world):
    error = refused(sdk, "update", collection="orders", id=world["A"]["id"], data={"status": "delivered"})
    assert (error.status, error.errors[0]["data"]["status"]) == (409, "pending")
    assert "canceled" in error.errors[0]["data"]["allowed"]


def test_files_are_taken_nowhere(sdk):
    error = refused(sdk, "create", collection="carts", data={"customer": "c9"}, file={"$file": "hello"})
    assert error.status == 400
    assert "file" in str(error)


def test_what_payload_has_and_we_do_not_is_refused_in_words(sdk, world):
    assert refused(sdk, "delete", collection="orders", id=world["A"]["id"]).status == 405
    assert refused(sdk, "findVersions", collection="orders").status == 404
    assert refused(sdk, "find", collection="unheard-of").status == 404
    assert refused(sdk, "findGlobal", slug="header").errors == [{"message": "Not Found"}]


def test_a_customer_sees_what_is_theirs(page, world):
    assert {doc["orderNumber"] for doc in page.find(customer=world["token"])["docs"]} == {"C", "D"}
    assert refused(page, "find", collection="orders").status == 403
    assert refused(page, "find", collection="orders", customer="forged").status == 401
    assert refused(page, "findByID", collection="orders", id=world["A"]["id"], customer=world["token"]).status == 404
