"""All that was given up of one order, wherever it is asked for, and however much of others was given up since."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from operations import given_up, replays, why
from operations.given_up import Wanted
from tests.simulators import AShop, a_paid_order, a_shop, an_event

OTHERS = 5


@pytest.fixture
def shop(database_url, redis_url, monkeypatch) -> Iterator[AShop]:
    """Order 7, of which four things were given up, and OTHERS that died after them."""
    monkeypatch.setattr(given_up, "LAST", 1)  # however few a page looks at
    with a_shop(database_url, redis_url) as shop:
        shop.tell(*a_paid_order("7", 5), *a_paid_order("8", 5))
        shop.tell(
            an_event("PaymentSucceeded", "7", paymentId="pay-7"),  # malformed: it reached no order
            an_event("PaymentSucceeded", None, paymentId="pay-7"),  # likewise, and names the payment alone
            an_event("PaymentSucceeded", None, paymentId="pay-7", amount="5", currency="USD"),  # it reached order 7
            an_event("PaymentSucceeded", "8", paymentId="pay-8", amount="5", currency="USD"),
        )
        shop.do("insert into corrections (seq, subject, data, by) select seq, '7', data, 'kim' from journal j "
                "where subject = '8' and data ->> 'currency' = 'USD'")  # fmt: skip
        shop.tell(*(an_event("PaymentSucceeded", "9", paymentId=f"other-{n}") for n in range(OTHERS)))
        yield shop


def test_all_of_an_order_is_found_by_its_number_and_nothing_of_others(shop):
    with shop.engine.connect() as conn:
        listed = given_up.given_up(conn, Wanted(order="7"))
        assert len(listed) == 4
        assert {each.id for each in given_up.of_orders(conn, ["7"])} == {each.id for each in listed}
        assert given_up.of_orders(conn, ["8"]) == []
        assert len(given_up.of_orders(conn, ["7", "9"])) == 4 + OTHERS


def test_whoever_asks_for_an_order_is_told_of_all_of_it(shop):
    ((order_id,),) = shop.rows("select id from orders where order_number = '7'")
    with shop.engine.connect() as conn:
        (said,) = why.why(conn, [str(order_id)])
        first = given_up.of_orders(conn, ["7"])[0]
        planned = replays.plan(conn, [first.ref])
    assert "and 3 more" in said.what
    assert len(planned) == 4, "those that came later of the order are taken along"
