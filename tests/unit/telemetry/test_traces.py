"""Traces are off unless they are asked for; then what a span says is ours, and what travels is W3C's traceparent."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.catalogue import PERSONAL_NAMES
from telemetry import traces
from tests.collector import recording

ASKED = {
    "nothing is said": ({}, False),
    "an endpoint": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, True),
    "an endpoint of traces": ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
    "an exporter": ({"OTEL_TRACES_EXPORTER": "console"}, True),
    "no exporter of traces": (
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"},
        False,
    ),
    "switched off": ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "TRUE"}, False),
    "a name alone": ({"OTEL_SERVICE_NAME": "shop"}, False),
}
OFF = """
import sys
import api.main, journal.drain, workers.pools, workers.tasks, outbound.webhooks.sender
from telemetry import traces
traces.start("drain")
with traces.span("a"), traces.chore("b"), traces.later("c", "d"):
    assert traces.here() is None
# redis and FastAPI import parts of it for their own ends, where they find it.
ours = ("opentelemetry.sdk.trace", "opentelemetry.exporter")
print(sorted(name for name in sys.modules if name.startswith(ours)))
"""


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*traces.ENDPOINTS, "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("case", ASKED)
def test_opentelemetrys_own_variables_ask_for_traces(clean, case):
    variables, asked = ASKED[case]
    for name, value in variables.items():
        clean.setenv(name, value)
    assert traces.configured() is asked


def test_while_off_no_process_imports_what_makes_or_sends_spans(clean):
    told = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_what_is_wrong_with_the_configuration_is_told_and_fails_nothing(clean, caplog):
    clean.setenv("OTEL_TRACES_EXPORTER", "no_such_exporter")
    traces.start("drain")
    assert traces.tracer is None
    assert "no traces" in caplog.text


@pytest.fixture
def spans(clean) -> Any:
    with recording(clean) as end:
        yield end


def test_the_callers_trace_goes_on_and_a_broken_one_is_left(spans):
    known = f"00-{'ab' * 16}-{'cd' * 8}-01"
    broken = (
        None,
        "",
        known.replace("00-", "ff-", 1),
        known[:-1],
        f"00-{'0' * 32}-{'cd' * 8}-01",
        "\u0661" * 55,
        known + "x",
    )
    for traceparent in (known, known.replace("00-", "01-", 1) + "-more", *broken):
        with traces.request(traceparent) as span:
            span.answered("GET", "/api/orders/{id}", 200)
    first, second, *others = spans()
    assert {first.context.trace_id, second.context.trace_id} == {int("ab" * 16, 16)}
    assert first.parent.span_id == int("cd" * 8, 16)
    assert first.name == "GET /api/orders/{id}"
    assert len(others) == len(broken)
    assert all(each.parent is None for each in others)


def test_a_trace_that_its_caller_does_not_sample_is_not_sent(spans):
    with traces.request(f"00-{'ab' * 16}-{'cd' * 8}-00"):
        assert not traces.is_kept(traces.here())
    assert spans() == ()


def test_a_batch_links_each_event_up_to_a_bound_and_goes_on_in_the_first_ones_trace(spans):
    named = [f"00-{number:032x}-{number:016x}-01" for number in range(1, 2 * traces.LINKS)]
    own = traces.batch("drain batch", 0.5, [(each, {"event_id": "e\x1b1"}) for each in named], events=len(named))
    [batch] = spans()
    assert own.split("-")[1] == f"{1:032x}"
    assert [each.context.span_id for each in batch.links] == list(range(1, traces.LINKS + 1))
    assert batch.links[0].attributes == {"orders.event_id": "e\\x1b1"}
    assert batch.end_time - batch.start_time == 500_000_000


def test_a_round_of_a_chore_is_told_where_something_happened_in_it_or_it_failed(spans):
    def call() -> None:
        with traces.span("call", "client", provider="stripe"):
            pass

    with traces.chore("idle"):
        pass
    with traces.chore("busy"), ThreadPoolExecutor(1) as pool:
        pool.submit(traces.carried(call)).result()
    with pytest.raises(ValueError, match="Kim"), traces.chore("failed"):
        raise ValueError("no such customer: Kim")
    called, busy, failed = spans()
    assert (busy.name, failed.name) == ("busy", "failed")
    assert called.parent.span_id == busy.context.span_id
    assert failed.status.description == "ValueError"  # an error's words may tell of a person
    assert not failed.events


def test_a_call_outward_goes_on_in_the_trace_that_was_kept_for_what_it_is_about(spans):
    origin, batch = f"00-{1:032x}-{2:016x}-01", f"00-{3:032x}-{4:016x}-01"
    traces.causes = Kept({"order": f"{origin} {batch}"})
    with traces.chore("round"):
        with traces.later("known", "order"):
            pass
        with traces.later("unknown", "another"):
            pass
    known, unknown, round_ = spans()
    assert (known.context.trace_id, known.parent.span_id) == (1, 2)
    assert {each.context.span_id for each in known.links} == {4, round_.context.span_id}
    assert unknown.parent.span_id == round_.context.span_id


class Kept(dict):
    def keep(self, found):
        self.update(found)

    def find(self, name):
        return self.get(name)


def test_no_attribute_has_the_name_of_a_personal_field():
    assert not get_type_hints(traces.Attributes).keys() & set(PERSONAL_NAMES)
    assert set(get_type_hints(traces.Attributes).values()) == {int, str}
    assert "client" in get_args(traces.Kind)


@given(st.text())
def test_a_value_is_one_bounded_line_whatever_a_sender_made_up(value):
    said = str(traces._harmless({"event_id": value})["orders.event_id"])
    assert len(said) <= traces.LONGEST
    assert not {"\n", "\x1b"} & set(said)
