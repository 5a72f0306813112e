"""Redis: one stream and one doorbell per shard. Expendable: the journal has everything.

Keys, for shard 12 (the braces would keep its own on one node of a cluster):
  orders:{12}:events   the stream: entries in journal order, deleted once decided
  orders:{12}:bell     set while a doorbell for the shard is on its way; the drain deletes it first
  orders:behind        a hash: shard → journal number. What the shard has above that number did not fit, or was lost, and
                       waits in the journal alone: the drain reads it there, and publishers leave it there
  orders.drain         Celery's queue: a doorbell's message is put into it by the script that adds the entries

No consumer group: who holds a shard's lock reads its oldest entries, which stay until their results are
committed. What a killed drain had read is simply read again. A stream holds at most STREAM_ENTRIES / shards
entries of at most INLINE_BYTES each (about 48 MB in all, however large the backlog): the rest waits in SQL, and is
read there (decision 0015).
Nothing is ever trimmed away.
"""

from __future__ import annotations

import logging
import socket
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from journal.entries import Entry, decode, encode

OLDEST = 7  # the oldest major version of Redis that all tests were run on; Valkey, made of Redis 7.2, says 7 as well
STREAM_ENTRIES = 48_000  # over all shards
RING_FOR = 256  # entries: one ring brings one worker, which looks at every shard
BELL_S = 5  # a doorbell that nobody answered may ring again after this
BELLS = 1024  # messages of doorbells that may wait: who answers one of them looks at every stream

ANSWER_S, CONNECT_S = 5, 3  # an answer of Redis, and a connection to it; then it counts as away
# A connection whose other end is gone without a word: asked after 5 s of silence, left 12 s later at the latest.
KEEPALIVE = {
    option: value
    for name, value in (
        ("TCP_KEEPIDLE", 5),
        ("TCP_KEEPINTVL", 3),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 12_000),  # milliseconds
    )
    if (option := getattr(socket, name, None)) is not None  # Linux has all four
}

DRAIN = "orders.drain"  # the queue of doorbells
BEHIND = "orders:behind"
# The Celery message "shard s has entries", as the broker keeps it; None where whoever is asked has called a worker itself.
Ring = Callable[[int], bytes | None]
Waiting = dict[int, list[tuple[bytes, bytes]]]  # shard → its oldest entries: name in the stream, what `encode` made
log = logging.getLogger(__name__)

# KEYS events, behind, bell, queue · ARGV cap, seconds of the bell, shard, ring?, its message, then the entries, which
# begin with "[number,". → 1 where a message that is not known yet ('') is to be put into the queue. Where BELLS of them
# wait there, nobody answers, and one more would be answered no sooner.
_PUBLISH = f"""
local behind = tonumber(redis.call('HGET', KEYS[2], ARGV[3]) or nil)
local room = tonumber(ARGV[1]) - redis.call('XLEN', KEYS[1])
for i = 6, #ARGV do
  local left = behind and tonumber(string.match(ARGV[i], '%d+')) > behind
  if not left and room > 0 then
    redis.call('XADD', KEYS[1], '*', 'e', ARGV[i])
    room = room - 1
  elseif not left then
    behind = tonumber(string.match(ARGV[i], '%d+')) - 1
    redis.call('HSET', KEYS[2], ARGV[3], string.format('%d', behind))
  end
end
if ARGV[4] == '0' or redis.call('LLEN', KEYS[4]) >= {BELLS} then return 0 end
if not redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[2]) then return 0 end
if ARGV[5] == '' then return 1 end
redis.call('LPUSH', KEYS[4], ARGV[5])
return 0
"""

# KEYS behind, every shard's events · ARGV shard, was, is of shards that are behind and were read up to `is`: not where
# somebody has put another number there meanwhile. → entries in each stream, and what is behind. One command for all
# shards: a pipeline of as many costs half a millisecond of Python.
_LOOK = """
for i = 1, #ARGV, 3 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
end
local lengths = {}
for i = 2, #KEYS do lengths[i - 1] = redis.call('XLEN', KEYS[i]) end
return {lengths, redis.call('HGETALL', KEYS[1])}
"""

