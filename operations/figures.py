"""Figures of this moment: what comes in and is decided, what waits or was given up, how providers fare.

One source for the console's page and `orders top`. Looking must cost next to nothing, whatever the database holds and however
many watch, so

- a process looks once per PACE_S at most, and all who ask meanwhile get the same figures; a look that took long (a backlog is
  counted) is followed by the next only after SHARE times as long, so that both looks together take less than 1 % of a core;
- events are counted once: the journal only grows, so what is below the horizon (all of it is visible) is never counted again.
  A process that begins counts PORTION numbers per look, and says so until it is through (`counted`);
- what is settled is the rest: every event of the journal is settled (applied or ignored), parked, dead or waiting. The four
  are of one statement, so they add up to `events` at every look;
- providers are looked at every PROVIDERS_S, and of what waits for them, or was given up, MOST of each kind are counted, and of
  what waits for subscribers MOST of each: a count that came so far is said to be the least.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic

from sqlalchemy import Connection, Engine, text

from operations import waiting_rows

PACE_S = 2.0  # between two looks
PROVIDERS_S = 15.0
PROVIDERS_SHARE, PROVIDERS_LONGEST_S = 300, 300.0  # of what such a look took, until the next; at most
MOST = 5_000  # rows of a kind of work that such a look counts, those whose turn comes first
KEPT = 450  # looks that a chart shows: a quarter of an hour of them
PORTION = 2_000_000  # numbers of the journal that one look counts
WAITING_SHOWN = 20_000  # events that wait are counted up to here
SHARE, LONGEST_S = 200, 60.0  # of what a look took, until the next; at most

# Undecided events are few or the newest; counting goes no further than says enough.
_MOMENT = text(f"""
    with horizon as (select safe_seq from relay_horizon),
    upto as (select least(safe_seq, cast(:counted as bigint) + :portion) as seq, safe_seq from horizon),
    waits as ({waiting_rows.undecided(WAITING_SHOWN)})
    select clock_timestamp() as at, upto.seq, upto.seq = upto.safe_seq as whole,
        (select count(*) from journal where seq > :counted and seq <= upto.seq) as below,
        case when upto.seq = upto.safe_seq
            then (select count(*) from (select from journal where seq > upto.seq limit :portion) newest) else 0 end as above,
        (select n from waits) as waiting,
        (select age_s from waits) as oldest_s,
        (select count(*) from {waiting_rows.PARKED}) as parked,
        ({waiting_rows.of_letters("event")}) as dead,
        ({waiting_rows.of_letters("refund")}) as dead_refunds,
        (select count(*) from orders where flags <> '{{}}') as flagged,
        (select count(*) from findings where state = 'open') as findings,
        (select count(*) from {waiting_rows.FOR_PERSON}) as refunds_for_person,
        (select extract(epoch from clock_timestamp() - max(at)) from heartbeats where name = 'timers') as beat_s
    from upto
""")
# Waiting rows alone: each of these tables has an index of them by when their turn comes. MOST of each kind, whoever they are for;
# but MOST deliveries that are due to each subscriber (`full_up`: of his there are as many).
_FIRST = "order by next_at limit :most"
_PROVIDERS = text(f"""
    select name, kind, sum(waiting) as waiting, sum(failing) as failing, sum(dead) as dead, max(error) as error,
        coalesce(bool_or(full_up), sum(sum(waiting)) over of_kind >= :most) or sum(sum(dead)) over of_kind >= :most as least
    from (
        select provider as name, 'lookups' as kind, count(*) filter (where state = 'due') as waiting,
               count(*) filter (where state = 'due' and attempts > 0) as failing,
               count(*) filter (where state = 'dead') as dead,
               (array_agg(last_error order by updated_at desc) filter (where last_error is not null))[1] as error,
               cast(null as boolean) as full_up
        from ((select * from {waiting_rows.LOOKUPS} and state = 'due' {_FIRST}) union all
              (select * from {waiting_rows.LOOKUPS} and state = 'dead' order by updated_at desc limit :most)) i group by 1
        union all
        select coalesce(t.provider, ''), 'refunds', count(*) filter (where not e.dead),
               count(*) filter (where not e.dead and e.last_error is not null), count(*) filter (where e.dead),
               (array_agg(e.last_error order by e.updated_at desc) filter (where e.last_error is not null))[1], null
        from ((select transaction_id, last_error, updated_at, false as dead from {waiting_rows.REFUNDS}
               and state in ('due', 'in_flight', 'unknown') {_FIRST}) union all
              (select e.transaction_id, e.last_error, e.updated_at, true
               from (select effect_id from {waiting_rows.LETTERS} and effect_id is not null limit :most) d
               join effects e on e.id = d.effect_id)) e
        join transactions t on t.id = e.transaction_id group by 1
        union all
        select coalesce(provider, carrier), 'tracking', count(*), count(*) filter (where failures > 0), 0,
               (array_agg(last_error order by updated_at desc) filter (where failures > 0))[1], null
        from (select * from {waiting_rows.PARCELS} {_FIRST}) p group by 1
        union all
        select s.url, 'webhooks', w.due, case when s.failing_since is null then 0 else w.due end, coalesce(d.dead, 0), s.notice,
               w.due >= :most
        from subscriptions s cross join lateral (
            select count(*) as due from (
                select from {waiting_rows.DELIVERIES} and state = 'due' and subscription_id = s.id limit :most) each) w
        left join (select subscription_id, count(*) as dead from (
                select subscription_id from {waiting_rows.DELIVERIES} and state = 'dead' order by updated_at desc limit :most) each
            group by 1) d on d.subscription_id = s.id
    ) each_kind group by name, kind window of_kind as (partition by kind) order by kind, name
