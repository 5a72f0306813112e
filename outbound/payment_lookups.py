"""Thin webhooks: accepted and journaled, and then their provider is asked how the payment stands.

A due row is claimed by pushing its `next_at` forward, so that a killed worker costs the lease and nothing else.
Providers are asked outside any transaction, several at once. What they told, and that the row is done, are written
in one transaction, under a lock a payment: of two webhooks about one payment, the second sees what the first came to.

A question before an order expires (`outbound.expiry_questions`) is one more such row, which no webhook made: its provider
not knowing the payment is an answer, and settles it.

Where anybody may have sent one (it is unsigned), payments that we know go first, and of those that nobody knows a few
a round are asked for: each question is made with the shop's key. They expire quietly, counted, and are no dead letters.

    due ──told──▶ done
     │  no answer, or no order yet ──▶ due, later; after `patience` ──▶ dead
     └─ made up, or nothing to be known ──▶ dead, with `last_error`; expired, where it is unsigned and of no order of ours
    dead ── a person asks again ──▶ due;  dead ── a person discards it ──▶ done
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, TextClause, text

from domain.ids import format_id, fresh
from events.envelope import EnvelopeError
from journal.append import append
from journal.entries import Entry
from journal.pauses import Watch, rests
from journal.streams import Streams
from journal.timers import QUESTIONS
from outbound import backoff
from outbound.leases import Claimed, Rests, Round, settle_apart
from outbound.payment_reconciler import OrderUnknown, Reconciler
from providers.base import NoAnswer, NotTold, Payment, PaymentLookup
from storage import audit
from storage.pg_arrays import array, columns, unnest
from telemetry import traces
from telemetry.meters import CALLS

SLICE_S = 20.0  # then nothing more is claimed; the next chore goes on
LEASE_S = 60  # longer than a round may take
ANSWER_S = 45  # of a round: four turns of providers that answer within ten seconds or never
AT_ONCE = 16  # questions side by side
ROUND = 4 * AT_ONCE  # rows of one claim
ORDER_WAIT = timedelta(seconds=30)  # at most, until an order that is not known yet is looked for again
ERROR = 500  # characters of an error that are kept

EXPIRING = ".AskedBeforeExpiry"  # ends the type of a question that no webhook made
DUE, DONE, DEAD, EXPIRED = "due", "done", "dead", "expired"
# The reasons for which look-ups are given up.
NO_ANSWER, NOT_TOLD, UNFIT, ORDER_ABSENT = (
    "lookup_no_answer",
    "lookup_not_told",
    "lookup_unfit",
    "lookup_order_unknown",
)
STRANGERS = 4  # of one claim: unsigned ones about payments that nobody knows
OUTSTANDING = 500  # of them, of a provider, that wait; beyond it the door takes no more

log = logging.getLogger(__name__)


@dataclass(slots=True)
class LookupAttempt:
    """A row that is ours until its lease is over, and what its provider said."""

    id: str
    provider: str
    seq: int
    attempts: int  # this one included
    since: datetime
    kind: str
    time: datetime
    data: dict[str, Any]
    number: str | None  # of the order, where it names one
    payment: str | None
    unsigned: bool
    told: Payment | None = None
    problem: Exception | None = None
    end: str = DUE  # the state that it came to
    trace: str | None = None  # of the question, where traces are on

    @property
    def asks_before_expiry(self) -> bool:
        """True for a question of our own, before the payment's order expires."""
        return self.kind.endswith(EXPIRING)


# -- at the door ---------------------------------------------------------------------------------------------

_ENTER_NAMES = ("id", "provider", "seq", "payment", "unsigned")
_ENTER_KINDS = ("uuid", "text", "bigint", "text", "boolean")
_ENTER = text(
    "insert into inbox (id, provider, seq, payment, unsigned, next_at) "
    "select v.id, v.provider, v.seq, v.payment, v.unsigned, cast(:now as timestamptz) "
    f"from {unnest(_ENTER_NAMES, _ENTER_KINDS)}"
)
# A name is a provider's of a payment, or a shop's of an order.
_KNOWN = text("""
    select n from unnest(cast(:names as text[])) n
    where exists (select from transactions t where t.payment_id = n)
       or exists (select from orders o where o.order_number = n and o.placed_at is not null)
""")
_OUTSTANDING = text(f"""
    select count(*) from (
        select from inbox where state = 'due' and unsigned and provider = :provider limit {OUTSTANDING}
    ) waiting
""")


class Webhook(NamedTuple):
    """A thin webhook at the door: its provider, its journal number, and what of it anybody may have made up."""

    provider: str
    seq: int
    payment: str | None = None  # one answer about it settles all that came before
    unsigned: bool = False


