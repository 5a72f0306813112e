"""`orders edit`, `cancel-items`, `hold`, `release`: an order is corrected from the command line."""

from __future__ import annotations

import pytest

from tests.builders import ORDER, created, line, paid, shipped


@pytest.fixture
def three(shop):
    """A paid order of three mugs."""
    shop.tell(created(line("mug", 3)), paid(15_000))
    return shop


def test_items_are_canceled_and_their_price_goes_back(three, orders):
    answer = orders("cancel-items", ORDER, "--item", "mug=2", "--reason", "sold out")
    assert answer.code == 0, answer.err
    assert "mug: 2 of 3 canceled" in answer.out
    assert "10,000 KRW of it are due back in all" in answer.out
    three.work()
    shown = orders("show", ORDER)
    assert "3 −2" in shown.out
    assert "0/1" in shown.out
    assert orders("verify", ORDER).code == 0


def test_as_json(three, orders):
    answer = orders("cancel-items", ORDER, "--item", "mug=1", "--refund", "1000", "--json")
    assert answer.json == {
        "order": ORDER,
        "status": "preparing",
        "items": [{"item": "mug", "quantity": 3, "canceledQuantity": 1}],
        "currency": "KRW",
        "due": 1000,
    }


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((ORDER, "--item", "mug"), 2, "REFERENCE=QUANTITY"),
        ((ORDER, "--item", "mug=0"), 2, "--item mug"),
        ((ORDER, "--item", "mug=x"), 2, "--item mug"),
        ((ORDER, "--item", "pot=1"), 2, "has no such item; it has mug"),
        ((ORDER, "--item", "mug=1", "--refund", "x"), 2, "--refund"),
        ((ORDER, "--item", "mug=1", "--refund", "0.5"), 2, "KRW"),
        ((ORDER, "--item", "mug=1", "--refund", "5001"), 1, "more than the 5000 KRW"),
        ((ORDER, "--item", "mug=2"), 1, "2 are in parcels"),
        (("nobody", "--item", "mug=1"), 1, "there is no order nobody"),
        ((ORDER,), 2, "--item"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(three, orders, arguments, code, says):
    three.tell(shipped("box", {"mug": 2}))
    answer = orders("cancel-items", *arguments)
    assert (answer.code, says in answer.err) == (code, True), answer.err
    assert three.do("select canceled_quantity from order_items") == [(0,)]


# -- holds -------------------------------------------------------------------------------------------


def test_an_order_is_held_and_released(three, orders):
    held = orders("hold", ORDER, "--hold", "fraud", "--reason", "asks about the card")
    assert (held.code, held.out) == (0, f"order {ORDER} is held: fraud\n"), held.err
    assert "somebody holds it" in orders("show", ORDER).out
    assert orders("release", ORDER, "--json").json == {"order": ORDER, "status": "preparing", "holds": []}
    assert orders("verify", ORDER).code == 0


def test_a_hold_may_end_by_itself(three, orders):
    held = orders("hold", ORDER, "--until", "2099-01-01T00:00Z", "--json")
    assert held.json == {"order": ORDER, "status": "preparing", "holds": ["staff"]}
    assert three.do("select kind from timers where due = '2099-01-01T00:00Z'") == [("hold",)]
    assert "unless somebody does, a hold releases itself" in orders("show", ORDER).out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("hold", ORDER, "--until", "2001-01-01T00:00Z"), 1, "is not ahead"),
        (("hold", ORDER, "--until", "tomorrow"), 2, "--until"),
        (("hold", ORDER, "--hold", ""), 2, "--hold"),
        (("hold", "nobody"), 1, "there is no order nobody"),
        (("release", ORDER), 1, "several holds (a, b): say which"),
        (("release", ORDER, "--hold", "c"), 1, "no hold c that stands; it has a, b"),
    ],
)
def test_a_hold_that_cannot_be_is_refused_in_words(three, orders, arguments, code, says):
    for name in ("a", "b"):
        assert orders("hold", ORDER, "--hold", name).code == 0
    answer = orders(*arguments)
    assert (answer.code, says in answer.err) == (code, True), answer.err


def test_what_is_not_held_is_not_released(three, orders):
    assert "is not held" in orders("release", ORDER).err


# -- edits -------------------------------------------------------------------------------------------


def test_an_order_is_edited_and_shows_it(three, orders):
    answer = orders("edit", ORDER, "--address1", "2 Side St", "--email", "jane@example.com", "--reason", "by phone")
    assert (answer.code, answer.out) == (0, f"order {ORDER} is preparing; edited: customerSnapshot, shippingAddress\n")
    answer = orders("edit", ORDER, "--email", "", "--customer", "cus-2", "--json")
    assert answer.json == {
        "order": ORDER,
        "status": "preparing",
        "customer": "cus-2",
        "edited": ["customer", "customerSnapshot"],
        "flags": [],
    }
    sent = "select fields from personal where id = (select personal_id from orders)"
    assert three.do(sent) == [({"shippingAddress": {"address1": "2 Side St"}, "customerSnapshot": {}},)]
    assert orders("verify", ORDER).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((ORDER,), 2, "nothing to edit"),
        ((ORDER, "--customer", ""), 2, "--customer"),
        ((ORDER, "--address1", "2 Side St"), 1, "box left for the one that it has"),
        (("nobody", "--notes", "x"), 1, "there is no order nobody"),
    ],
)
def test_an_edit_that_cannot_be_is_refused_in_words(three, orders, arguments, code, says):
    three.tell(shipped("box", {"mug": 2}))
    answer = orders("edit", *arguments)
    assert (answer.code, says in answer.err) == (code, True), answer.err
    assert three.do("select count(*) from journal where type = 'OrderEdited'") == [(0,)]
