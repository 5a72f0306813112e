"""The client of the simulated carrier against every bad answer; no sockets."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from providers.base import NoAnswer, ParcelUnknown, Scan
from providers.carriers.simulated import SimulatedCarrier

GOOD = {"id": "s1", "time": "2026-11-01T21:00:00+09:00", "status": "in_transit"}


def a_carrier(answer):
    handler = answer if callable(answer) else lambda request: answer
    return SimulatedCarrier("http://carrier", 0.5, transport=httpx.MockTransport(handler))


def a_page(*scans, number="123"):
    return httpx.Response(200, json={"number": number, "scans": list(scans)})


def raising(error):
    def answer(request):
        raise error

    return answer


def test_scans_come_oldest_first_in_utc_with_fields_that_may_be_absent():
    later = {"id": "s2", "time": "2026-11-01T13:00:00Z", "status": "delivered", "location": "Jeju"}
    assert a_carrier(a_page(later, GOOD)).track("123") == [
        Scan("s1", datetime(2026, 11, 1, 12, tzinfo=UTC), "in_transit"),
        Scan("s2", datetime(2026, 11, 1, 13, tzinfo=UTC), "delivered", None, "Jeju"),
    ]


def test_a_parcel_without_scans_is_known_and_empty():
    assert a_carrier(a_page()).track("123") == []


@pytest.mark.parametrize("number", ["a/b", "a?b=c", "a%2Fb", "송장 1", "a#b"])
def test_any_number_reaches_the_carrier_as_it_is(number):
    seen = []

    def answer(request):
        seen.append(request.url.path)
        return a_page(number=number)

    a_carrier(answer).track(number)
    assert seen == [f"/v1/parcels/{number}"]


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (raising(httpx.ReadTimeout("")), "no answer within 0.5 s"),
        (raising(httpx.ConnectTimeout("")), "no answer within 0.5 s"),
        (raising(httpx.ConnectError("refused")), "could not be reached"),
        (raising(httpx.RemoteProtocolError("closed")), "broke off the answer"),
        (raising(httpx.ReadError("reset")), "broke off the answer"),
        (httpx.Response(503), "answered 503 Service Unavailable"),
        (httpx.Response(500, json={"error": "x"}), "answered 500"),
        (httpx.Response(401), "answered 401"),
        (httpx.Response(302, headers={"Location": "http://elsewhere/"}), "answered 302"),
        (httpx.Response(404, text="nginx"), "check its URL"),
        (httpx.Response(404, json={"error": "no_such_page"}), "check its URL"),
        (httpx.Response(200, text="<html>"), "no JSON"),
        (httpx.Response(200, content=b'{"number": "123", "scans": ['), "no JSON"),
        (httpx.Response(200, content=b"\xff\xfe"), "no JSON"),
        (httpx.Response(200, content=b""), "no JSON"),
        (
            httpx.Response(200, stream=httpx.ByteStream(b"<html>"), headers={"content-encoding": "gzip"}),
            "broke off",
        ),
        (httpx.Response(200, json=[]), "in another shape: body"),
        (httpx.Response(200, json={"number": "123"}), "in another shape: scans"),
        (a_page({**GOOD, "status": "lost"}), "scans.0.status"),
        (a_page(GOOD, {**GOOD, "time": "2026-11-01T12:00:00"}), "scans.1.time"),
        (a_page({**GOOD, "time": "9999-12-31T23:59:59-14:00"}), "scans.0.time"),
        (a_page({**GOOD, "time": None}), "scans.0.time"),
        (a_page({**GOOD, "id": ""}), "scans.0.id"),
        (a_page({**GOOD, "id": "x" * 101}), "scans.0.id"),
        (a_page({**GOOD, "description": "a\x00b"}), "scans.0.description"),
        (a_page(GOOD, number="456"), "another parcel, '456'"),
    ],
)
def test_whatever_goes_wrong_is_a_carrier_error_that_names_it(answer, named):
    with pytest.raises(NoAnswer) as caught:
        a_carrier(answer).track("123")
    assert not isinstance(caught.value, ParcelUnknown)
    assert named in str(caught.value)
    assert "123" in str(caught.value)


def test_an_unknown_parcel_is_told_from_a_wrong_address():
    fault = httpx.Response(404, json={"error": "parcel_unknown", "message": ""})
    with pytest.raises(ParcelUnknown, match="123"):
        a_carrier(fault).track("123")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        (None, None),
        ("-1", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("1e9", None),
    ],
)
def test_the_pause_that_a_carrier_asks_for_is_passed_on(header, seconds):
    headers = {} if header is None else {"Retry-After": header}
    with pytest.raises(NoAnswer) as caught:
        a_carrier(httpx.Response(429, headers=headers)).track("123")
    assert caught.value.retry_after == seconds


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    carrier = SimulatedCarrier("http://127.0.0.1:9", 0.5)
    with pytest.raises(NoAnswer, match="could not be reached"):
        carrier.track(json.dumps("1"))
    carrier.close()
