"""`orders returns …`: a return is withdrawn, or received, from the command line."""

from __future__ import annotations

import pytest

from domain.ids import format_id
from tests.builders import ORDER, asked_back, created, delivered, paid


@pytest.fixture
def back(shop):
    """The id of the only return of an order of two mugs, which is processing."""
    shop.tell(created(), paid(), delivered("box", {"mug": 2}), asked_back())
    return format_id("returns", shop.do("select cast(id as text) from returns")[0][0])


def test_a_return_is_withdrawn_once(back, orders):
    answer = orders("returns", "withdraw", back, "--note", "it fits after all")
    assert answer.out == f"return {back} is rejected by customer; order {ORDER} is delivered\n", answer.err
    assert orders("returns", "withdraw", back, "--json").json == {
        "return": back,
        "order": ORDER,
        "status": "rejected",
        "rejectedBy": "customer",
        "receivedAt": None,
        "orderStatus": "delivered",
    }
    assert orders("verify", ORDER).code == 0


def test_a_return_that_was_received_is_not_withdrawn(back, orders):
    assert f"return {back} is processing, received at 20" in orders("returns", "received", back).out
    answer = orders("returns", "withdraw", back)
    assert (answer.code, "cannot be withdrawn any more" in answer.err) == (1, True), answer.err


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("box", 2, "is no id of a return"),
        ("ord_019a3c1e8f7b7c1d9e2f3a4b5c6d7e8f", 1, "an id of returns is wanted"),
        ("ret_019a3c1e8f7b7c1d9e2f3a4b5c6d7e8f", 1, "there is no return"),
    ],
)
def test_a_return_that_is_none_is_refused_in_words(back, orders, name, code, says):
    answer = orders("returns", "withdraw", name)
    assert (answer.code, says in answer.err) == (code, True), answer.err
