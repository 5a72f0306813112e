"""Rate limits of API keys: so many requests per minute, counted in Redis over all processes and hosts.

Redis key: orders:rate:KEY:MINUTE   requests taken so far; gone two minutes later

A process takes requests by the lease, a hundredth of a minute's at a time, and spends them from its memory:
most requests ask nobody. While Redis is away requests pass, but those of a key that is known to have spent its
minute; one per second asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
import structlog
from starlette.concurrency import run_in_threadpool

from api.errors import ApiError
from storage.clock import epoch

WINDOW_S = 60
LEASES = 100  # a window's requests are taken in so many portions, so a process wastes at most one
AWAY_S = 1.0  # after a failure Redis is left alone for so long
_log = structlog.get_logger("api")


@dataclass(frozen=True, slots=True)
class Allowance:
    """The rest of a key's requests: `remaining` of `limit`, until `reset_s` seconds from now."""

    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """As an answer tells it."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
        }


@dataclass(slots=True)
class _Lease:
    window: int = -1
    left: int = 0  # of this process
    taken: int = 0  # by everybody, when this process last asked
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def spent(self, window: float, limit: int) -> bool:
        """Whether this window's requests are known to be spent: no need to ask Redis."""
        return self.window == window and not self.left and self.taken >= limit


class Limits:
    """The limit of every key, as one process keeps it. `limit` None lets everything pass."""

    def __init__(self, client: redis.Redis, limit: int | None, now: Callable[[], float] = epoch) -> None:
        self._client, self._limit, self._now = client, limit, now
        self._size = max(1, (limit or 0) // LEASES)
        self._leases: dict[str, _Lease] = {}  # a key of the database each, so it stays small
        self._away_until = 0.0

    async def take(self, key_id: str) -> Allowance | None:
        """Take one request for a key. None: nothing is counted, for want of a limit or of Redis.

        Errors: ApiError 429 with Retry-After, when the minute's requests are spent.
        """
        if self._limit is None:
            return None
        lease = self._leases.setdefault(key_id, _Lease())
        window, into = divmod(self._now(), WINDOW_S)
        if (lease.window != window or not lease.left) and not lease.spent(window, self._limit):
            if self._now() < self._away_until:
                return None
            async with lease.lock:  # one asks; those who waited find what it brought
                if (lease.window != window or not lease.left) and not await self._renew(lease, key_id, int(window)):
                    return None
        reset_s = max(1, int(WINDOW_S - into))
        if not lease.left:
            raise self._spent(reset_s)
        lease.left -= 1
        return Allowance(self._limit, max(0, self._limit - lease.taken + lease.left), reset_s)

    async def _renew(self, lease: _Lease, key_id: str, window: int) -> bool:
        """Bring the lease to this window and fill it, if there is anything left. False: Redis is away."""
        limit = self._limit or 0
        if lease.spent(window, limit):
            return True  # another request's asking told so, while this one waited for the lock
        if self._now() < self._away_until:
            return False
        if self._away_until:  # a Redis that hangs is waited for by one request; the others pass meanwhile
            self._away_until = self._now() + AWAY_S
        try:
            taken = await run_in_threadpool(self._count, f"orders:rate:{key_id}:{window}")
        except (redis.RedisError, OSError) as error:
            self._away_until = self._now() + AWAY_S
            _log.warning("Redis is away: requests are not counted", error=str(error))
            return False
        self._away_until = 0.0
        lease.window, lease.taken = window, taken
        lease.left = max(0, min(self._size, limit - (taken - self._size)))
        return True

    def _count(self, name: str) -> int:
        pipe = self._client.pipeline(transaction=False)
        pipe.incrby(name, self._size)
        pipe.expire(name, 2 * WINDOW_S)
        taken: int = pipe.execute()[0]
        return taken

    def _spent(self, reset_s: int) -> ApiError:
        headers = {"Retry-After": str(reset_s), **Allowance(self._limit or 0, 0, reset_s).headers()}
        message = f"This key may make {self._limit} requests per minute; wait {reset_s} s"
        return ApiError(429, message, name="TooManyRequests", headers=headers)
