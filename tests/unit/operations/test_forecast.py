"""A forecast adds up what a person reads before a replay: deaths by cause, orders by status, money by currency."""

from __future__ import annotations

from decimal import Decimal

from operations.forecast import EventForecast, Forecast, OrderForecast, RefundForecast, Stuck


def an_event(ref, outcome="dead", reason="malformed", type="PaymentSucceeded"):
    return EventForecast(ref, type, None, outcome, reason, None)


def test_deaths_are_told_once_for_each_cause_the_most_frequent_first():
    events = [
        an_event("1", reason="bug"),
        an_event("2"),
        an_event("3", "applied", None),
        an_event("4"),
        an_event("5", type="X"),
    ]
    found = Forecast(events=events).deaths
    assert [(event.ref, count) for event, count in found] == [("2", 2), ("1", 1), ("5", 1)]


def test_orders_are_counted_by_where_they_come_from_and_go_to():
    orders = [OrderForecast(number, before, "paid", [("status", "pending", "paid"), ("version", "1", "2")])
              for number, before in (("1", "pending"), ("2", "pending"), ("3", None), ("4", "paid"))]  # fmt: skip
    found = Forecast(orders=orders)
    assert found.moves == {("pending", "paid"): 2, (None, "paid"): 1}
    assert orders[0].particulars == [("version", "1", "2")], "the status is told beside them"


def test_money_is_summed_by_currency_and_by_whether_it_waits():
    told = (("5", "KRW", False), ("7", "KRW", False), ("1", "KRW", True), ("2.50", "USD", False))
    refunds = [RefundForecast("1", "pay", Decimal(amount), currency, waits) for amount, currency, waits in told]
    assert Forecast(refunds=refunds).sums == {
        ("KRW", False): Decimal(12), ("KRW", True): Decimal(1), ("USD", False): Decimal("2.50"),
    }  # fmt: skip


def test_refunds_that_do_not_go_out_are_told_by_whom_they_wait_for_and_are_in_no_sum():
    told = (("5", "bank", "ready"), ("7", "toss", "nobody"), ("1", "toss", "nobody"), ("2", "kakao", "waiting"))
    refunds = [RefundForecast("1", "pay", Decimal(amount), "KRW", False, *route) for amount, *route in told]
    found = Forecast(refunds=refunds)
    assert found.sums == {("KRW", False): Decimal(5)}
    assert found.stuck == [
        Stuck("nobody", "toss", 2, {"KRW": Decimal(8)}), Stuck("waiting", "kakao", 1, {"KRW": Decimal(2)}),
    ]  # fmt: skip
    assert found.given_up_at_once == 2, "what waits for a setting goes out once it is there"
