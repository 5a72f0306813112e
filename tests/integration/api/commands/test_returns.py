"""createReturn, updateReturn and returnWithRefund, and how they refuse."""

from __future__ import annotations

from datetime import timedelta

import pytest

MUG, CUP = {"product": "mug", "quantity": 2, "unitPrice": 5000}, {"product": "cup", "quantity": 1, "unitPrice": 900}


def ask(shop, order, **more):
    return shop.ok("POST", "/api/returns?depth=1", {"order": order["id"], "reason": "defective", **more})["doc"]


def refused(shop, order, path="/api/returns", status=409, **more):
    return shop.refused(status, "POST", path, {"order": order["id"], "reason": "defective", **more})


def of(order, *quantities):
    ids = [line["id"] for line in order["products"]["docs"]]
    return [{"orderItem": name, "quantity": n} for name, n in zip(ids, quantities, strict=False) if n]


def test_a_return_is_asked_for_and_our_policy_takes_it_on(shop):
    order = shop.delivered(MUG, CUP)
    back = ask(shop, order, items=of(order, 1), note="the handle is loose")
    assert (back["reason"], back["note"], back["reference"]) == ("defective", "the handle is loose", back["id"])
    assert [line["quantity"] for line in back["items"]["docs"]] == [1]
    shop.work()
    assert shop.order(order)["returns"]["docs"][0]["status"] == "processing"
    assert shop.status(order) == "return_processing"
    done = shop.ok("PATCH", f"/api/returns/{back['id']}", {"status": "completed"})["doc"]
    assert (done["status"], done["refundAmount"]) == ("completed", 5000)
    assert shop.do("select target from effects") == [(5000,)]


def test_an_approval_is_answered_as_such_and_the_workers_go_on(open_shop):
    shop = open_shop(ORDERS_RETURNS="staff")
    back = ask(shop, shop.delivered(MUG))
    assert shop.ok("PATCH", f"/api/returns/{back['id']}", {"status": "approved"})["doc"]["status"] == "approved"
    shop.work()
    assert shop.one("select status from returns") == "processing"


def test_staff_take_each_step(open_shop):
    shop = open_shop(ORDERS_RETURNS="staff")
    back = ask(shop, shop.delivered(MUG))
    assert back["status"] == "requested"
    shop.ok("PATCH", f"/api/returns/{back['id']}", {"status": "approved"})
    for status in ("processing", "processing", "completed"):
        assert shop.ok("PATCH", f"/api/returns/{back['id']}", {"status": status})["doc"]["status"] == status
        shop.work()
    error = shop.refused(409, "PATCH", f"/api/returns/{back['id']}", {"status": "rejected"})
    assert error["data"] == {"status": "completed", "allowed": []}


def test_a_rejected_return_lets_go_of_its_items(open_shop):
    shop = open_shop(ORDERS_RETURNS="staff")
    order = shop.delivered(MUG)
    back = ask(shop, order)
    error = shop.refused(409, "PATCH", f"/api/returns/{back['id']}", {"status": "completed"})
    assert error["data"] == {"status": "requested", "allowed": ["approved", "processing", "rejected"]}
    shop.ok("PATCH", f"/api/returns/{back['id']}", {"status": "rejected"})
    assert [line["quantity"] for line in ask(shop, order)["items"]["docs"]] == [2]


def test_without_items_all_that_can_comes_back(shop):
    order = shop.delivered(MUG, CUP)
    ask(shop, order, items=of(order, 1))
    assert [line["quantity"] for line in ask(shop, order)["items"]["docs"]] == [1, 1]
    assert "no items that can be returned" in refused(shop, order)["message"]


def test_never_more_than_was_delivered_and_is_not_held(shop):
    order = shop.delivered(MUG)
    ask(shop, order, items=of(order, 1))
    error = refused(shop, order, items=of(order, 2))
    assert (error["data"]["returnable"], error["data"]["item"]) == (1, of(order, 2)[0]["orderItem"])
    assert refused(shop, shop.paid(MUG))["data"]["status"] == "preparing"


def test_the_return_window_closes(shop):
    order = shop.delivered(MUG)
    shop.do("update fulfillments set delivered_at = delivered_at - cast(:by as interval)", by=timedelta(days=31))
    for path in ("/api/returns", "/api/returns/return-with-refund"):
        error = refused(shop, order, path)
        assert error["name"] == "return_window_closed"
        assert error["data"]["status"] == "delivered"
    shop.do("update fulfillments set delivered_at = delivered_at + cast(:by as interval)", by=timedelta(days=31))


