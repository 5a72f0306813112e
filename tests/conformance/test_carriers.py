"""One suite that every carrier passes; the simulated one runs as a process."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from events.catalogue import decode
from events.envelope import Envelope
from providers.carriers import CarrierError, ParcelUnknown, envelope_of
from providers.carriers.simulated import SimulatedCarrier
from providers.simulators.carrier import LIFE, life

SEED = 7
PACE_S = 0.1
MISSING = 0.3
NUMBERS = [f"no-{number}" for number in range(12)]
OPTIONS = ("--seed", SEED, "--pace", PACE_S, "--missing", MISSING)


@pytest.fixture(scope="module", params=[0.0, 0.5], ids=["calm", "bad days"])
def carrier(request, running):
    with running("carrier", *OPTIONS, "--errors", request.param) as (_, url):
        client = SimulatedCarrier(url, timeout=0.3 if request.param else 5.0)
        yield client
        client.close()


def tracked(carrier, number, tries=50):
    """The scans, after as many polls as it takes."""
    for _ in range(tries):
        try:
            return carrier.track(number)
        except ParcelUnknown:
            raise
        except CarrierError:
            continue
    raise AssertionError(f"no answer in {tries} polls")


def test_each_parcel_s_scans_grow_until_it_is_delivered_and_never_change(carrier):
    begun = datetime.now(UTC)
    seen: dict[str, dict] = {number: {} for number in NUMBERS}
    until = time.monotonic() + LIFE * PACE_S + 5
    while time.monotonic() < until:
        for number, known in seen.items():
            scans = tracked(carrier, number)
            assert scans == sorted(scans, key=lambda scan: scan.time)
            found = {scan.id: scan for scan in scans}
            assert len(found) == len(scans)
            assert known.items() <= found.items()
            known |= found
        if all(len(seen[number]) == len(life(SEED, number, MISSING)) for number in NUMBERS):
            break
    for number, known in seen.items():
        last = max(known.values(), key=lambda scan: scan.time)
        assert last.status == "delivered"
        assert [*sorted(known)] == sorted(step.id for step in life(SEED, number, MISSING))
        assert all(begun <= scan.time <= datetime.now(UTC) for scan in known.values())


def test_each_scan_is_an_event_that_the_journal_takes(carrier):
    for scan in tracked(carrier, NUMBERS[0]):
        event = envelope_of(carrier.name, NUMBERS[0], scan)
        assert Envelope.parse(event.as_document()) == event
        body: Any = decode(event.type, event.version, event.subject, event.data)
        assert body.status == scan.status


def test_a_number_that_the_carrier_does_not_know_is_told_apart(carrier):
    with pytest.raises(ParcelUnknown):
        tracked(carrier, "UNKNOWN-1")


@pytest.mark.parametrize("number", ["a/b?c#d", "송장 1", "50%", "a%2Fb"])
def test_a_number_may_hold_any_sign(carrier, number):
    assert isinstance(tracked(carrier, number), list)


def test_on_bad_days_only_carrier_errors_are_seen_and_of_several_kinds(running):
    with running("carrier", *OPTIONS, "--errors", 1.0) as (process, url):
        carrier = SimulatedCarrier(url, timeout=0.1)
        told = []
        for number in range(25):
            with pytest.raises(CarrierError) as caught:
                carrier.track(str(number))
            told.append(caught.value)
        process.kill()
        process.wait()
        with pytest.raises(CarrierError, match=r"could not be reached|broke off"):
            carrier.track("1")
        carrier.close()
    kinds = ("503", "no answer within", "broke off", "no JSON", "another shape")
    assert all(any(kind in str(error) for error in told) for kind in kinds)
    assert {error.retry_after for error in told} == {None, 1.0}
