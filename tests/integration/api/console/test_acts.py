"""An act in the console does what its preview said, once, under the operator's name."""

from __future__ import annotations

import pytest

from tests.builders import told


def path_of(order):
    return f"/orders/{order['id']}"


def previewed(console, order, act, **fields):
    """The page of a preview, and the fields of the form that does it."""
    answer = console.post(f"{path_of(order)}/acts/{act}", fields)
    assert answer.status_code == 200, answer.text
    return answer.text, console.fields(answer.text, f"/console{path_of(order)}/acts/{act}")


def done(console, order, act, **fields):
    """Preview it, do it, and answer what the browser is sent to."""
    _, form = previewed(console, order, act, **fields)
    answer = console.post(f"{path_of(order)}/acts/{act}", form)
    assert answer.status_code == 303, answer.text
    return form


@pytest.mark.parametrize(
    ("act", "fields"),
    [
        ("hold", {"hold": "fraud", "until": "2126-12-01T09:00", "reason": "looks odd"}),
        ("cancel", {"reason": "no stock"}),
        ("refund", {"amount": "3000", "purpose": "goodwill"}),
    ],
)
def test_a_preview_changes_nothing(console, module_shop, act, fields):
    order = module_shop.paid()
    before, written = module_shop.order(order), module_shop.written()
    text, _ = previewed(console, order, act, **fields)
    assert "Nothing was done yet" in text
    assert module_shop.order(order) == before
    assert module_shop.written() == written


def test_a_hold_and_its_release_stand_in_the_timeline_with_their_author(console, module_shop):
    order = module_shop.paid()
    text, _ = previewed(console, order, "hold", hold="fraud")
    assert "fraud" in text
    done(console, order, "hold", hold="fraud", reason="looks odd")
    assert module_shop.order(order)["flags"] == ["held"]
    assert "The order was held: fraud, by console:ada: looks odd" in console.page(path_of(order))
    done(console, order, "release")
    assert module_shop.order(order)["flags"] == []


def test_a_parcel_that_was_delivered_by_a_slip_is_corrected(console, module_shop):
    order = module_shop.delivered()
    [parcel] = order["fulfillments"]["docs"]
    name = parcel["reference"] or parcel["id"]
    text, _ = previewed(console, order, "correct", parcel=name, status="shipped", reason="clicked by mistake")
    assert f"parcel <bdi>{name}</bdi>" in text
    assert module_shop.order(order)["fulfillments"]["docs"][0]["status"] == "delivered"
    done(console, order, "correct", parcel=name, status="shipped", reason="clicked by mistake")
    after = module_shop.order(order)
    assert (after["status"], after["fulfillments"]["docs"][0]["status"]) == ("shipped", "shipped")
    assert "was corrected: shipped, by console:ada: clicked by mistake" in console.page(path_of(order))
    for wrong in ({"parcel": "none-such", "status": "shipped"}, {"parcel": name, "status": "lost"}):
        assert console.post(f"{path_of(order)}/acts/correct", wrong).status_code == 400


def test_items_are_canceled_and_their_share_goes_back(console, module_shop):
    order = module_shop.paid()
    [item] = order["products"]["docs"]
    text, _ = previewed(console, order, "cancel-items", **{f"item {item['id']}": "1"})
    assert "5,000 KRW" in text, "what goes back is in the preview"
    done(console, order, "cancel-items", **{f"item {item['id']}": "1"})
    module_shop.work()
    assert module_shop.order(order)["products"]["docs"][0]["canceledQuantity"] == 1
    assert (
        module_shop.one("select target from effects where payment_id = :id", id=f"pay-{order['orderNumber']}") == 5000
    )


