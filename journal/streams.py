"""Redis: one stream and one doorbell a shard. Expendable: the journal has everything.

Keys, for shard 12 (the braces keep a shard's keys on one node of a cluster):
  orders:{12}:events   the stream: entries in journal order, group `drain`, deleted once decided
  orders:{12}:bell     set while a doorbell for the shard is on its way; the drain deletes it first
  orders:{12}:behind   set while the journal has events of the shard that did not fit: the relay tops up

A stream holds at most STREAM_ENTRIES / shards entries of at most INLINE_BYTES each (about 48 MB in
all, however large the backlog): the rest waits in SQL. Nothing is ever trimmed away.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import redis

from journal.entries import Entry, encode

GROUP, CONSUMER = "drain", "drain"
STREAM_ENTRIES = 48_000  # over all shards
BELL_S = 5  # a doorbell that nobody answered may ring again after this

Ring = Callable[[int], None]  # sends the Celery message "shard s has entries"
log = logging.getLogger(__name__)

# KEYS events, behind, bell · ARGV cap, seconds of the bell, topping up?, then s, n, e (or "") an entry.
# → [entries added, whether to ring]. A shard that is behind takes nothing but from the relay, in order.
_PUBLISH = """
local room = tonumber(ARGV[1]) - redis.call('XLEN', KEYS[1])
if ARGV[3] == '0' and redis.call('EXISTS', KEYS[2]) == 1 then room = 0 end
local added = 0
for i = 4, #ARGV, 3 do
  if added >= room then
    redis.call('SET', KEYS[2], '1')
    break
  end
  if ARGV[i + 2] == '' then
    redis.call('XADD', KEYS[1], '*', 's', ARGV[i], 'n', ARGV[i + 1])
  else
    redis.call('XADD', KEYS[1], '*', 's', ARGV[i], 'n', ARGV[i + 1], 'e', ARGV[i + 2])
  end
  added = added + 1
end
local ring = ARGV[3] == '0' and redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[2])
return {added, ring and 1 or 0}
"""

# KEYS every shard's events, then perhaps a bell to take · → entries in each. One command for all shards: a
# pipeline of as many costs half a millisecond of Python.
_LOOK = """
local shards = tonumber(ARGV[1])
if #KEYS > shards then redis.call('DEL', KEYS[#KEYS]) end
local lengths = {}
for i = 1, shards do lengths[i] = redis.call('XLEN', KEYS[i]) end
return lengths
"""


def connect(redis_url: str) -> redis.Redis:
    """A client with timeouts, for streams (bytes in, bytes out)."""
    return redis.Redis.from_url(
        redis_url, protocol=2, socket_timeout=10, socket_connect_timeout=5, health_check_interval=30
    )


class Streams:
    """All shards' streams and doorbells; `ring` sends the Celery message."""

    def __init__(self, client: redis.Redis, shards: int, ring: Ring) -> None:
        self.client, self.shards, self._ring = client, shards, ring
        self.cap = max(16, STREAM_ENTRIES // shards)
        self._publish = client.register_script(_PUBLISH)
        self._look = client.register_script(_LOOK)
        self._all = [_events(shard) for shard in range(shards)]

    def publish(self, entries: Iterable[Entry]) -> bool:
        """Put committed entries into their streams and ring. False: Redis is away, the relay will do it."""
        by_shard: dict[int, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_shard[entry.shard].append(entry)
        bells: list[int] = []  # rung last: a broker that fails must not keep entries out
        try:
            for shard, batch in by_shard.items():
                for start in range(0, len(batch), 500):
                    if self.add(shard, batch[start : start + 500]):
                        bells.append(shard)
            for shard in bells:
                self._ring(shard)
        except (redis.RedisError, OSError) as error:
            log.warning(
                "Redis is away (%s); the relay publishes %d shards once it is back",
                error,
                len(by_shard),
            )
            return False
        return True

    def add(self, shard: int, entries: Sequence[Entry], *, topping_up: bool = False) -> bool:
        """Add entries while there is room; true if the doorbell is to be rung."""
        arguments: list[Any] = [self.cap, BELL_S, int(topping_up)]
        for entry in entries:
            fields = encode(entry)
            arguments += [fields["s"], fields["n"], fields.get("e", b"")]
        _, ring = self._publish(keys=[_events(shard), f"orders:{{{shard}}}:behind", _bell(shard)], args=arguments)
        return bool(ring)

    def ring(self, shard: int) -> None:
        """Ring unless a doorbell is on its way."""
        if self.client.set(_bell(shard), b"1", nx=True, ex=BELL_S):
            self._ring(shard)

    def answer(self, shard: int) -> list[int]:
        """Delete the doorbell's key, first of all: a ring from here on rings again. Then as `lengths`."""
        return list(self._look(keys=[*self._all, _bell(shard)], args=[self.shards]))

    def lengths(self) -> list[int]:
        """Entries in each shard's stream."""
        return list(self._look(keys=self._all, args=[self.shards]))

    def read(
        self, shards: Sequence[int], count: int, *, again: Collection[int] = ()
    ) -> dict[int, list[tuple[bytes, Any]]]:
        """Up to `count` new entries a shard; `again`: before them, as many that were read and not finished."""
        asked: list[dict[Any, Any]] = [{_events(s): "0" for s in again}, {_events(s): ">" for s in shards}]
        try:
            answers = self._read_groups(asked, count)
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self._make_groups(shards)
            answers = self._read_groups(asked, count)
        by_key = {_events(shard).encode(): shard for shard in shards}
        found: dict[int, list[tuple[bytes, Any]]] = {}
        for answer in answers:
            for key, entries in answer or ():
                if entries:
                    found.setdefault(by_key[key], []).extend(entries)
        return found

    def _read_groups(self, asked: Sequence[dict[Any, Any]], count: int) -> list[Any]:
        pipe = self.client.pipeline(transaction=False)
        for streams in asked:
            if streams:
                pipe.xreadgroup(GROUP, CONSUMER, streams, count=count)
        return list(pipe.execute())

    def _make_groups(self, shards: Iterable[int]) -> None:
        """A group that was never there, or was lost with a flush, starts at the stream's first entry."""
        for shard in shards:
            try:
                self.client.xgroup_create(_events(shard), GROUP, "0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    def finish(self, done: Mapping[int, Sequence[bytes]]) -> None:
        """Acknowledge and delete entries whose results are committed."""
        pipe = self.client.pipeline(transaction=False)
        for shard, names in done.items():
            if names:
                pipe.xack(_events(shard), GROUP, *names)
                pipe.xdel(_events(shard), *names)
        pipe.execute()

    def numbers(self, shard: int) -> set[int]:
        """The journal numbers of what the stream holds (at most its cap)."""
        found: Any = self.client.xrange(_events(shard))
        return {int(fields[b"s"]) for _, fields in found}

    def is_behind(self, shard: int) -> bool:
        """Whether the journal has events of the shard that did not fit into its stream."""
        return bool(self.client.exists(f"orders:{{{shard}}}:behind"))

    def caught_up(self, shard: int) -> None:
        """The stream has all there is: publishers may add to it again."""
        self.client.delete(f"orders:{{{shard}}}:behind")


def _events(shard: int) -> str:
    return f"orders:{{{shard}}}:events"


def _bell(shard: int) -> str:
    return f"orders:{{{shard}}}:bell"