def enter(conn: Connection, webhooks: Sequence[Webhook], now: datetime) -> None:
    """Have providers asked about thin webhooks, in the transaction that journaled them."""
    if webhooks:
        rows = [(fresh(now), *webhook) for webhook in webhooks]
        conn.execute(_ENTER, {**columns(_ENTER_NAMES, _ENTER_KINDS, rows), "now": now})


def names_known(conn: Connection, names: Collection[str]) -> set[str]:
    """Those of these names that a payment or an order of ours has."""
    return set(conn.execute(_KNOWN, {"names": array(sorted(names), "text")}).scalars()) if names else set()


def is_full(conn: Connection, provider: str) -> bool:
    """True where so many unsigned webhooks wait that no more of unknown payments should be taken."""
    return int(conn.execute(_OUTSTANDING, {"provider": provider}).scalar_one()) >= OUTSTANDING


# -- the chore -----------------------------------------------------------------------------------------------

# Of a payment the newest row that is due, unless one of its is being asked for; of unsigned ones about payments that
# nobody knows the first few, after all others.
_CLAIM = text(f"""
    with found as (
        select i.id, i.next_at, i.unsigned and not exists (
                   select from transactions t where t.payment_id = coalesce(j.data ->> 'paymentId', '')
               ) and not exists (
                   select from orders o where o.order_number = j.subject and o.placed_at is not null
               ) as stranger,
               row_number() over (partition by i.provider, coalesce(i.payment, cast(i.seq as text)) order by i.seq desc)
                   as nth
        from inbox i join journal j using (seq)
        where i.state = 'due' and i.next_at <= :now and i.provider = any(cast(:names as text[]))
          and not {rests("lookups", order="j.subject", provider="i.provider")}
          and not exists (
              select from inbox o where o.provider = i.provider and o.payment = i.payment and o.state = 'due'
              and o.leased_until > :now
          )
    ), ranked as (
        select id, stranger, next_at, row_number() over (partition by stranger order by next_at) as place
        from found where nth = 1
    ), due as materialized (
        select id from inbox where state = 'due' and next_at <= :now and id in (
            select id from ranked where not stranger or place <= {STRANGERS} order by stranger, next_at limit :most
        ) for update skip locked
    )
    update inbox i set next_at = :lease, leased_until = :lease, attempts = i.attempts + 1, updated_at = now()
    from due, journal j where i.id = due.id and j.seq = i.seq
    returning i.id, i.provider, i.seq, i.attempts, i.created_at as since, j.type as kind, j.time, j.data,
        j.subject as number, i.payment, i.unsigned
""")


def run_due(
    engine: Engine,
    streams: Streams,
    shards: int,
    providers: Mapping[str, PaymentLookup],
    patience: timedelta | None,
    now: datetime,
    limit: int = 512,
) -> int:
    """Ask `providers` for what is due, at most `limit` webhooks; how many that were.

    Whoever gets no answer is given up after `patience` (None: never). Takes SLICE_S and one ANSWER_S at most, whatever
    they do. May be doubled or killed at any line.
    Errors: OperationalError when PostgreSQL is away.
    """
    clock = backoff.ticking(now)
    strangers_alone = False
    watch = Watch(engine, "lookups")

    def claim(most: int) -> Claimed[LookupAttempt, tuple[datetime, datetime]]:
        nonlocal strangers_alone
        at = clock()
        lease = at + timedelta(seconds=LEASE_S)
        if strangers_alone:
            return Claimed([], (at, lease), 0)
        values = {"now": at, "lease": lease, "names": array(sorted(providers), "text"), "most": most}
        with engine.begin() as conn:
            claimed = conn.execute(_CLAIM, values).mappings()
            rows = sorted((LookupAttempt(**row) for row in claimed), key=lambda row: row.seq)
        strangers_alone = all(row.unsigned for row in rows) and 0 < len(rows) <= STRANGERS  # a few per run
        return Claimed(rows, (at, lease), len(rows))

    def settle(
        times: tuple[datetime, datetime],
        ended: Sequence[tuple[LookupAttempt, Future[LookupAttempt]]],
        late: Sequence[LookupAttempt],
    ) -> None:
        begun, lease = times
        answered = [job.result() for _, job in ended]  # the late ones keep their lease
        at = clock()
        with traces.together("look-ups settled", [row.trace for row in answered]):
            entries = settle_apart(
                engine, answered, lambda conn, rows: _settle(conn, shards, rows, patience, at, lease), _refuse
            )
        streams.publish(entries)
        _settle_others(engine, answered, begun)
        if late:
            log.warning("%d providers' answers are late; they are asked again in %d s", len(late), LEASE_S)

    def ask(row: LookupAttempt) -> LookupAttempt:
        if watch.rests(provider=row.provider, order=row.number):  # since it was claimed
            row.problem = Rests("paused before it was asked")
            return row
        with traces.later("payment look-up", str(row.seq), provider=row.provider, attempt=row.attempts) as span:
            row.trace = traces.here()
            _ask(providers[row.provider], row)
            span.met(row.problem)
        return row

    asked = Round(claim, ask, settle, AT_ONCE, ROUND, SLICE_S, ANSWER_S)
    return asked.run(limit)


