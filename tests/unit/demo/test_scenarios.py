"""The demo's lives: the same seed plays the same, and each ends where it says, in any order of arrival."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest

from demo import scenarios
from demo.scenarios import Act, Life
from domain.order import Status
from events.catalogue import CATALOGUE, Malformed, UnknownType, UnknownVersion, decode
from events.envelope import Envelope
from tests.fold_helpers import fold_events

BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)
PLAYED = scenarios.lives(400, 7, "t1", 10.0)


def acts_of(life: Life) -> list[Act]:
    """Everything that the outside reports, cued acts last and an hour later."""
    cued = [replace(act, happens=3600.0 + n) for acts in life.cued.values() for n, act in enumerate(acts)]
    return [act for _, act in sorted(life.opening, key=lambda each: each[0])] + cued


def scans_of(life: Life) -> list[Act]:
    """The scans that the carrier would tell: nothing but the deliveries."""
    numbers = {str(act.data["trackingNumber"]) for act in acts_of(life) if "trackingNumber" in act.data}
    return [
        Act("carrier", f"{number}:1", "TrackingUpdated", life.number,
            {"carrier": scenarios.CARRIER, "trackingNumber": number, "status": "delivered"}, 1800.0)
        for number in sorted(numbers)
    ]  # fmt: skip


def readable(envelope: Envelope) -> bool:
    """True if the fold lets it in: poison that cannot be decoded ends dead before."""
    try:
        decode(envelope.type, envelope.version, envelope.subject, envelope.data)
    except (Malformed, UnknownType, UnknownVersion):
        return False
    return True


def test_the_same_seed_plays_the_same():
    assert scenarios.lives(50, 3, "a", 5.0) == scenarios.lives(50, 3, "a", 5.0)
    assert scenarios.lives(50, 3, "a", 5.0) != scenarios.lives(50, 4, "a", 5.0)


def test_the_smallest_demo_plays_every_plot_every_ending_and_every_poison():
    played = scenarios.lives(scenarios.MIN_ORDERS, 7, "t2", 3.0)
    assert {life.plot for life in played} == set(scenarios.PLOTS)
    assert {life.ending for life in played} == {*scenarios.ENDINGS, ""}
    assert sum(life.dead for life in played) >= 3
    assert any(act.type not in CATALOGUE for life in played for _, act in life.opening)


def test_names_do_not_meet_those_of_another_demo():
    def names(tag: str) -> set[str]:
        acts = [act for life in scenarios.lives(60, 7, tag, 4.0) for act in acts_of(life)]
        return {act.id for act in acts} | {str(act.data.get("paymentId", act.id)) for act in acts}

    assert not names("t3") & names("t4")


def test_about_a_tenth_comes_twice_and_some_of_it_with_another_body():
    arrived = [act for life in PLAYED for _, act in life.opening]
    ids = [act.id for act in arrived]
    repeated = len(ids) - len(set(ids))
    assert 0.08 < repeated / len(set(ids)) < 0.12
    assert any("resent" in act.data for act in arrived)


def test_the_first_delivery_is_the_original():
    seen: set[str] = set()
    for _, act in scenarios.deliveries(PLAYED):
        assert act.id in seen or "resent" not in act.data
        seen.add(act.id)


def test_events_arrive_out_of_order():
    arrived = [act for _, act in scenarios.deliveries(PLAYED)]
    assert arrived != sorted(arrived, key=lambda act: act.happens)
    early = next(life for life in PLAYED if life.plot == "early_payment")
    first_of = {act.id: at for at, act in sorted(early.opening, key=lambda each: -each[0])}
    assert first_of[f"{early.number}:paid-1"] < first_of[f"{early.number}:created"]


def test_poison_is_no_more_than_what_the_life_counts():
    refused = {
        act.id for life in PLAYED for act in acts_of(life)
        if not readable(act.envelope(BEGINNING)) and act.type in CATALOGUE
    }  # fmt: skip
    foreign = sum(life.plot == "wrong_currency" for life in PLAYED)
    stray = sum(act.id.endswith(":stray") for life in PLAYED for act in {a.id: a for a in acts_of(life)}.values())
    assert sum(life.dead for life in PLAYED) == len(refused) + foreign + stray


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_life_ends_where_it_says_in_any_order_of_arrival(seed: int):
    chance = Random(seed)
    for life in PLAYED:
        envelopes = [act.envelope(BEGINNING) for act in acts_of(life) + scans_of(life)]
        arrivals = [envelope for envelope in envelopes if readable(envelope)]
        if seed > 1:
            chance.shuffle(arrivals)
        made = fold_events(arrivals)
        order = made.order
        assert (life.number, life.plot, life.ending, order.status) == (life.number, life.plot, life.ending, life.ends)
        assert sum((t.refund_target for t in order.transactions), Decimal(0)) == life.refunded
        assert order.total_amount == life.total
        assert "amounts_differ" not in order.flags
        assert len([f for f in order.fulfillments if f.status == "delivered"]) == life.parcels
        assert not made.waiting or life.ends == Status.PENDING
