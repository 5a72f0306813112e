"""All that was given up of one order, wherever it is asked for, and however much of others was given up since."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from operations import given_up, replays, why
from operations.given_up import Wanted
from operations.reasons import EVENT, REFUND
from queries import timeline
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
        planned = replays.plan(conn, given_up.of_orders(conn, ["7"])[:1])
    assert "and 3 more" in said.what
    assert len(planned) == 4, "those that came later of the order are taken along"


def test_what_names_an_order_by_a_payment_alone_is_its_own(shop):
    """Also a payment that no transaction of its has, and one that an edit names."""
    again = a_paid_order("7", 5, payment="pay-again")[0]
    shop.tell(again, an_event("PaymentFailed", "7", paymentId="pay-other"))
    assert shop.rows("select payment_id from transactions where payment_id = 'pay-again'") == []
    shop.tell(
        an_event("PaymentSucceeded", None, paymentId="pay-again"),  # malformed
        an_event("PaymentSucceeded", None, paymentId="pay-other"),  # malformed
        an_event("PaymentSucceeded", None, paymentId="pay-wrong"),  # malformed
        an_event("PaymentSucceeded", None, paymentId="pay-8"),  # malformed, and another order's
    )
    shop.do("""insert into corrections (seq, subject, data, by) select seq, null, '{"paymentId": "pay-7"}', 'kim'
               from journal where data ->> 'paymentId' = 'pay-wrong'""")  # fmt: skip
    with shop.engine.connect() as conn:
        listed = given_up.given_up(conn, Wanted(order="7"))
        assert len(listed) == 4 + 3
        assert {each.id for each in given_up.of_orders(conn, ["7"])} == {each.id for each in listed}


def test_a_refund_is_found_however_many_events_died_after_it(shop):
    """A page looks at the last of each kind: dead events do not push out the refunds, which are few, nor they them."""
    shop.do("""insert into effects (id, order_id, transaction_id, payment_id, currency, target, state)
               select gen_random_uuid(), order_id, id, payment_id, 'KRW', 5, 'dead' from transactions where payment_id = 'pay-8'""")  # fmt: skip
    shop.do("""insert into dead_letters (id, effect_id, reason) select '00000000-0000-7000-8000-000000000001', id, 'refund_given_up'
               from effects""")  # fmt: skip
    with shop.engine.connect() as conn:
        groups, listed = given_up.page(conn, within=1)
        (kept,) = given_up.given_up(conn, Wanted(kind=REFUND))
        assert given_up.find_any(conn, kept.ref) == (kept, False)
        assert [each.kind for each in given_up.of_orders(conn, ["8"])] == [REFUND]
    assert [each.kind for each in listed].count(REFUND) == 1
    assert sorted((each.kind, each.count) for each in groups) == [(EVENT, 1), (REFUND, 1)]
    assert kept.order_number == "8"
    shop.do("update dead_letters set state = 'replayed' where effect_id is not null")
    with shop.engine.connect() as conn:
        assert given_up.find_any(conn, kept.ref) == (kept, True)
        assert given_up.given_up(conn, Wanted(kind=REFUND)) == []


def test_an_orders_timeline_has_what_names_it_and_never_reached_it(shop):
    with shop.engine.connect() as conn:
        of = {number: id for id, number in conn.execute(text("select id, order_number from orders"))}
        dead = {number: [each["type"] for each in timeline.timeline(conn, str(of[number])) if each["outcome"] == "dead"]
                for number in ("7", "8")}  # fmt: skip
    assert len(dead["7"]) == 2 + 0, "malformed, and by its payment in another currency"
    assert len(dead["8"]) == 1, "it reached that order, whatever an edit says since"


@pytest.mark.parametrize("name", ["x" * 100_000, "é" * 100_000, {"a": 1}, None], ids=["long", "wide", "object", "none"])
def test_whatever_an_event_names_its_letter_is_buried(shop, name):
    before = len(shop.rows("select from dead_letters"))
    shop.tell(an_event("PaymentSucceeded", None, paymentId=name))
    assert len(shop.rows("select from dead_letters")) == before + 1
    assert shop.rows("select max(length(names)) <= 255 from dead_letters") == [(True,)]
