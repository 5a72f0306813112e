"""The tasks: each a few lines around a room below. Any of them may be lost, doubled or killed at any line."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from time import monotonic
from typing import Any

import redis
from sqlalchemy.exc import DBAPIError

from journal import commands, parked, pause_end, relay, timers
from journal.batch import Clash, is_of_the_moment
from journal.streams import DRAIN
from journal.trace_causes import Causes
from operations import operators, privacy, replay_steps
from outbound import expiry_questions, payment_lookups, refund_accounts, refund_routes, refunds
from outbound.reconciliation import run as reconciliation
from outbound.refund_accounts import Vault
from outbound.tracking.polls import PollRules
from outbound.tracking.polls import run_due as poll_due
from outbound.webhooks import deliveries, dispatcher, refund_changes
from providers.registry import registry
from settings.environment import Settings
from storage import clock as clocks
from storage.clock import clock
from storage.engine import WORKER
from telemetry import traces
from telemetry.meters import ROUNDS
from workers import resources as opening
from workers.app import app, ring
from workers.chores import Chore, alone, chores
from workers.standby import Standby
from workers.webhook_sender import webhook_sender

REPLAY_S = 2.0  # of one round, for all replays together: other chores wait behind it
TIDY_S = 60.0  # of one round; what is left has the next hour's
UNWATCHED_S = 1.0  # of one round; a look takes some milliseconds

Work = Callable[[opening.Parts, str], object]

log = logging.getLogger(__name__)
_open: list[opening.Parts] = []  # of this process; one, once it is opened
_opening = threading.Lock()
_standing_by: list[Standby] = []
_work: dict[str, Work] = {}  # by the task's name


def open_parts(settings: Settings, *, pool: int = 5) -> opening.Parts:
    """Open this process's connections, before its first task; `pool`: to PostgreSQL."""
    with _opening:
        if not _open:
            _open.append(opening.open_parts(settings, ring, pool=pool, bounds=WORKER, process="worker"))
            if traces.tracer is not None:
                traces.causes = Causes(_open[0].streams.client)
            gc.freeze()  # imports are no garbage; and the drain makes little that needs a collector
            gc.set_threshold(50_000)
        return _open[0]


def stand_by(here: opening.Parts, queues: Sequence[str]) -> None:
    """From now on do here what these queues bring, while Redis takes nothing and so no message comes."""
    due = [each for each in chores(here.settings) if each.queue in queues]
    standby = Standby(here, due, perform, drains=DRAIN in queues)
    _standing_by.append(standby)
    standby.start()


def close_parts() -> None:
    """Let go of this process's connections."""
    while _standing_by:
        _standing_by.pop().stop()
    while _open:
        _open.pop().close()
    traces.stop()


def _here() -> opening.Parts:
    from settings.environment import read

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


def perform(here: opening.Parts, chore: Chore) -> None:
    """One round of a chore; raises what a server that is away makes it raise."""
    with _told(chore.name):
        _work[chore.task](here, chore.whom or "")


@contextmanager
def _told(name: str) -> Iterator[None]:
    """A round of the chore `name`, in figures and traces."""
    begun = monotonic()
    with traces.chore(name):
        yield
    ROUNDS.observe(monotonic() - begun, name)


def chore(name: str) -> Callable[[Work], Any]:
    """A task that the beat sends, for one whom it asks where there are several; of each, one round at a time."""

    def make(work: Work) -> Any:
        _work[name] = work

        @app.task(name=name)
        @_calm
        @wraps(work)
        def run(whom: str = "") -> None:
            here = _here()
            own_name = f"{name}:{whom}" if whom else name
            with alone(here.streams.client, own_name) as ours:
                if ours:
                    with _told(own_name):
                        work(here, whom)

        return run

    return make


@chore("orders.relay")
def relay_events(here: opening.Parts, whom: str) -> None:
    """Find what the streams lack, and ring what waits."""
    relay.relay(here.engine, here.streams)


@chore("orders.sweep")
def sweep_parked(here: opening.Parts, whom: str) -> None:
    """Examine parked events again, as a net, and give up those whose time is over."""
    applied, _ = parked.sweep(here.engine, here.settings.policy, here.shop)
    if applied:
        log.warning("the sweep found %d events that nothing else had retried", applied)


@chore("orders.timers")
def fire_timers(here: opening.Parts, whom: str) -> None:
    """Turn what is due into events."""
    timers.run_due(here.engine, here.settings.policy, here.shop, askable=expiry_questions.askable(here.settings))