# KEYS behind · ARGV shard, number
_FALL = """
local behind = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or nil)
if not behind or behind > tonumber(ARGV[2]) then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
"""
_CATCH_UP = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
"""


def is_old(redis_version: str) -> bool:
    """True of a Redis older than OLDEST, by the `redis_version` that it tells."""
    return int(redis_version.partition(".")[0]) < OLDEST


@dataclass(slots=True)
class Look:
    """The waiting entries of all shards, at one moment."""

    lengths: list[int]  # entries in each shard's stream
    behind: dict[int, int]  # shards that have more in the journal, above this number

    def waiting(self) -> list[int]:
        """Shards that have something for a drain."""
        return [shard for shard, length in enumerate(self.lengths) if length or shard in self.behind]


class OfThePrimary:
    """A connection that is closed by a server which refuses writes as a replica: the next one may find the primary.

    Raises ConnectionError then, as for a server that went away: who may try again does so on a new connection.
    """

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        """The next answer, as redis.Connection reads it."""
        try:
            return super().read_response(*arguments, **options)  # type: ignore[misc]
        except redis.exceptions.ReadOnlyError as error:
            self.disconnect()  # type: ignore[attr-defined]
            raise redis.ConnectionError(f"failed over: {error}") from error


@cache
def of_the_primary(connection: type[Any]) -> type[Any]:
    """`connection`, a class of redis-py's connections, that leaves a server which became a replica."""
    return type(connection.__name__, (OfThePrimary, connection), {})


def connect(redis_url: str, *, answer_s: float = ANSWER_S, again: int = 1) -> redis.Redis:
    """A client (bytes in, bytes out) that waits `answer_s` seconds for an answer, and asks `again` so often.

    A connection that died without a word, or leads to a server that became a replica, is left.
    """
    options: dict[str, Any] = {}
    if not redis_url.startswith("unix:"):
        options = {"socket_keepalive": True, "socket_keepalive_options": KEEPALIVE}
    pool = redis.ConnectionPool.from_url(
        redis_url,
        protocol=2,
        socket_timeout=answer_s,
        socket_connect_timeout=min(answer_s, CONNECT_S),
        health_check_interval=30,
        retry=Retry(NoBackoff(), again),
        **options,
    )
    pool.connection_class = of_the_primary(pool.connection_class)
    return redis.Redis.from_pool(pool)


