"""Events whose orders' rows somebody else holds: left out of batches, tried again after a growing wait.

An operator's open `update`, a frozen process or a long report may hold a row for as long as it likes. A drain waits
for it once, PATIENCE_MS, as rivals of milliseconds are the rule; then it goes around what is held, and remembers what
it left: that costs the others nothing. What is left a second time leaves its stream, too, so that it is in nobody's
way; it stays undecided in the journal, where the relay finds it within a second or two. It is tried again when its
wait is over, and waits twice as long if its row is held still.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import NamedTuple

from sqlalchemy import Connection

from journal.entries import Entry
from storage.pg_arrays import array
from storage.raw_sql import Statement

PATIENCE_MS = 250  # then a batch goes around; twice what a batch of 512 takes on a slow box
FIRST_S, MOST_S = 0.25, 4.0  # of the growing wait
FORGOTTEN_S = 30.0  # nothing of it came again: another worker has decided it
QUERY_CHARS = 60  # of what a session runs: enough to know it, too little for much of a customer

log = logging.getLogger(__name__)


class Holder(NamedTuple):
    """A session that holds the row of an order."""

    order_number: str
    pid: int
    application: str
    client: str  # address, or "local"
    state: str  # of the session, as pg_stat_activity has it
    age: timedelta  # of its transaction
    query: str  # the beginning of its last statement


# A row's xmax is the transaction that holds it, or a group of them (multixact), where it was locked to be shared, too.
_HOLDERS = Statement(rf"""
    select o.order_number, a.pid, a.application_name, coalesce(host(a.client_addr), 'local'), coalesce(a.state, '?'),
           clock_timestamp() - a.xact_start, left(regexp_replace(a.query, '\s+', ' ', 'g'), {QUERY_CHARS})
    from orders o
    join pg_locks l on l.locktype = 'transactionid' and l.granted and l.mode = 'ExclusiveLock'
         and cast(l.transactionid as text) = cast(o.xmax as text)
    join pg_stat_activity a on a.pid = l.pid
    where o.id = any(cast(:ids as uuid[])) and a.pid <> pg_backend_pid()
    order by o.order_number
""")


def holders(conn: Connection, ids: Collection[str]) -> list[Holder]:
    """The sessions that hold the rows of the orders `ids` now; none of those that nobody holds."""
    rows = _HOLDERS.run(conn, {"ids": array(sorted(ids), "uuid")}) if ids else []
    return [Holder(*row) for row in rows]


@dataclass(slots=True)
class _Wait:
    until: float
    seconds: float


@dataclass(slots=True)
class LockWaits:
    """The events that one drain has left, by the number of the order, or of the event where it names no order."""

    _waits: dict[str | int, _Wait] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether something was left, of late."""
        return bool(self._waits)

    def ripe(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries whose wait is over, and those that were never left."""
        if not self._waits:
            return list(entries)
        now = monotonic()
        for name in [name for name, wait in self._waits.items() if wait.until + FORGOTTEN_S < now]:
            del self._waits[name]
        return [entry for entry in entries if not (wait := self._waits.get(_name(entry))) or wait.until <= now]

    def first(self, entries: Iterable[Entry]) -> set[int]:
        """Numbers of those that were left once: most holders are rivals, gone in milliseconds, so they keep their place."""
        if not self._waits:
            return set()
        return {e.seq for e in entries if (wait := self._waits.get(_name(e))) is not None and wait.seconds == FIRST_S}

    def note(self, conn: Connection, entries: Iterable[Entry], left: Collection[int], held: Collection[str]) -> None:
        """Remember what a batch left (`left`: numbers of its entries), forget what it settled, log who holds it."""
        if not self._waits and not left:
            return
        settled: set[str | int] = set()
        names: set[str | int] = set()
        for entry in entries:
            (names if entry.seq in left else settled).add(_name(entry))
        for name in settled - names:
            self._waits.pop(name, None)
        now = monotonic()
        for name in names:
            before = self._waits.get(name)
            seconds = min(MOST_S, before.seconds * 2) if before else FIRST_S
            self._waits[name] = _Wait(now + seconds, seconds)
        if names:
            self._log(conn, names, held)

    def _log(self, conn: Connection, names: Collection[str | int], held: Collection[str]) -> None:
        said = [
            f"order {each.order_number} by pid {each.pid} ({each.application or 'no application'}, {each.client}, "
            f"{each.state}, {each.age.total_seconds():.0f} s in its transaction: {each.query!r})"
            for each in holders(conn, held)
        ]
        waiting = ", ".join(str(name) for name in sorted(map(str, names))[:5])
        log.warning(
            "events of %s%s wait for rows that another session holds%s; the rest goes on",
            waiting, " and others" if len(names) > 5 else "", f": {'; '.join(said)}" if said else "",
        )  # fmt: skip


def _name(entry: Entry) -> str | int:
    return entry.seq if entry.subject is None else entry.subject