def _ask(provider: PaymentLookup, row: LookupAttempt) -> LookupAttempt:
    try:
        row.told = provider.ask(row.kind, row.time, row.data)
    except (NoAnswer, NotTold) as problem:
        row.problem = problem
    except Exception as error:
        log.exception("the client of %s failed on webhook %d", row.provider, row.seq)
        row.problem = NoAnswer(f"{type(error).__name__}: {error}")
    return row


# -- settle --------------------------------------------------------------------------------------------------

_OURS = text(
    "select id from inbox where id = any(cast(:ids as uuid[])) and state = 'due' and next_at = :lease "
    "order by id for update"
)
_LOCK = text(
    "select pg_advisory_xact_lock(k) from "
    "(select distinct hashtextextended(n, 20) as k from unnest(cast(:names as text[])) n order by 1) locks"
)
_NAMES = ("id", "state", "next_at", "last_error", "reason")
_KINDS = ("uuid", "text", "timestamptz", "text", "text")
_UPDATE = text(
    "update inbox i set state = v.state, next_at = v.next_at, last_error = v.last_error, leased_until = null, "
    "reason = v.reason, updated_at = now() "
    f"from {unnest(_NAMES, _KINDS)} where i.id = v.id"
)


# Rows of the same payment that were there before its provider was asked: the answer was about them, too.
_OTHERS = text(f"""
    update inbox i set state = v.state, last_error = v.error, updated_at = now()
    from {unnest(("provider", "payment", "state", "error"), ("text", "text", "text", "text"))}
    where i.provider = v.provider and i.payment = v.payment and i.state = 'due' and i.unsigned
      and i.created_at <= :begun and (i.leased_until is null or i.leased_until <= :begun)
""")


def _settle_others(engine: Engine, rows: Sequence[LookupAttempt], begun: datetime) -> None:
    """Let what came before the answer about its payment share its end."""
    ends = {
        (row.provider, row.payment): (row.provider, row.payment, row.end, str(row.problem or "") or None)
        for row in rows
        if row.unsigned and row.payment is not None and row.end in (DONE, EXPIRED)
    }
    if ends:
        names, kinds = ("provider", "payment", "state", "error"), ("text", "text", "text", "text")
        with engine.begin() as conn:
            conn.execute(_OTHERS, {**columns(names, kinds, list(ends.values())), "begun": begun})


def _refuse(row: LookupAttempt, why: str) -> bool:
    answered = row.problem is None
    row.told, row.problem = None, NoAnswer(why)
    return answered


def _settle(
    conn: Connection,
    shards: int,
    rows: Sequence[LookupAttempt],
    patience: timedelta | None,
    now: datetime,
    lease: datetime,
) -> list[Entry]:
    ours = set(conn.execute(_OURS, {"ids": array(sorted(r.id for r in rows), "uuid"), "lease": lease}).scalars())
    rows = [row for row in rows if row.id in ours]
    told = [(row.provider, row.told) for row in rows if row.told is not None]
    conn.execute(_LOCK, {"names": array([f"{provider}:{t.payment_id}" for provider, t in told], "text")})
    reconcilers = _reconcilers(conn, rows)
    named = {row.id: {n for n in (row.data.get("paymentId"), row.number) if n} for row in rows if row.unsigned}
    ours_too = names_known(conn, {name for names in named.values() for name in names})
    updates = []
    for row in rows:
        state, next_at = DONE, now
        error: Exception | None = None
        try:
            if row.problem is not None:
                raise row.problem
            if row.told is not None:
                reconcilers[row.asks_before_expiry].take(row.provider, row.told)
        except (NotTold, EnvelopeError) as problem:
            settled = row.asks_before_expiry and isinstance(problem, NotTold)
            state, error = DONE if settled else DEAD, problem
        except (NoAnswer, OrderUnknown) as problem:
            state, error, next_at = _later(row, problem, patience, now)
        if state == DEAD and row.unsigned and not named[row.id] & ours_too:
            state = EXPIRED
        row.end = state
        CALLS.add(1, "lookups", row.provider, "answered" if error is None else type(error).__name__)
        if state == DEAD:
            log.warning("webhook %d of %s: given up: %s", row.seq, row.provider, error)
        said = str(error).replace("\x00", "")[:ERROR] if error else None
        updates.append((row.id, state, next_at, said, _reason(error) if state == DEAD and error is not None else None))
    if updates:
        conn.execute(_UPDATE, columns(_NAMES, _KINDS, updates))
    events = [event for each in reconcilers.values() for event in each.events]
    return append(conn, events, shards).new if events else []


