"""Many requests, one commit: whoever has a webhook hands it over and waits; one thread appends all that waits.

A commit costs a flush of PostgreSQL's log, about as much for one webhook as for five hundred. So a single webhook is
written at once, and while it is, those that come gather for the next transaction. What the database refuses is
halved until it stands alone: a bad webhook fails nobody but itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from threading import Condition, Thread
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from api.errors import ApiError, unavailable
from api.publisher import Publisher
from events.envelope import Envelope
from journal.append import append
from journal.batch import is_of_the_moment
from journal.entries import Entry
from outbound import payment_lookups
from outbound.payment_reconciler import known
from outbound.tracking import trackers
from providers.base import ReceivedWebhook
from storage.clock import clock
from telemetry import traces

GROUP = 512  # webhooks of one transaction at most
GROUP_BYTES = 8 << 20  # and of their bodies, so that a group of large ones stays small
WAITING_BYTES = 64 << 20  # handed over and not yet committed; beyond it senders are asked to come back
LEAST_BYTES = 1024  # what the smallest one counts as
GATHER_S = 0.003  # so long more may come, where the last commit was of several: a lone webhook never waits for it
TRIES = 5  # of a group that meets a rival: another process that journals the same events in another order

log = logging.getLogger(__name__)


class Verdict(StrEnum):
    """The answer to a webhook, once it is committed."""

    NEW = "new"
    DUPLICATE = "duplicate"
    BODY_DIFFERS = "body_differs"  # a duplicate, and yet another text: the first one counts


@dataclass(slots=True, eq=False)
class _Waiting:
    notice: ReceivedWebhook
    provider: str
    size: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Verdict]
    end: Verdict | Exception | None = None
    trace: str | None = None  # of its request, where traces are on


class Journaler:
    """The one writer of an application's webhooks. Starts at once; may be used from any event loop."""

    def __init__(self, engine: Engine, shards: int, publisher: Publisher) -> None:
        self._engine, self._shards, self._publisher = engine, shards, publisher
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._stopping = False
        self._changed = Condition()
        self.commits = 0  # transactions committed so far
        self._thread = Thread(target=self._run, name="inbound-journaler", daemon=True)
        self._thread.start()

    async def accept(self, notice: ReceivedWebhook, provider: str, size: int) -> Verdict:
        """Journal one webhook of `size` bytes; returns once it is committed.

        Whoever stops waiting changes nothing: what was handed over is journaled. Errors: ApiError 503 where
        PostgreSQL is away or too much waits already, 400 where it refuses a value.
        """
        loop = asyncio.get_running_loop()
        one = _Waiting(notice, provider, max(size, LEAST_BYTES), loop, loop.create_future(), trace=traces.here())
        with self._changed:
            if self._stopping or self._bytes + one.size > WAITING_BYTES:
                raise unavailable("Too many webhooks wait here, or this process is leaving; send it again in a moment")
            self._waiting.append(one)
            self._bytes += one.size
            self._changed.notify()
        return await one.future

    async def stop(self) -> None:
        """Finish what was handed over; nothing is taken from here on."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    # -- the thread

    def _run(self) -> None:
        group: list[_Waiting] = []
        while group := self._take(GATHER_S if len(group) > 1 else 0):
            try:
                entries = self._journal(group)
            except Exception as error:
                log.exception("the journaler failed on a group of %d", len(group))
                entries = []
                for one in group:
                    one.end = one.end or error
            _answer(group)
            if entries:
                self._publisher.publish(entries)

    def _take(self, gather_s: float) -> list[_Waiting]:
        """All that waits, up to a group; nothing once all is done and no more will come."""
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            self._changed.wait_for(lambda: self._stopping or len(self._waiting) >= GROUP, gather_s)
            group: list[_Waiting] = []
            size = 0
            while self._waiting and len(group) < GROUP and (not group or size + self._waiting[0].size <= GROUP_BYTES):
                group.append(self._waiting.popleft())
                size += group[-1].size
            self._bytes -= size
            return group

    def _journal(self, group: Sequence[_Waiting]) -> list[Entry]:
        """One transaction; where a value is refused, one a half. Sets each one's end; the new entries."""
        for again in range(TRIES):
            try:
                with traces.together("webhooks commit", [one.trace for one in group]), self._engine.begin() as conn:
                    verdicts, entries = self._append(conn, group)
                self.commits += 1
                _lead_back(group, entries)
                for one, verdict in zip(group, verdicts, strict=True):
                    one.end = verdict
                return entries
            except Exception as error:
                if _is_rivalry(error) and again + 1 < TRIES:
                    continue
                if _is_away(error):
                    log.warning("PostgreSQL is away or busy (%s); %d webhooks are to be sent again", error, len(group))
                    for one in group:
                        one.end = unavailable("The journal cannot be written now; send the same webhook again")
                    return []
                if len(group) == 1:
                    group[0].end = _refusal(error)
                    return []
                break
        half = len(group) // 2
        return [*self._journal(group[:half]), *self._journal(group[half:])]

    def _append(self, conn: Connection, group: Sequence[_Waiting]) -> tuple[list[Verdict | ApiError], list[Entry]]:
        """Each one's verdict, and the new entries; thin webhooks are put into the inbox with them."""
        strangers = _strangers(conn, group)
        if not strangers:
            verdicts, entries = self._append_all(conn, group)
            return list(verdicts), entries
        verdicts, entries = self._append_all(conn, [one for one in group if id(one) not in strangers])
        rest = iter(verdicts)
        full = unavailable("Too many unsigned webhooks of unknown payments wait here; send it again later")
        return [full if id(one) in strangers else next(rest) for one in group], entries

    def _append_all(self, conn: Connection, group: Sequence[_Waiting]) -> tuple[list[Verdict], list[Entry]]:
        told = [one.notice.envelope for one in group]
        history = {_key(envelope): envelope for one in group for envelope in one.notice.history}
        for envelope in told:
            history.pop(_key(envelope), None)
        for key in known(conn, history.keys()):
            history.pop(key, None)
        appended = append(conn, [*told, *history.values()], self._shards)
        seqs = {(entry.source, entry.event_id): entry.seq for entry in appended.new}
        again, differing = set(map(id, appended.duplicates)), set(map(id, appended.body_differs))
        verdicts, thin = [], []
        for one in group:
            envelope = one.notice.envelope
            if id(envelope) in differing:
                verdicts.append(Verdict.BODY_DIFFERS)
            elif id(envelope) in again:
                verdicts.append(Verdict.DUPLICATE)
            else:
                verdicts.append(Verdict.NEW)
                if one.notice.thin:
                    notice = one.notice
                    thin.append(
                        payment_lookups.Webhook(one.provider, seqs[_key(envelope)], notice.payment, notice.unsigned)
                    )
        payment_lookups.enter(conn, thin, clock())
        changed = [(one.provider, *one.notice.parcel) for one in group if one.notice.parcel is not None]
        if changed:
            trackers.hurry(conn, changed, clock())
        return verdicts, appended.new


