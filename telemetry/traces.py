"""Traces: from a request to what came of it, across streams and chores. Off unless OpenTelemetry's own variables ask for them.

    request ─▶ webhooks commit ─▶ journal append ─▶ drain batch ─▶ refund attempt, webhook delivery …
     HTTP         group of them      the entries       a link per      by the order, or the journal
    traceparent                      carry it          event           number, that they are about

While it is off nothing here imports OpenTelemetry, and whoever would make a span compares `tracer` with None. Each process starts
its own after it was forked, and sends from a thread with a bounded queue: a collector that is away costs spans, never work. What is
written are names of ours, ids and counts, by a closed list of attributes; of an error its class alone, since its words may repeat what
a customer wrote.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from importlib.metadata import entry_points
from time import time_ns
from typing import Any, Literal, ParamSpec, Protocol, TypedDict, TypeVar, Unpack

from telemetry.harmless import in_a_line

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
LINKS = 64  # of one span; the events above that are counted, and not linked
LONGEST = 200  # characters of an attribute
LEAVE_S = 3.0  # for the last spans, at the end

Kind = Literal["internal", "server", "client", "consumer"]
Trace = str  # W3C's traceparent: how a span is named wherever it travels
P = ParamSpec("P")
R = TypeVar("R")


class Attributes(TypedDict, total=False):
    """All that a span may say; each travels as `orders.NAME`. Ids, names of ours and counts: nothing that tells of a person."""

    attempt: int
    chore: str
    collection: str
    duplicates: int
    event_id: str
    event_type: str
    events: int
    new: int
    order_id: str
    outcome: str
    parcel_carrier: str
    provider: str
    seq: int
    webhook_id: str


class Causes(Protocol):
    """A store of spans for what happens later on their account, by the name of what that will be about."""

    def keep(self, found: Mapping[str, str]) -> None:
        """Note a text for each name; it may be lost."""
        ...

    def find(self, name: str) -> str | None:
        """The text of a name, where it is there still."""
        ...


class Span:
    """One piece of work under way; says nothing while traces are off."""

    __slots__ = ("_span",)

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def note(self, **attributes: Unpack[Attributes]) -> None:
        """Add what became known."""
        if self._span is not None:
            self._span.set_attributes(_harmless(attributes))

    def ended(self, outcome: str, *, failed: bool) -> None:
        """Say what a call outward came to; one that failed is shown as such."""
        if self._span is not None:
            self.note(outcome=outcome)
            if failed:
                self._span.set_status(_api().StatusCode.ERROR)

    def met(self, problem: Exception | None) -> None:
        """Say that a question outward was answered, or what it met."""
        self.ended("answered" if problem is None else type(problem).__name__, failed=problem is not None)

    def answered(self, method: str, route: str, status: int) -> None:
        """Name the span of a request, and what it was answered with."""
        if self._span is not None:
            self._span.update_name(f"{method} {route}")
            self._span.set_attributes(
                {"http.request.method": method, "http.route": route, "http.response.status_code": status}
            )
            if status >= 500:
                self._span.set_status(_api().StatusCode.ERROR)


tracer: Any = None  # OpenTelemetry's; None: traces are off
causes: Causes | None = None  # of this process
_provider: Any = None
_round: ContextVar[list[bool] | None] = ContextVar("round", default=None)  # a chore's: whether it has come to anything
NOTHING = Span()  # while traces are off
_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII)
log = logging.getLogger(__name__)


def configured() -> bool:
    """True where OpenTelemetry's standard variables ask for traces."""
    told = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if told == "none" or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return bool(told or any(os.environ.get(name) for name in ENDPOINTS))


def start(role: str) -> None:
    """Make spans from now on in this process, where traces are configured; after a fork, never before it.

    What is wrong with the configuration is told in the log: it fails no work.
    """
    global tracer, _provider
    if tracer is not None or not configured():
        return
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = _exporter()
        resource = Resource.create()
        if os.environ.get("OTEL_SERVICE_NAME") is None and "service.name=" not in os.environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        ):
            resource = resource.merge(Resource({SERVICE_NAME: f"orders-{role}"}))
        # No end of its own: at the exit of a process it would wait for a collector that is away.
        _provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        _provider.add_span_processor(BatchSpanProcessor(exporter))
    except ImportError as error:
        log.warning("no traces: %s; pip install 'order-lifecycle-workers[tracing]'", error)
    except Exception as error:
        log.warning("no traces: %s: %s", type(error).__name__, error)
    else:
        tracer = _provider.get_tracer("order-lifecycle-workers")


def stop() -> None:
    """Send what waits, for LEAVE_S at most, and make no more spans."""
    global tracer, causes, _provider
    provider, tracer, causes, _provider = _provider, None, None, None
    if provider is not None:
        leaving = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
        leaving.start()
        leaving.join(LEAVE_S)


