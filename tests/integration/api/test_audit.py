"""`GET /api/audit`: who did what, found by each condition, page by page, with a secret key alone."""

from __future__ import annotations

from collections.abc import Iterator
from time import sleep

import pytest

from operations import audit
from tests.integration.api.commands.conftest import Shop

ACTS = [("cli:kim", "OrderHeld", "1"), ("cli:lee", "OrderHeld", "2"), ("cli:kim", "OrderReleased", "1"),
        ("api/key_1", audit.LOOKED, "2"), ("cli:kim", "pause", None)]  # fmt: skip


@pytest.fixture(scope="module")
def shop(module_database_url, module_redis_url) -> Iterator[Shop]:
    """A shop in which five acts were noted, an instant apart."""
    with_acts = Shop(module_database_url, module_redis_url)
    for actor, act, order in ACTS:
        with with_acts.doors.engine.begin() as conn:
            audit.record(conn, actor, act, f"orders/{order}", "why", {"a": 1}, {"a": 2}, order=order)
        sleep(0.002)  # the API tells times in milliseconds: of two acts within one neither came before the other
    yield with_acts
    with_acts.close()


@pytest.fixture(scope="module")
def noted(shop) -> list[dict]:
    """All of them as the API tells them, the oldest first; making the key was an act, too."""
    docs = shop.ok("GET", "/api/audit")["docs"]
    return [doc for doc in reversed(docs) if doc["act"] != "add key"]


def test_an_act_is_told_whole(noted):
    assert [(doc["actor"], doc["act"], doc["orderNumber"]) for doc in noted] == ACTS
    first = noted[0]
    assert (first["subject"], first["reason"], first["before"], first["after"]) == (
        "orders/1",
        "why",
        {"a": 1},
        {"a": 2},
    )


CONDITIONS = {
    "actor=cli:kim": [0, 2, 4],
    "act=OrderHeld": [0, 1],
    "act=look at personal data": [3],
    "order=1": [0, 2],
    "order=1&act=OrderHeld": [0],
    "since={2}": [2, 3, 4],
    "until={2}&since={0}": [0, 1],
    "actor=nobody": [],
}


@pytest.mark.parametrize("asked", CONDITIONS)
def test_acts_are_found_by_each_condition(shop, noted, asked):
    found = shop.ok("GET", f"/api/audit?{asked.format(*(doc['at'] for doc in noted))}")
    assert [doc["id"] for doc in found["docs"]] == [noted[place]["id"] for place in reversed(CONDITIONS[asked])]
    assert (found["hasNextPage"], found["nextBefore"]) == (False, None)


def test_pages_go_on_where_the_one_before_ended_whatever_is_added_meanwhile(shop, noted):
    seen, asked = [], "/api/audit?actor=cli:kim&limit=2"
    while True:
        found = shop.ok("GET", asked)
        seen += [doc["id"] for doc in found["docs"]]
        if not found["hasNextPage"]:
            break
        with shop.doors.engine.begin() as conn:
            audit.record(conn, "cli:kim", "pause", "outward", order="9")
        asked = f"/api/audit?actor=cli:kim&limit=2&before={found['nextBefore']}"
    assert seen == [noted[place]["id"] for place in (4, 2, 0)]


@pytest.mark.parametrize("asked", ["limit=0", "limit=1001", "before=0", "before=x", "since=yesterday", "actor=a%00b"])
def test_what_cannot_be_asked_is_refused(shop, asked):
    assert shop.call("GET", f"/api/audit?{asked}").status_code == 400


def test_a_secret_key_alone_is_answered(shop):
    assert shop.call("GET", "/api/audit", headers={}).status_code == 401
    publishable = {"Authorization": f"Bearer {shop.key('publishable')}"}
    assert shop.call("GET", "/api/audit", headers=publishable).status_code == 403
    assert shop.call("GET", "/api/audit", headers=shop.customer("c-1")).status_code == 403