# -- a customer's ------------------------------------------------------------------------------------------


def test_a_customer_asks_for_a_return_of_their_own_order_and_of_no_other(shop):
    order, other = shop.delivered(MUG, customer="cus_1"), shop.delivered(MUG)
    mine = shop.customer("cus_1")
    body = {"order": order["id"], "reason": "other"}
    assert shop.ok("POST", "/api/returns", body, mine)["doc"]["order"] == order["id"]
    assert shop.one("select count(*) from journal where source like 'api/key_%' and type = 'ReturnRequested'") == 1
    for theirs in (shop.customer("cus_2"), mine):
        shop.refused(404, "POST", "/api/returns", {"orderNumber": other["orderNumber"], "reason": "other"}, theirs)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/orders"), ("PATCH", "/api/orders/x"), ("POST", "/api/returns/return-with-refund"),
     ("PATCH", "/api/returns/x"), ("POST", "/api/carts"), ("PUT", "/api/products/x"), ("POST", "/api/checkout")],
)  # fmt: skip
def test_a_customer_writes_nothing_else(shop, method, path):
    assert shop.refused(403, method, path, {}, shop.customer("cus_1"))
    assert shop.refused(401, method, path, {}, {})


def test_a_publishable_key_alone_asks_for_no_return(shop):
    order = shop.delivered(MUG)
    alone = {"Authorization": f"Bearer {shop.key('publishable')}"}
    shop.refused(403, "POST", "/api/returns", {"order": order["id"], "reason": "other"}, alone)


# -- with its refund ---------------------------------------------------------------------------------------


def with_refund(shop, order, **more):
    return shop.ok("POST", "/api/returns/return-with-refund", {"order": order["id"], "reason": "damaged", **more})


def test_a_return_with_its_refund_is_done_at_once_and_steps_of_our_policy_do_not_matter(shop):
    order = shop.delivered(MUG, CUP, discountAmount=900, totalAmount=10000)
    answer = with_refund(shop, order, items=of(order, 2))
    assert (answer["return"]["status"], answer["return"]["refundAmount"]) == ("completed", 9174)  # its discount: 825.…
    assert answer["transaction"]["paymentId"] == f"pay-{order['orderNumber']}"
    shop.work()  # our policy took its steps within the request: nothing is left to do
    assert shop.order(order)["returns"]["docs"][0]["status"] == "completed"
    assert shop.do("select target, state from effects") == [(9174, "due")]
    assert shop.do("select outcome, reason from results where outcome <> 'applied'") == []
    assert with_refund(shop, order)["return"]["refundAmount"] == 826
    assert shop.status(order) == "returned"
    assert shop.do("select target from effects") == [(10000,)]


@pytest.mark.parametrize(("returns", "by_caller"), [("auto", 2), ("staff", 3)])
def test_every_step_of_a_return_with_its_refund_is_taken_once_by_whom_the_policy_says(open_shop, returns, by_caller):
    shop = open_shop(ORDERS_RETURNS=returns)
    with_refund(shop, shop.delivered(MUG))
    shop.work()
    steps = "select source like 'api/%', outcome from journal join results using (seq) where type like 'Return%'"
    assert (
        sorted(map(tuple, shop.do(steps))) == [(False, "applied")] * (4 - by_caller) + [(True, "applied")] * by_caller
    )


def test_a_stated_refund_and_none_at_all(shop):
    order = shop.delivered(MUG)
    answer = with_refund(shop, order, items=of(order, 1), refundAmount="1000.0")
    assert answer["return"]["refundAmount"] == 1000
    nothing = with_refund(shop, order, refundAmount=0)
    assert (nothing["return"]["status"], nothing["transaction"]) == ("completed", None)
    assert shop.do("select target from effects") == [(1000,)]


def test_never_more_than_was_captured_and_not_refunded(shop):
    order = shop.delivered(MUG)
    path = "/api/returns/return-with-refund"
    assert refused(shop, order, path, refundAmount=10001)["data"]["refundable"] == 10000
    one = of(order, 1)
    assert refused(shop, order, path, items=one, refundAmount=6000)["data"]["refundable"] == 5000  # what it costs
    with_refund(shop, order, items=one, refundAmount=5000)
    assert refused(shop, order, path, refundAmount=5001)["data"]["refundable"] == 5000
    error = refused(shop, order, path, 400, refundAmount=0.5)
    assert error["data"]["errors"][0]["path"] == "refundAmount"


