"""A transaction that somebody holds open, while hundreds of thousands of events flow past it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

import psycopg

from bench import workload
from events.envelope import Envelope
from journal.relay import relay
from tests.chaos.harness import Shop, a_shop, account, account_faults, workers
from tests.faults.fault import Trial
from tests.faults.rates import median

WARM_SHARE = 6  # of the events flow before, unmeasured
WAVE, CHUNK = 1_000, 500  # orders told side by side; envelopes of one append
WAITING = 4_000  # events without a result: more are not delivered before some are decided
ROUND_EVERY_S = 1.0
ROUND_TIMES, RATE_SHARE, ROUND_FLOOR_MS = 2.0, 0.85, 25.0
DRAINS = 2
TURNS, LAST = 10, 3  # in which the events flow; of them, those toward the end
IDLE, WRITER = "select 1", "select pg_current_xact_id()"


def _held(statement: str):
    def run(seed: int, random: Random, options: Any, say) -> tuple[dict[str, float], list[str]]:
        """Events flow through two shops of one kind: nobody is there; past a transaction that began with `statement` and does nothing since.

        As many through each: a shop with 300,000 events behind it is slower by itself than one that is new. They take turns, since a
        machine's pace changes within the minutes that one of them takes.
        """
        events = getattr(options, "events", 300_000)
        with _shop(seed, events, None) as quiet, _shop(seed, events, statement) as held:
            for turn in range(TURNS):
                for shop in (quiet, held) if turn % 2 else (held, quiet):
                    shop.flow(events // TURNS)
            wrong = [fault for shop in (quiet, held) for fault in shop.faults()]
        ratio, last = (held.rate(turns) / quiet.rate(turns) for turns in (TURNS, LAST))
        if ratio < RATE_SHARE:
            wrong.append(
                f"{held.rate(TURNS):,.0f}/s past the transaction, {quiet.rate(TURNS):,.0f}/s without: {ratio:.0%}, "
                f"must be {RATE_SHARE:.0%}"
            )
        if held.round_ms > max(ROUND_TIMES * quiet.round_ms, ROUND_FLOOR_MS):
            wrong.append(f"a round of the relay takes {held.round_ms:.0f} ms, {quiet.round_ms:.0f} ms without")
        figures = {
            "baseline": round(quiet.rate(TURNS)), "during": round(ratio, 3), "last turns %": round(100 * last),
            "recovery_s": 0.0, "lost": 0, "acknowledged": quiet.shop.events + held.shop.events,
            "relay ms": round(held.round_ms, 1), "quiet relay ms": round(quiet.round_ms, 1),
        }  # fmt: skip
        return figures, wrong

    return run


@dataclass(slots=True)
class Flow:
    """One shop, the events that flow through it, and what was seen of each turn."""

    shop: Shop
    chunks: Iterator[Sequence[Envelope]]
    turns: list[tuple[int, float]] = field(default_factory=list)  # events, seconds
    rounds: list[float] = field(default_factory=list)  # of the relay, ms

    def flow(self, events: int) -> None:
        """One turn: so many events are delivered and decided."""
        took, rounds = _flow(self.shop, self.chunks, events)
        self.turns.append(took)
        self.rounds += rounds

    def rate(self, turns: int) -> float:
        """Events per second of the last so many turns."""
        return sum(sent for sent, _ in self.turns[-turns:]) / sum(seconds for _, seconds in self.turns[-turns:])

    @property
    def round_ms(self) -> float:
        """A round of the relay toward the end, where it would have grown."""
        return median(self.rounds[-max(3, len(self.rounds) // 4) :])

    def faults(self) -> list[str]:
        """Faults that its account tells of, once all is decided."""
        self.shop.drained(60)
        return account_faults(self.shop, account(self.shop.engine))[:3]


@contextmanager
def _shop(seed: int, events: int, statement: str | None) -> Iterator[Flow]:
    """One shop, warm, with somebody connected to its database."""
    with (
        tempfile.TemporaryDirectory(prefix="orders-faults-") as data,
        a_shop(Path(data)) as shop,
        workers(shop, DRAINS) as running,
    ):
        running.ready()
        chunks = _waves(seed)
        _flow(shop, chunks, events // WARM_SHARE)
        with psycopg.connect(shop.parts.settings.database_url or "", application_name="somebody") as conn:
            if statement is None:
                conn.autocommit = True  # connected, and in no transaction
            conn.execute(statement or IDLE)
            yield Flow(shop, chunks)


def _waves(seed: int) -> Iterator[Sequence[Envelope]]:
    wave = 0
    while True:
        wave += 1
        play = workload.play(WAVE, f"H{wave}", seed=seed + wave, duplicates=0).deliveries
        yield from (play[start : start + CHUNK] for start in range(0, len(play), CHUNK))


def _flow(shop: Shop, flow: Iterator[Sequence[Envelope]], events: int) -> tuple[tuple[int, float], list[float]]:
    """Deliver so many and have them decided: how many, in how many seconds, and the rounds of the relay meanwhile in ms."""
    rounds: list[float] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(ROUND_EVERY_S):
            began = monotonic()
            relay(shop.engine, shop.parts.streams)
            rounds.append(1000 * (monotonic() - began))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    began, sent, looked = monotonic(), 0, 0
    try:
        while sent < events:
            chunk = next(flow)
            shop.deliver(chunk)
            sent += len(chunk)
            if sent - looked > WAITING // 2:
                looked = sent
                while shop.streamed() > WAITING:
                    sleep(0.02)
        while shop.streamed():
            sleep(0.02)
        took = sent, monotonic() - began
    finally:
        ended.set()
        looking.join(10)
    return took, rounds


FAULTS = (
    Trial("transaction-idle", "300,000 events past an idle transaction", "transactions", _held(IDLE)),
    Trial(
        "transaction-writer", "300,000 events past an idle transaction that has written", "transactions", _held(WRITER)
    ),
)
