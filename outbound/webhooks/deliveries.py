"""Deliveries: each change to each subscription, until it is taken or given up.

    due ── claimed ──▶ due, and nobody else's until its lease is over
                           ├── taken (2xx) ─────────────▶ done
                           ├── anything else ───────────▶ due, after a wait
                           └── … the tenth time ────────▶ dead
    done, dead ── replayed by a person ──▶ due, under the same id
    done ── after thirty days ──▶ forgotten

Only the first that waits of a subscription and an order may be claimed: so the changes of one order arrive in their
order, one at a time, and a change that is not taken holds back the later ones of its order and nobody else's. A
lease is a `next_at` in the future: whoever was too slow, or died, loses the delivery with it, and its result no
longer counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from domain.ids import first_of, format_id
from journal.pauses import rests
from storage.pg_arrays import array, columns, unnest

LEASE = timedelta(seconds=13)  # an attempt may take 10 s; what a frozen process had in hand goes out again so soon
DUE, DONE, DEAD = STATES = ("due", "done", "dead")
GONE = 410  # the receiver wants no more of the subscription
ERROR = 500  # characters of an error that are kept
KEPT = timedelta(days=30)  # what was taken
PORTION = 10_000  # of them that are forgotten at a time

_S, _M, _H = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
# Between attempts, as the specification of Standard Webhooks has it: ten attempts in a little more than three days.
WAITS = (5 * _S, 5 * _M, 30 * _M, 2 * _H, 5 * _H, 10 * _H, 14 * _H, 20 * _H, 24 * _H)
SPREAD = 0.1  # longer at most, so that what failed together is not tried again together


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is ours until `lease`, and the one attempt that may be made of it."""

    id: str
    subscription_id: str
    collection: str
    operation: str
    document: str  # JSON, personal fields laid over
    at: datetime
    attempts: int  # this one included
    lease: datetime
    url: str
    secrets: Sequence[str]  # the newest first; each of them signs
    order_id: str | None = None

    @property
    def webhook_id(self) -> str:
        """The same at every attempt."""
        return format_id("deliveries", self.id)


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of one attempt: `error` is None where it was taken."""

    claim: Claim
    status: int | None
    error: str | None
    at: datetime
    chance: float  # 0…1, spreads the wait


def wait_after(attempts: int, chance: float) -> timedelta | None:
    """The wait after so many attempts have failed, up to a tenth longer by `chance`; None: give up.

    >>> print(wait_after(1, 0), wait_after(2, 1), wait_after(9, 0), wait_after(10, 0))
    0:00:05 0:05:30 1 day, 0:00:00 None

    >>> print(sum(WAITS, timedelta()))
    3 days, 3:35:05
    """
    return WAITS[attempts - 1] * (1 + SPREAD * chance) if attempts <= len(WAITS) else None


# -- claim and settle ----------------------------------------------------------------------------------------

# The index of what waits hands over each order's first; the order by keeps to it. Personal fields are laid over what
# the document has room for.
_RESTS = rests(
    "deliveries",
    order="(select o.order_number from orders o where o.id = heads.order_id)",
    subscription="cast(heads.subscription_id as text)",
)
_CLAIM = text(f"""
    with heads as materialized (
        select first.id from unnest(cast(:subscriptions as uuid[]), cast(:rooms as int[])) r(subscription_id, room)
        cross join lateral (
            select heads.id from (
                select distinct on (d.order_id) d.id, d.next_at, d.order_id, d.subscription_id from deliveries d
                where d.subscription_id = r.subscription_id and d.state = 'due' order by d.order_id, d.number
            ) heads where heads.next_at <= :now and not {_RESTS} limit r.room
        ) first
    ), mine as materialized (
        select d.id from deliveries d join heads using (id)
        where d.state = 'due' and d.next_at <= :now for update of d skip locked
    )
    update deliveries d set attempts = d.attempts + 1, next_at = :lease, updated_at = now()
    from mine, subscriptions s where d.id = mine.id and s.id = d.subscription_id and s.state = 'active'
    returning d.id, d.subscription_id, d.collection, d.operation, cast(d.document || coalesce((
            select jsonb_object_agg(f.key, f.value) from personal p cross join jsonb_each(p.fields) f
            where p.id = d.personal_id and jsonb_exists(d.document, f.key)
        ), '{{}}') as text) as document, d.at, d.attempts, d.next_at as lease, s.url, s.secrets,
        cast(d.order_id as text) as order_id
""")


def claim(conn: Connection, rooms: Mapping[str, int], now: datetime) -> list[Claim]:
    """Deliveries that are ours for LEASE: of each subscription (by id) at most its room, each of another order."""
    values = {"subscriptions": array(list(rooms), "uuid"), "rooms": array(list(rooms.values()), "integer")}
    if not rooms:
        return []
    return [Claim(**row) for row in conn.execute(_CLAIM, {**values, "now": now, "lease": now + LEASE}).mappings()]


_RESULT_NAMES = ("id", "lease", "state", "next_at", "last_status", "last_error")
_RESULT_KINDS = ("uuid", "timestamptz", "text", "timestamptz", "smallint", "text")
# The rows are locked in one order, as a replay locks them, so that the two never wait for each other.
_SETTLE = text(f"""
    with v as materialized (
        select v.* from deliveries d join {unnest(_RESULT_NAMES, _RESULT_KINDS)} using (id)
        where d.state = 'due' and d.next_at = v.lease order by d.id for no key update of d
    )
    update deliveries d set state = v.state, next_at = v.next_at, last_status = v.last_status,
        last_error = v.last_error, updated_at = now()
    from v where d.id = v.id returning d.id
