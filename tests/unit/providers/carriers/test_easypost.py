"""EasyPost's tracker webhooks: both signatures, and scans as events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from events.catalogue import decode
from events.envelope import EnvelopeError
from providers.base import BadSignature
from providers.carriers import easypost, easypost_api
from tests.webhooks import EASYPOST, an_id, as_easypost, as_easypost_v2, now, packed, shared


def receive(signed, secrets=(EASYPOST,)):
    body, headers = signed
    return easypost.receive(body, {k.lower(): v for k, v in headers.items()}, secrets, datetime.now(UTC))


def scan(status, at, message="scanned", city="SEOUL"):
    place = {"city": city, "state": None, "country": "KR"}
    return {"status": status, "datetime": at, "message": message, "tracking_location": place}


def updated(status, *scans, kind="tracker.updated", **about):
    about = {"carrier": "CJ Logistics", "tracking_code": "TRK-1", "status": status, **about}
    about["tracking_details"] = list(scans)
    return {"id": an_id(), "description": kind, "created_at": "2026-11-20T10:00:00Z", "result": about}


PICKED = scan("in_transit", "2026-11-18T09:00:00Z")
ARRIVED = scan("delivered", "2026-11-20T09:00:00Z")


@pytest.mark.parametrize("sign", [as_easypost, as_easypost_v2])
def test_either_signature_is_believed_whatever_form_the_secret_is_written_in(sign):
    decomposed = "pa\u0308ssword"
    for secret in (EASYPOST, decomposed):
        assert receive(sign(updated("delivered", ARRIVED), secret), ("old", EASYPOST))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hmac-Signature": ""},
        {"X-Hmac-Signature": "hmac-sha256-hex="},
        {"X-Hmac-Signature": "hmac-sha256-hex=" + "0" * 64},
        {"X-Hmac-Signature": "é"},
        {"X-Hmac-Signature-V2": "hmac-sha256-hex=" + "0" * 64},
        {"X-Hmac-Signature-V2": "x", "X-Timestamp": "soon"},
        {"X-Hmac-Signature-V2": "x", "X-Timestamp": "Mon, 23 Nov 2026 10:00:00 +99999999999999999999"},
    ],
)
def test_all_else_is_not(headers):
    with pytest.raises(BadSignature):
        receive((b"{}", headers))


def test_another_secret_another_body_and_another_time_are_refused():
    body, headers = as_easypost(updated("delivered", ARRIVED))
    for signed, secrets in (((body, headers), ("other",)), ((body + b" ", headers), (EASYPOST,))):
        with pytest.raises(BadSignature):
            receive(signed, secrets)
    for off in (-301, 301):
        with pytest.raises(BadSignature, match="clock"):
            receive(as_easypost_v2(updated("delivered", ARRIVED), at=now() + off))
    body, headers = as_easypost_v2(updated("delivered", ARRIVED))
    with pytest.raises(BadSignature):
        receive((body, {**headers, "X-Path": "/elsewhere"}))


def test_the_newest_scan_is_delivered_and_the_earlier_come_along():
    notice = receive(as_easypost(updated("delivered", PICKED, ARRIVED)))
    newest = notice.envelope
    assert (newest.type, newest.source) == ("TrackingUpdated", "carrier:cj logistics")
    assert newest.data == {
        "carrier": "CJ Logistics", "trackingNumber": "TRK-1", "status": "delivered",
        "description": "scanned", "location": "SEOUL, KR",
    }  # fmt: skip
    assert newest.time == datetime(2026, 11, 20, 9, tzinfo=UTC)
    assert [scan.data["status"] for scan in notice.history] == ["in_transit"]


def test_a_scan_is_the_same_event_in_every_webhook_that_tells_it():
    first = receive(as_easypost(updated("in_transit", PICKED)))
    second = receive(as_easypost(updated("delivered", PICKED, ARRIVED)))
    assert second.history == (first.envelope,)
    other = receive(as_easypost(updated("in_transit", PICKED, tracking_code="TRK-2")))
    assert other.envelope.id != first.envelope.id


@pytest.mark.parametrize(("theirs", "ours"), sorted(easypost_api.STATUSES.items()))
def test_every_status_is_a_unified_one(theirs, ours):
    event = receive(as_easypost(updated(theirs, scan(theirs, "2026-11-20T09:00:00Z")))).envelope
    body: Any = decode(event.type, 1, None, event.data)
    assert body.status == ours


def test_a_tracker_without_a_scan_tells_its_own_status():
    for scans in ((), (PICKED,), ({"status": "delivered", "datetime": None}, "nonsense")):
        notice = receive(as_easypost(updated("delivered", *scans)))
        assert notice.envelope.data["status"] == "delivered"
        assert notice.envelope.time == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_a_new_status_of_easyposts_is_unknown_to_us():
    assert receive(as_easypost(updated("teleported"))).envelope.data["status"] == "unknown"


@pytest.mark.parametrize("kind", ["batch.created", "refund.successful", "tracker.deleted"])
def test_other_events_are_kept_without_what_they_are_about(kind):
    notice = receive(as_easypost(updated("unknown", kind=kind, signed_by="Kim")))
    assert notice.envelope.type == f"easypost.{kind}"
    assert b"Kim" not in notice.envelope.body()


@pytest.mark.parametrize(
    "document",
    [
        b"{", b"[]", {}, {"id": "evt"}, {"id": "evt", "description": "tracker.updated", "result": []},
        {"id": "evt", "description": "tracker.updated", "created_at": "2026-11-20T10:00:00Z", "result": {}},
        {**updated("delivered"), "created_at": "soon"}, {**updated("delivered"), "id": "\x00"},
        updated("delivered", carrier=7), updated("delivered", tracking_code="x" * 256),
        updated("delivered", scan("delivered", "soon")), updated("delivered", scan("delivered", "9999-12-31T00:00:00Z")),
        updated("delivered", scan("delivered", "2026-11-20T09:00:00Z", message="\x00")),
    ],
)  # fmt: skip
def test_what_is_none_of_easyposts_names_the_field(document):
    with pytest.raises(EnvelopeError):
        receive(as_easypost(packed(document)))


@pytest.mark.shared_data
def test_the_real_webhook():
    document = json.loads(shared("easypost", "tracking-webhook.json").read_bytes())
    notice = receive(as_easypost(document))
    assert (notice.envelope.data["carrier"], notice.envelope.data["trackingNumber"]) == ("UPS", "EZ4000000004")
    assert notice.envelope.data["status"] == "delivered"
    assert notice.envelope.time == datetime(2014, 11, 19, 10, 51, 54, tzinfo=UTC)
    assert len(notice.history) == 5
    for event in (notice.envelope, *notice.history):
        decode(event.type, 1, None, event.data)
