"""`orders show`, `list`, `account`, `verify`: what a person sees of the orders."""

from __future__ import annotations

import pytest

from tests.builders import (
    ORDER,
    approved,
    asked_back,
    canceled,
    created,
    later,
    line,
    paid,
    refunded,
    scan,
    shipped,
    told,
    tracked,
)

LINES = (line("mug", 2), line("pot", 1, 9_000))
CUSTOMER = {"name": "Kim Da-eun", "email": "kim@example.com", "phone": "010-1234-5678"}


def of(number: str, **data):
    """An order of one mug by that number."""
    return created(line("mug"), payments=(f"pay-{number}",), **{"subject": number, **data})


@pytest.fixture
def traveled(shop):
    """An order with one parcel delivered, one on its way, a return, and a scan that came after."""
    shop.tell(
        created(*LINES, customer="c-1", customerSnapshot=CUSTOMER, notes="ring twice", shippingAmount="3000"),
        paid(22_000, provider="stripe", at=later(hours=1)),
        shipped("one", {"mug": 2}, at=later(hours=2), **tracked()),
        scan("delivered", at=later(hours=3)),
        shipped("two", {"pot": 1}, at=later(hours=4)),
        asked_back("back", {"mug": 1}, at=later(hours=5), note="chipped"),
    )
    return shop


def test_show_tells_all_about_an_order(traveled, orders):
    answer = orders("show", ORDER)
    assert answer.code == 0, answer.err
    for words in (ORDER, "preparing", "shipped", "22,000 KRW", "2/2", "0/1", "TRK-1", "stripe", "back"):
        assert words in answer.out
    assert "implies FulfillmentDelivered" in answer.out


def test_show_tells_which_parcels_are_followed_by_hand(shop, orders, monkeypatch):
    shop.tell(
        created(line("mug", 2)),
        paid(10_000),
        shipped("one", {"mug": 1}, carrier="CJ대한통운", trackingNumber="P1"),
        shipped("two", {"mug": 1}, carrier="Our own van", trackingNumber="P2"),
    )
    unpolled = orders("show", ORDER, "--json").json["fulfillments"]["docs"]
    assert not any("polledBy" in parcel for parcel in unpolled)
    monkeypatch.setenv("ORDERS_TRACKER_DELIVERY_CLIENT_ID", "id")
    monkeypatch.setenv("ORDERS_TRACKER_DELIVERY_CLIENT_SECRET", "secret")
    parcels = orders("show", ORDER, "--json").json["fulfillments"]["docs"]
    assert {parcel["carrier"]: parcel["polledBy"] for parcel in parcels} == {
        "CJ대한통운": "tracker_delivery", "Our own van": None,
    }  # fmt: skip
    told = " ".join(orders("show", ORDER).out.split())
    assert told.count("by hand") == 1


def test_show_answers_one_document(traveled, orders):
    found = orders("show", ORDER, "--json").json
    assert found["id"].startswith("ord_")
    assert found["customerSnapshot"] == CUSTOMER
    assert (found["notes"], found["totalAmount"], found["shippingAmount"]) == ("ring twice", 22_000, 3_000)
    assert found["createdAt"] == "2026-11-01T00:00:00Z"
    mug, pot = found["products"]["docs"]
    assert (mug["shippedQuantity"], mug["deliveredQuantity"], pot["deliveredQuantity"]) == (2, 2, 0)
    assert [parcel["reference"] for parcel in found["fulfillments"]["docs"]] == ["one", "two"]
    one = found["fulfillments"]["docs"][0]
    assert one["items"]["docs"][0] | {"orderItem": mug["id"], "quantity": 2} == one["items"]["docs"][0]
    assert found["returns"]["docs"][0]["note"] == "chipped"
    events = [entry["type"] for entry in found["timeline"]]
    assert events[0] == "OrderCreated"
    assert all(entry["outcome"] == "applied" for entry in found["timeline"]), found["timeline"]
    again = orders("show", found["id"], "--json").json
    assert {**again, "audit": []} == {**found, "audit": []}, "the first look is in the audit, and nothing else changed"


def test_show_at_a_time_tells_what_was_known_then(traveled, orders):
    [(before,)] = traveled.do("select decided_at from timeline where type = 'FulfillmentShipped' order by seq limit 1")
    then = orders("show", ORDER, "--at", before.isoformat(), "--json").json
    assert [parcel["reference"] for parcel in then["fulfillments"]["docs"]][-1] == "one"
    assert then["returns"]["docs"] == []
    assert "ReturnRequested" not in [entry["type"] for entry in then["timeline"]]
    assert "as known at" in orders("show", ORDER, "--at", before.isoformat()).out
    early = orders("show", ORDER, "--at", "2020-01-01")
    assert (early.code, "was not known" in early.err) == (1, True)


def test_a_time_that_is_none_is_wrong_use(traveled, orders):
    answer = orders("show", ORDER, "--at", "yesterday")
    assert answer.code == 2
    assert "2026-11-01T12:00Z" in answer.err


def test_an_unknown_order_is_answered_with_those_near_it(traveled, orders):
    answer = orders("show", ORDER[:-2] + "99")
    assert answer.code == 1
    assert ORDER in answer.err
    nothing = orders("show", "[/]")
    assert nothing.code == 1


def test_an_order_that_was_not_created_is_hidden(shop, orders):
    shop.tell(paid(subject="early", payment="pay-early"))
    assert orders("list", "--json").json["totalDocs"] == 0
    answer = orders("show", "early")
    assert answer.code == 1
    assert "parked" in answer.err


