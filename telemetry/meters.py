"""The figures that processes count: each declared once here, with its labels, and counted where it happens.

Until `start` they count nothing and cost a comparison, so tools and tests need no Prometheus. Then each is an object of
prometheus_client, in its mode for several processes: every child of a worker or an API writes a file of its own, which
whoever is asked adds up (`telemetry.exposure`). Names end as Prometheus has it: `_total`, `_seconds`.

What is not counted but stands in PostgreSQL or Redis (what waits, what is dead, what is paused) is `operations.gauges`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
EVENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(slots=True)
class Meter:
    """One figure of a process. `buckets` make it a histogram; without, it only grows."""

    name: str
    says: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    _of: Callable[[tuple[str, ...]], Any] | None = field(default=None, repr=False)
    _children: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)

    def add(self, count: float, *labels: str) -> None:
        """Count so many more."""
        if (of := self._of) is not None:
            self._child(of, labels).inc(count)

    def observe(self, value: float, *labels: str) -> None:
        """Note a value of a histogram."""
        if (of := self._of) is not None:
            self._child(of, labels).observe(value)

    @property
    def counts(self) -> bool:
        """True once it was started: before, whoever would have to ask somebody for its value need not."""
        return self._of is not None

    def begin(self, registry: Any) -> None:
        """Count from now on, in `registry` of prometheus_client."""
        import prometheus_client as prometheus

        if self.buckets:
            made: Any = prometheus.Histogram(self.name, self.says, self.labels, buckets=self.buckets, registry=registry)
        else:
            made = prometheus.Counter(self.name, self.says, self.labels, registry=registry)
        self._children.clear()
        self._of = (lambda values: made.labels(*values)) if self.labels else (lambda _: made)

    def stop(self) -> None:
        """Count nothing from here on."""
        self._of = None
        self._children.clear()

    def _child(self, of: Callable[[tuple[str, ...]], Any], labels: tuple[str, ...]) -> Any:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = of(labels)
        return child


ACCEPTED = Meter(
    "orders_accepted_events_total",
    "Events journaled, and repeated ones, by their source's kind; those of a transaction that was rolled back count too.",
    ("repeated",),
)
RESULTS = Meter("orders_results_total", "Results of drains, by outcome and reason.", ("outcome", "reason"))
APPLY = Meter(
    "orders_apply_seconds",
    "Seconds from accepting an event to its result's commit: of one batch per second and process.",
    buckets=SECONDS,
)
BATCH_EVENTS = Meter("orders_batch_events", "Entries of a drain's batch.", buckets=EVENTS)
BATCH = Meter("orders_batch_seconds", "Seconds of a drain's batch, its commit included.", buckets=SECONDS)
CALLS = Meter(
    "orders_calls_total",
    "Calls outward: refunds, lookups, tracking, deliveries; of whom, and what they came to.",
    ("effect", "whom", "outcome"),
)
REQUESTS = Meter(
    "orders_http_seconds", "Seconds of the API's requests, by route, method and status.", ("route", "method", "status"),
    buckets=SECONDS,
)  # fmt: skip
ROUNDS = Meter("orders_chore_seconds", "Seconds of the rounds of chores.", ("chore",), buckets=SECONDS)

METERS: Mapping[str, Meter] = {
    each.name: each for each in (ACCEPTED, RESULTS, APPLY, BATCH_EVENTS, BATCH, CALLS, REQUESTS, ROUNDS)
}
