"""Returns that their customer withdraws: before they were received, and not after it."""

from __future__ import annotations

from storage.clock import clock
from tests.builders import told


def a_return(shop, customer="cus_1"):
    """(the order, its only return, which is processing)"""
    order = shop.delivered(customer=customer)
    back = shop.ok("POST", "/api/returns", {"order": order["id"], "reason": "other"}, shop.customer(customer))["doc"]
    shop.work()
    return order, back


def path(back):
    return f"/api/returns/{back['id']}/withdraw"


def test_a_customer_withdraws_a_return_before_it_was_received(shop):
    order, back = a_return(shop)
    assert shop.status(order) == "return_processing"
    doc = shop.ok("POST", path(back), {"note": "it fits after all"}, shop.customer("cus_1"))["doc"]
    assert (doc["status"], doc["rejectedBy"], doc["receivedAt"]) == ("rejected", "customer", None)
    assert (shop.status(order), shop.order(order)["flags"]) == ("delivered", [])
    assert shop.ok("POST", path(back), {}, shop.customer("cus_1"))["doc"] == doc  # done already
    assert shop.one("select count(*) from journal where type = 'ReturnRejected'") == 1
    again = {"order": order["id"], "reason": "other"}
    assert shop.ok("POST", "/api/returns", again, shop.customer("cus_1"))["doc"]["status"] == "requested"


def test_what_was_received_is_withdrawn_no_more_and_staff_may_still_reject_it(shop):
    order, back = a_return(shop)
    doc = shop.ok("PATCH", f"/api/returns/{back['id']}", {"received": True})["doc"]
    assert (doc["status"], doc["receivedAt"] is not None) == ("processing", True)
    error = shop.refused(409, "POST", path(back), {}, shop.customer("cus_1"))
    assert error["data"]["receivedAt"] == doc["receivedAt"]
    assert shop.ok("PATCH", f"/api/returns/{back['id']}", {"received": True})["doc"] == doc
    refused = shop.ok("PATCH", f"/api/returns/{back['id']}", {"status": "rejected"})["doc"]
    assert (refused["status"], refused["rejectedBy"]) == ("rejected", "api")
    assert shop.order(order)["flags"] == []
    assert "rejected" in shop.refused(409, "POST", path(back), {}, shop.customer("cus_1"))["message"]


def test_a_completed_return_is_not_withdrawn(shop):
    _, back = a_return(shop)
    shop.ok("PATCH", f"/api/returns/{back['id']}", {"status": "completed", "received": True})
    error = shop.refused(409, "POST", path(back), {}, shop.customer("cus_1"))
    assert error["data"] == {"status": "completed", "allowed": [], "returnStatus": "completed"}


def test_of_another_customer_nothing_is_seen_and_the_shop_may_do_it_for_its_own(shop):
    _, back = a_return(shop)
    shop.refused(404, "POST", path(back), {}, shop.customer("cus_2"))
    key = {"Authorization": f"Bearer {shop.key('publishable')}"}
    assert shop.call("POST", path(back), {}, key).status_code in (401, 403)
    assert shop.ok("POST", path(back), {})["doc"]["rejectedBy"] == "customer"


def test_what_comes_back_of_a_withdrawn_return_is_recorded_and_flagged(shop):
    order, back = a_return(shop)
    shop.ok("POST", path(back), {})
    number = order["orderNumber"]
    shop.tell(told("ReturnReceived", at=clock(), source="warehouse", subject=number, **{"return": back["id"]}))
    doc = shop.order(order)
    assert (doc["status"], doc["flags"]) == ("delivered", ["withdrawn_return_received"])
    assert doc["returns"]["docs"][0]["receivedAt"] is not None


def test_an_event_that_withdraws_what_was_received_moves_nothing_and_is_flagged(shop):
    order, back = a_return(shop)
    shop.ok("PATCH", f"/api/returns/{back['id']}", {"received": True})
    withdrawal = told(
        "ReturnRejected", at=clock(), subject=order["orderNumber"], by="customer", **{"return": back["id"]}
    )
    shop.tell(withdrawal)
    assert shop.one("select reason from results join journal using (seq) where event_id = :id", id=withdrawal.id) == (
        "return_received"
    )
    assert (shop.status(order), shop.order(order)["flags"]) == ("return_processing", ["return_contradicted"])


def test_nothing_asked_of_a_return_is_refused(shop):
    _, back = a_return(shop)
    assert "says nothing" in shop.call("PATCH", f"/api/returns/{back['id']}", {}).text
    shop.refused(404, "POST", "/api/returns/ret_019a3c1e8f7b7c1d9e2f3a4b5c6d7e8f/withdraw", {})