def _lead_back(group: Sequence[_Waiting], entries: Sequence[Entry]) -> None:
    """Have each entry lead to its own webhook's request, and not to the group's commit."""
    if traces.tracer is not None and len(group) > 1:
        known = {_key(envelope): one.trace for one in group for envelope in (one.notice.envelope, *one.notice.history)}
        for entry in entries:
            entry.trace = known.get((entry.source, entry.event_id), entry.trace)


def _strangers(conn: Connection, group: Sequence[_Waiting]) -> set[int]:
    """Those of a group that anybody may have sent, about payments that nobody knows, where enough of such wait."""
    unsigned = [one for one in group if one.notice.thin and one.notice.unsigned]
    full = {provider for provider in {one.provider for one in unsigned} if payment_lookups.is_full(conn, provider)}
    doubtful = {id(one): _names(one.notice.envelope) for one in unsigned if one.provider in full}
    known_names = payment_lookups.names_known(conn, {name for names in doubtful.values() for name in names})
    return {each for each, names in doubtful.items() if not names & known_names}


def _names(envelope: Envelope) -> set[str]:
    """What an envelope names: a payment, an order."""
    return {name for name in (envelope.data.get("paymentId"), envelope.subject) if isinstance(name, str)}


def _key(envelope: Envelope) -> tuple[str, str]:
    return envelope.source, envelope.id


def _answer(group: Sequence[_Waiting]) -> None:
    """Wake up whoever waits: one call per event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
    for one in group:
        loops.setdefault(one.loop, []).append(one)
    for loop, ones in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_wake, ones)


def _wake(ones: Sequence[_Waiting]) -> None:
    for one in ones:
        if one.future.done():  # who asked has gone
            continue
        if isinstance(one.end, Exception):
            one.future.set_exception(one.end)
        elif one.end is not None:
            one.future.set_result(one.end)


def _is_rivalry(error: Exception) -> bool:
    state: Any = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return str(state).startswith("40")  # deadlock, serialisation failure


def _is_away(error: Exception) -> bool:
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return lost or isinstance(error, PoolExhausted) or is_of_the_moment(error)


def _refusal(error: Exception) -> Exception:
    if isinstance(error, DataError | IntegrityError) and error.orig is not None:
        reason = str(error.orig).strip().splitlines()[0][:300]
        return ApiError(400, f"The database refuses a value of this webhook: {reason}", name="BadRequest")
    return error
