"""Promises 7 and 8: workers are killed and Redis is flushed under load, and nothing is lost, doubled or late."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic

import pytest

from events.envelope import Envelope
from tests.chaos.fault_schedule import FLUSHES, disturb
from tests.chaos.harness import (
    State,
    a_shop,
    account,
    account_faults,
    orphans,
    otherwise,
    states,
    undisturbed,
    verify_faults,
    workers,
)
from tests.scenario_generator import Life, RandomChoices, a_life, arrivals, differences, given_back

LIVES = 600  # a wave; about 9,000 deliveries
DRAINS = 4
WITHIN_S = 30  # from the last kill to the last result


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [20261101])
def test_killed_workers_and_a_flushed_redis_lose_nothing(seed: int):
    made: dict[str, Life] = {}
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="orders-chaos-") as data, a_shop(Path(data)) as shop:
        with workers(shop, DRAINS) as running:
            run = disturb(shop, running, _waves(Random(seed), made), seed)
            shop.drained(WITHIN_S)
            seconds = monotonic() - run.last_at
            document = account(shop.engine)
        print(run.table())
        print(f"{shop.deliveries} deliveries, {shop.events} events, {len(made)} orders; ended: {running.died}")
        print(f"every event had a result {seconds:.2f} s after the last kill")
        assert run.kills >= 5
        assert len(run.flushes) == FLUSHES
        assert all(flush.waiting for flush in run.flushes)
        assert seconds < WITHIN_S
        assert not orphans(shop)
        found = states(shop.engine)
        faults = account_faults(shop, document)
        faults += [f"account: {name} is {document[name]}" for name in ("parked", "dead") if document[name]]
        faults += otherwise(undisturbed(shop, run.delivered), found)
        faults += [line for number, life in made.items() for line in _untrue(life, found[number])]
        faults += verify_faults(shop.engine)
        assert not faults, "\n".join([f"seed {seed}", *faults[:50]])


def _waves(random: Random, made: dict[str, Life]) -> Iterator[list[Envelope]]:
    """Lives, mixed up and partly repeated as their arrivals are, one among the other; every wave with new ids."""
    for _ in count():
        wave: list[list[Envelope]] = []
        while len(wave) < LIVES:
            life = a_life(random)
            if life.order not in made:
                made[life.order] = life
                wave.append(arrivals(life, RandomChoices(random)))
        turns = [place for place, coming in enumerate(wave) for _ in coming]
        random.shuffle(turns)
        left = [iter(coming) for coming in wave]
        yield [next(left[place]) for place in turns]


def _untrue(life: Life, found: State) -> list[str]:
    """Where an order did not end as its life must."""
    return [f"order {life.order}: {line}" for line in (*differences(life.expected, found), *given_back(life, found))]
