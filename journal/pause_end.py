"""The end of a pause of events: what was set aside is worked off in the journal's order, and then nothing rests any more.

    over      a pause that somebody resumed, or whose time is up: drains set its events aside still
    worked    a batch of what waits and is under no other pause is undecided again and settled, in one transaction
    closed    once none of it is left: the last look and the end are one transaction, while no drain sets anything aside

So each order's events are applied in their order, those that come meanwhile behind those that waited. May be killed at
any line: a batch is a transaction, and what is left is worked off by the next round.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic

from sqlalchemy import Connection, Engine, text

from domain.outcome import Reason
from domain.policy import Context, Policy
from journal.apart import together_or_apart
from journal.batch import Clash, Deferral, Retry, Shop, clock, is_of_the_moment, settle, settle_carefully
from journal.entries import Entry, read
from journal.pauses import LOCK, Resting, resting_of
from storage.pg_arrays import array

AT_ONCE = 256  # events of one transaction
SLICE_S = 20.0  # of a round; the next goes on
ORDERS = 200  # orders whose events came too early, and are tried again, per transaction
TRIES = 5

log = logging.getLogger(__name__)

# Those of calls that go outward end with their time; nothing waits for their end.
_END_OUTWARD = text("""
    update pauses set closed_at = clock_timestamp() where closed_at is null and kind not in ('order', 'event_type')
    and (resumed_at is not null or until <= clock_timestamp())
""")
_OPEN = text("""
    select id, kind, name, resumed_at is not null or coalesce(until <= clock_timestamp(), false) as over
    from pauses where closed_at is null and kind in ('order', 'event_type') order by at, id
""")
# Of what was set aside, what no pause that stands keeps by its type or its order's number.
_NEXT = text(f"""
    select p.seq from parked p join journal j using (seq) left join corrections c using (seq)
    where p.reason = '{Reason.PAUSED}' and p.seq > :after and j.type <> all(cast(:types as text[]))
      and coalesce(case when c.seq is null then j.subject else c.subject end, '') <> all(cast(:numbers as text[]))
    order by p.seq limit {AT_ONCE}
""")
_UNDECIDE = text(f"""
    with gone as (delete from parked where seq = any(cast(:seqs as bigint[])) and reason = '{Reason.PAUSED}' returning seq)
    delete from results r using gone where r.seq = gone.seq returning r.seq
""")
# Events that came too early, before their type was paused: they were not tried meanwhile.
_EARLY = text(f"""
    select distinct p.order_id from parked p join journal j using (seq)
    where p.order_id is not null and p.reason <> '{Reason.PAUSED}' and j.type = any(cast(:types as text[]))
      and p.order_id > cast(:after as uuid) order by 1 limit {ORDERS}
""")
_ALONE = text(f"select pg_advisory_xact_lock({LOCK}, 0)")
_CLOSE = text(
    "update pauses set closed_at = clock_timestamp() where id = any(cast(:ids as uuid[])) and closed_at is null"
)
_FIRST = "00000000-0000-0000-0000-000000000000"


def run_due(engine: Engine, policy: Policy, shop: Shop, slice_s: float = SLICE_S) -> int:
    """Work off what waits under pauses that are over, for a slice, and end those of which nothing is left; how many events.

    Errors: OperationalError when PostgreSQL is away.
    """
    until, worked = monotonic() + slice_s, 0
    with engine.begin() as conn:
        conn.execute(_END_OUTWARD)
    tries = 0
    while monotonic() < until:
        try:
            with engine.begin() as conn:
                over, standing = _pauses(conn)
                if not over:
                    return worked
                done = _work(conn, standing, policy, shop)
            worked += done
            if not done:
                _try_early(engine, over, standing, policy, shop)
                with engine.begin() as conn:
                    _close(conn, over["ids"])
                return worked
        except Clash:
            tries += 1
            if tries == TRIES:
                return worked
    return worked


def _pauses(conn: Connection) -> tuple[dict[str, list[str]], Resting]:
    """(kind → names of the pauses that are over, and "ids": theirs; what rests still)."""
    rows = conn.execute(_OPEN).all()
    over: dict[str, list[str]] = {}
    for row in rows:
        if row.over:
            over.setdefault("ids", []).append(row.id)
            over.setdefault(row.kind, []).append(row.name)
    standing = [row for row in rows if not row.over]
    return over, Resting(
        frozenset(row.name for row in standing if row.kind == "event_type"),
        frozenset(row.name for row in standing if row.kind == "order"),
    )


def _next(conn: Connection, standing: Resting) -> list[Entry]:
    """The first that were set aside and rest no more, a batch at most; none: nothing is left."""
    chosen = {"types": array(sorted(standing.types), "text"), "numbers": array(sorted(standing.numbers), "text")}
    after = 0
    while seqs := list(conn.execute(_NEXT, {**chosen, "after": after}).scalars()):
        entries = read(conn, seqs)
        kept = resting_of(conn, entries, standing)  # by a payment or parcel of an order that rests
        if free := [entry for entry in entries if entry.seq not in kept]:
            return free
        after = seqs[-1]
    return []


def _work(conn: Connection, standing: Resting, policy: Policy, shop: Shop) -> int:
    """Settle the first that wait and rest no more; how many."""
    entries = _next(conn, standing)
    if not entries:
        return 0
    taken = set(conn.execute(_UNDECIDE, {"seqs": array([entry.seq for entry in entries], "bigint")}).scalars())
    entries, context = [entry for entry in entries if entry.seq in taken], Context(clock(), policy)
    deferral = Deferral(resting=standing)
    try:
        with conn.begin_nested():
            settle(conn, entries, context, shop, deferral)
    except Exception as error:
        if is_of_the_moment(error):
            raise
        settle_carefully(conn, entries, context, shop, resting=standing)
    return len(taken)


def _try_early(engine: Engine, over: dict[str, list[str]], standing: Resting, policy: Policy, shop: Shop) -> None:
    """Try what came too early before its type was paused: what it waited for may have come about meanwhile."""
    types, after = over.get("event_type", ()), _FIRST
    while types:
        with engine.connect() as conn:
            ids = list(conn.execute(_EARLY, {"types": array(list(types), "text"), "after": after}).scalars())
        if not ids:
            return
        after = ids[-1]
        together_or_apart(
            lambda ids: _try_these(engine, ids, standing, policy, shop),
            ids,
            lambda order_id, error: log.error("order %s: what waits for it is refused: %s", order_id, error),
        )


def _try_these(engine: Engine, ids: Sequence[str], standing: Resting, policy: Policy, shop: Shop) -> int:
    """How many events of these orders applied; those that somebody else has locked the sweep looks at."""
    with engine.begin() as conn:
        deferral = Deferral(held_rows=True, resting=standing)
        report = settle(conn, [], Context(clock(), policy), shop, deferral, Retry(ids))
        return sum(report.outcomes.values())


def _close(conn: Connection, worked_off: Sequence[str]) -> None:
    """End these pauses, unless something was set aside meanwhile: then the next round works that off first.

    One that is over only since then keeps in force until a round has tried what came too early before it.
    """
    conn.execute(_ALONE)
    _, standing = _pauses(conn)
    if not _next(conn, standing):
        conn.execute(_CLOSE, {"ids": array(sorted(worked_off), "uuid")})
        log.info("%d pauses have ended, and what waited is worked off", len(worked_off))
