"""The `orders` command in this process, on real servers that hold a few orders."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from events.envelope import Envelope
from journal.append import append
from settings.environment import read
from tests.integration.cli.hands import Hands
from workers.resources import Parts, parts


@dataclass(slots=True)
class Answer:
    """The end of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Orders = Callable[..., Answer]


@pytest.fixture
def on_servers(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> None:
    """The environment of a shop that has servers of its own."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Orders:
    """Runs `orders …` with its exit code; it sends no doorbell, and leaves this process's signals alone."""
    from cli import main

    for module in ("bootstrap", "doctor", "process_commands"):
        monkeypatch.setattr(f"cli.{module}.stop_at_sigterm", lambda: None)
    monkeypatch.setattr("cli.bootstrap.ring", lambda shard: None)
    monkeypatch.setattr("workers.signs_of_life.TAKEN_S", 0.3)  # few tests have workers

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["orders", *arguments])
        capsys.readouterr()
        code: Any = 0
        try:
            main.main()
        except SystemExit as end:
            code = end.code
        written = capsys.readouterr()
        return Answer(code or 0, written.out, written.err)

    return run


class Shop:
    """Takes deliveries, and decides them when told to."""

    def __init__(self, opened: Parts) -> None:
        self.opened = opened

    def take(self, *envelopes: Envelope, held: bool = False) -> None:
        """Accept deliveries in their order."""
        with self.opened.engine.begin() as conn:
            appended = append(conn, envelopes, self.opened.shop.shards, effects_suppressed=held)
        self.opened.streams.publish(appended.new)

    def work(self) -> None:
        """Decide all that waits in the streams, or behind them."""
        drain = self.opened.drain()
        for shard in self.opened.streams.look().waiting():
            drain.answer(shard)

    def tell(self, *envelopes: Envelope, held: bool = False) -> None:
        """Accept deliveries and decide them, one after the other."""
        for envelope in envelopes:
            self.take(envelope, held=held)
            self.work()

    def do(self, sql: str, **values: object) -> Sequence[Any]:
        """Run any statement, and commit."""
        from sqlalchemy import text

        with self.opened.engine.begin() as conn:
            found = conn.execute(text(sql), values)
            return found.all() if found.returns_rows else []


@pytest.fixture
def hands(redis_url: str) -> Iterator[Hands]:
    """The beat and workers, as far as the doctor asks for them."""
    with Hands(redis_url) as found:
        yield found


@pytest.fixture
def shop(on_servers: None) -> Iterator[Shop]:
    """A shop with nothing in it."""
    with parts(read(), lambda shard: None) as opened:
        yield Shop(opened)