class Streams:
    """All shards' streams and doorbells; `ring` makes their messages, each once."""

    def __init__(self, client: redis.Redis, shards: int, ring: Ring) -> None:
        self.client, self.shards, self._ring = client, shards, ring
        self.cap = max(16, STREAM_ENTRIES // shards)
        # Entries as they come: to make dicts of them costs a fifth of the read.
        client.set_response_callback("XRANGE", lambda found, **_: found)
        self._publish = client.register_script(_PUBLISH)
        self._look = client.register_script(_LOOK)
        self._fall = client.register_script(_FALL)
        self._catch_up = client.register_script(_CATCH_UP)
        self._all = [BEHIND, *(_events(shard) for shard in range(shards))]
        self._messages: dict[int, bytes] = {}

    def publish(self, entries: Iterable[Entry]) -> bool:
        """Put committed entries into their streams and ring. False: Redis is away, the relay will do it.

        Rings once a RING_FOR entries, with the last ones: whoever answers a bell looks at every stream.
        """
        by_shard: dict[int, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_shard[entry.shard].append(entry)
        waiting = sum(map(len, by_shard.values()))
        silent = len(by_shard) - bells_for(waiting)  # the first so many shards
        try:
            if len(by_shard) > 1:  # in one round trip, which has to ask first whether Redis knows the script
                with self.client.pipeline(transaction=False) as pipe:
                    for number, (shard, batch) in enumerate(by_shard.items()):
                        self._add(shard, batch, ring=number >= silent, client=pipe)
                    answers = pipe.execute()
                for shard, unsaid in zip(by_shard, answers, strict=True):
                    if unsaid:
                        self._say(shard)
            else:
                for shard, batch in by_shard.items():
                    self.add(shard, batch, ring=True)
        except (redis.RedisError, OSError) as error:
            log.warning(
                "Redis is away (%s); the events of %d shards are left to the relay",
                error,
                len(by_shard),
            )
            return False
        return True

    def add(self, shard: int, entries: Sequence[Entry], *, ring: bool = False) -> None:
        """Add entries in the journal's order, while there is room; then ring, if asked to, unless a doorbell is on its way."""
        if self._add(shard, entries, ring=ring):
            self._say(shard)

    def _add(self, shard: int, entries: Sequence[Entry], *, ring: bool, client: Any = None) -> Any:
        message = self._messages.get(shard, b"")
        arguments: list[Any] = [self.cap, BELL_S, shard, int(ring), message, *map(encode, entries)]
        return self._publish(keys=[_events(shard), BEHIND, _bell(shard), DRAIN], args=arguments, client=client)

    def _say(self, shard: int) -> None:
        """Send a doorbell whose message was not known to the script: from here on it is."""
        made = self._ring(shard)
        if made is not None:
            self._messages[shard] = made
            self.client.lpush(DRAIN, made)

    def ring(self, shard: int) -> None:
        """Ring unless a doorbell is on its way."""
        self.add(shard, (), ring=True)

    def answer(self, shard: int, count: int) -> Waiting:
        """Delete the doorbell's key, first of all: a ring from here on rings again. Then `read` the shard."""
        pipe = self.client.pipeline(transaction=False)
        pipe.delete(_bell(shard))
        return self._read(pipe, [shard], count)

    def look(self) -> Look:
        """The waiting entries of the streams, and which shards have more in the journal."""
        return _looked(self._look(keys=self._all))

    def read(self, shards: Sequence[int], count: int) -> Waiting:
        """Up to `count` of the oldest entries per shard; shards without any are left out."""
        return self._read(self.client.pipeline(transaction=False), shards, count)

    def _read(self, pipe: Any, shards: Sequence[int], count: int) -> Waiting:
        for shard in shards:
            pipe.xrange(_events(shard), count=count)
        answers = pipe.execute()[-len(shards) :]
        return {
            shard: [(name, fields[1]) for name, fields in answer]
            for shard, answer in zip(shards, answers, strict=True)
            if answer
        }

    def finish(self, done: Mapping[int, Sequence[bytes]], passed: Mapping[int, tuple[int, int]]) -> Look:
        """Delete entries whose results are committed; then `look`, in the same round trip.

        `passed`: shard → (where it was behind, the number up to which it was read there).
        """
        pipe = self.client.pipeline(transaction=False)
        for shard, names in done.items():
            pipe.xdel(_events(shard), *names)
        steps = [number for shard, (was, now) in passed.items() for number in (shard, was, now)]
        pipe.evalsha(self._look.sha, len(self._all), *self._all, *steps)
        try:
            return _looked(pipe.execute()[-1])
        except redis.exceptions.NoScriptError:  # started anew, or failed over: what is behind stays where it was
            return self.look()

    def numbers(self, shards: Sequence[int]) -> dict[int, set[int]]:
        """The journal numbers of what each of these streams holds (at most its cap)."""
        pipe = self.client.pipeline(transaction=False)
        for shard in shards:
            pipe.xrange(_events(shard))
        answers: list[Any] = pipe.execute() if shards else []
        return {
            shard: {decode(fields[1], shard)[0] for _, fields in found}
            for shard, found in zip(shards, answers, strict=True)
        }

    def fall_behind(self, shard: int, after: int) -> None:
        """From here on, the shard is read in the journal above the number `after`, if not from further back anyway."""
        self._fall(keys=[BEHIND], args=[shard, after])

    def caught_up(self, shard: int, was: int) -> None:
        """Publishers may add to the stream again, unless somebody has gone back from `was` meanwhile."""
        self._catch_up(keys=[BEHIND], args=[shard, was])


def _looked(answer: Any) -> Look:
    lengths, behind = answer
    return Look(list(lengths), {int(behind[i]): int(behind[i + 1]) for i in range(0, len(behind), 2)})


def bells_for(entries: int) -> int:
    """The number of rings that so many entries are worth."""
    return -(-entries // RING_FOR)


def _events(shard: int) -> str:
    return f"orders:{{{shard}}}:events"


def _bell(shard: int) -> str:
    return f"orders:{{{shard}}}:bell"
