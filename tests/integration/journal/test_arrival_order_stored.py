"""Promise 3 on real servers: what is stored in the end is what each life must end in, in any arrival order.

Many lives per round, their deliveries mixed and cut at random; two workers answer the doorbells as they
ring. Nobody sweeps; the relay brings back what a worker left because the other held its row, and that alone. The property itself, over thousands of lives, is tested in memory.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from random import Random
from time import monotonic, sleep
from typing import Any

import pytest

from events.envelope import Envelope
from journal.relay import relay, undecided
from journal.streams import Streams
from journal.verify import verify
from tests.conftest import SHARDS
from tests.fold_helpers import fold, state_of
from tests.scenario_generator import UNSTATED, Life, RandomChoices, a_life, arrivals, describe, differences, given_back

LIVES = 75
BATCHES = (1, 3, 16, 64, 512)
LEFT_S = 30.0  # until what was left is decided, on a slow machine


@pytest.mark.parametrize("turn", [0, 1], ids=["one arrival", "another"])
@pytest.mark.parametrize("policy", ["auto", "staff"])
def test_whatever_arrives_when_the_stored_orders_end_as_their_lives_must(rig, policy, turn):
    rig.decide(returns=policy)
    lives = distinct_lives(policy)
    coming = {life.order: arrivals(life, RandomChoices(Random(2 * n + turn))) for n, life in enumerate(lives)}
    deliveries = mixed(list(coming.values()), Random(turn))
    deliver(rig, deliveries, Random(turn))
    account = rig.account()
    assert account["accepted"] == len(deliveries)
    assert (account["waiting"], account["parked"], account["dead"]) == (0, 0, 0)
    assert account["own"]["dead"] == 0
    orders = rig.orders(coming)
    outcomes: dict[str, tuple[str, str | None]] = {}
    for name, outcome, reason in rig.do("select event_id, outcome, reason from journal join results using (seq)"):
        outcomes[name] = (outcome, reason)
    for n, life in enumerate(lives):
        found = state_of(orders[life.order])
        wrong = faults(life, found, outcomes) + unlike_the_fold(life, found)
        assert not wrong, "\n".join(["", f"life {n} of {policy}", *wrong, describe(life, coming[life.order])])
    assert list(map(str, verify(rig.engine).differences)) == []


def distinct_lives(policy: str) -> list[Life]:
    """So many lives, each of an order of its own."""
    found: dict[str, Life] = {}
    seed = 0
    while len(found) < LIVES:
        life = a_life(Random(f"{policy} {seed}"), policy)
        found.setdefault(life.order, life)
        seed += 1
    return list(found.values())


def mixed(arriving: list[list[Envelope]], random: Random) -> list[Envelope]:
    """All deliveries in one order in which each life keeps its own."""
    whose = [n for n, coming in enumerate(arriving) for _ in coming]
    random.shuffle(whose)
    each = [iter(coming) for coming in arriving]
    return [next(each[n]) for n in whose]


def deliver(rig: Any, deliveries: list[Envelope], random: Random) -> None:
    """Accept them in cuts of any size, while two workers answer whatever rings, in batches of any size."""
    bells: queue.Queue[int | None] = queue.Queue()
    rig.streams._ring = bells.put
    failed: list[BaseException] = []

    def work(seed: int) -> None:
        chance = Random(seed)
        drain = rig.drain(Streams(rig.client, SHARDS, bells.put))
        while (shard := bells.get()) is not None:
            try:
                drain.batch = chance.choice(BATCHES)
                drain.answer(shard)
            except BaseException as error:
                failed.append(error)
            finally:
                bells.task_done()
        bells.task_done()

    workers = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    at = 0
    while at < len(deliveries):
        size = random.choice((1, 2, 10, 100))
        rig.accept(*deliveries[at : at + size])
        at += size
    bells.join()
    until = monotonic() + LEFT_S
    while _undecided(rig) and monotonic() < until:
        relay(rig.engine, rig.streams)
        bells.join()
        sleep(0.1)
    for _ in workers:
        bells.put(None)
    for worker in workers:
        worker.join(30)
    assert failed == []
    assert not rig.streams.look().waiting()


def _undecided(rig: Any) -> int:
    with rig.engine.connect() as conn:
        return undecided(conn)


def faults(life: Life, found: dict[str, Any], outcomes: dict[str, tuple[str, str | None]]) -> list[str]:
    """The differences from how the life must end: state, money that goes back, events left unsettled."""
    lines = differences(life.expected, found) + given_back(life, found)
    for event in life.events:
        outcome, reason = outcomes.get(event.id, ("nothing", None))
        if outcome != "applied" and not (outcome == "ignored" and reason):
            lines.append(f"{event.type} {event.id} ended as {outcome} ({reason})")
    return lines


def unlike_the_fold(life: Life, found: dict[str, Any]) -> list[str]:
    """The differences of what is stored from the same life folded in memory, in its own order, to the last field.

    Which payment gives back, and what each return gives back where nobody states it, follow from
    what was known when.
    """
    own = fold(life.events, returns=life.policy)
    for name in ("outcomes", "waiting"):
        del own[name]
    for one in own["transactions"].values():
        one["refundTarget"] = UNSTATED
    for ref, one in life.expected["returns"].items():
        if one["refundAmount"] is UNSTATED:
            own["returns"][ref]["refundAmount"] = UNSTATED
    own["flags"] = {name: name in own["flags"] for name in [*own["flags"], *found["flags"]]}
    return [f"in memory: {line}" for line in differences(own, found)]


def test_the_lives_are_of_many_kinds():
    """Else the test above would prove little."""
    traits = Counter(trait for policy in ("auto", "staff") for life in distinct_lives(policy) for trait in life.traits)
    assert len(traits) > 30
    assert {"overpaid", "OrderCanceled", "a split shipment", "order returned"} <= set(traits)
