"""The cost of a query, and the budget of a customer."""

from __future__ import annotations

import contextlib

import pytest

from api.errors import ApiError
from api.query import budget
from api.query.budget import MOST_CUSTOMER, MOST_SECRET, REFUSED_S, SHARE_S, WINDOW_S, Budgets, check, cost
from api.webhooks_in import address_limit
from api.webhooks_in.address_limit import ADDRESSES, BURST, PER_S, Arrivals
from queries.parser import parse


@pytest.mark.parametrize(
    ("query", "costs"),
    [
        ("", 0),
        ("where[status][equals]=paid", 1),
        ("where[order.status][equals]=paid", 4),
        ("where[order.orderNumber][contains]=x", 8),
        ("where[orderNumber][like]=x&sort=-createdAt,order.status", 10),
        ("where[or][0][status][equals]=a&where[or][1][status][equals]=b", 2),
        ("joins[products][limit]=5&joins[returns]=false&depth=1", 7),
        ('where={"status":{"in":[' + ",".join(['"a"'] * 100) + "]}}", 3),
    ],
)
def test_the_cost_is_what_is_looked_at(query, costs):
    assert cost(parse(query)) == costs


HUNDRED = "&".join(f"where[or][{n}][order.orderNumber][contains]=x{n}" for n in range(100))


def test_a_hundred_texts_over_a_relationship_are_too_much_for_a_customer_and_say_what_to_do():
    with pytest.raises(ApiError) as refused:
        check(parse(HUNDRED), "cus_1")
    assert refused.value.status == 400
    assert f"costs 800, and a customer may ask for {MOST_CUSTOMER}" in refused.value.message
    assert refused.value.data == {"cost": 800, "most": MOST_CUSTOMER}
    check(parse(HUNDRED), None)  # the shop's own may
    assert cost(parse(HUNDRED)) <= MOST_SECRET


def test_what_the_guide_asks_for_is_far_within():
    usual = "where[status][in][0]=paid&where[createdAt][greater_than]=2026-01-01&sort=-createdAt&depth=1&joins[products][limit]=5"
    assert cost(parse(usual)) < MOST_CUSTOMER / 5


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_customer_whose_share_is_spent_waits_for_the_next_window_and_others_do_not():
    clock = Clock()
    budgets = Budgets(clock)
    with budgets.spent("a"):
        clock.now += SHARE_S
    with pytest.raises(ApiError) as refused, budgets.spent("a"):
        pass
    assert refused.value.status == 429
    assert 1 <= int((refused.value.headers or {})["Retry-After"]) <= WINDOW_S + 1
    with budgets.spent("b"), budgets.spent(None):
        pass
    clock.now += int((refused.value.headers or {})["Retry-After"])
    with budgets.spent("a"):
        pass


def test_time_counts_though_the_query_failed():
    clock = Clock()
    budgets = Budgets(clock)

    def fail() -> None:
        with budgets.spent("a"):
            clock.now += SHARE_S
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(ApiError), budgets.spent("a"):
        pass


def test_refused_queries_spend_a_customers_share_and_nobody_elses():
    budgets = Budgets(Clock())
    for _ in range(int(SHARE_S / REFUSED_S)):
        with contextlib.suppress(ZeroDivisionError), budgets.read("a"):
            raise ZeroDivisionError
    with pytest.raises(ApiError) as spent, budgets.read("a"):
        pass
    assert spent.value.status == 429
    for other in ("b", None):
        with budgets.read(other):
            pass


def test_customers_without_number_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(budget, "REMEMBERED", 10)
    budgets = Budgets(Clock())
    for n in range(100):
        with budgets.spent(f"cus_{n}"):
            pass
    assert len(budgets._taken) <= 10


def test_an_address_has_a_burst_and_then_its_pace():
    clock = Clock()
    counted = Arrivals(clock)
    for _ in range(BURST):
        counted.take("a")
    with pytest.raises(ApiError) as refused:
        counted.take("a")
    assert (refused.value.status, (refused.value.headers or {})["Retry-After"]) == (429, "1")
    counted.take("b")
    clock.now += 1
    for _ in range(int(PER_S)):
        counted.take("a")
    with pytest.raises(ApiError):
        counted.take("a")


def test_addresses_without_number_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(address_limit, "ADDRESSES", 10)
    counted = Arrivals(Clock())
    for n in range(100):
        counted.take(f"10.0.0.{n}")
    assert len(counted._buckets) == 10 < ADDRESSES
