"""A transaction that somebody holds open, while hundreds of thousands of events flow past it."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any

import psycopg

from bench import workload
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
IDLE, WRITER = "select 1", "select pg_current_xact_id()"


def _held(statement: str):
    def run(seed: int, random: Random, options: Any, say) -> tuple[dict[str, float], list[str]]:
        """Events flow through two shops of one kind: nobody is there; past a transaction that began with `statement` and does nothing since.

        As many through each: a shop with 300,000 events behind it is slower by itself than one that is new.
        """
        events = getattr(options, "events", 300_000)
        quiet, quiet_ms, taken, wrong = _shop(seed, events, None)
        rate, held_ms, more, faults = _shop(seed, events, statement)
        wrong += faults
        ratio = rate / quiet
        if ratio < RATE_SHARE:
            wrong.append(
                f"{rate:,.0f}/s past the transaction, {quiet:,.0f}/s without: {ratio:.0%}, must be {RATE_SHARE:.0%}"
            )
        if held_ms > max(ROUND_TIMES * quiet_ms, ROUND_FLOOR_MS):
            wrong.append(f"a round of the relay takes {held_ms:.0f} ms, {quiet_ms:.0f} ms without")
        figures = {
            "baseline": round(quiet), "during": round(ratio, 3), "recovery_s": 0.0, "lost": 0,
            "acknowledged": taken + more, "relay ms": round(held_ms, 1), "quiet relay ms": round(quiet_ms, 1),
        }  # fmt: skip
        return figures, wrong

    return run


def _shop(seed: int, events: int, statement: str | None) -> tuple[float, float, int, list[str]]:
    """One shop: its events per second, a round of its relay in ms toward the end, the events it took, what went wrong."""
    with (
        tempfile.TemporaryDirectory(prefix="orders-faults-") as data,
        a_shop(Path(data)) as shop,
        workers(shop, DRAINS) as running,
    ):
        running.ready()
        flow = _waves(seed)
        _flow(shop, flow, events // WARM_SHARE)
        with psycopg.connect(shop.parts.settings.database_url or "", application_name="somebody") as conn:
            if statement is None:
                conn.autocommit = True  # connected, and in no transaction
            conn.execute(statement or IDLE)
            rate, rounds = _flow(shop, flow, events)
            round_ms = median(rounds[-max(3, len(rounds) // 4) :])  # toward the end, where it would have grown
        shop.drained(60)
        return rate, round_ms, shop.events, account_faults(shop, account(shop.engine))[:3]


def _waves(seed: int):
    wave = 0
    while True:
        wave += 1
        play = workload.play(WAVE, f"H{wave}", seed=seed + wave, duplicates=0).deliveries
        yield from (play[start : start + CHUNK] for start in range(0, len(play), CHUNK))


def _flow(shop: Shop, flow, events: int) -> tuple[float, list[float]]:
    """Deliver so many and have them decided: events per second, and the rounds of the relay meanwhile in ms."""
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
        rate = sent / (monotonic() - began)
    finally:
        ended.set()
        looking.join(10)
    return rate, rounds


FAULTS = (
    Trial("transaction-idle", "300,000 events past an idle transaction", "transactions", _held(IDLE)),
    Trial(
        "transaction-writer", "300,000 events past an idle transaction that has written", "transactions", _held(WRITER)
    ),
)