def test_the_latest_payment_is_refunded_first(shop):
    from tests.builders import later, paid

    order = shop.create(MUG)
    number = order["orderNumber"]
    shop.tell(paid(4000, "early", subject=number), paid(6000, f"pay-{number}", subject=number, at=later(hours=1)))
    shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "delivered"})
    answer = with_refund(shop, shop.order(order), refundAmount=7000)
    assert answer["transaction"]["paymentId"] == f"pay-{number}"
    assert sorted(row[0] for row in shop.do("select target from effects")) == [1000, 6000]


# -- what really came back, and what is given back for it ---------------------------------------------


def processed(shop, *lines, **more):
    """(an order that has arrived, its return of everything, which is being processed)."""
    order = shop.delivered(*lines, **more)
    back = ask(shop, order)
    shop.work()
    return order, back


def complete(shop, back, **terms):
    return shop.ok("PATCH", f"/api/returns/{back['id']}?depth=1", {"status": "completed", **terms})["doc"]


def test_2_of_3_came_back(shop):
    order, back = processed(shop, {"product": "mug", "quantity": 3, "unitPrice": 5000})
    done = complete(shop, back, items=of(order, 2))
    assert (done["refundAmount"], [line["quantity"] for line in done["items"]["docs"]]) == (10_000, [2])
    assert (shop.order(order)["products"]["docs"][0]["returnedQuantity"], shop.status(order)) == (2, "delivered")
    rest = ask(shop, order)
    assert [line["quantity"] for line in rest["items"]["docs"]] == [1]
    shop.work()
    complete(shop, rest)
    assert (shop.status(order), shop.do("select target from effects")) == ("returned", [(15_000,)])


def test_a_line_that_did_not_come_back_leaves_the_return(shop):
    order, back = processed(shop, MUG, CUP)
    done = complete(shop, back, items=of(order, 0, 1))
    assert (done["refundAmount"], [line["quantity"] for line in done["items"]["docs"]]) == (900, [1])


def test_a_restocking_fee_is_kept(shop):
    order, back = processed(shop, MUG)
    assert complete(shop, back, restockingFee=1500)["refundAmount"] == 8500
    assert (shop.order(order)["flags"], shop.do("select target from effects")) == ([], [(8500,)])


def test_a_stated_amount_of_what_came_back(shop):
    order, back = processed(shop, MUG)
    assert complete(shop, back, items=of(order, 1), refundAmount=3000)["refundAmount"] == 3000


@pytest.mark.parametrize(
    ("terms", "most"),
    [({"refundAmount": 10_001}, 10_000), ({"restockingFee": 10_001}, 10_000)],
)
def test_more_than_the_items_give_back_is_refused(shop, terms, most):
    _, back = processed(shop, MUG)
    error = shop.refused(409, "PATCH", f"/api/returns/{back['id']}", {"status": "completed", **terms})
    assert error["data"]["refundable"] == most


def test_more_than_the_items_that_came_back_give_back_is_refused(shop):
    order, back = processed(shop, MUG)
    body = {"status": "completed", "items": of(order, 1), "refundAmount": 5001}
    assert shop.refused(409, "PATCH", f"/api/returns/{back['id']}", body)["data"]["refundable"] == 5000
    body = {"status": "completed", "items": of(order, 3)}
    assert shop.refused(409, "PATCH", f"/api/returns/{back['id']}", body)["data"]["held"] == 2


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"status": "rejected", "refundAmount": 1}, "refundAmount"),
        ({"status": "completed", "refundAmount": 1, "restockingFee": 1}, "restockingFee"),
        ({"status": "completed", "restockingFee": 0.5}, "restockingFee"),
        ({"status": "completed", "items": [{"orderItem": "pot", "quantity": 1}]}, "items.0.orderItem"),
    ],
)
def test_terms_that_cannot_be_are_named(shop, body, path):
    _, back = processed(shop, MUG)
    error = shop.refused(400, "PATCH", f"/api/returns/{back['id']}", body)
    assert error["data"]["errors"][0]["path"] == path


def test_a_completed_return_takes_no_other_amount(shop):
    _, back = processed(shop, MUG)
    complete(shop, back)
    complete(shop, back)
    shop.refused(409, "PATCH", f"/api/returns/{back['id']}", {"status": "completed", "refundAmount": 1})
