"""CPU an accepted webhook: our door and bench/naive_webhook.py, one server process each, under the same load.

Bodies are signed before the clock starts, all are new, and no worker runs: what is measured is the door. Both
answer after their commit, and both tell Redis of it: ours an entry of a stream and a doorbell, the rival a message.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import psutil

from bench import api_calls, api_process, measure
from bench.run import Say
from bench.servers import BenchError, Servers

CONNECTIONS = 32  # requests on their way at a time
WARM = 300  # webhooks


@dataclass(frozen=True, slots=True)
class Round:
    """One storm: ms of CPU per webhook, of each that had work, and webhooks per second."""

    server_ms: float
    postgres_ms: float | None
    redis_ms: float | None
    per_second: float


def run(servers: Servers, webhooks: int, rounds: int, say: Say) -> dict[str, Any]:
    """Both, in alternating rounds of `webhooks`."""
    with ExitStack() as stack:
        ours = api_process.shop(servers, "webhooks")
        told = {"BENCH_DATABASE_URL": servers.database("rival"), "BENCH_REDIS_URL": servers.redis_database()}
        doors = {
            "ours": stack.enter_context(api_process.api(servers, ours, "webhooks")),
            "naive": stack.enter_context(api_process.uvicorn(servers, "bench.naive_webhook:app", "rival", told)),
        }
        found: dict[str, list[Round]] = {name: [] for name in doors}
        for name, (port, process) in doors.items():
            _storm(servers, port, process, _made(f"{name}-w", WARM))
        for number in range(rounds):
            for name, (port, process) in list(doors.items())[:: 1 if number % 2 else -1]:
                one = _storm(servers, port, process, _made(f"{name}-{number}", webhooks))
                found[name].append(one)
                say(f"webhooks {name:6} {one.server_ms:.3f} ms of CPU each, {one.per_second:,.0f}/s")
    return {name: _median(of) for name, of in found.items()} | {
        "webhooks": webhooks, "rounds": rounds, "connections": CONNECTIONS, "processes": 1,
    }  # fmt: skip


def _made(tag: str, count: int) -> list[bytes]:
    return [api_calls.payment(f"evt_{tag}_{i}", f"pi_{tag}_{i}", f"{tag}-{i}", 10_000) for i in range(count)]


def _storm(servers: Servers, port: int, process: psutil.Process, requests: Sequence[bytes]) -> Round:
    beside = servers.processes()
    names, watched = list(beside), [[each] for each in beside.values()]
    before, began = [measure.cpu_s(each) for each in ([process], *watched)], time.monotonic()
    statuses = api_calls.storm(port, requests, CONNECTIONS)
    seconds, count = time.monotonic() - began, len(requests)
    if statuses != {202: count}:
        raise BenchError(f"{count} new webhooks were sent, and answered {statuses}")
    time.sleep(0.2)  # what is published behind the answers counts too
    costs = [measure.cpu_s(each) - then for each, then in zip(([process], *watched), before, strict=True)]
    ms = {name: cost * 1000 / count for name, cost in zip(["server", *names], costs, strict=True)}
    return Round(ms["server"], ms.get("postgres"), ms.get("redis"), count / seconds)


def _median(rounds: Sequence[Round]) -> dict[str, Any]:
    def middle(values: list[float | None]) -> float | None:
        told = [value for value in values if value is not None]
        return round(median(told), 3) if told else None

    return {
        "server_ms": middle([one.server_ms for one in rounds]),
        "postgres_ms": middle([one.postgres_ms for one in rounds]),
        "redis_ms": middle([one.redis_ms for one in rounds]),
        "per_second": middle([one.per_second for one in rounds]),
        "server_ms_rounds": [round(one.server_ms, 3) for one in rounds],
    }
