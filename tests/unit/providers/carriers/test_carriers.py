from datetime import UTC, datetime, timedelta
from typing import Any

from events.catalogue import decode, tracking_key
from events.envelope import Envelope
from providers.base import Scan
from providers.carriers.scans import scan_event
from settings.fields import plain_name

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_a_scan_becomes_one_event_however_often_it_is_polled():
    first, again = (
        scan_event("cj logistics", "123", Scan("s1", NOON, "in_transit", None, "Seoul"), seen=NOON) for _ in "ab"
    )
    assert first.source == "carrier:cj logistics"
    assert first.id.startswith("123:")
    assert again == first


def test_a_scan_s_event_is_one_that_the_catalogue_reads():
    event = scan_event("CJ", "123", Scan("s1", NOON, "delivered"), seen=NOON)
    assert Envelope.parse(event.as_document()) == event
    body: Any = decode(event.type, event.version, event.subject, event.data)
    assert (body.carrier, body.trackingNumber, body.status) == ("CJ", "123", "delivered")
    assert body.description is None
    assert event.time == NOON


def test_carriers_names_compare_as_in_the_correlation_key():
    for name in ("CJ Logistics", " cj\tlogistics ", "ÉPOST", "우체국  택배"):
        assert tracking_key(name, "1") == f"tracking:{plain_name(name)}:1"


def test_a_scan_s_time_is_when_it_happened_not_when_it_was_polled():
    late = Scan("s2", NOON - timedelta(hours=5), "picked_up")
    assert scan_event("CJ", "1", late, seen=NOON).time == NOON - timedelta(hours=5)
