"""Promise 3: whatever the order of arrival, one outcome.

The lives and their ends come from `tests.scenario_generator`, which knows nothing of the code under test. A
failure prints what differs, the life in a shrunken order of arrival, and the seed that makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import flags
from domain.order import Order
from events.envelope import Envelope
from tests.fold_helpers import fold
from tests.scenario_generator import (
    UNSTATED,
    Life,
    RandomChoices,
    a_life,
    arrivals,
    describe,
    differences,
    given_back,
    lives,
    lives_and_arrivals,
    smallest_failing,
)

POLICIES = ("auto", "staff")
BY_EITHER_POLICY = st.sampled_from(POLICIES)
Look = Callable[[Life, list[Envelope]], list[str]]
LIVES, STEP, ARRIVALS = 500, 250, 3  # 20,000 lives in 12 orders each are a proof, `make proofs`
MANY = settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.data_too_large],
)
# Decisions have a precondition, and in the life's own order it is true. A step of a return is none
# of these: the policy may have taken it already.
DECISIONS = (
    "OrderCanceled", "OrderExpired", "OrderConfirmed",
    "ReturnRequested", "ReturnRejected", "ReturnCompleted", "ItemsCanceled",
)  # fmt: skip
# An item cancel on a canceled order is recorded and moves nothing, and so is one that is told again. The timer's
# confirmation counts nothing where a parcel arrived after it.
WITHOUT_EFFECT = {
    ("ItemsCanceled", "order_canceled"), ("ItemsCanceled", "repeated"),
    ("OrderConfirmed", "overtaken"), ("OrderConfirmed", "repeated"),
}  # fmt: skip


@MANY
@given(life=BY_EITHER_POLICY.flatmap(lives))
def test_a_life_in_its_own_order_ends_as_it_must(life: Life):
    assert not faults(life, life.events), report(life, life.events, faults)


@MANY
@given(life=BY_EITHER_POLICY.flatmap(lives))
def test_every_decision_of_a_life_in_its_own_order_is_applied(life: Life):
    assert not refused(life), "\n".join([*refused(life), describe(life, life.events)])


@MANY
@given(made=BY_EITHER_POLICY.flatmap(lives_and_arrivals))
def test_every_arrival_order_ends_as_the_life_must(made: tuple[Life, list[Envelope]]):
    life, coming = made
    assert not faults(life, coming), report(life, coming, faults)


@MANY
@given(made=BY_EITHER_POLICY.flatmap(lives_and_arrivals))
def test_every_arrival_order_ends_alike_where_the_oracle_is_silent(made: tuple[Life, list[Envelope]]):
    life, coming = made
    assert not disagreements(life, coming), report(life, coming, disagreements)


@MANY
@given(made=BY_EITHER_POLICY.flatmap(lives_and_arrivals))
def test_an_order_that_is_taken_for_plain_has_no_flag_that_is_weighed(made: tuple[Life, list[Envelope]]):
    life, coming = made
    assert not missed_flags(life, coming), report(life, coming, missed_flags)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("base", range(0, LIVES, STEP))
def test_five_hundred_lives_end_as_they_must_in_any_arrival_order(base: int):
    for seed in range(base, base + STEP):
        life = a_life(Random(seed), POLICIES[seed % 2])
        made = f"life = a_life(Random({seed}), {life.policy!r})"
        assert not refused(life), "\n".join([made, *refused(life), describe(life, life.events)])
        assert not faults(life, life.events), report(life, life.events, faults, made)
        for turn in range(seed * ARRIVALS, seed * ARRIVALS + ARRIVALS):
            coming = arrivals(life, RandomChoices(Random(turn)))
            again = f"{made}; coming = arrivals(life, RandomChoices(Random({turn})))"
            for look in (faults, disagreements):
                assert not look(life, coming), report(life, coming, look, again)


def faults(life: Life, coming: list[Envelope]) -> list[str]:
    """The deviations after these deliveries: state, money due, events left unsettled."""
    found = fold(coming, returns=life.policy)
    return differences(life.expected, found) + given_back(life, found) + unsettled(life, found)


def unsettled(life: Life, found: dict[str, Any]) -> list[str]:
    """Events that are parked, dead, without outcome, or ignored without a reason."""
    lines = [f"waiting: {event_id} is still parked" for event_id in found["waiting"]]
    for event in life.events:
        outcome, reason = found["outcomes"].get(event.id, ("nothing", None))
        if outcome != "applied" and not (outcome == "ignored" and reason):
            lines.append(f"outcomes: {event.type} {event.id} ended as {outcome} ({reason})")
    return lines


def refused(life: Life) -> list[str]:
    """Decisions that were not applied, although the life comes in its own order."""
    outcomes = fold(life.events, returns=life.policy)["outcomes"]
    return [
        f"outcomes: {event.type} {event.id} ended as {outcomes.get(event.id)}"
        for event in life.events
        if event.type in DECISIONS and outcomes.get(event.id, ("nothing",))[0] != "applied"
        if (event.type, outcomes.get(event.id, ("", ""))[1]) not in WITHOUT_EFFECT
    ]


def disagreements(life: Life, coming: list[Envelope]) -> list[str]:
    """The differences of the state from that of the life's own order, to the last field.

    Which payment gives back, and what each return gives back where nobody states it, follow from
    what was known when; what all of them give back together does not.
    """
    own, other = fold(life.events, returns=life.policy), fold(coming, returns=life.policy)
    sums = []
    for found in (own, other):
        refunds = [one["refundAmount"] or Decimal(0) for one in found["returns"].values()]
        sums.append({"returns": {"Σ refundAmount": sum(refunds, Decimal(0))}})
        for name in ("outcomes", "waiting"):
            del found[name]
    for one in own["transactions"].values():
        one["refundTarget"] = UNSTATED
    for ref, one in life.expected["returns"].items():
        if one["refundAmount"] is UNSTATED:
            own["returns"][ref]["refundAmount"] = UNSTATED
    own["flags"] = {name: name in own["flags"] for name in [*own["flags"], *other["flags"]]}
    return differences(own, other) + differences(*sums)


def missed_flags(life: Life, coming: list[Envelope]) -> list[str]:
    """Flags that an order would have had, had it not been taken for one that is plain."""
    missed: list[str] = []
    is_plain = flags._is_plain

    def look(order: Order, *moved: bool) -> bool:
        plain = is_plain(order, *moved)
        if plain:
            with patch.object(flags, "_is_plain", lambda *_: False):
                missed.extend(f"flags: {each}, moved {moved}" for each in flags.flags_after(order, *moved))
        return plain

    with patch.object(flags, "_is_plain", look):
        fold(coming, returns=life.policy)
    return missed


def report(life: Life, coming: list[Envelope], look: Look, made: str = "") -> str:
    """All there is to know about a failure, in the calmest order of arrival that still fails."""
    small = smallest_failing(life, coming, lambda calmer: bool(look(life, calmer)))
    traits = f"traits: {', '.join(sorted(life.traits))}"
    return "\n".join(["", made, *look(life, small), traits, describe(life, small)])
