"""Pauses by the API: with the secret key, listed, obeyed, ended, each once under its idempotency key."""

from __future__ import annotations

import pytest


@pytest.fixture
def shop(open_shop):
    return open_shop()


def test_an_order_is_paused_listed_refused_and_resumed(shop):
    order = shop.create()
    number = order["orderNumber"]
    made = shop.ok("POST", "/api/pauses", {"kind": "order", "name": number, "reason": "fraud?"})["doc"]
    assert (made["kind"], made["name"], made["state"], made["reason"]) == ("order", number, "paused", "fraud?")
    assert made["by"].startswith("api/key_")
    assert shop.ok("GET", "/api/pauses")["docs"] == [made]
    refused = shop.refused(409, "PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    assert refused["name"] == "paused"
    assert "fraud?" in refused["message"]
    after = shop.ok("POST", f"/api/pauses/{made['id']}/resume")["doc"]
    assert after["state"] == "resuming", "the workers work off what waits, and end it"


def test_the_kill_switch_ends_at_once_and_is_not_ended_twice(shop):
    made = shop.ok("POST", "/api/pauses", {"kind": "outward", "reason": "double refunds?"})["doc"]
    assert made["name"] is None
    shop.ok("POST", f"/api/pauses/{made['id']}/resume")
    assert shop.ok("GET", "/api/pauses")["docs"] == []
    assert shop.refused(404, "POST", f"/api/pauses/{made['id']}/resume")["name"] == "pause_absent"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"kind": "effect", "name": "mails", "reason": "r"}, "mails is no kind of calls"),
        ({"kind": "outward", "name": "all", "reason": "r"}, "outward takes no name"),
        ({"kind": "order", "name": "7", "reason": "r", "until": "2020-01-01T00:00:00Z"}, "is not ahead"),
    ],
)
def test_what_cannot_be_paused_is_refused_in_words(shop, body, why):
    refused = shop.refused(400, "POST", "/api/pauses", body)
    assert why in refused["message"]
    assert shop.ok("GET", "/api/pauses")["docs"] == []
