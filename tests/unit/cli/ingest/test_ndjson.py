"""NDJSON: every line is an event or a BadLine, in bounded memory, and none stops the next."""

import gzip
import io
import tracemalloc
from datetime import UTC, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st

from cli.ingest.line_reader import MAX_REASON, BadLine, bounded
from cli.ingest.ndjson import MAX_LINE_BYTES, read, read_stream
from events.envelope import MAX_BODY_BYTES, Envelope


def an_event(number=1, **data):
    return Envelope(
        id=f"e{number}",
        source="shop",
        type="OrderConfirmed",
        time=datetime(2026, 11, 1, 9, 30, number, tzinfo=UTC),
        subject="A-1",
        data={"by": "Zoë", **data},
    )


def as_line(event):
    return orjson.dumps(event.as_document()) + b"\n"


def outcome(content):
    """The yield of a stream: events as their ids, bad lines as their numbers."""
    return [item.number if isinstance(item, BadLine) else item.id for item in read_stream(io.BytesIO(content))]


def only_reason(content):
    (bad,) = read_stream(io.BytesIO(content))
    assert isinstance(bad, BadLine)
    return bad.reason


class Endless(io.RawIOBase):
    """A line of `size` bytes that is never held in memory as a whole, then `rest`."""

    def __init__(self, size, rest):
        self.left, self.rest = size, io.BytesIO(rest)

    def readable(self):
        return True

    def readinto(self, buffer):
        piece = b"x" * min(len(buffer), self.left) or self.rest.read(len(buffer))
        self.left -= min(len(piece), self.left)
        buffer[: len(piece)] = piece
        return len(piece)


def test_events_come_back_as_they_were_written(tmp_path):
    events = [an_event(1), an_event(2)]
    plain, packed = tmp_path / "events.ndjson", tmp_path / "events.ndjson.gz"
    plain.write_bytes(b"".join(map(as_line, events)))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(read(plain)) == events
    assert list(read(packed)) == events


def test_the_last_line_needs_no_end_and_an_empty_file_is_no_fault():
    assert outcome(as_line(an_event()).rstrip()) == ["e1"]
    assert outcome(b"") == []


def test_blank_lines_and_windows_line_ends_are_no_fault_and_count_as_lines():
    line = as_line(an_event())
    assert outcome(b"\n  \r\n" + line.replace(b"\n", b"\r\n") + b"{}\n") == ["e1", 4]


def test_a_byte_order_mark_is_no_fault():
    assert outcome(b"\xef\xbb\xbf" + as_line(an_event())) == ["e1"]
    assert outcome(b"\xef\xbb\xbf") == []


def test_a_bad_line_is_told_and_the_rest_goes_on():
    first, last = as_line(an_event(1)), as_line(an_event(2))
    bad = [b"{broken\n", b'{"id": "x"}\n', b"[1]\n", b'{"by": "\xff"}\n', b"null\n"]
    assert outcome(first + b"".join(bad) + last) == ["e1", 2, 3, 4, 5, 6, "e2"]


def test_a_bad_line_names_its_file_its_number_and_the_fault(tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_bytes(b'\n{"id": "e1"}\n')
    (bad,) = read(path)
    assert bad == BadLine(str(path), 2, "source: is missing; it must be a text that is not empty")
    assert str(bad) == f"{path}, line 2: {bad.reason}"


def test_reasons_tell_what_to_do():
    assert "write one event per line" in only_reason(b"{\n")
    assert "byte 8 is no UTF-8; save the file as UTF-8" in only_reason(b'{"id": \xff}\n')
    document = an_event().as_document() | {"time": "2026-11-01T09:30:00"}
    assert "has no offset" in only_reason(orjson.dumps(document))


def test_a_reason_stays_short_though_the_line_is_long():
    document = an_event().as_document() | {"time": "9" * 500_000}
    assert len(only_reason(orjson.dumps(document))) == MAX_REASON


def test_a_body_of_the_greatest_size_passes_and_one_byte_more_does_not():
    room = MAX_BODY_BYTES - len(an_event(note="").body())
    assert outcome(as_line(an_event(note="x" * room))) == ["e1"]
    assert outcome(as_line(an_event(note="x" * (room + 1)))) == [1]


def test_a_line_that_is_too_long_costs_only_itself():
    long = b"x" * (MAX_LINE_BYTES + 1)
    line = as_line(an_event())
    assert outcome(line + long + b"\n" + line + long) == ["e1", 2, "e1", 4]


def test_a_line_without_an_end_takes_no_memory():
    stream = io.BufferedReader(Endless(64 * MAX_LINE_BYTES, b"\n" + as_line(an_event())))
    tracemalloc.start()
    try:
        bad, event = read_stream(stream)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(bad, BadLine)
    assert event == an_event()
    assert peak < 4 * MAX_LINE_BYTES


def test_a_compressed_file_that_was_cut_off_gives_what_it_has_and_says_so(tmp_path):
    events = [an_event(number) for number in range(1, 50)]
    whole = gzip.compress(b"".join(map(as_line, events)))
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(whole[: len(whole) // 2])
    *first, last = read(path)
    assert first == events[: len(first)]
    assert isinstance(last, BadLine)
    assert (last.number, "fetch it again" in last.reason) == (len(first) + 1, True)


def test_a_file_that_is_not_compressed_after_all_is_told(tmp_path):
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(as_line(an_event()))
    (bad,) = read(path)
    assert isinstance(bad, BadLine)
    assert bad.number == 1


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_give_events_or_bad_lines_and_never_an_error(lines):
    lines = [line.replace(b"\n", b"") for line in lines]
    content = b"\n".join([*lines, as_line(an_event())])
    assert outcome(content)[-1] == "e1"


FIELDS = st.sampled_from(sorted(an_event().as_document()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=5,
)


@given(FIELDS, JSON)
def test_any_value_in_any_field_gives_an_event_or_a_bad_line(field, value):
    try:
        content = orjson.dumps(an_event().as_document() | {field: value})
    except TypeError:  # a number beyond 64 bits
        return
    assert len(outcome(content)) == 1


@given(st.lists(st.binary(max_size=12)), st.integers(1, 10))
def test_bounded_gives_each_line_or_none_where_it_is_longer_than_the_limit(lines, limit):
    ends_and_mark = str.maketrans("", "", "\r\n\xef")  # a byte order mark has a test of its own
    lines = [line.decode("latin-1").translate(ends_and_mark).encode("latin-1") for line in lines]
    content = b"".join(line + b"\n" for line in lines)
    expected = [(number, (line if len(line) <= limit else None)) for number, line in enumerate(lines, 1)]
    assert list(bounded(io.BytesIO(content), limit)) == expected
    assert list(bounded(io.BytesIO(content.replace(b"\n", b"\r\n")), limit)) == expected
