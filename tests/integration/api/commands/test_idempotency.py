"""Idempotency keys: one request, one effect, one answer."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from journal.commands import purge

KEY = {"Idempotency_Key": "4be5b7f3"}
MUG = {"product": "mug", "quantity": 2, "unitPrice": 5000}


def test_the_same_key_and_body_is_answered_again_and_done_once(shop):
    order = shop.delivered(MUG)
    body = {"order": order["id"], "reason": "other", "items": [_one(order)]}
    first = shop.call("POST", "/api/returns", body, **KEY)
    shop.work()
    again = shop.call("POST", "/api/returns", dict(reversed(body.items())), **KEY)
    assert (again.status_code, again.text) == (first.status_code, first.text) == (201, first.text)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert shop.one("select count(*) from returns") == 1


def test_the_key_is_the_events_id(shop):
    shop.ok("POST", "/api/orders", shop.body(), **KEY)
    ((source, name),) = shop.do("select source, event_id from journal")
    assert (source[:8], name) == ("api/key_", "4be5b7f3")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/carts", {"customer": "x"}),
        ("POST", "/api/carts?depth=1", {}),
        ("PUT", "/api/products/a", {"title": "A"}),
    ],
)
def test_another_request_with_the_same_key_is_refused(shop, method, path, body):
    shop.ok("POST", "/api/carts", {}, **KEY)
    assert shop.refused(422, method, path, body, **KEY)["name"] == "idempotency_key_reused"


def test_keys_of_two_callers_do_not_meet(shop):
    first = shop.ok("POST", "/api/carts", {}, **KEY)
    other = {"Authorization": f"Bearer {shop.key('secret')}"}
    assert shop.ok("POST", "/api/carts", {}, other, **KEY)["doc"]["id"] != first["doc"]["id"]


def test_customers_who_share_a_publishable_key_do_not_meet(shop):
    ones, twos = shop.delivered(MUG, customer="c1"), shop.delivered(MUG, customer="c2")
    mine = shop.customer("c1")
    theirs = {**mine, "X-Customer-Token": shop.customer("c2")["X-Customer-Token"]}
    body = {"order": ones["id"], "reason": "other"}
    shop.ok("POST", "/api/returns", body, mine, **KEY)
    shop.refused(404, "POST", "/api/returns", body, theirs, **KEY)
    shop.ok("POST", "/api/returns", {**body, "order": twos["id"]}, theirs, **KEY)


def test_a_refused_request_keeps_no_answer_and_may_come_again(shop):
    order = shop.create()
    request = ("POST", "/api/fulfillments", {"order": order["id"]})
    shop.refused(409, *request, **KEY)
    shop.pay(order)
    shop.ok(*request, **KEY)


def test_a_key_that_is_none_is_a_fault(shop):
    for key in ("", "a b", "x" * 256, "é".encode().decode("latin-1")):
        answer = shop.client.post(
            "/api/carts", json={}, headers={**shop.secret, "Idempotency-Key": key.encode("latin-1")}
        )
        assert (answer.status_code, answer.json()["errors"][0]["data"]["errors"][0]["path"]) == (400, "Idempotency-Key")


def test_after_a_day_the_answer_is_forgotten_and_the_event_is_not_doubled(shop):
    shop.ok("POST", "/api/carts", {}, **KEY)
    body = shop.body()
    shop.ok("POST", "/api/orders", body, Idempotency_Key="order")
    with shop.doors.engine.begin() as conn:
        assert purge(conn) == 0
        conn.execute(text("update answers set created_at = created_at - interval '25 hours'"))
    first = shop.one("select id from carts")
    shop.ok("POST", "/api/carts", {"customer": "x"}, **KEY)  # an expired answer stands in nobody's way
    other = shop.refused(409, "POST", "/api/orders", shop.body(), Idempotency_Key="order")
    assert other["name"] == "idempotency_key_expired"
    assert shop.one("select count(*) from carts where id <> cast(:id as uuid)", id=first) == 1
    with shop.doors.engine.begin() as conn:
        assert purge(conn) == 1


def test_many_at_once_with_one_key_are_done_once_and_answered_alike(shop):
    answers = shop.at_once(lambda _: shop.call("POST", "/api/carts", {}, **KEY), 40)
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 39
    assert shop.one("select count(*) from carts") == 1


def _one(order):
    return {"orderItem": order["products"]["docs"][0]["id"], "quantity": 1}
