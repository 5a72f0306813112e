"""Whatever stands in a path, a query, a header or a token is answered: with documents, or with a 4xx that says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import quote, quote_from_bytes, urlsplit

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.auth import AUDIENCE, LONGEST_S
from storage.clock import epoch
from tests.api_server import served
from tests.hostile import VALUES
from tests.integration.api.service.conftest import SECRET, Shell

FEW = settings(max_examples=120, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
PATHS = (
    "/{}", "/api/{}", "/api/orders/{}", "/api/orders/by-number/{}", "/api/orders/{}/timeline", "/api/products/{}",
    "/api/carts/{}/items/{}", "/api/customers/{}/token", "/api/orders/count?{}", "/api/orders?where[{}][equals]={}",
    "/api/orders?where={}", "/api/orders?sort={}", "/api/orders?limit={}&page={}", "/api/orders?depth={}&select[{}]=true",
    "/webhooks/payments/{}", "/webhooks/carriers/{}", "/docs?{}",
)  # fmt: skip
PART = st.sampled_from(VALUES).map(quote) | st.binary(max_size=8).map(quote_from_bytes)
RAW = st.sampled_from(
    (b"%", b"%zz", b"%f", b"%FF", b"\xff", b"\x80\x81", b"..;", b"//", b"%2e%2e%2f", b"%00", b"%ED%A0%80")
)
HEADERS = (
    "Authorization", "X-Customer-Token", "Idempotency-Key", "X-Request-Id", "Content-Type", "Accept", "Origin", "Host",
    "X-Payload-HTTP-Method-Override", "Cookie", "If-None-Match", "Range",
)  # fmt: skip


@pytest.fixture
def url(shell: Shell) -> Iterator[str]:
    """The address of the application."""
    with served(shell.app) as at:
        yield at


def asked(url: str, method: str, path: bytes, headers: dict[bytes, bytes], body: bytes = b"") -> tuple[int, bytes]:
    """The status and body of a request that no client would make better than it is."""
    at = urlsplit(url)
    connection = HTTPConnection(at.hostname or "", at.port, timeout=20)
    lines = [method.encode() + b" " + path + b" HTTP/1.1", b"Connection: close", b"Content-Length: %d" % len(body)]
    named = {name.lower() for name in headers}
    lines += [] if b"host" in named else [b"Host: orders.test"]
    lines += [name + b": " + value for name, value in headers.items()]
    try:
        connection.connect()
        connection.sock.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        answer = connection.response_class(connection.sock, method=method)
        answer.begin()
        return answer.status, answer.read()
    finally:
        connection.close()


def check(status: int, body: bytes) -> None:
    assert 200 <= status < 500, body
    if status >= 400:
        (error,) = json.loads(body)["errors"]
        assert error["message"]


def test_every_path_and_query_is_answered(shell: Shell, url: str) -> None:
    headers = {b"Authorization": shell.headers()["Authorization"].encode()}

    @FEW
    @given(path=st.sampled_from(PATHS), parts=st.lists(PART.map(str.encode) | RAW, min_size=2, max_size=2),
           method=st.sampled_from(("GET", "GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE")))  # fmt: skip
    def ask(path: str, parts: list[bytes], method: str) -> None:
        asked_for = path.encode().replace(b"{}", parts[0], 1).replace(b"{}", parts[1])
        status, body = asked(url, method, asked_for, headers)
        assert 200 <= status < 500, body
        if method != "HEAD":
            check(status, body)

    ask()


def test_every_header_is_answered(shell: Shell, url: str) -> None:
    key = shell.headers()["Authorization"].encode()

    @FEW
    @given(told=st.dictionaries(
        st.sampled_from(HEADERS).map(str.encode),
        st.sampled_from(VALUES).map(str.encode) | st.binary(max_size=20), max_size=3))  # fmt: skip
    def ask(told: dict[bytes, bytes]) -> None:
        headers = {b"Authorization": key} | {
            name: value.replace(b"\r", b"").replace(b"\n", b"") for name, value in told.items()
        }
        for method, path in (("GET", b"/api/orders"), ("POST", b"/api/carts")):
            check(*asked(url, method, path, headers, b"{}" if method == "POST" else b""))

    ask()


def test_what_is_no_utf_8_is_named(shell: Shell, url: str) -> None:
    key = {b"Authorization": shell.headers()["Authorization"].encode()}
    for path in (b"/api/orders/by-number/%FF", b"/api/products/%C3%28", b"/api/orders?where[customer][equals]=%ff"):
        status, body = asked(url, "GET", path, key)
        (error,) = json.loads(body)["errors"]
        assert (status, error["name"]) == (400, "BadRequest"), path
        assert "UTF-8" in error["message"]
        assert "\\x" in error["message"]


def test_a_query_that_comes_as_a_form_is_held_to_the_same(shell: Shell) -> None:
    form = {"X-Payload-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"}
    headers = {**shell.headers(), **form}
    assert shell.client.post("/api/orders", headers=headers, content=b"limit=1").status_code == 200
    refused = shell.client.post("/api/orders", headers=headers, content=b"where[customer][equals]=%FF")
    assert (refused.status_code, "UTF-8" in refused.text) == (400, True)


# -- tokens --------------------------------------------------------------------------------------------------

NOW = int(epoch())
DATED: list[tuple[dict[str, object], int]] = [
    ({}, 200), ({"exp": NOW + LONGEST_S - 5}, 200), ({"exp": NOW + 2 * LONGEST_S}, 401), ({"exp": 10**300}, 401),
    ({"exp": 1e300}, 401), ({"exp": "9" * 400}, 401), ({"exp": "9" * 5_000}, 401), ({"exp": float("inf")}, 401),
    ({"iat": -(10**300)}, 401), ({"iat": "x"}, 401), ({"nbf": 1e300}, 401), ({"nbf": []}, 401),
]  # fmt: skip
NOBODY: tuple[object, ...] = (
    "\ud800",
    "x\udfff",
    "",
    "a\x00b",
    "\x1b[2J",
    "c" * 256,
    7,
    None,
    ["cus_1"],
    {"a": 1},
    True,
)


def test_a_token_of_nobody_or_for_ever_is_refused(shell: Shell) -> None:
    """Such as whoever has the secret could sign."""
    publishable, now = shell.headers("publishable"), int(epoch())
    for claims, status in [*DATED, *[({"sub": sub}, 401) for sub in NOBODY]]:
        told = {"sub": "cus_1", "iat": now, "exp": now + 60, "aud": AUDIENCE, **claims}
        headers = {**publishable, "X-Customer-Token": jwt.encode(told, SECRET, algorithm="HS256")}
        assert shell.client.get("/api/orders", headers=headers).status_code == status, claims


def test_no_token_is_made_for_a_time_that_is_none(shell: Shell) -> None:
    headers = {**shell.headers(), "Content-Type": "application/json"}
    times: tuple[object, ...] = (59, 86_401, 10**300, 1e300, -1, "1_000", "１０００", "3600", None, True, [], "x")
    for lasts in times:
        told = json.dumps({"expiresIn": lasts})
        answer = shell.client.post("/api/customers/c/token", headers=headers, content=told)
        assert answer.status_code == 400, lasts
        assert answer.json()["errors"][0]["data"]["errors"][0]["path"] == "expiresIn"