@chore("orders.pauses")
def end_pauses(here: opening.Parts, whom: str) -> None:
    """Work off what waits under pauses that are over."""
    pause_end.run_due(here.engine, here.settings.policy, here.shop)


@chore("orders.effects")
def make_refunds(here: opening.Parts, whom: str) -> None:
    """Make the refunds of one provider that are due; without one, give up those that nobody makes here."""
    routes = refund_routes.configured_routes(here.settings)
    if not whom:
        with here.engine.begin() as conn:
            refund_routes.give_up(conn, routes, clock())
        return
    refunder = routes.refunder(whom)
    if refunder is not None:
        raised = "staff" if here.settings.policy.refunds == "staff" else "due"
        refunds.run_due(
            here.engine,
            here.streams,
            here.shop.shards,
            refunder,
            clock(),
            raised=raised,
            vault=Vault(here.settings.account_keys),
        )


@chore("orders.inbox")
def ask_providers(here: opening.Parts, whom: str) -> None:
    """Ask one payment provider how the payments stand that its thin webhooks told of, or whose orders are to expire."""
    lookup = registry().lookups(here.settings.providers).get(whom)
    if lookup is not None:
        askable = expiry_questions.askable(here.settings)
        expiry_questions.ask(here.engine, here.streams, here.shop.shards, whom, askable, clock())
        patience = here.settings.policy.parked_for
        payment_lookups.run_due(here.engine, here.streams, here.shop.shards, {whom: lookup}, patience, clock())


@chore("orders.reconcile")
def compare_with_provider(here: opening.Parts, whom: str) -> None:
    """Compare what one payment provider lists with ours, where that is due, for a slice."""
    settings = here.settings
    listing = registry().listings(settings.providers).get(whom)
    if listing is not None and settings.reconcile is not None:
        pace, back = settings.reconcile, settings.reconcile_back
        reconciliation.run_due(here.engine, here.streams, here.shop.shards, whom, listing, pace, back, clock())


@chore("orders.tracking")
def poll_carriers(here: opening.Parts, whom: str) -> None:
    """Ask one carrier for its parcels that are due."""
    carrier = registry().tracking_clients(here.settings.providers).get(whom)
    if carrier is not None:
        settings = here.settings
        limits = registry().limits(whom, settings.providers)
        rules = PollRules(settings.tracking_pace, limits, settings.tracking_retire_after)
        poll_due(here.engine, here.streams, here.shop.shards, whom, carrier, rules, clock())


@chore("orders.unwatched")
def watch_unwatched(here: opening.Parts, whom: str) -> None:
    """Watch parcels that were on their way before settings named somebody who is polled for them."""
    until, more = monotonic() + UNWATCHED_S, True
    while more and monotonic() < until:
        more = here.walk.look(here.engine, clock())


@chore("orders.webhooks")
def send_webhooks(here: opening.Parts, whom: str) -> None:
    """Tell subscribers what changed."""
    refund_changes.record_due(here.engine, clock())
    dispatcher.run_due(here.engine, webhook_sender(here.settings), clock())


@chore("orders.replays")
def advance_replays(here: opening.Parts, whom: str) -> None:
    """Take the replays of what was given up further, those that nobody else is advancing."""
    with here.engine.connect() as conn:
        ids = replay_steps.running(conn)
    for each in ids:
        replay_steps.advance(here.engine, here.settings.policy, here.shop, each, seconds=REPLAY_S / len(ids))


@chore("orders.tidy")
def forget(here: opening.Parts, whom: str) -> None:
    """Forget kept answers to idempotency keys whose day is over, webhooks taken a month ago, processes long gone, the bank
    accounts of refunds that are over, and the console's sessions that are."""
    with here.engine.begin() as conn:
        commands.purge(conn)
        refund_accounts.erase_due(conn, clock())
        clocks.forget(conn)
        operators.tidy(conn, clock())
    settings, until = here.settings, monotonic() + TIDY_S
    full = True
    while full and monotonic() < until:
        with here.engine.begin() as conn:
            full = deliveries.purge(conn, clock()) == deliveries.PORTION
    gone = True
    while gone and monotonic() < until:
        with here.engine.begin() as conn:
            gone = bool(privacy.forget_old(conn, clock(), settings.keep_personal, settings.keep_audit))
