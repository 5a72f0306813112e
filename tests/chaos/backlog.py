"""A backlog larger than the streams: `python -m tests.chaos.backlog [--events 200000] [--large 40]`.

Appended and published as the door does, with no worker running; then workers start. Redis must stay
under 64 MB above its empty size all the while (promise 7), and every event must be applied. The bodies
fill what may travel inside a stream, and some are of a megabyte. Exit 1 on any deviation.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any

import orjson
import psutil

from cli.options import stop_at_sigterm
from events.envelope import MAX_BODY_BYTES, Envelope
from journal.entries import INLINE_BYTES
from tests.chaos.harness import Shop, Workers, a_shop, account, account_faults, verify_faults, workers

REDIS_MB = 64  # above the empty size, whatever the backlog
CHUNK = 1000  # envelopes a transaction
WAVE = 200  # orders whose lives are told side by side
LARGE_BYTES = MAX_BODY_BYTES - 2_000
LIFE = ("OrderCreated", "PaymentSucceeded", "FulfillmentShipped", "FulfillmentDelivered", "OrderConfirmed")
START = datetime(2026, 11, 1, 9, tzinfo=UTC)
MB = 1_000_000


def simple_lives(numbers: Iterator[str], events: int, large: int) -> Iterator[list[Envelope]]:
    """So many events in the order of their times, in chunks; the first `large` orders have large bodies."""
    coming = _events(numbers, large)
    left = events
    while left and (chunk := list(islice(coming, min(CHUNK, left)))):
        left -= len(chunk)
        yield from _door(chunk)


def _door(chunk: list[Envelope]) -> Iterator[list[Envelope]]:
    """A megabyte comes alone, as in a request of its own."""
    small = [event for event in chunk if "photo" not in event.data]
    yield from ([event] for event in chunk if "photo" in event.data)
    if small:
        yield small


def _events(numbers: Iterator[str], large: int) -> Iterator[Envelope]:
    while wave := list(islice(numbers, WAVE)):
        for step, kind in enumerate(LIFE):
            for place, number in enumerate(wave):
                at = START + timedelta(minutes=step, milliseconds=place)
                data = _body(kind, number)
                if kind == LIFE[0] and large:
                    large -= 1
                    data["photo"] = "x" * LARGE_BYTES  # a field that no type knows: kept, unread
                else:
                    data["memo"] = "x" * (INLINE_BYTES - len(orjson.dumps(data)) - 20)
                yield Envelope(f"{number}_{step}", "shop", kind, at, number, data)


def _body(kind: str, number: str) -> dict[str, Any]:
    item, short = "tea-1", number[:10]
    bodies: dict[str, dict[str, Any]] = {
        "OrderCreated": {
            "items": [{"item": item, "product": "tea", "quantity": 2, "unitPrice": 4500}],
            "totalAmount": 9000,
            "currency": "KRW",
            "paymentIds": [f"pay-{short}"],
        },
        "PaymentSucceeded": {"paymentId": f"pay-{short}", "amount": 9000, "currency": "KRW"},
        "OrderConfirmed": {"by": "customer"},
    }
    return bodies.get(kind, {"fulfillment": "box-1", "items": [{"item": item, "quantity": 2}]})


@dataclass(slots=True)
class Watch:
    """Samples, in a thread: Redis' memory above its empty size, the entries, the processes' memory."""

    shop: Shop
    every_s: float = 0.05
    redis: dict[str, int] = field(default_factory=dict)  # phase → most bytes above empty
    entries: int = 0  # most in all streams together
    resident: dict[int, int] = field(default_factory=dict)  # pid → most bytes
    phase: str = "empty"
    workers: Workers | None = None
    _empty: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Watch:
        self._empty = self._used()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def most_mb(self) -> float:
        return max(self.redis.values(), default=0) / MB

    def now_mb(self) -> float:
        return (self._used() - self._empty) / MB

    def _used(self) -> int:
        info: Any = self.shop.parts.streams.client.info("memory")
        return int(info["used_memory"])

    def _run(self) -> None:
        while not self._stop.wait(self.every_s):
            phase = self.phase
            self.redis[phase] = max(self.redis.get(phase, 0), self._used() - self._empty)
            self.entries = max(self.entries, self.shop.streamed())
            for pid in self.workers.pids() if self.workers else ():
                try:
                    self.resident[pid] = max(self.resident.get(pid, 0), psutil.Process(pid).memory_info().rss)
                except psutil.Error:
                    continue


def pile_up(shop: Shop, watch: Watch, numbers: Iterator[str], events: int, large: int) -> float:
    """Deliver the backlog with no worker running; seconds."""
    watch.phase, begun = "appending", monotonic()
    for chunk in simple_lives(numbers, events, large):
        shop.deliver(chunk)
    return monotonic() - begun


def work_off(shop: Shop, watch: Watch, count: int, within_s: float) -> tuple[float, float]:
    """Start workers and wait: seconds until the first result, and from there to the last."""
    watch.phase, begun, first = "draining", monotonic(), shop.waiting()
    with workers(shop, count) as running:
        watch.workers = running
        while shop.waiting() == first and monotonic() - begun < within_s:
            sleep(0.1)
        started = monotonic() - begun
        begun = monotonic()
        while shop.waiting():
            if monotonic() - begun > within_s:
                raise TimeoutError(f"{shop.waiting()} events have no result after {within_s} s")
            sleep(1 if first > 20_000 else 0.1)  # looking costs 1 ms a thousand of what waits
        worked = monotonic() - begun
        watch.workers = None
    watch.phase = "empty"
    return started, worked


def faults(shop: Shop) -> list[str]:
    """The deviations once the backlog is worked off."""
    document = account(shop.engine)
    found = account_faults(shop, document)
    if document["applied"] != shop.events:
        found.append(f"applied {document['applied']}, must be {shop.events}: {document['by_reason']}")
    if shop.streamed():
        found.append(f"{shop.streamed()} entries are left in the streams")
    return found + verify_faults(shop.engine)


def main() -> int:
    """0 where everything is as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.backlog", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--large", type=int, default=40, help="of them, with a body of a megabyte")
    parser.add_argument("--workers", type=int, default=2, help="drain processes")
    parser.add_argument(
        "--names", type=int, default=10, help="characters of an order number, 10 to 250; above 10 of three bytes each"
    )
    options = parser.parse_args()
    stop_at_sigterm()
    numbers = (f"B{number:09}".ljust(options.names, "가") for number in range(options.events))
    with tempfile.TemporaryDirectory(prefix="orders-chaos-") as data, a_shop(Path(data)) as shop, Watch(shop) as watch:
        seconds = pile_up(shop, watch, numbers, options.events, options.large)
        rate = shop.events / seconds
        say(f"appended  {shop.events:,} events, {options.large} of 1 MB, in {seconds:.1f} s ({rate:,.0f}/s)")
        say(
            f"Redis     {watch.redis['appending'] / MB:.1f} MB above empty while appending, {shop.streamed():,} entries"
        )
        started, worked = work_off(shop, watch, options.workers, within_s=1800)
        say(f"applied   in {worked:.1f} s ({shop.events / worked:,.0f}/s), the first {started:.1f} s after the start")
        most = watch.redis["draining"] / MB
        say(f"Redis     {most:.1f} MB above empty while draining, {watch.now_mb():.1f} MB at the end,")
        say(f"          at most {watch.entries:,} entries")
        most = max(watch.resident.values(), default=0)
        say(f"workers   {options.workers} drain processes, at most {most / MB:.0f} MB resident each")
        found = faults(shop)
        if watch.most_mb >= REDIS_MB:
            found.append(f"Redis took {watch.most_mb:.1f} MB above its empty size, must be under {REDIS_MB}")
    for fault in found:
        say(f"DEVIATION {fault}")
    say(f"{len(found)} deviations" if found else "everything is as promised")
    return 1 if found else 0


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
