"""The doors while servers go away: `python -m tests.chaos.api_outages [--minutes 10] [--redis-away 60] [--postgres-away 5]`.

Mixed load through a real `orders api`, with workers and beat, on servers of its own. In the middle Redis hangs for
half of its time away (SIGSTOP), is killed, and comes back; later PostgreSQL is shut down and started again, each on
its port. Nobody helps. Exit 1 on any deviation from:

- what was answered with 2xx is in the journal, with a result, and applied; nothing else is, and nothing twice
- while Redis is away, every request is served; while PostgreSQL is away, each is answered with 503 and Retry-After,
  and none with 2xx; the API itself always answers
- every life ends where it must, the account adds up, and the journal tells the state that is stored
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

from sqlalchemy import text

from cli.api_process import start_api
from cli.options import stop_at_sigterm
from cli.processes import Processes, start_workers
from domain.ids import uuid_of
from embedded.host import free_port
from embedded.postgres import Postgres
from embedded.server import Server
from embedded.valkey import Valkey
from events.envelope import OWN_SOURCE
from settings.environment import read
from storage import keys, migrate
from tests.chaos.api_load import Answered, Clients
from tests.chaos.harness import Shop, account, account_faults, settings, verify_faults
from tests.webhooks import STRIPE
from workers.resources import parts

REDIS_AT, POSTGRES_AT = 0.25, 0.65  # shares of the load's time
AFTER_S = 5.0  # so long after PostgreSQL is back a connection of before may still cost its request a 503
SETTLED_S = 120.0  # for all lives to end, and for all events to have a result
WORKERS = 2

_UNDECIDED = text(
    "select count(*) from journal j where seq <= :mark and not exists (select from results where seq = j.seq)"
)
_LAST = text("select coalesce(max(seq), 0) from journal")
_EVENTS = text("""
    select j.source, j.event_id, coalesce(r.outcome, 'without a result'), r.reason
    from journal j left join results r using (seq) where j.source <> :own and j.source not like :own || '/%'
""")
_STATUSES = text("""
    select id, status from orders union all select id, status from fulfillments
    union all select id, status from returns
""")
_ORDERS = text("select order_number, status from orders")


@dataclass(slots=True)
class Away:
    """A server's absence, by `monotonic`: from the blow, gone, started again, answering, and all of before decided."""

    name: str
    struck: float
    gone: float = 0.0
    started: float = 0.0
    back: float = 0.0
    worked_off_s: float = 0.0

    def __str__(self) -> str:
        away = self.back - self.struck
        return f"{self.name:<10} away {away:.1f} s; what was accepted had its results {self.worked_off_s:.1f} s later"


class Restartable:
    """An embedded server that is stopped and started again where it was."""

    def __init__(self, kind: type[Server], data: Path) -> None:
        self._kind, self._data = kind, data
        self._running = ExitStack()
        self.url = ""

    def start(self) -> None:
        """Returns once it answers. RuntimeError where its port was taken meanwhile."""
        url = self._running.enter_context(self._kind(self._data).started())
        if self.url not in ("", url):
            raise RuntimeError(f"{self._kind.title}'s port was taken while it was away; run this again")
        self.url = url

    def stop(self) -> None:
        """Returns once it is gone."""
        self._running.close()

    def hang(self) -> int:
        """It takes connections, and answers nobody any more (SIGSTOP); its pid."""
        if (pid := self._kind(self._data).answers()) is None:
            raise RuntimeError(f"{self._kind.title} does not answer before its blow")
        os.kill(pid, signal.SIGSTOP)
        return pid


@dataclass(slots=True)
class Stage:
    """Open servers and everything that `orders up` runs on them."""

    shop: Shop
    postgres: Restartable
    valkey: Restartable
    api_url: str
    key: str
    source: str  # of the events that the key causes
    died: list[str] = field(default_factory=list)  # name and code of each process that was started again