def test_a_refund_is_previewed_with_its_figures_and_made_once(console, module_shop):
    order = module_shop.paid()
    form = done(console, order, "refund", amount="3000", purpose="goodwill")
    again = console.post(f"{path_of(order)}/acts/refund", form)
    assert (again.status_code, again.headers.get("location")) == (303, f"/console{path_of(order)}?done=refund")
    module_shop.work()
    assert (
        module_shop.one("select target from effects where payment_id = :id", id=f"pay-{order['orderNumber']}") == 3000
    )
    assert "asked for by console:ada" in console.page(path_of(order))
    refund = module_shop.one("select refund_id from effects where payment_id = :id", id=f"pay-{order['orderNumber']}")
    page = console.page(f"/refunds/{refund}")
    assert "3,000 KRW" in page
    assert "goodwill" in page


def test_what_was_previewed_is_not_done_to_an_order_that_has_changed(console, module_shop):
    order = module_shop.paid()
    _, form = previewed(console, order, "cancel")
    module_shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "delivered"})
    answer = console.post(f"{path_of(order)}/acts/cancel", form)
    assert answer.status_code == 409
    assert "has changed since the preview" in answer.text
    assert module_shop.status(order) == "delivered"


@pytest.mark.parametrize(
    ("act", "fields", "says"),
    [
        ("refund", {"amount": "999999", "purpose": "goodwill"}, "more than the 10000 KRW"),
        ("refund", {"amount": "much", "purpose": "goodwill"}, "Amount: "),
        ("refund", {"amount": "1", "purpose": "fun"}, "none of goodwill"),
        ("hold", {"until": "2001-01-01T00:00"}, "is not ahead"),
        ("cancel-items", {}, "at least one item"),
        ("release", {}, "is not held"),
        ("nonsense", {}, "nothing that can be done"),
    ],
)
def test_a_refusal_is_a_page_that_says_why(console, module_shop, act, fields, says):
    order = module_shop.paid()
    answer = console.post(f"{path_of(order)}/acts/{act}", fields)
    assert 400 <= answer.status_code < 500
    assert says.lower() in answer.text.lower()


def test_a_look_at_personal_data_is_recorded(console, module_shop):
    order = module_shop.paid()
    assert "John Doe" not in console.page(path_of(order))
    answer = console.post(f"{path_of(order)}/personal")
    assert "John Doe" in answer.text
    found = module_shop.one(
        "select actor from audit where action = 'look at personal data' and target = :target",
        target=f"orders/{order['orderNumber']}",
    )
    assert found == "console:ada"


def test_all_that_fit_is_what_the_preview_showed(console, module_shop):
    """A letter that dies between the preview and the click is neither discarded nor replayed."""
    for act in ("discard", "replay"):
        module_shop.tell(told("PaymentSucceeded", subject=f"{act}-A", paymentId=f"pay-{act}-a", amount="no money"))
        chosen = {"which": "all", "by type": "PaymentSucceeded", "by reason": "malformed"}
        answer = console.post(f"/given-up/acts/{act}", chosen)
        assert answer.status_code == 200, answer.text
        assert f"{act}-A" in answer.text or act == "replay"
        form = console.fields(answer.text, f"/console/given-up/acts/{act}") | {"reason": "of the test"}
        module_shop.tell(told("PaymentSucceeded", subject=f"{act}-B", paymentId=f"pay-{act}-b", amount="no money"))
        answer = console.post(f"/given-up/acts/{act}", form)
        assert answer.status_code == 303, answer.text
        if act == "discard":
            states = "select string_agg(d.state, ',' order by j.seq) from dead_letters d join journal j using (seq) where j.subject like 'discard-_'"
            assert module_shop.one(states) == "discarded,open"
        else:
            taken = "select string_agg(order_number, ',') from replay_items where order_number like 'replay-_'"
            assert module_shop.one(taken) == "replay-A"


def test_a_time_alone_is_no_condition(console):
    answer = console.post("/given-up/acts/discard", {"which": "all", "by until": "2126-01-01T00:00:00+00:00"})
    assert answer.status_code == 400
    assert "Tick some of the list" in answer.text
