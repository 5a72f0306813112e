"""The money of all orders in one statement: of every made-up life the same as what its own balance says, to the last sum."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from random import Random

from domain.balance import balance
from domain.movements import UNDER_WAY
from operations.balances import balances
from tests.scenario_generator import Life, RandomChoices, a_life, arrivals

LIVES, MADE = 250, 1500  # of those beyond the first, only the lives with what is rare
ENOUGH = 3  # lives that have something of each sum


def test_the_sums_by_currency_are_those_of_the_orders_one_by_one(rig):
    """Each order has a currency of its own here, so that no two differences cancel each other out."""
    made = (a_life(Random(f"balance {seed}"), "auto") for seed in range(MADE))
    lives = {life.order: life for n, life in enumerate(made) if n < LIVES or is_rare(life)}
    for life in lives.values():
        random = Random(life.order)
        coming = arrivals(life, RandomChoices(random))
        rig.accept(*coming[: random.choice((len(coming), random.randint(1, len(coming))))])  # some are in the middle
    rig.work()
    rig.do("update orders set currency = order_number where placed_at is not null")
    orders = rig.orders(lives)
    with rig.engine.connect() as conn:
        found = balances(conn)
    one_by_one = {
        number: {"orders": Decimal(1), **asdict(balance(order))}
        for number, order in sorted(orders.items())
        if order.placed_at is not None
    }
    wrong = [
        f"{number}: {name} is {found[number][name]}, not {expected}"
        for number, sums in one_by_one.items()
        for name, expected in sums.items()
        if found[number][name] != expected
    ]
    assert wrong == []
    assert found.keys() == one_by_one.keys()
    had = {name: sum(bool(sums[name]) for sums in one_by_one.values()) for name in next(iter(one_by_one.values()))}
    assert {name: count for name, count in had.items() if count < ENOUGH} == {}


def is_rare(life: Life) -> bool:
    """True where a refund is paid back by hand, or is on its way."""
    return any(each.type == "RefundSettled" or each.data.get("status") in UNDER_WAY for each in life.events)


def test_of_no_orders_there_are_no_sums(rig):
    with rig.engine.connect() as conn:
        assert balances(conn) == {}
