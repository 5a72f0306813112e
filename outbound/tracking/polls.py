"""A round of polls of one carrier: each new scan becomes one event of its order.

Carriers are asked outside any transaction, several parcels at once; the scans, and that they were taken, are written in one
transaction. Each carrier has rounds of its own (`workers.chores`), with threads of their own: one that hangs holds up its own
parcels and nobody else's. An error slows its parcel down, and opens the carrier's breaker where it is one of many.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine

from journal.pauses import Watch
from journal.streams import Streams
from outbound import backoff
from outbound.leases import Claimed, Rests, Round, settle_apart
from outbound.tracking.claims import Poll, claim
from outbound.tracking.settlement import Terms, refuse, settle
from providers.base import Aggregator, NoAnswer, TrackingClient
from providers.by_carrier import service_of
from providers.carriers.limits import Limits, Rate
from telemetry import traces

SLICE_S = 20.0  # then nothing more is claimed; the next chore goes on
ANSWER_S = 45  # of one question: carriers answer within ten seconds or never
AT_ONCE = 16  # questions side by side, where no rate says more
AT_ONCE_MOST = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PollRules:
    """The rules that one carrier is polled by."""

    pace: timedelta  # between two polls of a parcel on its way
    limits: Limits = field(default_factory=Limits)
    retire_after: timedelta | None = None  # without anything new; None: never


def run_due(
    engine: Engine,
    streams: Streams,
    shards: int,
    name: str,
    carrier: TrackingClient | Aggregator,
    rules: PollRules,
    now: datetime,
    limit: int = sys.maxsize,
) -> int:
    """Ask `carrier` for its parcels that are due, at most `limit`; the number that were asked for.

    `name` is the one that routes give it. Takes SLICE_S and one ANSWER_S at most, whatever it does. May be doubled or
    killed at any line. Errors: OperationalError when PostgreSQL is away.
    """
    clock = backoff.ticking(now)
    watch = Watch(engine, "tracking")

    def claim_some(most: int) -> Claimed[Poll, datetime]:
        with engine.begin() as conn:
            found = claim(conn, name, rules.limits, clock(), most)
        return Claimed(found.polls, found.lease, len(found.polls), found.again_s)

    def settle_some(lease: datetime, ended: Sequence[tuple[Poll, Future[None]]], late: Sequence[Poll]) -> None:
        answered = [*(poll for poll, _ in ended), *map(_overdue, late)]
        terms = Terms(name, shards, rules.pace, rules.retire_after, rules.limits.zone, clock(), lease)
        entries = settle_apart(engine, answered, lambda conn, polls: settle(conn, polls, terms), refuse)
        streams.publish(entries)

    def ask(poll: Poll) -> None:
        if watch.rests(provider=name, carrier=poll.carrier) or watch.rests(
            provider=service_of(name)
        ):  # since it was claimed
            poll.problem = Rests("paused before it was asked")
        else:
            with traces.span("carrier poll", "client", provider=name, parcel_carrier=poll.carrier) as span:
                _ask(carrier, name, poll)
                span.met(poll.problem)

    threads = at_once(rules.limits.rate)
    return Round(claim_some, ask, settle_some, threads, threads, SLICE_S, ANSWER_S).run(limit)


def at_once(rate: Rate | None) -> int:
    """The number of questions side by side: a second's worth, so that slow answers do not hold the rate down.

    >>> at_once(None), at_once(Rate(50, timedelta(seconds=1))), at_once(Rate(9000, timedelta(minutes=1)))
    (16, 50, 64)
    """
    if rate is None:
        return AT_ONCE
    return max(AT_ONCE, min(math.ceil(rate.count / rate.period.total_seconds()), AT_ONCE_MOST))


def _ask(carrier: TrackingClient | Aggregator, name: str, poll: Poll) -> None:
    try:
        client = carrier.of_carrier(poll.carrier_id or poll.carrier) if isinstance(carrier, Aggregator) else carrier
        poll.scans, poll.problem = client.track(poll.number), None
    except NoAnswer as problem:
        poll.problem = problem
    except Exception as error:
        log.exception("the client of %s failed on parcel %s", name, poll.number)
        poll.problem = NoAnswer(f"{type(error).__name__}: {error}")


def _overdue(poll: Poll) -> Poll:
    """The poll as it was claimed: its thread may still write to the other one."""
    return replace(poll, scans=(), problem=NoAnswer("no answer in time"))