@contextmanager
def a_stage(data: Path) -> Iterator[Stage]:
    """Servers, API, workers and beat under `data` until the block ends."""
    data = data.resolve()
    postgres, valkey = Restartable(Postgres, data), Restartable(Valkey, data)
    with ExitStack() as stack:
        for server in (postgres, valkey):
            stack.callback(server.stop)
            server.start()
        urls = {"DATABASE_URL": postgres.url, "REDIS_URL": valkey.url}
        stack.enter_context(settings(ORDERS_DATA=str(data), ORDERS_STRIPE_SECRETS=STRIPE, **urls))
        migrate.upgrade(postgres.url, read().shards)
        opened = stack.enter_context(parts(read(), lambda shard: None))  # we look, and publish nothing
        with opened.engine.begin() as conn:
            key, known = keys.add(conn, "secret", None, "chaos", datetime.now(UTC))
        died: list[str] = []
        processes = stack.enter_context(Processes(data / "logs", lambda name, code: died.append(f"{name} ({code})")))
        start_workers(processes, WORKERS)
        url = start_api(processes, free_port(None))
        source = f"api/key_{known.id.replace('-', '')}"
        yield Stage(Shop(opened, data), postgres, valkey, url, key, source, died)


# -- the play ----------------------------------------------------------------------------------------------


def play(stage: Stage, clients: Clients, load_s: float, redis_s: float, postgres_s: float) -> list[Away]:
    """Load for `load_s` seconds while both servers go away in turn, then every life to its end and every event's result."""
    began = monotonic()
    clients.start()
    _sleep_until(began + REDIS_AT * load_s)
    redis = _without_redis(stage, redis_s)
    _sleep_until(began + POSTGRES_AT * load_s)
    postgres = _without_postgres(stage, postgres_s)
    _sleep_until(began + load_s)
    clients.finish(SETTLED_S)
    with suppress(TimeoutError):  # `faults` names each event that has no result
        stage.shop.drained(SETTLED_S)
    return [redis, postgres]


def _without_redis(stage: Stage, seconds: float) -> Away:
    """Half of the time it hangs, then it is dead."""
    away = Away("Redis", monotonic())
    pid = stage.valkey.hang()
    _sleep_until(away.struck + seconds / 2)
    os.kill(pid, signal.SIGKILL)
    stage.valkey.stop()
    away.gone = monotonic()
    _sleep_until(away.struck + seconds)
    away.started = monotonic()
    stage.valkey.start()
    return _worked_off(stage, away)


def _without_postgres(stage: Stage, seconds: float) -> Away:
    """A fast shutdown, and its start."""
    away = Away("PostgreSQL", monotonic())
    stage.postgres.stop()
    away.gone = monotonic()
    sleep(seconds)
    away.started = monotonic()
    stage.postgres.start()
    stage.shop.engine.dispose()  # our own look must not meet a connection of before
    return _worked_off(stage, away)


def _worked_off(stage: Stage, away: Away) -> Away:
    away.back = monotonic()
    with stage.shop.engine.connect() as conn:
        mark = conn.execute(_LAST).scalar_one()
    while monotonic() < away.back + SETTLED_S:
        with stage.shop.engine.connect() as conn:
            if not conn.execute(_UNDECIDED, {"mark": mark}).scalar_one():
                break
        sleep(0.1)
    away.worked_off_s = monotonic() - away.back
    return away


def _sleep_until(moment: float) -> None:
    sleep(max(0.0, moment - monotonic()))


# -- what must hold ----------------------------------------------------------------------------------------


def faults(stage: Stage, clients: Clients, gaps: list[Away]) -> list[str]:
    """Every deviation from the promises."""
    redis, postgres = gaps
    found = [*clients.faults, *_answer_faults(clients.answers, postgres)]
    found += [f"{gap.name}: not worked off {SETTLED_S} s later" for gap in gaps if gap.worked_off_s >= SETTLED_S]
    found += [f"the process {name} ended" for name in stage.died]
    found += _journal_faults(stage, clients)
    found += _state_faults(stage, clients)
    document = account(stage.shop.engine)
    duplicates = document["duplicate"]
    if not clients.repeated <= duplicates <= clients.repeated + clients.unsure:
        found.append(f"{duplicates} duplicates, must be {clients.repeated} to {clients.repeated + clients.unsure}")
    stage.shop.deliveries, stage.shop.events = document["accepted"], len(clients.noted)
    found += account_faults(stage.shop, document)
    if not any(redis.struck < answer.began < redis.back and answer.done for answer in clients.answers):
        found.append("nobody was served while Redis was away")
    return found + verify_faults(stage.shop.engine)


