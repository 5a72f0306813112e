"""The answer of one look, and the words that the looks share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from settings.environment import Settings
from settings.fields import without_credentials

ASKED_S = 1.5  # one answer of a server is not waited for longer
OK, WARNING, PROBLEM = "ok", "warning", "problem"
# The check that finds a fault → the alert rule that tells of it without being asked.
ALERTS = {
    "beat": "OrdersBeatSilent",
    "worker-drain": "OrdersWorkersSilent",
    "worker-chores": "OrdersWorkersSilent",
    "workers": "OrdersWorkersSilent",
    "events": "OrdersWorkersSilent",
    "redis": "OrdersRedisAway",
    "redis-memory": "OrdersRedisEvicts",
    "postgresql": "OrdersPostgresqlAway",
    "schema": "OrdersMigrationsPending",
    "database-transactions": "OrdersLongTransaction",
    "hosts-clocks": "OrdersHostClockOff",
    "webhooks": "OrdersSubscriberFailing",
    "dead-letters": "OrdersDeadLetters",
    "pauses": "OrdersPaused",
}
# Checks that share a page of docs/symptoms; each other has one of its own id.
_PAGES = {"api": "http-api", "api-keys": "http-api", "customer-tokens": "http-api", "beat-and-workers": "redis"}
PAGES = "docs/symptoms"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, and what to do where it is not well."""

    name: str
    level: str
    says: str
    remedy: str | None = None

    @property
    def id(self) -> str:
        """Its stable id, for programs and runbooks: what it looks at, in small letters and hyphens.

        >>> Check("worker: drain", OK, "alive").id, Check("hosts' clocks", OK, "well").id
        ('worker-drain', 'hosts-clocks')
        """
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower().replace("'", "")).strip("-")

    @property
    def page(self) -> str:
        """The page on this symptom: what it means, its causes, and how to see that it is cured.

        >>> Check("worker: drain", OK, "alive").page
        'docs/symptoms/worker.md'
        """
        name = "worker" if self.id.startswith("worker-") else _PAGES.get(self.id, self.id)
        return f"{PAGES}/{name}.md"

    @property
    def alert(self) -> str | None:
        """The alert rule (ops/prometheus/alerts.yml) that tells of the same, where one does."""
        return ALERTS.get(self.id)


@dataclass(frozen=True, slots=True)
class Place:
    """The place that is examined: settings with both URLs, and True if `orders up` keeps the servers itself."""

    settings: Settings
    embedded: bool


# A look at the database: its lines' names, and what makes them.
Look = tuple[tuple[str, ...], Callable[[Connection, Place], Iterator[Check]]]


def first_line(error: BaseException) -> str:
    """The message of an error, in a line and without credentials."""
    told = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    return without_credentials(told.splitlines()[0])


def ago(seconds: float) -> str:
    """A span in its largest unit.

    >>> ago(7), ago(190), ago(7200), ago(200_000)
    ('7 s', '3 min', '2 h', '2 d')
    """
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def some(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> some(1, "problem"), some(1200, "delivery", "deliveries")
    ('1 problem', '1,200 deliveries')
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
