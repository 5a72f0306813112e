"""A door that anybody may post to: forged webhooks cost few questions, no dead letter, and hold up no true one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from api.webhooks_in.address_limit import BURST
from outbound import payment_lookups
from outbound.payment_lookups import OUTSTANDING, STRANGERS
from providers.base import NotTold
from tests.simulators import SHARDS, a_paid_order
from tests.webhooks import packed, toss_event

PATIENCE = timedelta(hours=72)


class Provider:
    """Toss, where nothing is known of any payment; it keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, kind, time, data):
        self.asked.append(data.get("paymentId"))
        raise NotTold(f"Toss Payments knows no payment {data.get('paymentId')}")


@pytest.fixture
def toss():
    return Provider()


def forged(*keys, order="nobody", minute=0):
    return [
        (packed(toss_event(key, order, "DONE", 500, f"2026-11-20T10:{minute + n // 60:02}:{n % 60:02}")), {})
        for n, key in enumerate(keys)
    ]


def ask(door, provider, later=timedelta(0)):
    now = datetime.now(UTC) + later
    return payment_lookups.run_due(door.shop.engine, door.shop.streams, SHARDS, {"toss": provider}, PATIENCE, now)


def states(door):
    return {row[0]: row[1] for row in door.shop.rows("select state, count(*) from inbox group by state")}


def test_a_flood_about_payments_that_nobody_knows_costs_few_questions_and_no_dead_letter(door, toss, monkeypatch):
    monkeypatch.setattr(
        payment_lookups, "_OUTSTANDING", text(payment_lookups._OUTSTANDING.text.replace(str(OUTSTANDING), "30"))
    )
    monkeypatch.setattr(payment_lookups, "OUTSTANDING", 30)
    answers = [
        status
        for at in range(4)
        for status in door.statuses("payments/toss", *forged(*(f"f-{at}-{n}" for n in range(15)), minute=at))
    ]
    assert set(answers) == {202, 503}
    taken = answers.count(202)
    assert 30 <= taken < 60
    for turn in range(1, 4):
        assert ask(door, toss) <= STRANGERS
        assert len(toss.asked) == turn * STRANGERS
    assert states(door) == {"expired": 3 * STRANGERS, "due": taken - 3 * STRANGERS}
    assert not door.shop.rows("select from dead_letters")
    door.shop.work()
    assert door.counts("accepted", "ignored") == (taken, taken)


def test_payments_that_we_know_go_first_and_pass_where_others_are_turned_away(door, toss, monkeypatch):
    monkeypatch.setattr(
        payment_lookups, "_OUTSTANDING", text(payment_lookups._OUTSTANDING.text.replace(str(OUTSTANDING), "5"))
    )
    monkeypatch.setattr(payment_lookups, "OUTSTANDING", 5)
    door.shop.tell(a_paid_order("N1", 500, payment="k-true")[0])
    assert door.statuses("payments/toss", *forged(*(f"f-{n}" for n in range(9)))).count(202) >= 5
    assert door.statuses("payments/toss", *forged("f-late", minute=1)) == [503]
    assert door.statuses("payments/toss", *forged("k-true", order="N1", minute=2)) == [202]
    ask(door, toss)
    assert "k-true" in toss.asked[: STRANGERS + 1]
    (state,) = door.shop.rows("select state from inbox where payment = 'k-true'")[0]
    assert state == "dead", "a payment of ours that the provider does not know is for a person to see"


def test_many_about_one_payment_are_one_question(door, toss):
    door.shop.tell(a_paid_order("N1", 500, payment="k-1")[0])
    door.statuses("payments/toss", *forged(*["k-same"] * 40))
    assert ask(door, toss) == 1
    assert toss.asked == ["k-same"]
    assert states(door) == {"expired": 40}


def test_one_that_is_being_asked_for_is_not_asked_again_meanwhile(door, toss):
    class Nested(Provider):
        def ask(self, kind, time, data):
            self.asked.append(data["paymentId"])
            if len(self.asked) == 1:
                door.statuses("payments/toss", *forged("k-same", minute=9))
                assert ask(door, toss) == 0
            raise NotTold("no such payment")

    door.statuses("payments/toss", *forged("k-same"))
    outer = Nested()
    assert ask(door, outer) == 1
    assert states(door) == {"expired": 1, "due": 1}  # it came after the question, so it is asked for
    assert ask(door, toss) == 1


def test_one_address_is_told_to_slow_down(door):
    many = forged(*(f"k-{n}" for n in range(BURST + 30)))
    answers = door.post("payments/toss", *many)
    assert {answer.status_code for answer in answers} == {202, 429}
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 429)
