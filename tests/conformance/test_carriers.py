"""One suite that every carrier passes; the simulated ones run as processes.

A service that follows the parcels of many carriers has a simulator in its own wire format, and is asked for one of them.
"""

import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from events.catalogue import decode
from events.envelope import Envelope
from providers.base import NoAnswer, ParcelUnknown
from providers.carriers.scans import scan_event
from providers.simulators.lives import LIFE, life
from tests.conformance.conftest import able, named

SEED = 7
PACE_S = 0.1
MISSING = 0.3
NUMBERS = [f"no-{number}" for number in range(12)]
# Of those that do not speak the simulated carrier's protocol: a carrier's id there, and what it has no status for.
WIRE_FORMATS = {
    "easypost": ("UPS", {"picked_up": "in_transit", "delivery_delayed": "in_transit"}),
    "tracker_delivery": ("kr.cjlogistics", {"delivery_delayed": "on_hold"}),
}
OPTIONS = ("--seed", SEED, "--pace", PACE_S, "--missing", MISSING)


# karrio asks each carrier in that carrier's own wire format: tests/unit/providers/carriers/test_karrio.py.
OF_OTHER_TESTS = {"karrio"}


@pytest.fixture(scope="module", params=[each for each in able("tracks") if each.name not in OF_OTHER_TESTS], ids=named)
def provider(request):
    return request.param


@pytest.fixture(scope="module")
def simulator(provider):
    return provider.name if provider.name in WIRE_FORMATS else "carrier"


@pytest.fixture(scope="module")
def client(provider, connect):
    """`client(url)`: a client for one carrier."""

    def made(url):
        found = connect(provider, "tracks", url)
        return found.of_carrier(WIRE_FORMATS[provider.name][0]) if provider.aggregates else found

    return made


@pytest.fixture(scope="module", params=[0.0, 0.5], ids=["calm", "bad days"])
def carrier(request, running, simulator, client, quick):
    with running(simulator, *OPTIONS, "--errors", request.param) as (_, url):
        quick(request.param > 0)
        yield client(url)


def lived(provider, number):
    """A parcel's whole life: its scans' ids, or the statuses that a service tells which gives no ids."""
    steps = life(SEED, number, MISSING)
    if provider.name not in WIRE_FORMATS:
        return sorted(step.id for step in steps)
    words = WIRE_FORMATS[provider.name][1]
    return sorted(["pending", *(words.get(step.status, step.status) for step in steps)])


def told(provider, scans):
    """The same of the scans that it told."""
    return sorted(scan.status if provider.name in WIRE_FORMATS else scan.id for scan in scans)


def tracked(carrier, number, tries=50):
    """The scans, after as many polls as it takes."""
    for _ in range(tries):
        try:
            return carrier.track(number)
        except ParcelUnknown:
            raise
        except NoAnswer:
            continue
    raise AssertionError(f"no answer in {tries} polls")


def test_each_parcel_s_scans_grow_until_it_is_delivered_and_never_change(carrier, provider):
    begun = datetime.now(UTC).replace(microsecond=0)  # some tell whole seconds
    seen: dict[str, dict] = {number: {} for number in NUMBERS}
    last: dict[str, list] = {}
    lives = {number: lived(provider, number) for number in NUMBERS}
    until = time.monotonic() + LIFE * PACE_S + 5
    while time.monotonic() < until:
        for number, known in seen.items():
            scans = tracked(carrier, number)
            assert scans == sorted(scans, key=lambda scan: scan.time)
            found = {scan.id: scan for scan in scans}
            assert len(found) == len(scans)
            assert known.items() <= found.items()
            known |= found
            last[number] = scans
        if all(len(seen[number]) == len(lives[number]) for number in NUMBERS):
            break
    for number, known in seen.items():
        assert last[number][-1].status == "delivered"
        assert told(provider, known.values()) == lives[number]
        assert all(begun <= scan.time <= datetime.now(UTC) for scan in known.values())


def test_each_scan_is_an_event_that_the_journal_takes(carrier, provider):
    for scan in tracked(carrier, NUMBERS[0]):
        event = scan_event(provider.name, NUMBERS[0], scan, seen=datetime.now(UTC))
        assert Envelope.parse(event.as_document()) == event
        body: Any = decode(event.type, event.version, event.subject, event.data)
        assert body.status == scan.status


def test_a_number_that_the_carrier_does_not_know_is_told_apart(carrier):
    with pytest.raises(ParcelUnknown):
        tracked(carrier, "UNKNOWN-1")


@pytest.mark.parametrize("number", ["a/b?c#d", "송장 1", "50%", "a%2Fb"])
def test_a_number_may_hold_any_sign(carrier, number):
    assert isinstance(tracked(carrier, number), list)


def test_on_bad_days_only_one_kind_of_error_is_seen_and_it_says_several_things(running, simulator, client, quick):
    with running(simulator, *OPTIONS, "--errors", 1.0) as (process, url):
        quick(True)
        carrier = client(url)
        told = []
        for number in range(25):
            with pytest.raises(NoAnswer) as caught:
                carrier.track(str(number))
            told.append(caught.value)
        process.kill()
        process.wait()
        with pytest.raises(NoAnswer):
            carrier.track("1")
    assert not any(isinstance(error, ParcelUnknown) for error in told)
    assert len({re.sub("[0-9]+", "", str(error)) for error in told}) >= 4, "an outage, silence, a cut, another shape"
    assert {error.retry_after for error in told} == {None, 1.0}