@contextmanager
def span(
    name: str,
    kind: Kind = "internal",
    *,
    parent: Trace | None = None,
    links: Sequence[Trace] = (),
    **attributes: Unpack[Attributes],
) -> Iterator[Span]:
    """A span of the block; with a `parent` from elsewhere, the one that it stands in becomes a link."""
    if (maker := tracer) is None:
        yield NOTHING
        return
    api = _api()
    if (used := _round.get()) is not None:
        used[0] = True
    linked = [api.Link(each) for each in map(_context, links) if each is not None]
    context, remote = None, _context(parent)
    if remote is not None:
        around = api.get_current_span().get_span_context()
        linked += [api.Link(around)] if around.is_valid else []
        context = api.set_span_in_context(api.NonRecordingSpan(remote))
    made = maker.start_span(name, context, _kind(kind), _harmless(attributes), linked[:LINKS])
    with _under(made):
        yield Span(made)


def request(traceparent: str | None) -> AbstractContextManager[Span]:
    """A span of a request, in the trace that its caller names in this header; it gets its name when it is answered."""
    return span("request", "server", parent=traceparent)


def later(name: str, about: str, **attributes: Unpack[Attributes]) -> AbstractContextManager[Span]:
    """A span of a call outward on account of what was kept for `about`: an order's id, or a journal number."""
    kept = causes.find(about) if tracer is not None and causes is not None else None
    parent, *links = kept.split() if kept else (None,)
    return span(name, "client", parent=parent, links=links, **attributes)


def together(name: str, traces: Sequence[Trace | None]) -> AbstractContextManager[Span]:
    """A span of what is done for several at once: in the trace of the first that is sampled, linked to all of them."""
    known = [each for each in traces if each is not None and is_kept(each)][:LINKS]
    return span(name, parent=known[0] if known else None, links=known, events=len(traces))


@contextmanager
def chore(name: str) -> Iterator[None]:
    """A span of a chore's round. A round in which nothing happened is not told: there are several per second."""
    if (maker := tracer) is None:
        yield
        return
    used = [False]
    token = _round.set(used)
    made = maker.start_span(name, None, _kind("internal"), _harmless({"chore": name}))
    try:
        with _under(made, lambda: used[0]):
            yield
    finally:
        _round.reset(token)


def batch(
    name: str, took_s: float, traces: Sequence[tuple[Trace, Attributes]], **attributes: Unpack[Attributes]
) -> Trace:
    """A span of a batch that has just ended: a child of what caused its first event, with a link to each; → itself.

    So it is sampled where that one is.
    """
    api, ended = _api(), time_ns()
    linked = [(each, about) for trace, about in traces[:LINKS] if (each := _context(trace)) is not None]
    links = [api.Link(each, _harmless(about)) for each, about in linked]
    parent = api.set_span_in_context(api.NonRecordingSpan(linked[0][0])) if linked else None
    begun = ended - int(took_s * 1e9)
    made = tracer.start_span(name, parent, _kind("consumer"), _harmless(attributes), links, begun)
    made.end(ended)
    return _named(made.get_span_context())


def here() -> Trace | None:
    """The span that this stands in, as it travels; None outside of any, and while traces are off."""
    if tracer is None:
        return None
    context = _api().get_current_span().get_span_context()
    return _named(context) if context.is_valid else None


def trace_id(trace: Trace | None) -> str:
    """The trace that a span belongs to, as collectors show it; empty for none."""
    return trace.split("-")[1] if trace is not None else ""


def is_kept(trace: Trace | None) -> bool:
    """True of a span that is sampled: others are not worth to be remembered."""
    return trace is not None and bool(int(trace[-2:], 16) & 1)


def carried(work: Callable[P, R]) -> Callable[P, R]:
    """`work` for another thread, in the span that this stands in; itself while traces are off."""
    return work if tracer is None else partial(copy_context().run, work)


def _exporter() -> Any:
    """The one that OTEL_TRACES_EXPORTER names, as installed packages offer it; OTLP over HTTP where it names none."""
    name = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if name == "otlp":
        protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    for found in entry_points(group="opentelemetry_traces_exporter", name=name):
        return found.load()()
    raise ImportError(f"no exporter {name!r} is installed")


@contextmanager
def _under(made: Any, told: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Work in this span, and end it. One that never ends is never sent."""
    api = _api()
    try:
        with api.use_span(made, record_exception=False, set_status_on_exception=False):
            yield
    except BaseException as error:
        made.set_status(api.StatusCode.ERROR, type(error).__name__)
        made.end()
        raise
    if told():
        made.end()


def _api() -> Any:
    from opentelemetry import trace

    return trace


def _kind(kind: Kind) -> Any:
    return _api().SpanKind[kind.upper()]


def _context(trace: str | None) -> Any:
    """What a traceparent names; None where it names nothing."""
    found = _PARENT.fullmatch(trace) if trace is not None else None
    if found is None:
        return None
    api = _api()
    flags = api.TraceFlags(int(found[3], 16) & api.TraceFlags.SAMPLED)
    context = api.SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=flags)
    return context if context.is_valid else None


def _named(context: Any) -> Trace:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _harmless(attributes: Attributes) -> dict[str, str | int]:
    return {
        f"orders.{name}": in_a_line(value)[:LONGEST] if isinstance(value, str) else value
        for name, value in attributes.items()
        if isinstance(value, str | int)
    }
