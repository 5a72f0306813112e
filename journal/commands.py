"""A request through the one apply path: checked under the order's row lock, journaled and settled in one transaction.

Where an event waits, a request is refused: whatever does not end `applied` is rolled back whole, and
nothing of it is recorded. A rival that was faster (a deadlock, the same new order number) is met by
trying again. What follows by itself is journaled with the request and left to the workers, unless `append`
is asked to go to the end.

Idempotency keys: the first answer to a key is kept with the write that it answers, and given again
for a day. A refused request keeps nothing, so the same key may try again. Two at once: the second
waits for the first's row. Locks: answers, carts, correlations, orders, results, in this order; a request that
names a new parcel claims its correlation after its order, and a deadlock over that is a rival like any other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import sleep
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DataError

from domain.ids import derived
from domain.order import Order, Status
from domain.outcome import APPLIED, IGNORED, REASONS, Reason
from domain.policy import Context, Policy
from events.envelope import Envelope
from events.errors import OrdersError
from journal import pauses
from journal.append import append
from journal.batch import Clash, Deferral, Shop, clock, settle
from journal.entries import Entry
from journal.results import ResultRow
from storage import aggregates

TRIES = 12  # of one request, against deadlocks and rivals
PAUSE_S = 0.01  # at most, before the second try; twice as long before each later one
LONGEST_PAUSE_S = 0.5
KEPT_FOR = timedelta(hours=24)  # answers to idempotency keys

T = TypeVar("T")

_CLAIM = text("""
    insert into answers (api_key_id, idempotency_key, digest, status, body) values (:key_id, :name, :digest, 0, '')
    on conflict (api_key_id, idempotency_key) do update
        set digest = excluded.digest, status = 0, body = '', created_at = excluded.created_at
        where answers.created_at < now() - cast(:kept_for as interval)
    returning true
""")
_KEPT = text("select digest, status, body from answers where api_key_id = :key_id and idempotency_key = :name")
_KEEP = text("update answers set status = :status, body = :body where api_key_id = :key_id and idempotency_key = :name")
_PURGE = text("delete from answers where created_at < now() - cast(:kept_for as interval)")


class CommandError(OrdersError):
    """A request was not done, and nothing of it was recorded."""

    code = "command"
    remedy = "Correct the request as the message says, and send it again."


class Refused(CommandError):
    """The order does not stand so that the request could be done.

    `outcome` and `reason` are those of `domain.outcome`, `number` is the order's.
    """

    code = "state_forbids"
    remedy = "Look at the order: the answer says where it stands, and what it may be asked for."
    status = 409

    def __init__(self, number: str, outcome: str, reason: str, detail: str | None) -> None:
        said = REASONS.get(reason, reason)
        super().__init__(f"order {number}: {said} ({detail})" if detail else f"order {number}: {said}")
        self.number, self.outcome, self.reason, self.detail = number, outcome, reason, detail


class Known(CommandError):
    """The idempotency key was used before, longer ago than answers are kept: the journal has an event of its id."""

    code = "idempotency_key_expired"
    remedy = "Look whether the request was done then; for a new one use a new key."
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "Idempotency-Key: this key was used more than a day ago, and its answer is no longer kept; use a new key"
        )


class KeyReused(CommandError):
    """The idempotency key answered another request."""

    code = "idempotency_key_reused"
    remedy = "Use a new key for each request."
    status = 422

    def __init__(self) -> None:
        super().__init__("Idempotency-Key: this key came with another request before; use a new key for each request")


class Unfit(CommandError):
    """PostgreSQL cannot keep a value of the request; the message says which."""

    code = "value_refused"
    remedy = "Correct the value; it is out of range, or holds what a text cannot."
    status = 400


class Busy(CommandError):
    """Other requests for the same order were in the way each time."""

    code = "busy"
    remedy = "Send the same request again in a moment."
    status = 503


@dataclass(frozen=True, slots=True)
class Step:
    """An event that a request makes. `suffix` tells its id from those of the request's other events, and begins
    with a blank: an idempotency key holds none, so no other request has this id."""

    type: str
    number: str  # of the order
    data: dict[str, Any]
    suffix: str = ""
    at: datetime | None = None  # when it happened; None: now


@dataclass(slots=True)
class Request:
    """One try of a request, in its transaction."""

    conn: Connection
    context: Context
    shop: Shop
    source: str
    id: str
    deferred: list[Entry] = field(default_factory=list)  # journaled, for the workers: publish them after the commit
    _locked: dict[str, Order] = field(default_factory=dict)  # by id, as they are in the database

    @property
    def now(self) -> datetime:
        """The clock that this try is recorded with."""
        return self.context.now

    def will_be(self, part: str, suffix: str = "") -> str:
        """The id of the `part` ("fulfillment", "return") that the request's event of that suffix will make."""
        return derived(self.now, self.source, self.id + suffix, part)

    def lock(self, names: Collection[str], by: str = "id") -> dict[str, Order]:
        """Orders by id as `storage.aggregates.lock` finds them, locked until the commit; hidden ones are left out."""
        found = aggregates.lock(self.conn, names, by)
        self._locked |= found
        return {order_id: order for order_id, order in found.items() if order.status != Status.NEW}

    def append(self, *steps: Step, to_the_end: bool = False) -> dict[str, Order]:
        """Journal the events of `steps` and settle them: the orders by id as they are after them. Orders that were
        locked before are used up by it.

        What follows by itself is left to the workers, or is done here as well (`to_the_end`), unless some type of
        event rests: what follows may be of it. An early step of several
        may find that our own policy took it already; the last of each order must apply.
        Errors: Refused, Known; Paused where the order or such an event is; Clash, or what PostgreSQL makes of a rival.
        """
        envelopes = [
            Envelope(self.id + step.suffix, self.source, step.type, step.at or self.now, step.number, step.data)
            for step in steps
        ]
        appended = append(self.conn, envelopes, self.shop.shards, looks_for_pauses=True)
        if appended.duplicates:
            raise Known
        resting = pauses.NOTHING
        if appended.some_rest:  # rolls back what was journaled
            resting = pauses.refuse(self.conn, {step.number for step in steps}, {step.type for step in steps})
        locked, self._locked = self._locked, {}
        deferral = Deferral(follow_ups=not to_the_end, resting=resting)
        report = settle(self.conn, appended.new, self.context, self.shop, deferral, locked=locked)
        if deferral.leaves_follow_ups:
            self.deferred += report.follow_ups
        self.deferred += report.copies
        if set(report.outcomes) != {APPLIED}:
            _check(appended.new, {result.seq: result for result in report.results})
        return report.orders


