"""The door: what the journal can keep comes in unchanged, all else is refused by the field at fault."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.envelope import MAX_BODY_BYTES, OWN_SOURCE, Envelope, EnvelopeError

SEOUL = timezone(timedelta(hours=9))
LONE = "\ud800"  # half of a surrogate pair


def document(**fields: Any) -> dict[str, Any]:
    """A good event, but for these fields."""
    return {"id": "evt-1", "source": "shop", "type": "OrderCanceled", "time": "2026-11-01T09:30:00Z",
            "subject": "261101000001", "data": {}, **fields}  # fmt: skip


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def parsed(document: Any) -> Envelope | EnvelopeError:
    try:
        return Envelope.parse(document)
    except EnvelopeError as error:
        return error


def refusal(document: Any) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as caught:
        Envelope.parse(document)
    return caught.value


# -- what comes in -----------------------------------------------------------------------------------


def test_a_cloud_event_comes_in_as_it_is():
    envelope = Envelope.parse(document(specversion="1.0", dataschema="https://x/OrderCanceled/3", data={"by": "Ann"}))
    assert envelope == Envelope(
        "evt-1", "shop", "OrderCanceled", datetime(2026, 11, 1, 9, 30, tzinfo=UTC), "261101000001", {"by": "Ann"}, 3
    )


@pytest.mark.parametrize("missing", ["specversion", "dataschema", "data", "subject"])
def test_what_may_be_absent_is_absent(missing: str):
    whole = document(specversion="1.0", dataschema="/OrderCanceled/1")
    del whole[missing]
    envelope = Envelope.parse(whole)
    assert (envelope.version, envelope.data) == (1, {})
    assert envelope.subject == (None if missing == "subject" else "261101000001")


@pytest.mark.parametrize("subject", [None, ""])
def test_an_empty_subject_is_none(subject: str | None):
    assert Envelope.parse(document(subject=subject)).subject is None


def test_a_time_with_an_offset_is_kept_in_utc():
    assert Envelope.parse(document(time="2026-11-01T09:30:00+09:00")).time == datetime(2026, 11, 1, 0, 30, tzinfo=UTC)
    assert Envelope.parse(document(time="2026-11-01T09:30:00+09:00")).time.tzinfo is UTC


def test_a_body_that_its_type_does_not_allow_comes_in_for_a_person_to_mend():
    assert Envelope.parse(document(type="NoSuchThing", data={"amount": True})).data == {"amount": True}


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, -(2**63), 1e308, 0.1])
def test_numbers_of_64_bits_come_in(number: float):
    assert Envelope.parse(document(data={"n": number})).data == {"n": number}


def test_a_text_that_spells_a_nul_out_holds_none():
    assert Envelope.parse(document(data={"note": "\\u0000"})).data == {"note": "\\u0000"}


# -- what is refused ---------------------------------------------------------------------------------

BAD_VALUES: dict[str, tuple[Any, ...]] = {
    "id": (None, "", " ", 5, True, [], {}, "x" * 256, "a\x00b", "a\nb", LONE, "a\u202eb"),
    "source": (None, "", "\t", 5, "x" * 256, "a\x00b"),
    "type": (None, "", 5, "x" * 256, "a\x7fb"),
    "subject": (" ", 5, False, [], {}, "x" * 256, "26\x001", LONE),
    "time": (
        None, "", "yesterday", 5, 10**5_000, True, [], {}, deep(5_000), math.nan, LONE, "2026-11-01T09:30:00",
        "2026-11-01", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00",
        "10000-01-01T00:00:00Z",
    ),
    "specversion": ("0.3", "1.1", None, 1.0, {}, deep(5_000), 10**5_000, "x" * 10_000),
    "dataschema": (
        "", "OrderCanceled", "/OrderCanceled/one", "/OrderCanceled/1/", "/OrderCanceled/-1", "/OrderCanceled/1234567",
        "/X/१", 1, [], deep(5_000),
    ),
    "data": (None, "{}", [], 5, True),
}  # fmt: skip
BAD_WITHIN_DATA: tuple[Any, ...] = (
    2**64, -(2**63) - 1, 10**5_000, math.nan, math.inf, -math.inf, [{"in": [math.nan]}], LONE, "a\x00b", ["a\x00b"],
    {"a\x00b": 1}, deep(300), deep(5_000), "x" * MAX_BODY_BYTES, object(), b"bytes", {1: 2},
)  # fmt: skip
BAD = [(field, value) for field, values in BAD_VALUES.items() for value in values]
BAD += [("data", {"x": value}) for value in BAD_WITHIN_DATA]


@pytest.mark.parametrize(("field", "value"), BAD, ids=[f"{n}-{field}" for n, (field, _) in enumerate(BAD)])
def test_bad_input_is_refused_by_the_field_at_fault_in_a_message_that_can_be_shown(field: str, value: Any):
    error = refusal(document(**{field: value}))
    assert error.field == field
    assert str(error).startswith(f"{field}: ")
    assert len(str(error)) < 400
    assert str(error).isprintable()


@pytest.mark.parametrize("value", [None, [], "event", 5, True, math.nan, [document()]])
def test_what_is_no_object_is_no_event(value: Any):
    assert refusal(value).field == "event"


@pytest.mark.parametrize("field", ["id", "source", "type", "time"])
def test_what_an_event_must_have_is_asked_for_by_name(field: str):
    whole = document()
    del whole[field]
    assert refusal(whole).field == field


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({"specversion": "0.3"}, "'0.3' is unknown; send '1.0'"),
        ({"time": "2026-11-01T09:30:00"}, "'2026-11-01T09:30:00' has no offset; end it with Z or +09:00"),
        ({"time": "yesterday"}, "'yesterday' is no RFC 3339 time such as 2026-11-01T09:30:00Z"),
        ({"dataschema": "x"}, "'x' must end in /TYPE/VERSION, such as /OrderCreated/1"),
        ({"id": "x" * 256}, "has 256 characters; at most 255 are accepted"),
        ({"data": {"x": "a\x00"}}, "holds a NUL character (\\u0000); remove it"),
        ({"data": {"x": "x" * MAX_BODY_BYTES}}, f"at most {MAX_BODY_BYTES} are accepted"),
        ({"data": {"x": math.nan}}, "holds NaN or an infinity"),
    ],
)
def test_a_refusal_tells_what_to_do(fields: dict[str, Any], advice: str):
    assert advice in str(refusal(document(**fields)))


def test_null_is_no_nan():
    assert Envelope.parse(document(data={"x": None, "y": [None, 1.5, "null"]})).data["x"] is None


def test_a_body_of_just_the_most_bytes_comes_in():
    room = MAX_BODY_BYTES - len(orjson.dumps({"x": ""}))
    assert len(Envelope.parse(document(data={"x": "x" * room})).body()) == MAX_BODY_BYTES


# -- travelling --------------------------------------------------------------------------------------

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=255).filter(lambda s: s.strip() and s.isprintable())
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
SOURCES = NAMES.filter(lambda name: name.partition("/")[0] != OWN_SOURCE)  # which nobody outside may use
ENVELOPES = st.builds(
    Envelope,
    id=NAMES, source=SOURCES, type=NAMES,
    time=st.datetimes(max_value=datetime(9000, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    subject=st.none() | NAMES,
    data=st.dictionaries(TEXTS, JSON, max_size=5), version=st.integers(0, 999_999),
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
)
FIELDS = ("specversion", "id", "source", "type", "time", "subject", "data", "dataschema")


@given(ENVELOPES)
def test_an_envelope_survives_its_travel(envelope: Envelope):
    sent = orjson.dumps(envelope.as_document())
    assert Envelope.parse(orjson.loads(sent)) == envelope
    assert Envelope.parse(orjson.loads(sent)).digest() == envelope.digest()


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING) | ANYTHING)
def test_whatever_comes_is_kept_or_refused_by_a_field(thing: Any):
    partly = isinstance(thing, dict) and set(thing) <= set(FIELDS)
    envelope = parsed(document(**thing) if partly else thing)
    if isinstance(envelope, EnvelopeError):
        assert envelope.field in (*FIELDS, "event")
    else:
        assert orjson.loads(envelope.body()) == envelope.data


@given(st.text(st.characters()))
def test_whatever_time_is_told_is_kept_in_utc_or_refused(text: str):
    envelope = parsed(document(time=text))
    assert envelope.field == "time" if isinstance(envelope, EnvelopeError) else envelope.time.tzinfo is UTC


# -- telling deliveries apart ------------------------------------------------------------------------


def test_the_digest_of_a_repeated_delivery_is_the_same_whatever_the_order_of_its_fields():
    one = Envelope.parse(document(data={"a": 1, "b": {"c": 2, "d": 3}}))
    two = Envelope.parse(document(data={"b": {"d": 3, "c": 2}, "a": 1}, time="2026-11-01T18:30:00+09:00"))
    assert one.digest() == two.digest()
    assert len(one.digest()) == 16


@pytest.mark.parametrize(
    "other",
    [{"data": {"a": 2}}, {"type": "OrderConfirmed"}, {"subject": None}, {"time": "2026-11-01T09:30:01Z"},
     {"dataschema": "/OrderCanceled/2"}],
)  # fmt: skip
def test_another_body_under_the_same_id_has_another_digest(other: dict[str, Any]):
    first = document(data={"a": 1})
    assert Envelope.parse({**first, **other}).digest() != Envelope.parse(first).digest()


@pytest.mark.parametrize("source", ["order-lifecycle", "order-lifecycle/timers"])
def test_nobody_outside_speaks_in_our_name(source):
    with pytest.raises(EnvelopeError, match="source"):
        Envelope.parse({"id": "a", "source": source, "type": "X", "time": "2026-11-01T09:30:00Z"})


# -- what nests --------------------------------------------------------------------------------------


def nested(levels: int) -> dict[str, Any]:
    """Objects within each other."""
    found: dict[str, Any] = {"name": [1, 2, 3]}
    for level in range(levels - 2):
        found = {"a": found} if level % 2 else {"a": [found]}
    return found


def test_what_nests_deeper_than_answers_can_show_is_refused():
    kept = Envelope.parse(document(data={"a": [[]] * 300, **nested(60)}))
    assert len(kept.digest()) == 16
    for levels in (120, 200, 300):
        assert isinstance(parsed(document(data=nested(levels))), EnvelopeError)


def test_a_version_ends_where_the_name_does():
    assert isinstance(parsed(document(dataschema="/OrderCanceled/1\n")), EnvelopeError)