def _reason(error: Exception) -> str:
    """The reason of a look-up that came to nothing, by what it met last."""
    met = ((NotTold, NOT_TOLD), (EnvelopeError, UNFIT), (OrderUnknown, ORDER_ABSENT))
    return next((reason for kind, reason in met if isinstance(error, kind)), NO_ANSWER)


def _reconcilers(conn: Connection, rows: Sequence[LookupAttempt]) -> dict[bool, Reconciler]:
    """What makes events of the answers: those to webhooks, and those to questions of our own, which are about our order."""
    for row in rows:
        if row.asks_before_expiry and row.told is not None:
            row.told = replace(row.told, order_number=row.number)
    told = {
        own: [(r.provider, r.told) for r in rows if r.told and r.asks_before_expiry is own] for own in (False, True)
    }
    return {own: Reconciler(conn, told[own], QUESTIONS if own else None) for own in (False, True)}


def _later(
    row: LookupAttempt, problem: Exception, patience: timedelta | None, now: datetime
) -> tuple[str, Exception, datetime]:
    """(state, error, next_at) of a webhook that came to nothing yet."""
    if isinstance(problem, Rests):
        return DUE, problem, now
    if patience is not None and now - row.since >= patience:
        return DEAD, problem, now
    pause = backoff.wait(row.attempts, random.random())
    if isinstance(problem, OrderUnknown):
        pause = min(pause, ORDER_WAIT)
    elif isinstance(problem, NoAnswer) and problem.retry_after is not None:
        pause = max(pause, min(timedelta(seconds=problem.retry_after), backoff.LONGEST))
    return DUE, problem, now + pause


# -- operators -----------------------------------------------------------------------------------------------

_GIVEN_UP = text("""
    select i.seq, i.provider, j.event_id, j.type, j.subject, j.data ->> 'paymentId' as payment_id,
           i.last_error as error, i.attempts, i.updated_at as died_at
    from inbox i join journal j using (seq) where i.state = 'dead'
    and (cast(:type as text) is null or j.type = :type)
    and (cast(:since as timestamptz) is null or i.updated_at >= :since)
    order by i.updated_at desc, i.seq desc limit :most
""")
_CHANGE = """
    with changed as (
        update inbox set {change}, updated_at = now()
        where state = 'dead' and seq = any(cast(:seqs as bigint[])) returning id, seq, state
    ) select c.id, c.seq, c.state, j.subject from changed c join journal j using (seq) order by c.seq
"""
_AGAIN = text(_CHANGE.format(change="state = 'due', attempts = 0, next_at = now(), created_at = now()"))
_DISCARD = text(_CHANGE.format(change="state = 'done'"))


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A thin webhook that came to nothing: its journal number, what it said, and why its provider told nothing."""

    seq: int
    provider: str
    event_id: str
    type: str
    subject: str | None  # the order's number, where it named one
    payment_id: str | None
    error: str
    attempts: int
    died_at: datetime


def given_up(
    conn: Connection, *, type: str | None = None, since: datetime | None = None, limit: int = 100
) -> list[GivenUp]:
    """Those that wait for a person, the last to be given up first; `since` is when that was."""
    found = conn.execute(_GIVEN_UP, {"type": type, "since": since, "most": limit})
    return [GivenUp(**row) for row in found.mappings()]


def ask_again(conn: Connection, seqs: Sequence[int], actor: str, act: str | None = "dlq replay") -> list[int]:
    """Make given-up webhooks due again, by journal number, with all patience anew; those that were given up.

    The audit has it as `act`: the command that was used; None where the caller notes it.
    """
    return _change(conn, _AGAIN, seqs, actor, act, None)


def discard(conn: Connection, seqs: Sequence[int], actor: str, why: str, act: str = "dlq discard") -> list[int]:
    """Let given-up webhooks be, for good, by journal number; those that were given up. The audit has it as `act`."""
    return _change(conn, _DISCARD, seqs, actor, act, why)


def _change(
    conn: Connection, statement: TextClause, seqs: Sequence[int], actor: str, act: str | None, why: str | None
) -> list[int]:
    rows = conn.execute(statement, {"seqs": array(seqs, "bigint")}).all()
    acts = (
        []
        if act is None
        else [
            audit.Act(actor, act, format_id("lookups", row.id), why, {"state": DEAD}, {"state": row.state}, row.subject)
            for row in rows
        ]
    )
    audit.record_all(conn, acts)
    return [row.seq for row in rows]
