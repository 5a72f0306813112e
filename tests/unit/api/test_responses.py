"""Answers: exact money, times in UTC with milliseconds and Z."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.responses import Json
from queries.json_encoder import encode


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_a_decimal_is_a_number_with_its_own_digits(amount: Decimal):
    read = json.loads(encode({"amount": amount}), parse_float=Decimal, parse_int=Decimal)["amount"]
    assert read == amount
    assert b"E" not in encode(amount)


@pytest.mark.parametrize(("amount", "text"), [("1E+3", b"1000"), ("12000", b"12000"), ("12.50", b"12.50")])
def test_a_decimal_is_written_out(amount, text):
    assert encode(Decimal(amount)) == text


def test_a_time_of_any_zone_is_told_in_utc_with_milliseconds():
    seoul = timezone(timedelta(hours=9))
    assert encode(datetime(2026, 11, 1, 9, 30, 0, 123_999, tzinfo=seoul)) == b'"2026-11-01T00:30:00.123Z"'
    assert encode(datetime(2026, 11, 1, tzinfo=UTC)) == b'"2026-11-01T00:00:00.000Z"'


@pytest.mark.parametrize("value", [datetime(2026, 11, 1), Decimal("NaN"), Decimal("Infinity"), object()])  # noqa: DTZ001
def test_what_has_no_json_form_is_refused(value):
    with pytest.raises(TypeError):
        encode({"value": value})


def test_an_answer_is_utf8_json():
    answer = Json({"name": "김", "items": [Decimal("1.10")]}, 201)
    assert answer.body == '{"name":"김","items":[1.10]}'.encode()
    assert answer.headers["content-type"] == "application/json"
