"""Recorded answers of real services: what our adapters read out of them, checked by hand, and what they refuse.

Those of single carriers (FedEx, UPS, …) are no answer of EasyPost's or tracker.delivery's: as such they are nonsense.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from events.catalogue import decode
from events.envelope import EnvelopeError
from providers.base import BadSignature, NoAnswer, ParcelUnknown, Scan
from providers.carriers.easypost import receive
from providers.carriers.easypost_api import EasyPost, scans_of
from providers.carriers.scans import scan_event
from providers.carriers.tracker_delivery_api import TrackerDelivery
from tests.scripted_http import Answer, answering
from tests.webhooks import EASYPOST, as_easypost, shared

pytestmark = pytest.mark.shared_data
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
CARRIERS = ("canadapost", "dhl_universal", "dpd", "fedex", "ups", "usps")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Read by hand in the files: time (all of them Z, which is UTC), status, message, place.
RETRIEVED = [
    ("2025-04-09T20:40:17", "pending", "Pre-Shipment Info Sent to USPS", None),
    ("2025-04-10T09:17:17", "pending", "Shipping Label Created", "HOUSTON, TX"),
]
SF, SOUTH = "SAN FRANCISCO, CA, US", "SOUTH SAN FRANCISCO, CA, US"
# As the file lists them, the delivery lies before all other scans; by time it is the first.
PUSHED = [
    ("2014-11-19T10:51:54", "delivered", "DELIVERED", SF),
    ("2014-11-21T14:24:00", "pending", "BILLING INFORMATION RECEIVED", None),
    ("2014-11-21T14:48:00", "in_transit", "ORIGIN SCAN", SOUTH),
    ("2014-11-22T08:51:00", "in_transit", "DEPARTURE SCAN", SOUTH),
    ("2014-11-23T09:31:00", "in_transit", "ARRIVAL SCAN", SF),
    ("2014-11-24T08:10:00", "out_for_delivery", "OUT FOR DELIVERY", SF),
]


def check(scans: Sequence[Scan], expected, number: str, estimated: str | None = None) -> None:
    """Each scan as the file has it, and its estimate where the parcel has not arrived."""
    estimates = [scan for scan in scans if scan.estimated is not None]
    assert [scan.estimated for scan in estimates] == ([at(estimated)] if estimated else [])
    assert all((scan.status, scan.description, scan.location) == ("unknown", None, None) for scan in estimates)
    scans = [scan for scan in scans if scan.estimated is None]
    assert [(scan.time, scan.status, scan.description, scan.location) for scan in scans] == [
        (at(time), status, message, place) for time, status, message, place in expected
    ]
    assert len({scan.id for scan in scans}) == len(expected)
    for scan in scans:
        event = scan_event("carrier", number, scan, seen=NOON)
        body: Any = decode(event.type, event.version, event.subject, event.data)
        assert (event.time, body.status) == (scan.time, scan.status)


def test_a_tracker_that_easypost_answered():
    answer = shared("easypost", "trackers-retrieve.json").read_bytes()
    with answering(lambda asked: Answer(answer)) as (url, _):
        scans = EasyPost(url, "key").of_carrier("USPS").track("EZ1000000001")
    check(scans, RETRIEVED, "EZ1000000001", estimated="2025-05-09T20:40:17")


def test_the_tracker_in_a_webhook_of_easyposts():
    tracker = json.loads(shared("easypost", "tracking-webhook.json").read_bytes())["result"]
    check(scans_of(tracker, "EZ4000000004"), PUSHED, "EZ4000000004")


def test_the_recorded_webhook_is_the_parcels_whole_history():
    """Signed as EasyPost signs it; its ids are filled in, which the example leaves out."""
    body = shared("easypost", "tracking-webhook.json").read_bytes().replace(b"evt_...", b"evt_1")
    signed, headers = as_easypost(body)
    lowered = {name.lower(): value for name, value in headers.items()}
    told = receive(signed, lowered, (EASYPOST,), NOON)
    events = sorted((*told.history, told.envelope), key=lambda event: event.time)
    found = [(e.time, e.data["status"], e.data.get("description"), e.data.get("location")) for e in events]
    assert found == [(at(time), status, message, place) for time, status, message, place in PUSHED]
    assert len({event.id for event in events}) == len(PUSHED)
    assert {(e.data["carrier"], e.data["trackingNumber"]) for e in events} == {("UPS", "EZ4000000004")}
    assert told.envelope.data["status"] == "delivered"
    with pytest.raises(BadSignature):
        receive(signed + b" ", lowered, (EASYPOST,), NOON)


def test_a_recorded_event_without_a_tracker_is_refused_and_says_why():
    signed, headers = as_easypost(shared("easypost", "events-retrieve.json").read_bytes())
    with pytest.raises(EnvelopeError, match="result"):
        receive(signed, {name.lower(): value for name, value in headers.items()}, (EASYPOST,), NOON)


def test_an_event_of_easyposts_is_no_tracker():
    event = json.loads(shared("easypost", "events-retrieve.json").read_bytes())
    with pytest.raises(NoAnswer, match="no tracker of this parcel"):
        scans_of(event, "EZ1000000001")


def recorded():
    """Every recorded answer of a single carrier; none where the real inputs are missing."""
    try:
        return [path for carrier in CARRIERS for path in sorted(shared("carriers", carrier).iterdir())]
    except pytest.skip.Exception:
        return []


@pytest.mark.parametrize("path", recorded() or [None], ids=lambda path: path and f"{path.parent.name}/{path.name}")
@pytest.mark.parametrize("status", [200, 404])
def test_another_s_answer_moves_nothing_and_says_why(path, status):
    content = (path or shared("carriers", "none")).read_bytes()

    def answer(request):
        if request.url.host == "auth":
            return httpx.Response(200, json={"access_token": "token", "expires_in": 60})
        return httpx.Response(status, content=content)

    service = TrackerDelivery("https://apis", "https://auth", "id", "secret", transport=httpx.MockTransport(answer))
    with answering(lambda asked: Answer(content, status)) as (url, _):
        for client in (EasyPost(url, "key").of_carrier("UPS"), service.of_carrier("us.ups")):
            with pytest.raises(NoAnswer) as caught:
                client.track("1Z9999999999999999")
            assert not isinstance(caught.value, ParcelUnknown)
            assert any(why in str(caught.value) for why in ("another shape", f"answered {status}", "error: ")), (
                caught.value
            )
