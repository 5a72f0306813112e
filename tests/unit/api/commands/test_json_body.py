"""JSON bodies with exact numbers."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.commands.json_body import InvalidJson, canonical, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.1", Decimal("0.1")), ("300000000000.3690", Decimal("300000000000.369")), ("1e3", 1000), ("2.0", 2), ("-7", -7),
     ("12345678901234567890.5", Decimal("12345678901234567890.5"))],
)  # fmt: skip
def test_numbers_keep_each_digit(text, value):
    found = parse(text.encode())
    assert found == value
    assert not isinstance(found, float)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"NaN",
        b"[-Infinity]",
        b"1e65",
        b"1e-99",
        b"1e99999999999999999999",
        b"9" * 65,
        b"\xff",
        b"[" * 99_999,
    ],
)
def test_what_is_no_json_or_out_of_any_measure_is_refused(raw):
    with pytest.raises(InvalidJson):
        parse(raw)


@pytest.mark.parametrize("raw", [b'"\\ud800"', b'{"\\udfff": 1}', b"[" * 400 + b"]" * 400])
def test_what_cannot_be_kept_has_no_canonical_form(raw):
    with pytest.raises(InvalidJson):
        canonical(parse(raw))


@pytest.mark.parametrize(
    ("one", "other"),
    [('{"a":1,"b":[2]}', '{ "b": [2.0], "a": 1 }'), ("1.50", "15e-1"), ("100000000000000000000", "1e20")],
)
def test_the_same_json_has_one_form(one, other):
    assert canonical(parse(one.encode())) == canonical(parse(other.encode()))


@given(one=JSON, other=JSON)
def test_different_json_has_different_forms(one, other):
    def read(value):
        return canonical(parse(json.dumps(value).encode()))

    assert (read(one) == read(other)) == (one == other and _kinds(one) == _kinds(other))


def _kinds(value):
    """Python holds 1 == True; JSON does not."""
    if isinstance(value, list):
        return [_kinds(each) for each in value]
    if isinstance(value, dict):
        return {name: _kinds(each) for name, each in value.items()}
    return isinstance(value, bool)
