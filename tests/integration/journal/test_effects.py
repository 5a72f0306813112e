"""Refunds as the drain records them: what goes out, what waits for a person, and what is due no more."""

from __future__ import annotations

from events.envelope import Envelope
from journal.verify import verify
from tests.integration.journal.test_verify import CREATED, PAID, Place, lines, place, told

__all__ = ["place"]  # a fixture

CANCELED = told("x", "OrderCanceled", {}, hours=2)


def disputed(hours: float, outcome: str | None = None) -> Envelope:
    body = {"paymentId": "pay_1"} if outcome is None else {"paymentId": "pay_1", "outcome": outcome}
    return told(f"dp-{hours}", "PaymentDisputed", body, hours=hours)


def effects(place: Place, *events: Envelope) -> list[tuple]:
    place.take(events)
    place.work()
    assert lines(verify(place.engine)) == []
    return [tuple(row) for row in place.do("select cast(target as integer), state from effects")]


def test_a_refund_of_an_order_in_dispute_waits_for_a_person_until_that_is_won(place: Place):
    assert effects(place, CREATED, PAID, CANCELED) == [(15000, "due")]
    assert effects(place, disputed(3)) == [(15000, "staff")]
    assert effects(place, disputed(4, "won")) == [(15000, "due")]


def test_a_refund_waits_while_a_bank_inquires(place: Place):
    assert effects(place, CREATED, PAID, CANCELED) == [(15000, "due")]
    assert effects(place, disputed(3, "inquiry")) == [(15000, "staff")]
    assert effects(place, disputed(4, "won")) == [(15000, "due")]


def test_what_was_lost_is_not_given_back(place: Place):
    assert effects(place, CREATED, PAID, disputed(2, "lost"), told("x", "OrderCanceled", {}, hours=3)) == []


def test_a_refund_that_is_due_no_more_does_not_go_out(place: Place):
    assert effects(place, CREATED, PAID, CANCELED) == [(15000, "due")]
    assert effects(place, told("r", "PaymentReversed", {"paymentId": "pay_1"}, hours=3)) == [(0, "done")]


def test_one_whose_end_is_not_known_stays_what_it_is(place: Place):
    effects(place, CREATED, PAID, CANCELED)
    place.do("update effects set state = 'unknown', idempotency_key = 'k', asked = 15000")
    assert effects(place, disputed(3)) == [(15000, "unknown")]


def test_a_payment_that_a_person_noted_is_given_back_by_a_person(place: Place):
    by_hand = told("p", "PaymentSucceeded", {"paymentId": "manual:pay_1", "amount": "15000"}, hours=1)
    assert effects(place, CREATED, by_hand, CANCELED) == [(15000, "staff")]
