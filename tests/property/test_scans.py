"""One scan is one fact, whoever tells it, how often, in whatever words: EasyPost by webhook and by poll, tracker.delivery by poll."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from events.catalogue import tracking_key
from events.envelope import Envelope
from providers.base import Scan
from providers.carriers import easypost_api, tracker_delivery_events
from providers.carriers.easypost import receive
from providers.carriers.scans import scan_event
from tests.webhooks import EASYPOST, an_id, as_easypost

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
KST = timedelta(hours=9)
# A unified status, and the words of both services for it.
WORDS = {
    "in_transit": ("in_transit", "IN_TRANSIT"),
    "out_for_delivery": ("out_for_delivery", "OUT_FOR_DELIVERY"),
    "delivery_failed": ("failure", "ATTEMPT_FAIL"),
    "delivered": ("delivered", "DELIVERED"),
}
FACTS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(sorted(WORDS))), min_size=1, max_size=8)
TEXTS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=9)
NUMBERS = st.sampled_from(["1Z999", "6400-0123"])


def easyposts(facts, number, says):
    """A tracker of EasyPost's with these scans, oldest first."""
    details = [
        {"datetime": (NOON + timedelta(minutes=at)).isoformat(), "status": WORDS[status][0], "message": says}
        for at, status in facts
    ]
    return {
        "object": "Tracker",
        "tracking_code": number,
        "carrier": "CJ Logistics",
        "status": details[-1]["status"],
        "tracking_details": details,
    }


def by_webhook(facts, number, says):
    body, headers = as_easypost(
        {
            "id": an_id(),
            "description": "tracker.updated",
            "created_at": NOON.isoformat(),
            "result": easyposts(facts, number, says),
        }
    )
    notice = receive(body, {name.lower(): value for name, value in headers.items()}, (EASYPOST,), datetime.now(UTC))
    return [*notice.history, notice.envelope]


def by_poll(facts, number, says):
    return as_events(easypost_api.scans_of(easyposts(facts, number, says), number), number)


def by_another_service(facts, number, says):
    nodes = [
        {
            "time": (NOON + timedelta(minutes=at) + KST).replace(tzinfo=None).isoformat() + "+09:00",
            "status": {"code": WORDS[status][1]},
            "description": says,
            "location": {"name": "Okcheon"},
        }
        for at, status in facts
    ]
    parcel = {"trackingNumber": number, "events": {"edges": [{"node": node} for node in nodes]}}
    return as_events(tracker_delivery_events.scans_of(tracker_delivery_events.Parcel.model_validate(parcel)), number)


def as_events(scans: list[Scan], number: str) -> list[Envelope]:
    return [scan_event("cj  logistics", number, scan, seen=NOON) for scan in scans]


TELLERS = st.sampled_from([by_webhook, by_poll, by_another_service])


@given(facts=FACTS, number=NUMBERS, told=st.lists(st.tuples(TELLERS, st.integers(1, 8), TEXTS), min_size=1, max_size=6))
def test_however_scans_are_told_each_is_one_event(facts, number, told):
    facts = sorted(set(facts))
    events: list[Envelope] = []
    seen: set[tuple[int, str]] = set()
    for teller, most, says in told:
        events += teller(facts[:most], number, says)
        seen |= set(facts[:most])
    kept = {(event.source, event.id): event for event in reversed(events)}
    assert sorted((event.time, event.data["status"]) for event in kept.values()) == sorted(
        (NOON + timedelta(minutes=at), status) for at, status in seen
    )
    assert {event.source for event in events} == {"carrier:cj logistics"}


@given(
    one=st.tuples(st.integers(0, 9), st.sampled_from(sorted(WORDS)), NUMBERS, st.sampled_from(["UPS", "ups ", "DHL"])),
    other=st.tuples(
        st.integers(0, 9), st.sampled_from(sorted(WORDS)), NUMBERS, st.sampled_from(["UPS", "ups ", "DHL"])
    ),
)
def test_two_scans_are_one_event_only_where_parcel_time_and_status_are_the_same(one, other):
    events, facts = [], []
    for at, status, number, carrier in (one, other):
        time = NOON + timedelta(seconds=at)
        events.append(scan_event(carrier, number, Scan("x", time, status), seen=NOON))
        facts.append((tracking_key(carrier, number), time, status))
    same = (events[0].source, events[0].id) == (events[1].source, events[1].id)
    assert same == (facts[0] == facts[1])
