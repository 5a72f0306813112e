"""Reasons of what has yet to go back: they add up to it, in every life and every order of arrival."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from domain.purposes import open_purposes
from tests.builders import canceled, created, later, line, paid, refunded, told
from tests.fold_helpers import fold_events
from tests.scenario_generator import a_life

LIVES = 400


def reasons(*events):
    order = fold_events(events).order
    return [(str(each.reason), each.amount) for each in open_purposes(order).get(order.transactions[0].id, [])]


def test_the_reasons_add_up_to_what_a_payment_has_yet_to_give_back():
    seen = set()
    for seed in range(LIVES):
        life = a_life(Random(seed), "auto")
        events = list(life.events)
        Random(seed).shuffle(events)
        order = fold_events(events).order
        found = open_purposes(order)
        for payment in order.transactions:
            left = max(payment.refund_target - payment.refunded_amount, Decimal(0))
            purposes = found.get(payment.id, [])
            assert sum(each.amount for each in purposes) == left, (seed, payment.payment_id)
            seen |= {str(each.reason) for each in purposes}
    assert seen >= {"goodwill", "shipping", "return", "canceled", "overpaid"}


def test_what_went_back_covers_the_earliest_purpose_first():
    granted = told("RefundRequested", refund="g", amount="700", reason="shipping", at=later(hours=1))
    before = (created(line("mug", 2)), paid(10_400), granted)
    assert reasons(*before) == [("shipping", 700), ("overpaid", 400)]
    assert reasons(*before, refunded(500)) == [("shipping", 200), ("overpaid", 400)]
    assert reasons(*before, refunded(900)) == [("overpaid", 200)]
    assert reasons(*before, canceled(at=later(hours=2))) == [("shipping", 700), ("canceled", 9_700)]
