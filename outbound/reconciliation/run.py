"""A run of the comparison: page after page fetched outside any transaction, judged and written in one.

`compare` writes, from where a run was broken off; `try_out` is the dry run, which writes nothing that outlives its
connection. `run_due` is the chore: it begins a window when one is due, and stops after a slice.
"""

from __future__ import annotations

import logging
import random
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy import Engine, text

from domain.ids import fresh
from journal import pauses
from journal.append import append
from journal.streams import Streams
from outbound import backoff
from outbound.reconciliation import findings, our_side, runs
from outbound.reconciliation.judgement import Batch, Judgement, Position, fetch, judge
from providers.base import NoAnswer, PaymentListing
from storage import leases

SLICE_S = 20.0  # of the chore; the next one goes on
SETTLED = timedelta(minutes=10)  # what is younger is left to its webhook, which may be on its way
log = logging.getLogger(__name__)
Wait = Callable[[NoAnswer, int], None]  # sleeps until the provider may be asked again, or raises

_LIKE_SEEN = text("""
    create temporary table reconciliation_seen (run_id uuid, kind text, name text, primary key (run_id, kind, name))
    on commit preserve rows
""")
_DROP_SEEN = text("drop table if exists pg_temp.reconciliation_seen")


def holder() -> str:
    """A name for one process's hold on a comparison."""
    return secrets.token_hex(8)


def compare(
    engine: Engine,
    streams: Streams,
    shards: int,
    client: PaymentListing,
    at: Position,
    holder: str,
    clock: Callable[[], datetime],
    wait: Wait,
) -> Iterator[Judgement]:
    """Go through a window from `at` on: each page that was judged, written and published.

    The lease must be ours (`runs.keep`); it ends with the last page. May be killed at any line, and left at any page.
    Errors: LeaseLost; what `wait` raises; OperationalError when PostgreSQL is away.
    """
    while True:
        batch = _fetched(engine, client, at, wait)
        now = clock()
        with engine.begin() as conn:
            runs.keep(conn, at.provider, holder)
            judgement = judge(conn, at, batch, now)
            events = {each.event.id: each.event for each in judgement.judged if each.event is not None}
            entries = append(conn, list(events.values()), shards).new if events else []
            findings.record(conn, at.provider, judgement.judged, judgement.compared, now)
            our_side.note_seen(conn, at.run_id, judgement.seen)
            runs.moved(conn, at, judgement)
            if judgement.after is None:
                leases.end(conn, runs.lease_name(at.provider), holder)
        streams.publish(entries)
        yield judgement
        if judgement.after is None:
            return
        at = judgement.after


def try_out(
    engine: Engine,
    provider: str,
    client: PaymentListing,
    since: datetime,
    until: datetime,
    clock: Callable[[], datetime],
    wait: Wait,
) -> Iterator[Judgement]:
    """The dry run of a window, page by page: what a comparison would come to.

    What it has seen stands in a table of this connection alone, by the same name, which PostgreSQL finds first.
    """
    at = Position(fresh(clock()), provider, since, until)
    with engine.connect() as conn:
        conn.execute(_LIKE_SEEN)
        conn.commit()

        def ask() -> Batch:
            pauses.refuse_outward(conn, "lookups", provider)
            return fetch(conn, client, at)

        try:
            while True:
                judgement = judge(conn, at, _patiently(ask, wait), clock())
                our_side.note_seen(conn, at.run_id, judgement.seen)
                conn.commit()
                yield judgement
                if judgement.after is None:
                    return
                at = judgement.after
        finally:
            conn.rollback()
            conn.execute(_DROP_SEEN)
            conn.commit()


def run_due(
    engine: Engine,
    streams: Streams,
    shards: int,
    provider: str,
    client: PaymentListing,
    pace: timedelta,
    back: timedelta,
    now: datetime,
) -> bool:
    """Begin a provider's window where one is due, or go on with the one that was begun, for a slice; whether there was one.

    Each window reaches `back`, and to the end of the one before it where that lies further back. A provider that is
    new here is compared a `pace` from now. Errors: OperationalError when PostgreSQL is away.
    """
    mine, clock, end = holder(), backoff.ticking(now), monotonic() + SLICE_S
    at = _due(engine, provider, pace, back, now, mine)
    if at is None:
        return False

    def give_up(error: NoAnswer, _: int) -> None:
        raise error

    try:
        try:
            for judgement in compare(engine, streams, shards, client, at, mine, clock, give_up):
                if judgement.after is None or monotonic() > end:
                    break
                at = judgement.after
        except NoAnswer as error:
            with engine.begin() as conn:
                runs.keep(conn, provider, mine)
                row = runs.unfinished(conn, provider)
                attempts = row.attempts if row is not None else 0
                runs.failed(conn, at, str(error), clock() + pause(error, attempts + 1))
    except runs.LeaseLost:
        return True
    except pauses.Paused as error:
        log.info("%s: the comparison rests: %s", provider, error)
    with engine.begin() as conn:
        leases.end(conn, runs.lease_name(provider), mine)
    return True


def _due(
    engine: Engine, provider: str, pace: timedelta, back: timedelta, now: datetime, holder: str
) -> Position | None:
    """The place to go on from, with the lease taken; None where nothing is due, or another process has it."""
    with engine.begin() as conn:
        if not leases.take(conn, runs.lease_name(provider), holder, runs.LEASE_S):
            return None
        row = runs.unfinished(conn, provider)
        if row is not None and (row.next_at is None or row.next_at <= now):
            return runs.position(row)
        if row is None:
            last = runs.last_until(conn, provider)
            if last is None:
                runs.begin_to_count(conn, provider, now)
            elif now - last >= pace:
                until = now - SETTLED
                return runs.begin(conn, provider, min(until - back, last), until, now, scheduled=True)
        leases.end(conn, runs.lease_name(provider), holder)
    return None


def pause(error: NoAnswer, attempts: int) -> timedelta:
    """The time until a provider that did not answer is asked again: at least what it asks for itself."""
    waits = backoff.wait(attempts, random.random())
    if error.retry_after is None:
        return waits
    return max(waits, min(timedelta(seconds=error.retry_after), backoff.LONGEST))


def _fetched(engine: Engine, client: PaymentListing, at: Position, wait: Wait) -> Batch:
    def ask() -> Batch:
        with engine.connect() as conn:
            pauses.refuse_outward(conn, "lookups", at.provider)
            return fetch(conn, client, at)

    return _patiently(ask, wait)


def _patiently(ask: Callable[[], Batch], wait: Wait) -> Batch:
    attempts = 0
    while True:
        try:
            return ask()
        except NoAnswer as error:
            attempts += 1
            wait(error, attempts)