def test_the_timeline_has_what_waits_what_died_and_what_came_twice(shop, orders):
    shop.tell(created(), created())  # another event of the same number: dead
    again = paid(4_000)
    shop.tell(again, again, approved("none"), told("OrderCanceled", by={}))
    shop.take(canceled())
    found = orders("show", ORDER, "--json").json
    outcomes = [(entry["type"], entry["outcome"], entry["reason"]) for entry in found["timeline"]]
    assert outcomes[0] == ("OrderCreated", "applied", None)
    assert ("OrderCreated", "dead", "order_number_taken") in outcomes
    assert ("OrderCanceled", "dead", "malformed") in outcomes
    assert ("ReturnApproved", "parked", "return_unknown") in outcomes
    assert outcomes[-1] == ("OrderCanceled", "waiting", None)
    assert [entry["deliveries"] for entry in found["timeline"] if entry["type"] == "PaymentSucceeded"] == [2]
    assert found["flags"] == ["underpaid"]
    text = orders("show", ORDER).out
    assert "less was captured than the total" in text
    assert "orders given-up show" in text


def test_refunds_are_told_with_what_happens_next(shop, orders):
    shop.tell(created(), paid(), canceled())
    found = orders("show", ORDER, "--json").json
    [refund] = found["refunds"]
    assert (refund["state"], refund["target"], refund["made"]) == ("due", 10_000, 0)
    assert "goes out next" in orders("show", ORDER).out
    shop.tell(refunded(10_000))
    assert orders("show", ORDER, "--json").json["transactions"]["docs"][0]["refundedAmount"] == 10_000


# -- list --------------------------------------------------------------------------------------------------


@pytest.fixture
def five(shop):
    for number in range(5):
        shop.tell(of(f"N{number}", at=later(hours=number)))
    shop.tell(paid(5_000, "pay-N3", subject="N3"))
    return shop


def test_list_answers_as_the_query_api_does(five, orders):
    found = orders("list", "--json", "--limit", "2", "--page", "2").json
    assert [doc["orderNumber"] for doc in found["docs"]] == ["N2", "N1"]
    assert {name: value for name, value in found.items() if name != "docs"} == {
        "totalDocs": 5,
        "limit": 2,
        "totalPages": 3,
        "page": 2,
        "pagingCounter": 3,
        "hasPrevPage": True,
        "hasNextPage": True,
        "prevPage": 1,
        "nextPage": 3,
    }


def test_list_at_depth_1_embeds_and_at_depth_0_names(five, orders):
    deep = orders("list", "--json", "--limit", "0", "--depth", "1").json
    flat = orders("list", "--json", "--limit", "0").json
    assert (len(deep["docs"]), deep["hasNextPage"], deep["totalPages"]) == (5, False, 1)
    for one, other in zip(deep["docs"], flat["docs"], strict=True):
        assert one["products"]["hasNextPage"] is False
        for join in ("products", "transactions", "fulfillments", "returns"):
            assert [doc["id"] for doc in one[join]["docs"]] == other[join]["docs"]
    plan = next(doc for doc in deep["docs"] if doc["orderNumber"] == "N3")["fulfillments"]["docs"][0]
    assert (plan["status"], plan["reference"]) == ("pending", None)
    assert plan["items"]["docs"][0]["quantity"] == 1


def test_list_by_status_and_by_any_field(five, orders):
    assert [doc["orderNumber"] for doc in orders("list", "--status", "preparing", "--json").json["docs"]] == ["N3"]
    by_number = orders("list", "--sort", "status,-orderNumber,nothing", "--json").json["docs"]
    assert [doc["orderNumber"] for doc in by_number] == ["N4", "N2", "N1", "N0", "N3"]
    assert "no orders with status returned" in orders("list", "--status", "returned").out
    wrong = orders("list", "--status", "lost")
    assert (wrong.code, "pending" in wrong.err) == (2, True)
    text = orders("list", "--limit", "2").out
    assert "page 1 of 3" in text
    assert "N4" in text


# -- account, verify ---------------------------------------------------------------------------------------


def test_the_account_adds_up_and_speaks(five, orders):
    five.tell(told("SomethingElse"), canceled(subject="nowhere"))
    found = orders("account", "--json").json
    assert found["accepted"] == sum(
        found[name] for name in ("applied", "duplicate", "ignored", "parked", "dead", "waiting")
    )
    text = orders("account").out
    assert "they add up" in text
    assert "waits for OrderCreated of that number" in text
    assert "FulfillmentCreated" in text.split("our own follow-ups")[1]


def test_verify_finds_nothing_then_what_somebody_changed(five, orders):
    assert orders("verify").code == 0
    five.do("update orders set discount_code = 'FRIENDS' where order_number = 'N1'")
    answer = orders("verify")
    assert answer.code == 1
    assert "N1" in answer.out
    assert "FRIENDS" in answer.out
    assert orders("verify", "N2").code == 0
    report = orders("verify", "N1", "--json")
    assert report.code == 1
    assert report.json["differences"][0]["order"] == "N1"
    assert orders("verify", "N9").code == 1


def test_show_has_the_masked_account_of_its_refunds(shop, orders):
    from outbound.refund_accounts import Vault, put
    from providers.movements import RefundAccount

    shop.tell(created(), paid())
    [(order_id,)] = shop.do("select id from orders")
    with shop.opened.engine.begin() as conn:
        vault = Vault(("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",))
        put(conn, vault, str(order_id), ORDER, RefundAccount("88", "110123456789", "Kim Haneul"), "cli:test")
    assert orders("show", ORDER, "--json").json["refundAccount"] == {
        "bank": "88",
        "number": "***6789",
        "holderName": "K***",
    }
    assert "bank account  88 ***6789 K***, masked" in orders("show", ORDER).out
