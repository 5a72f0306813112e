"""Parcels followed by hand: what staff report, and signed scans of couriers and warehouses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from events.catalogue import decode
from events.envelope import EnvelopeError
from providers.base import BadSignature, Scan
from providers.carriers.manual import receive, reported
from tests.webhooks import STANDARD, as_standard

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
EVENT = {
    "specversion": "1.0", "id": "scan-1", "source": "van", "type": "TrackingUpdated", "time": "2026-11-01T09:00:00Z",
    "data": {"carrier": "Our Van", "trackingNumber": "4711", "status": "delivered", "location": "Back door"},
}  # fmt: skip


def taken(document):
    body, headers = as_standard(document)
    return receive(body, {name.lower(): value for name, value in headers.items()}, (STANDARD,), datetime.now(UTC))


def test_a_report_is_one_event_however_often_it_is_made_and_another_with_each_thing_that_is_told():
    scan = Scan("", NOON, "in_transit", "On the road", "Depot", estimated=NOON)
    event = reported("Our Van", "4711", scan, NOON)
    assert event == reported("Our Van", "4711", scan, datetime.now(UTC))
    others = (
        Scan("", NOON, "delivered", "On the road", "Depot", estimated=NOON),
        Scan("", NOON, "in_transit", None, "Depot", estimated=NOON),
        Scan("", NOON, "in_transit", "On the road", None, estimated=NOON),
        Scan("", NOON, "in_transit", "On the road", "Depot"),
        Scan("", None, "in_transit", "On the road", "Depot", estimated=NOON),
    )
    assert len({event.id, *(reported("Our Van", "4711", each, NOON.replace(hour=13)).id for each in others)}) == 6
    body = decode(event.type, event.version, event.subject, event.data)
    assert body.model_dump(exclude_none=True) == {
        "carrier": "Our Van", "trackingNumber": "4711", "status": "in_transit", "description": "On the road",
        "location": "Depot", "estimatedDelivery": NOON,
    }  # fmt: skip


def test_a_signed_scan_is_taken_under_a_source_that_nobody_else_has():
    told = taken(EVENT)
    assert (told.envelope.source, told.envelope.id, told.envelope.data) == ("manual/van", "scan-1", EVENT["data"])


def test_other_events_and_other_signatures_are_refused():
    with pytest.raises(EnvelopeError, match="it takes TrackingUpdated"):
        taken({**EVENT, "type": "FulfillmentDelivered"})
    body, headers = as_standard(EVENT)
    with pytest.raises(BadSignature, match="ORDERS_MANUAL_SECRETS"):
        receive(body + b" ", {name.lower(): value for name, value in headers.items()}, (STANDARD,), datetime.now(UTC))