def _check(entries: Sequence[Entry], ended: Mapping[int, ResultRow]) -> None:
    last = {entry.subject: entry.seq for entry in entries}
    for entry in entries:
        end = ended[entry.seq]
        done_before = end.kind is IGNORED and end.reason is Reason.OVERTAKEN and last[entry.subject] != entry.seq
        if end.kind is not APPLIED and not done_before:
            raise Refused(entry.subject or "", end.kind, end.reason or "", end.detail)


def perform(
    engine: Engine, policy: Policy, shop: Shop, source: str, request_id: str, work: Callable[[Request], T]
) -> tuple[T, list[Entry]]:
    """Do `work` in one transaction, again where a rival was in the way: (its answer, entries to publish).

    `work` may run several times, so it changes nothing but through its request.
    Errors: what `work` raises, after rolling back; Unfit; Busy; OperationalError where PostgreSQL is away, or a
            row stayed locked for longer than the connection allows.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            with engine.begin() as conn:
                request = Request(conn, Context(clock(), policy), shop, source, request_id)
                answer = work(request)
        except DataError as error:
            raise Unfit(str(error.orig).strip().splitlines()[0]) from error
        except Exception as error:
            if not _is_a_rival(error):
                raise
            if attempt == TRIES:
                raise Busy(f"{TRIES} tries, the last of which met: {error}") from error
            sleep(random.uniform(0, min(LONGEST_PAUSE_S, PAUSE_S * 2**attempt)))  # jitter, so that rivals part
        else:
            return answer, request.deferred


def _is_a_rival(error: Exception) -> bool:
    """Whether the next try may find the rival gone. (A server that is away is its caller's to wait for.)"""
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return isinstance(error, Clash) or state.startswith("40")  # SQLSTATE class 40: deadlock, serialization failure


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request: an HTTP status and a JSON body."""

    status: int
    body: str


def claim(conn: Connection, key_id: str, name: str, digest: bytes) -> Answer | None:
    """Claim an idempotency key of an API key, or the answer that it was given before.

    Locks:  waits for a request with the same key that is under way, and then has its answer.
    Errors: KeyReused where that was another request (`digest` differs).
    """
    row = {"key_id": key_id, "name": name}
    if conn.execute(_CLAIM, {**row, "digest": digest, "kept_for": KEPT_FOR}).scalar():
        return None
    known, status, body = conn.execute(_KEPT, row).one()
    if bytes(known) != digest:
        raise KeyReused
    return Answer(status, body)


def keep(conn: Connection, key_id: str, name: str, answer: Answer) -> None:
    """Keep the answer to a claimed key, with the write that it answers."""
    conn.execute(_KEEP, {"key_id": key_id, "name": name, "status": answer.status, "body": answer.body})


def purge(conn: Connection) -> int:
    """Forget answers whose day is over; how many."""
    return conn.execute(_PURGE, {"kept_for": KEPT_FOR}).rowcount
