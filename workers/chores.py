"""The work that the beat asks for at a pace: which chores a shop has, and in which queues; of each, one round at a time.

A chore that asks somebody outside is one for each of them, so that a carrier which never answers holds up its own
parcels and nobody else's. Keys, for the chore `orders.tracking:ups`:

  orders:chore:orders.tracking:ups   its message is on its way: set by whoever sends it, deleted when it is taken
  orders:round:orders.tracking:ups   it is under way, and whose: a lease, prolonged until its end

The beat sends nothing while either is set; a round that finds another under way ends at once. A worker that is killed
leaves a lease of LEASE_S.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import redis

from providers.registry import registry
from settings.environment import Settings

# Queues: a kind of waiting each, so that each can have a worker of its own.
CHORES = "orders.chores"  # what PostgreSQL alone is asked for
REFUNDS, LOOKUPS, TRACKING = "orders.refunds", "orders.lookups", "orders.tracking"
WEBHOOKS = "orders.webhooks"

KEY_S = 5  # a message that nobody took, or that died with its worker, may be followed by another after this
LEASE_S = 6  # of a round whose worker died
PROLONG_S = 2
RECONCILED = timedelta(seconds=30)  # between two slices of a comparison with a provider's list
MESSAGES = 100  # that may wait in a queue whose worker is away: they all ask for the same
log = logging.getLogger(__name__)

# KEYS chore, round, queue · ARGV seconds, message → whether it was sent
_SEND = f"""
if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('LLEN', KEYS[3]) >= {MESSAGES} then return 0 end
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then return 0 end
redis.call('LPUSH', KEYS[3], ARGV[2])
return 1
"""
# KEYS chore, round · ARGV token, seconds → whether the round is ours
_BEGIN = """
redis.call('DEL', KEYS[1])
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'EX', ARGV[2]) then return 1 end
return 0
"""
# KEYS round · ARGV token, seconds. After a flush it is set anew.
_PROLONG = """
local whose = redis.call('GET', KEYS[1])
if not whose or whose == ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
"""
_END = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


@dataclass(frozen=True, slots=True)
class Chore:
    """One thing to be done at a pace, by the task of that name."""

    task: str
    queue: str
    pace: timedelta
    whom: str | None = None  # the provider or carrier that it asks

    @property
    def name(self) -> str:
        """The name that it has in keys and logs."""
        return self.task if self.whom is None else f"{self.task}:{self.whom}"


def chores(settings: Settings) -> list[Chore]:
    """The chores of a shop with these settings, and their pace."""
    second = timedelta(seconds=1)
    found = [
        Chore("orders.relay", CHORES, second),
        Chore("orders.timers", CHORES, timedelta(seconds=5)),
        Chore("orders.replays", CHORES, second),  # one that its process left behind goes on here
        Chore("orders.pauses", CHORES, second),
        Chore("orders.unwatched", CHORES, timedelta(seconds=10)),  # also where nobody is polled: else nobody knew of it
        Chore("orders.tidy", CHORES, timedelta(hours=1)),
        Chore("orders.webhooks", WEBHOOKS, second),  # a subscription may come at any time
    ]
    if settings.sweep is not None:
        found.append(Chore("orders.sweep", CHORES, settings.sweep))
    providers, values = registry(), settings.providers
    found.append(Chore("orders.effects", CHORES, timedelta(seconds=5)))  # what nobody gives back here
    found += [Chore("orders.effects", REFUNDS, second, name) for name in providers.ready("refunds", values)]
    found += [Chore("orders.inbox", LOOKUPS, second, name) for name in providers.ready("looks_up", values)]
    if settings.reconcile is not None:  # each looks in the database whether it is due
        found += [Chore("orders.reconcile", LOOKUPS, RECONCILED, name) for name in providers.ready("lists", values)]
    pace = min(timedelta(seconds=5), settings.tracking_pace)
    found += [Chore("orders.tracking", TRACKING, pace, name) for name in providers.ready("tracks", values)]
    return found


def send(client: redis.Redis, chore: Chore, message: bytes) -> bool:
    """Put the chore's message into its queue, unless its last one is on its way, or its round under way."""
    return bool(client.eval(_SEND, 3, chore_key(chore.name), round_key(chore.name), chore.queue, KEY_S, message))


@contextmanager
def alone(client: redis.Redis, name: str) -> Iterator[bool]:
    """True where this round of the chore `name` is the only one; until the block ends, no other begins.

    Errors: redis.RedisError where Redis does not take the lease.
    """
    token = secrets.token_hex(8)
    if not client.eval(_BEGIN, 2, chore_key(name), round_key(name), token, LEASE_S):
        yield False
        return
    over = threading.Event()
    keeper = threading.Thread(target=_prolong, args=(client, name, token, over), name=f"lease-{name}", daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        over.set()
        keeper.join()  # else it might set the lease anew behind us
        try:
            client.eval(_END, 1, round_key(name), token)
        except redis.RedisError as error:
            log.info("%s: its lease of %d s ends by itself: %s", name, LEASE_S, error)


def _prolong(client: redis.Redis, name: str, token: str, over: threading.Event) -> None:
    while not over.wait(PROLONG_S):
        try:
            client.eval(_PROLONG, 1, round_key(name), token, LEASE_S)
        except redis.RedisError as error:
            log.info("%s: its lease is not prolonged, and another round may begin: %s", name, error)


def chore_key(name: str) -> str:
    """The Redis key that says a chore's message is on its way."""
    return f"orders:chore:{name}"


def round_key(name: str) -> str:
    """The Redis key that says a round of the chore is under way."""
    return f"orders:round:{name}"
