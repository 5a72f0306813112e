"""Redis: one stream and one doorbell a shard. Expendable: the journal has everything.

Keys, for shard 12 (the braces keep a shard's keys on one node of a cluster):
  orders:{12}:events   the stream: entries in journal order, deleted once decided
  orders:{12}:bell     set while a doorbell for the shard is on its way; the drain deletes it first
  orders:{12}:behind   set while the journal has events of the shard that did not fit: the relay tops up
  orders.drain         Celery's queue: a doorbell's message is put into it by the script that adds the entries

No consumer group: who holds a shard's lock reads its oldest entries, which stay until their results are
committed. What a killed drain had read is simply read again. A stream holds at most STREAM_ENTRIES / shards
entries of at most INLINE_BYTES each (about 48 MB in all, however large the backlog): the rest waits in SQL.
Nothing is ever trimmed away.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import redis

from journal.entries import Entry, decode, encode

STREAM_ENTRIES = 48_000  # over all shards
RING_FOR = 256  # entries: one ring brings one worker, which looks at every shard
BELL_S = 5  # a doorbell that nobody answered may ring again after this

DRAIN = "orders.drain"  # the queue of doorbells
# The Celery message "shard s has entries", as the broker keeps it; None where whoever is asked has called a worker itself.
Ring = Callable[[int], bytes | None]
Waiting = dict[int, list[tuple[bytes, bytes]]]  # shard → its oldest entries: name in the stream, what `encode` made
log = logging.getLogger(__name__)

# KEYS events, behind, bell, queue · ARGV cap, seconds of the bell, topping up?, ring?, its message, then the entries.
# → 1 where a message that is not known yet ('') is to be put into the queue. A shard that is behind takes nothing but
# from the relay, in order.
_PUBLISH = """
local room = tonumber(ARGV[1]) - redis.call('XLEN', KEYS[1])
if ARGV[3] == '0' and redis.call('EXISTS', KEYS[2]) == 1 then room = 0 end
local added = 0
for i = 6, #ARGV do
  if added >= room then
    redis.call('SET', KEYS[2], '1')
    break
  end
  redis.call('XADD', KEYS[1], '*', 'e', ARGV[i])
  added = added + 1
end
if ARGV[4] == '0' or not redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[2]) then return 0 end
if ARGV[5] == '' then return 1 end
redis.call('LPUSH', KEYS[4], ARGV[5])
return 0
"""

# KEYS every shard's events · → entries in each. One command for all shards: a pipeline of as many costs half a
# millisecond of Python.
_LOOK = """
local lengths = {}
for i = 1, #KEYS do lengths[i] = redis.call('XLEN', KEYS[i]) end
return lengths
"""


def connect(redis_url: str) -> redis.Redis:
    """A client with timeouts, for streams (bytes in, bytes out)."""
    return redis.Redis.from_url(
        redis_url, protocol=2, socket_timeout=10, socket_connect_timeout=5, health_check_interval=30
    )


class Streams:
    """All shards' streams and doorbells; `ring` makes their messages, each once."""

    def __init__(self, client: redis.Redis, shards: int, ring: Ring) -> None:
        self.client, self.shards, self._ring = client, shards, ring
        self.cap = max(16, STREAM_ENTRIES // shards)
        # Entries as they come: to make dicts of them costs a fifth of the read.
        client.set_response_callback("XRANGE", lambda found, **_: found)
        self._publish = client.register_script(_PUBLISH)
        self._look = client.register_script(_LOOK)
        self._all = [_events(shard) for shard in range(shards)]
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
                "Redis is away (%s); the relay publishes %d shards once it is back",
                error,
                len(by_shard),
            )
            return False
        return True

    def add(self, shard: int, entries: Sequence[Entry], *, topping_up: bool = False, ring: bool = False) -> None:
        """Add entries while there is room; then ring, if asked to, unless a doorbell is on its way."""
        if self._add(shard, entries, topping_up=topping_up, ring=ring):
            self._say(shard)

    def _add(
        self, shard: int, entries: Sequence[Entry], *, ring: bool, topping_up: bool = False, client: Any = None
    ) -> Any:
        message = self._messages.get(shard, b"")
        arguments: list[Any] = [self.cap, BELL_S, int(topping_up), int(ring), message, *map(encode, entries)]
        keys = [_events(shard), f"orders:{{{shard}}}:behind", _bell(shard), DRAIN]
        return self._publish(keys=keys, args=arguments, client=client)

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

    def lengths(self) -> list[int]:
        """Entries in each shard's stream."""
        return list(self._look(keys=self._all))

    def read(self, shards: Sequence[int], count: int) -> Waiting:
        """Up to `count` of the oldest entries a shard; shards without any are left out."""
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

    def finish(self, done: Mapping[int, Sequence[bytes]]) -> list[int]:
        """Delete entries whose results are committed; then as `lengths`, in the same round trip."""
        pipe = self.client.pipeline(transaction=False)
        for shard, names in done.items():
            pipe.xdel(_events(shard), *names)
        pipe.evalsha(self._look.sha, len(self._all), *self._all)
        try:
            return list(pipe.execute()[-1])
        except redis.exceptions.NoScriptError:  # a Redis that was started anew
            return self.lengths()

    def numbers(self, shard: int) -> set[int]:
        """The journal numbers of what the stream holds (at most its cap)."""
        found: Any = self.client.xrange(_events(shard))
        return {decode(fields[1], shard)[0] for _, fields in found}

    def is_behind(self, shard: int) -> bool:
        """Whether the journal has events of the shard that did not fit into its stream."""
        return bool(self.client.exists(f"orders:{{{shard}}}:behind"))

    def caught_up(self, shard: int) -> None:
        """The stream has all there is: publishers may add to it again."""
        self.client.delete(f"orders:{{{shard}}}:behind")


def bells_for(entries: int) -> int:
    """How many rings so many entries are worth."""
    return -(-entries // RING_FOR)


def _events(shard: int) -> str:
    return f"orders:{{{shard}}}:events"


def _bell(shard: int) -> str:
    return f"orders:{{{shard}}}:bell"
