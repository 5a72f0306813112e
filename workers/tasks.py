"""The tasks: each a few lines around a room below. Any of them may be lost, doubled or killed at any line."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

import redis
from sqlalchemy.exc import DBAPIError

from journal import deliveries, dispatch, effects, inbox, relay, requests, sweep, timers, tracking
from journal.batch import Clash, clock, is_of_the_moment
from storage import clock as clocks
from storage.engine import WORKER
from storage.settings import Settings
from workers import outside
from workers import parts as opening
from workers.app import app, ring
from workers.beat import chore_key

log = logging.getLogger(__name__)
_open: list[opening.Parts] = []  # of this process; one, once it is opened


def open_parts(settings: Settings) -> opening.Parts:
    """Open this process's connections, before its first task."""
    if not _open:
        _open.append(opening.open_parts(settings, ring, bounds=WORKER, process="worker"))
        gc.freeze()  # imports are no garbage; and the drain makes little that needs a collector
        gc.set_threshold(50_000)
    return _open[0]


def close_parts() -> None:
    """Let go of this process's connections."""
    while _open:
        _open.pop().close()


def _here() -> opening.Parts:
    from storage.settings import read

    return _open[0] if _open else open_parts(read())


def _calm(task: Callable[..., Any]) -> Callable[..., Any]:
    """A server that is away is no error of the task: the next ring, or the beat, tries again."""

    @wraps(task)
    def run(*args: Any) -> None:
        try:
            task(*args)
        except (Clash, DBAPIError, redis.RedisError) as error:
            if isinstance(error, DBAPIError) and not is_of_the_moment(error):
                raise
            log.warning("%s: a server is away or busy; the next ring tries again: %s", task.__name__, error)

    return run


@app.task(name="orders.drain")
@_calm
def drain(shard: int) -> None:
    """Answer a doorbell: apply what waits in `shard`, batch by batch."""
    _here().drain().answer(shard)


@app.task(name="orders.sign")
def give_sign() -> None:
    """Nothing: that its message is gone from a queue says that somebody takes what is there."""


def chore(name: str) -> Callable[[Callable[[opening.Parts], object]], Any]:
    """A task that the beat sends: its key is deleted first, so that the next one may be sent from here on."""

    def make(work: Callable[[opening.Parts], object]) -> Any:
        @app.task(name=name)
        @_calm
        @wraps(work)
        def run() -> None:
            here = _here()
            here.streams.client.delete(chore_key(name))
            work(here)

        return run

    return make


@chore("orders.relay")
def relay_events(here: opening.Parts) -> None:
    """Find what the streams lack, and ring what waits."""
    relay.relay(here.engine, here.streams)


@chore("orders.sweep")
def sweep_parked(here: opening.Parts) -> None:
    """Examine parked events again, as a net, and give up those whose time is over."""
    applied, _ = sweep.sweep(here.engine, here.settings.policy, here.shop)
    if applied:
        log.warning("the sweep found %d events that nothing else had retried", applied)


@chore("orders.timers")
def fire_timers(here: opening.Parts) -> None:
    """Turn what is due into events."""
    timers.run_due(here.engine, here.settings.policy, here.shop)


@chore("orders.effects")
def make_refunds(here: opening.Parts) -> None:
    """Make the refunds that are due, where a provider is set."""
    provider = outside.refund_provider(here.settings)
    if provider is not None:
        raised = "staff" if here.settings.policy.refunds == "staff" else "due"
        effects.run_due(here.engine, here.streams, here.shop.shards, provider, clock(), raised=raised)


@chore("orders.inbox")
def ask_providers(here: opening.Parts) -> None:
    """Ask payment providers how the payments stand that thin webhooks told of."""
    sources = outside.payment_sources(here.settings)
    if sources:
        patience = here.settings.policy.parked_for
        inbox.run_due(here.engine, here.streams, here.shop.shards, sources, patience, clock())


@chore("orders.tracking")
def poll_carriers(here: opening.Parts) -> None:
    """Ask carriers for the parcels that are due."""
    carriers = outside.carriers(here.settings)
    if carriers:
        pace = here.settings.tracking_pace
        tracking.run_due(here.engine, here.streams, here.shop.shards, carriers, pace, clock())


@chore("orders.webhooks")
def send_webhooks(here: opening.Parts) -> None:
    """Tell subscribers what changed."""
    dispatch.run_due(here.engine, outside.webhooks(here.settings), clock())


@chore("orders.tidy")
def forget(here: opening.Parts) -> None:
    """Forget kept answers to idempotency keys whose day is over, webhooks taken a month ago, and processes long gone."""
    with here.engine.begin() as conn:
        requests.purge(conn)
        clocks.forget(conn)
    full = True
    while full:
        with here.engine.begin() as conn:
            full = deliveries.purge(conn, clock()) == deliveries.PORTION
