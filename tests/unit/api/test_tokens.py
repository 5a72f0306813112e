"""A customer's token: read back as issued, and nothing else passes for one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.auth import Caller, _customer, issue
from api.errors import ApiError

SECRET, OTHER = "s" * 64, "o" * 64
HOUR = timedelta(hours=1)


def claims(**changed: object) -> dict[str, object]:
    now = int(datetime.now(UTC).timestamp())
    made = {"sub": "c1", "iat": now, "exp": now + 60, "aud": "orders", **changed}
    return {name: value for name, value in made.items() if value is not None}


def test_a_token_tells_its_customer_until_it_expires():
    token, expires = issue("c 1/김", SECRET, datetime.now(UTC), HOUR)
    assert _customer(token, SECRET) == "c 1/김"
    assert timedelta(minutes=59) < expires - datetime.now(UTC) <= HOUR
    assert expires.microsecond == 0


@pytest.mark.parametrize(
    ("changed", "key", "algorithm"),
    [
        ({}, OTHER, "HS256"),
        ({}, SECRET, "HS512"),
        ({}, "", "none"),
        ({"exp": 1}, SECRET, "HS256"),
        ({"exp": None}, SECRET, "HS256"),
        ({"iat": None}, SECRET, "HS256"),
        ({"iat": 9_999_999_999}, SECRET, "HS256"),
        ({"aud": None}, SECRET, "HS256"),
        ({"aud": "another"}, SECRET, "HS256"),
        ({"sub": None}, SECRET, "HS256"),
        ({"sub": ""}, SECRET, "HS256"),
        ({"sub": 7}, SECRET, "HS256"),
        ({"sub": {"$ne": ""}}, SECRET, "HS256"),
    ],
)
def test_what_we_did_not_sign_so_is_unknown(changed, key, algorithm):
    token = jwt.api_jws.encode(json.dumps(claims(**changed)).encode(), key, algorithm)
    with pytest.raises(ApiError) as refused:
        _customer(token, SECRET)
    assert refused.value.status == 401


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_no_text_whatever_is_more_than_unknown(token):
    with pytest.raises(ApiError) as refused:
        _customer(token, SECRET)
    assert refused.value.status == 401


def test_without_a_secret_no_token_is_known():
    token, _ = issue("c1", SECRET, datetime.now(UTC), HOUR)
    with pytest.raises(ApiError):
        _customer(token, None)


def test_the_source_of_what_a_caller_causes_is_its_key():
    assert Caller("secret", "019a0b7c-4d5e-7f60-8192-9394a5b6c7d8").source == "api/key_019a0b7c4d5e7f6081929394a5b6c7d8"