""")


@dataclass(frozen=True, slots=True)
class Fare:
    """The work of one provider, carrier or subscriber that waits, fails, or was given up."""

    name: str  # "" where a payment names none
    kind: str  # lookups, refunds, tracking, webhooks
    waiting: int
    failing: int  # of those, what failed the last time
    dead: int
    error: str | None  # the last one
    least: bool = False  # True: there may be more of it, as counting came to its bound


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts as of one moment: events = settled + parked + dead + waiting, once `counted`."""

    at: datetime
    counted: bool  # False: the journal is still being counted, or too many wait: `events` and `settled` are not exact
    events: int
    settled: int  # applied or ignored
    parked: int
    dead: int
    waiting: int  # WAITING_SHOWN where there are as many, or more
    oldest_s: float  # of what waits
    dead_refunds: int
    flagged: int  # orders
    findings: int
    refunds_for_person: int  # given up, failed, or held back until somebody lets them go
    beat_s: float | None  # since the beat and a worker last showed that they live; None: they never did
    accepted_rate: float | None = None  # events per second since the look before; None: there was none lately
    decided_rate: float | None = None
    providers: tuple[Fare, ...] = ()
    providers_at: datetime | None = None  # as of when those are


@dataclass(slots=True)
class Looks:
    """The looks of one process: the newest figures, and those before them."""

    engine: Engine
    pace_s: float = PACE_S
    history: deque[Figures] = field(default_factory=lambda: deque(maxlen=KEPT))
    _counted: int = 0  # the journal's number up to which events are counted
    _below: int = 0  # so many are up to there
    _next_at: float = float("-inf")
    _providers: tuple[Fare, ...] = ()
    _providers_at: datetime | None = None
    _providers_next_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> Figures:
        """The newest figures, as a rule at most `pace_s` old.

        Errors: OperationalError where PostgreSQL is away.
        """
        with self._lock:  # whoever comes while another looks gets what that one has seen
            begun = monotonic()
            if begun >= self._next_at:
                self._look()
                self._next_at = begun + min(max(self.pace_s, SHARE * (monotonic() - begun)), LONGEST_S)
            return self.history[-1]

    def _look(self) -> None:
        with self.engine.connect() as conn:
            row = conn.execute(_MOMENT, {"counted": self._counted, "portion": PORTION}).one()
            if (begun := monotonic()) >= self._providers_next_at:
                self._providers, self._providers_at, ended = tuple(_fares(conn)), row.at, monotonic()
                pause = min(PROVIDERS_SHARE * (ended - begun), PROVIDERS_LONGEST_S)
                self._providers_next_at = ended + max(PROVIDERS_S, pause)
        self._below += row.below
        self._counted = max(self._counted, row.seq)
        events = self._below + row.above
        whole = row.whole and row.above < PORTION and row.waiting < WAITING_SHOWN
        figures = Figures(
            row.at, whole, events, events - row.parked - row.dead - row.waiting, row.parked, row.dead, row.waiting,
            float(row.oldest_s), row.dead_refunds, row.flagged, row.findings, row.refunds_for_person,
            None if row.beat_s is None else float(row.beat_s), providers=self._providers, providers_at=self._providers_at,
        )  # fmt: skip
        self.history.append(_with_rates(figures, self.history))


def _with_rates(found: Figures, history: Sequence[Figures]) -> Figures:
    """The figures with what came in and was decided per second since the look before."""
    before = history[-1] if history else None
    if before is None or not before.counted or not found.counted:
        return found
    seconds = (found.at - before.at).total_seconds()
    if not 0 < seconds <= 2 * LONGEST_S:
        return found
    accepted = found.events - before.events
    decided = accepted - (found.waiting - before.waiting)
    return replace(found, accepted_rate=max(accepted, 0) / seconds, decided_rate=max(decided, 0) / seconds)


def _fares(conn: Connection) -> list[Fare]:
    return [
        Fare(row.name, row.kind, int(row.waiting), int(row.failing), int(row.dead), row.error, row.least)
        for row in conn.execute(_PROVIDERS, {"most": MOST})
    ]
