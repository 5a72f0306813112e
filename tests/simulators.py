"""The outside world as real processes, and a shop that meets it: for tests on real servers."""

from __future__ import annotations

import contextlib
import itertools
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import text

from domain.policy import Policy
from events.envelope import Envelope
from journal.append import append
from journal.batch import Shop
from journal.batch_values import Follows
from journal.drain import Drain
from journal.policy_store import policy_id
from journal.streams import Streams, connect
from journal.timers import run_due
from providers.simulators.start import KEYS
from storage import engine as engines
from storage.clock import clock

ROOT = Path(__file__).parents[1]
READY_S = 60
SHARDS = 64
WIRE_FORMATS = ("stripe", "portone", "toss", "standard")  # of payments
_ids = itertools.count(1)


@contextlib.contextmanager
def running(module: str, *arguments: object) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`with running("carrier", "--errors", 0.5) as (process, url)`: ended afterwards, and only this one."""
    named = ["start", module] if module in WIRE_FORMATS else [module]
    command = [sys.executable, "-m", f"providers.simulators.{named[0]}", *named[1:], *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield process, _url(process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _url(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout
    ready, _, _ = select.select([process.stdout], [], [], READY_S)
    line = process.stdout.readline().decode() if ready else ""
    found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
    assert found, f"the simulator said {line!r}"
    return found.group(1)


def asked_at(name: str, url: str) -> dict[str, str]:
    """The settings with which a simulated payment provider is asked at its URL."""
    if name == "standard":
        return {"ORDERS_REFUND_URL": url, "ORDERS_PAYMENTS_URL": url, "ORDERS_REFUND_SECRETS": KEYS[name]}
    return {f"ORDERS_{name.upper()}_API_URL": url, f"ORDERS_{name.upper()}_API_KEY": KEYS[name]}


def an_event(kind: str, subject: str | None = None, **data: Any) -> Envelope:
    """An event of the shop's, told now under an id of its own."""
    return Envelope(f"event-{next(_ids)}", "test", kind, datetime.now(UTC), subject, data)


@contextlib.contextmanager
def as_of(moment: datetime) -> Iterator[None]:
    """Events are decided as if it were that later moment: what is told then has not happened ahead of its time."""
    with patch("journal.drain.clock", lambda: max(moment, clock())):
        yield


class AShop:
    """A shop on real servers, whose one worker answers when we say so."""

    def __init__(self, database_url: str, redis_url: str, policy: Policy, follows: Follows | None) -> None:
        self.engine = engines.connect(database_url, pinned=True)
        self.streams = Streams(connect(redis_url), SHARDS, lambda shard: None)
        with self.engine.begin() as conn:
            known = Shop(policy_id(conn, policy), SHARDS, follows)
        self._policy, self._known = policy, known
        self._drain = Drain(self.engine, self.streams, policy, known)

    def tell(self, *envelopes: Envelope, held: bool = False) -> None:
        """Accept events and apply them."""
        with self.engine.begin() as conn:
            appended = append(conn, envelopes, SHARDS, effects_suppressed=held)
        self.streams.publish(appended.new)
        self.work()

    def work(self) -> None:
        """Apply all that waits in the streams, or behind them."""
        for shard in self.streams.look().waiting():
            self._drain.answer(shard)

    def fire_timers(self, after: timedelta) -> None:
        """Let the timers run that are due so much later, as if somebody had always looked."""
        now = datetime.now(UTC) + after
        beat = "insert into heartbeats (name, at) values ('timers', :at) on conflict (name) do update set at = :at"
        self.do(beat, at=now)
        run_due(self.engine, self._policy, self._known, now)
        self.work()

    def rows(self, query: str, **values: Any) -> list[Any]:
        """The answer of a query."""
        with self.engine.connect() as conn:
            return list(conn.execute(text(query), values).all())

    def do(self, statement: str, **values: Any) -> None:
        """Change something behind everybody's back."""
        with self.engine.begin() as conn:
            conn.execute(text(statement), values)

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()
        self.streams.client.close()


@contextlib.contextmanager
def a_shop(database_url: str, redis_url: str, follows: Follows | None = None, **decisions: Any) -> Iterator[AShop]:
    """A shop with the default policy, but for `decisions`."""
    shop = AShop(database_url, redis_url, replace(Policy(), **decisions), follows)
    try:
        yield shop
    finally:
        shop.close()


def a_paid_order(number: str, paid: int, *, total: int | None = None, payment: str | None = None) -> list[Envelope]:
    """An order of one item, and its payment."""
    item = {"item": "a", "product": "tea", "quantity": 1, "unitPrice": str(total or paid)}
    name = payment or f"pay-{number}"
    return [
        an_event("OrderCreated", number, items=[item], totalAmount=str(total or paid), paymentIds=[name]),
        an_event("PaymentSucceeded", None, paymentId=name, amount=str(paid), currency="KRW"),
    ]
