"""The systems that we are measured against, at work: (a), (b), (c) and the peers, each with its database and its worker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import redis
from celery import Celery
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import DeclarativeBase

from bench import baseline_app, noop, orm_task, paused_worker, peers, psycopg_task, workload
from bench.paused_worker import Worker
from bench.servers import Servers
from bench.workload import State
from events.envelope import Envelope

RIVALS = {"naive": orm_task, "psycopg": psycopg_task, "noop": noop}
POLL_S = 0.005


@dataclass(slots=True)
class Rival:
    """(a), (b) or (c) at work: its app, its task, its database and its worker."""

    name: str
    app: Celery
    task: Any
    database_url: str
    worker: Worker
    states: bool
    pool: bool = True  # the worker's processes are those below the one that was started
    poll_s: float = POLL_S

    def hand_in(self, envelope: Envelope) -> float:
        """Send one event; when the broker had it."""
        self.task.apply_async((baseline_app.message(envelope),))
        return time.time()

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Hand them in, in this order."""
        with self.app.producer_or_acquire() as producer:
            for envelope in envelopes:
                self.task.apply_async((baseline_app.message(envelope),), producer=producer)

    def is_waiting(self, queue: redis.Redis) -> bool:
        """True while something is queued, or with the worker."""
        pipe = queue.pipeline(transaction=False)
        pipe.llen(f"bench.{self.name}")
        pipe.hlen("unacked")
        return any(pipe.execute())


@dataclass(slots=True)
class PeerAtWork:
    """One of bench.peers at work."""

    name: str
    module: peers.Module
    database_url: str
    redis_url: str
    worker: Worker
    pool: bool
    poll_s: float
    states: bool = True

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Hand them in, in this order."""
        self.module.publish(
            self.database_url, self.redis_url, [baseline_app.message(envelope) for envelope in envelopes]
        )

    def is_waiting(self, queue: redis.Redis) -> bool:
        """True while something is queued, or with the worker, as far as Redis knows."""
        return self.module.is_waiting(queue)


def open_rival(servers: Servers, queue_url: str, name: str) -> Rival:
    """A rival with its tables and its worker."""
    module: Any = RIVALS[name]
    url = servers.database(name)
    _make_tables(url, orm_task.Base)
    module.app.conf.broker_url = queue_url
    told = {"BENCH_DATABASE_URL": url, "BENCH_REDIS_URL": queue_url}
    worker = paused_worker.celery(name, module.__name__, servers.folder, told, "-Q", f"bench.{name}")
    return Rival(name, module.app, module.apply, url, worker, states=module is not noop)


def open_peer(servers: Servers, redis_url: str, name: str) -> PeerAtWork:
    """A peer with (b)'s tables, what it makes itself, and its worker."""
    peer = peers.PEERS[name]
    module = peer.module()
    url = servers.database(name)
    _make_tables(url, orm_task.Base)
    module.prepare(url, redis_url)
    told = {"BENCH_DATABASE_URL": url, "BENCH_REDIS_URL": redis_url}
    worker = paused_worker.command(name, peer.command, servers.folder, told, processes=peer.processes)
    return PeerAtWork(name, module, url, redis_url, worker, peer.processes == 1, peer.poll_s or POLL_S)


def _make_tables(url: str, base: type[DeclarativeBase]) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    base.metadata.create_all(engine)
    engine.dispose()


_LIKE = "where starts_with(o.number, :tag)"
_STATES = (
    f"select o.number, o.status from orders o {_LIKE}",
    "select o.number, p.name, p.quantity, p.shipped_quantity, p.delivered_quantity, p.returned_quantity "
    f"from orders o join items p on p.order_id = o.id {_LIKE}",
    "select o.number, p.payment_id, p.status, p.amount, p.refund_target "
    f"from orders o join transactions p on p.order_id = o.id {_LIKE}",
    "select o.number, coalesce(p.name, 'plan'), p.status "
    f"from orders o join fulfillments p on p.order_id = o.id {_LIKE}",
    f"select o.number, p.name, p.status from orders o join returns p on p.order_id = o.id {_LIKE}",
)


def applied(url: str, tag: str) -> int:
    """The number of a play's events that a rival, or a peer, has applied."""
    with psycopg.connect(url) as conn:
        row = conn.execute("select count(*) from events where starts_with(id, %s)", (f"{tag}-",)).fetchone()
    return int(row[0]) if row else 0


def rival_states(url: str, tag: str) -> dict[str, State]:
    """The states in which a rival left the orders of a play."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as conn:
        rows: list[Any] = [conn.execute(text(statement), {"tag": f"{tag}-"}).all() for statement in _STATES]
    engine.dispose()
    return workload.gathered(*rows)
