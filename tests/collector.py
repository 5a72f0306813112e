"""A collector of traces on a real socket, as OTLP over HTTP has it; the test skips, visibly, without the extra `tracing`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from telemetry import traces

SOON_S = 90.0  # processes start, and the beat comes round


@dataclass(frozen=True, slots=True)
class Told:
    """A span as it arrived."""

    service: str
    name: str
    kind: str  # SERVER, CONSUMER …
    trace: str
    id: str
    parent: str
    links: tuple[tuple[str, str], ...]  # trace, span
    attributes: Mapping[str, Any]
    failed: bool


@dataclass
class Collector:
    """The spans that arrived so far, and where."""

    url: str = ""
    spans: list[Told] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def environment(self) -> dict[str, str]:
        """The variables that have a process send its traces here, and soon."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def wait(self, reason: Callable[[list[Told]], bool]) -> list[Told]:
        """All spans, once they are what is waited for."""
        with self.changed:
            came = self.changed.wait_for(lambda: reason(self.spans), SOON_S)
            assert came, [(each.service, each.name, each.trace) for each in self.spans]
            return list(self.spans)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector until the block ends."""
    proto = pytest.importorskip(
        "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
        reason="needs the extra: pip install -e '.[tracing]'",
    )
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            sent = proto.ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            with found.changed:
                found.spans += _spans(sent)
                found.changed.notify_all()
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def recording(patch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Traces of this process; what is yielded ends them, and answers OpenTelemetry's spans, in the order of their ends."""
    pytest.importorskip("opentelemetry.sdk.trace", reason="needs the extra: pip install -e '.[tracing]'")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    patch.setenv("OTEL_TRACES_EXPORTER", "memory")
    patch.setattr(traces, "_exporter", lambda: exporter)
    traces.start("test")

    def end() -> Any:
        traces.stop()
        return exporter.get_finished_spans()

    try:
        yield end
    finally:
        traces.stop()


def _spans(sent: Any) -> Iterator[Told]:
    for of_service in sent.resource_spans:
        service = _attributes(of_service.resource)["service.name"]
        for scope in of_service.scope_spans:
            for span in scope.spans:
                kind = span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")
                links = tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links)
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                yield Told(service, span.name, kind, *ids, links, _attributes(span), span.status.code == 2)


def _attributes(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}