""")


def settle(conn: Connection, results: Sequence[Result]) -> list[Result]:
    """Record what came of attempts, in one statement; those whose lease was over count for nothing: left out."""
    if not results:
        return []
    rows = [_row(result) for result in results]
    kept = set(conn.execute(_SETTLE, columns(_RESULT_NAMES, _RESULT_KINDS, rows)).scalars())
    return [result for result in results if result.claim.id in kept]


def _row(result: Result) -> tuple[Any, ...]:
    claim, error = result.claim, result.error
    wait = wait_after(claim.attempts, result.chance)
    state = DONE if error is None else DEAD if wait is None else DUE
    next_at = result.at + wait if wait is not None and error is not None else result.at
    told = error.replace("\x00", "")[:ERROR] if error is not None else None
    return (claim.id, claim.lease, state, next_at, result.status, told)


# -- operators -----------------------------------------------------------------------------------------------

# What waits of the same subscriptions and orders, locked first: the next statement then sees every claim of them.
_LOCK = """
    with locked as materialized (
        select d.id from deliveries d where d.state = 'due' and (d.subscription_id, d.order_id) in
            (select c.subscription_id, c.order_id from deliveries c where {chosen})
        order by d.id for no key update of d
    ) select count(*) from locked
"""
# Not before a lease of the same subscription and order is over, so that no two of one order are under way. A gap of
# milliseconds is left: a claim whose statement began before the replay committed, and locked the later change after it.
_AGAIN = """
    update deliveries c set state = 'due', attempts = 0, discarded_at = null, updated_at = now(), next_at = coalesce((
        select max(o.next_at) from deliveries o where o.subscription_id = c.subscription_id
            and o.order_id = c.order_id and o.state = 'due' and o.next_at between :now and :soon
    ), :now)
    where {chosen} returning c.id
"""
_NAMED = "c.id = any(cast(:ids as uuid[]))"
_IN_STATE = "c.subscription_id = cast(:subscription as uuid) and c.state = :state"
_LOCK_NAMED, _AGAIN_NAMED = text(_LOCK.format(chosen=_NAMED)), text(_AGAIN.format(chosen=_NAMED))
_LOCK_IN_STATE, _AGAIN_IN_STATE = text(_LOCK.format(chosen=_IN_STATE)), text(_AGAIN.format(chosen=_IN_STATE))
_LET_BE = text("""
    update deliveries set discarded_at = clock_timestamp()
    where id = any(cast(:ids as uuid[])) and state = 'dead' and discarded_at is null returning id
""")
_LIST = text("""
    select d.id, d.subscription_id, o.order_number, d.collection, d.operation, d.at, d.state, d.attempts, d.next_at,
           d.last_status, d.last_error, d.updated_at
    from deliveries d join orders o on o.id = d.order_id
    where (cast(:subscription as uuid) is null or d.subscription_id = :subscription)
      and (cast(:state as text) is null or d.state = :state)
    order by d.number desc limit :most
""")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it stands, without its document."""

    id: str
    subscription_id: str
    order_number: str
    collection: str
    operation: str
    at: datetime
    state: str
    attempts: int
    next_at: datetime
    last_status: int | None
    last_error: str | None
    updated_at: datetime


def replay(conn: Connection, ids: Sequence[str], now: datetime) -> list[str]:
    """Let deliveries go out again, whatever their state, as if they were new but for their ids; those there are."""
    chosen = {"ids": array(ids, "uuid")}
    conn.execute(_LOCK_NAMED, chosen)
    return list(conn.execute(_AGAIN_NAMED, {**chosen, "now": now, "soon": now + LEASE}).scalars())


def discard(conn: Connection, ids: Sequence[str]) -> list[str]:
    """Let deliveries be that were given up; those there are. Their receivers are never told of these changes."""
    return list(conn.execute(_LET_BE, {"ids": array(sorted(ids), "uuid")}).scalars())


def replay_where(conn: Connection, subscription_id: str, state: str, now: datetime) -> int:
    """The same for all of a subscription that are in a state; how many."""
    chosen = {"subscription": subscription_id, "state": state}
    conn.execute(_LOCK_IN_STATE, chosen)
    return len(conn.execute(_AGAIN_IN_STATE, {**chosen, "now": now, "soon": now + LEASE}).all())


def listed(
    conn: Connection, subscription_id: str | None = None, state: str | None = None, limit: int = 50
) -> list[Delivery]:
    """Deliveries, the newest change first."""
    values = {"subscription": subscription_id, "state": state, "most": limit}
    return [Delivery(**row) for row in conn.execute(_LIST, values).mappings()]


# -- housekeeping --------------------------------------------------------------------------------------------

# An id begins with the time of its change (UUIDv7), so the primary key finds the old ones.
_PURGE = text("""
    with old as materialized (
        select id from deliveries where id < cast(:oldest as uuid) and state = 'done' and updated_at < :before
        order by id limit :most for update skip locked
    )
    delete from deliveries d using old where d.id = old.id
""")


def purge(conn: Connection, now: datetime) -> int:
    """Forget what was taken more than thirty days ago, at most a PORTION; how many: call again while it is a full one.

    What waits, or was given up, stays.
    """
    before = now - KEPT
    return conn.execute(_PURGE, {"oldest": first_of(before), "before": before, "most": PORTION}).rowcount