def _answer_faults(answers: list[Answered], postgres: Away) -> list[str]:
    found = []
    refused = 0
    for answer in answers:
        of_the_gap = answer.ended >= postgres.struck and answer.began <= postgres.back + AFTER_S
        within = answer.began > postgres.gone and answer.ended < postgres.started
        at = f"{answer.name}, {answer.began - postgres.struck:+.1f} s from PostgreSQL's end: {answer.status}"
        if answer.done:
            if within and answer.name != "health":
                found.append(f"{at}, which cannot be true")
        elif answer.status != 503 or not of_the_gap:
            found.append(f"{at} {answer.error}".rstrip())
        elif not (answer.retry_after or "").isdecimal():
            found.append(f"{at} without Retry-After")
        else:
            refused += within
    if not refused:
        found.append("nobody asked while PostgreSQL was away")
    return found


def _journal_faults(stage: Stage, clients: Clients) -> list[str]:
    with stage.shop.engine.connect() as conn:
        rows = conn.execute(_EVENTS, {"own": OWN_SOURCE}).all()
    kept = {(source, event_id): (outcome, reason) for source, event_id, outcome, reason in rows}
    found = [
        f"LOST: {name} {event} was answered with 2xx" for event, name in clients.noted.items() if event not in kept
    ]
    found += [f"{event} is in the journal, and nobody was told so" for event in kept.keys() - clients.noted.keys()]
    return found + [f"{event} ended {o[0]}: {o[1]}" for event, o in kept.items() if o[0] != "applied"]


def _state_faults(stage: Stage, clients: Clients) -> list[str]:
    """Documents as last answered; orders as their lives end, and no others."""
    with stage.shop.engine.connect() as conn:
        stored = {row.id: row.status for row in conn.execute(_STATUSES)}
        orders = {row.order_number: row.status for row in conn.execute(_ORDERS)}
    found = []
    for shown, status in clients.documents.items():
        now = stored.get(uuid_of(shown) or "")
        if now is None or (now != status and not shown.startswith("ord_")):
            found.append(f"{shown} was answered as {status}, and is {now}")
    due = {life.number: life.ends for life in clients.ended}
    for number in sorted(due.keys() | orders.keys()):
        if due.get(number) != orders.get(number):
            found.append(f"order {number} is {orders.get(number)}, must be {due.get(number)}")
    return found


def main() -> int:
    """0 where everything is as promised."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.api_outages", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--redis-away", type=float, default=60, help="seconds")
    parser.add_argument("--postgres-away", type=float, default=5, help="seconds between its end and its start")
    parser.add_argument("--rate", type=float, default=20, help="requests per second, at most")
    parser.add_argument("--seed", type=int, default=20261101)
    options = parser.parse_args()
    stop_at_sigterm()
    with tempfile.TemporaryDirectory(prefix="orders-chaos-") as data, a_stage(Path(data)) as stage:
        clients = Clients(stage.api_url, stage.key, stage.source, options.seed, options.rate)
        gaps = play(stage, clients, options.minutes * 60, options.redis_away, options.postgres_away)
        found = faults(stage, clients, gaps)
        say(summary(stage, clients, gaps))
    for fault in found:
        say(f"DEVIATION {fault}")
    say(f"{len(found)} deviations" if found else "everything is as promised")
    return 1 if found else 0


def summary(stage: Stage, clients: Clients, gaps: list[Away]) -> str:
    """The events of a run, in a few lines."""
    redis, postgres = gaps
    document = account(stage.shop.engine)
    spans = {
        "all": clients.answers,
        "Redis hangs": [a for a in clients.answers if redis.struck <= a.began < redis.gone],
        "Redis away": [a for a in clients.answers if redis.gone <= a.began < redis.back],
        "PG away": [a for a in clients.answers if postgres.struck <= a.began < postgres.back],
    }
    lines = [f"seed {clients.seed}: {len(clients.ended)} lives, {len(clients.noted)} events were answered with 2xx"]
    lines += [str(gap) for gap in gaps]
    for name, answers in spans.items():
        took = sorted(1000 * (answer.ended - answer.began) for answer in answers) or [0.0]
        statuses = ", ".join(f"{status}: {n}" for status, n in sorted(Counter(a.status for a in answers).items()))
        middle, high = took[len(took) // 2], took[int(0.99 * len(took))]
        lines.append(f"{name:<12} {statuses}; ms at the 50th, 99th, all: {middle:.0f}, {high:.0f}, {took[-1]:.0f}")
    kinds = Counter(answer.name for answer in clients.answers)
    lines.append(", ".join(f"{name}: {n}" for name, n in kinds.most_common()))
    counted = ("accepted", "applied", "duplicate", "ignored", "parked", "dead", "waiting")
    lines.append("account  " + ", ".join(f"{name} {document[name]:,}" for name in counted))
    return "\n".join(lines)


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
