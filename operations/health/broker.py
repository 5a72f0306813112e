"""Redis or Valkey: whether it answers, has memory left, takes writes, and what its streams hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from journal.streams import OLDEST, Streams, is_old
from operations.health.check import ASKED_S, OK, PROBLEM, WARNING, Check, Place, first_line
from operations.health.reach import Door

FULL = 0.9  # of maxmemory: a warning
NAMES = ("Redis", "Redis memory", "Redis writes", "streams")
PROOF = "orders:doctor"  # the key that is written, and gone after a second
# What an answer begins with where a write is refused, and the cure.
_REFUSED: tuple[tuple[str, str], ...] = (
    ("OOM", "raise maxmemory (`config set maxmemory 512mb` by redis-cli, and in its configuration), or find what else fills it (`redis-cli --bigkeys`)"),
    ("READONLY", "name the primary in REDIS_URL, or promote this replica: `replicaof no one` by redis-cli"),
    ("MISCONF", "it cannot write to its disk: free some there, and see its log"),
    ("NOREPLICAS", "start its replicas, or `config set min-replicas-to-write 0` by redis-cli"),
    ("NOPERM", "let the user of REDIS_URL write keys orders:*: `acl setuser` by redis-cli"),
)  # fmt: skip
_WITHOUT = "events are accepted meanwhile, and applied once it is back"


def client_of(place: Place) -> redis.Redis:
    """For the doctor's looks alone: no answer is waited for longer than ASKED_S, and none asked for twice."""
    return redis.Redis.from_url(
        place.settings.redis_url or "",
        protocol=2,
        socket_timeout=ASKED_S,
        socket_connect_timeout=ASKED_S,
        retry=Retry(NoBackoff(), 0),
        client_name="orders-doctor",
    )


def look(client: redis.Redis, place: Place, door: Door) -> Iterator[Check]:
    """The lines NAMES; the first alone where nobody can be asked."""
    if (away := door.unreached()) is not None:
        yield Check("Redis", PROBLEM, f"does not answer: {away.says}", f"{away.remedy}; {_WITHOUT}")
        return
    try:
        info: Any = client.info("everything")
    except redis.TimeoutError:
        late = door.late()
        yield Check("Redis", late.level, late.says, f"{late.remedy}; {_WITHOUT}")
        return
    except (redis.RedisError, OSError) as error:
        yield _refused_entry(error)
        return
    yield _version(info)
    yield _memory(info)
    yield _writes(client)
    yield _streams(client, place)


def _refused_entry(error: Exception) -> Check:
    told = first_line(error)
    if isinstance(error, redis.AuthenticationError) or "NOAUTH" in told or "WRONGPASS" in told:
        return Check("Redis", PROBLEM, f"refuses us: {told}", "correct user and password in REDIS_URL")
    if isinstance(error, redis.BusyLoadingError):
        return Check("Redis", PROBLEM, "reads its file still, and answers nobody", f"wait until it has; {_WITHOUT}")
    if "max number of clients" in told:
        remedy = "end processes that are not needed, or raise maxclients (`config set maxclients N` by redis-cli)"
        return Check("Redis", PROBLEM, f"refuses us: {told}", remedy)
    return Check(
        "Redis", PROBLEM, f"does not answer: {told}", f"see its log; start it, or correct REDIS_URL; {_WITHOUT}"
    )


def _version(info: Any) -> Check:
    version = str(info.get("redis_version", "0"))
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {version}"
    if is_old(version):
        return Check("Redis", PROBLEM, name, f"upgrade it to {OLDEST} or newer")
    return Check("Redis", OK, f"{name}, {info.get('used_memory_human', '?')} in use")


def _memory(info: Any) -> Check:
    """Streams and doorbells need some tens of megabytes; what fills the rest is somebody else's."""
    policy, most, used = (
        info.get("maxmemory_policy", "?"),
        int(info.get("maxmemory", 0)),
        int(info.get("used_memory", 0)),
    )
    if not most:
        return Check("Redis memory", OK, f"no limit (policy {policy})")
    says = f"{used / 2**20:,.0f} of {most / 2**20:,.0f} MB in use"
    if policy != "noeviction":
        says = f"maxmemory-policy is {policy} ({says}): streams may be evicted, and are published again only later"
        return Check("Redis memory", WARNING, says, "set maxmemory-policy noeviction")
    if used >= most:
        says = f"it is over its memory ({says}), and refuses writes: no event reaches a stream, no doorbell rings"
        return Check("Redis memory", PROBLEM, says, _REFUSED[0][1])
    if used >= FULL * most:
        return Check("Redis memory", WARNING, f"{says}: soon it refuses writes", _REFUSED[0][1])
    return Check("Redis memory", OK, f"{says} (policy {policy})")


def _writes(client: redis.Redis) -> Check:
    try:
        client.set(PROOF, b"1", ex=1)
    except (redis.RedisError, OSError) as error:
        told = first_line(error)
        if isinstance(error, redis.OutOfMemoryError):
            kind = "OOM"
        elif isinstance(error, redis.exceptions.ReadOnlyError):
            kind = "READONLY"
        else:
            kind = told.split()[0]
        remedy = next((cure for name, cure in _REFUSED if kind == name), "see its log")
        return Check("Redis writes", PROBLEM, f"refused: {told}", f"{remedy}; {_WITHOUT}")
    return Check("Redis writes", OK, "it takes them")


def _streams(client: redis.Redis, place: Place) -> Check:
    try:
        look = Streams(client, place.settings.shards, lambda shard: None).look()
    except (redis.RedisError, OSError) as error:
        return Check("streams", PROBLEM, f"could not be read: {first_line(error)}", "see the lines of Redis above")
    lengths, behind = look.lengths, len(look.behind)
    says = f"{sum(lengths):,} entries in {sum(map(bool, lengths))} of {len(lengths)} shards"
    return Check("streams", OK, f"{says}; {behind} shards have a backlog in PostgreSQL" if behind else says)
