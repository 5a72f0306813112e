"""One suite that every carrier passes; the simulated one runs as a process."""

import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from events.catalogue import decode
from events.envelope import Envelope
from outbound.tracking import envelope_of
from providers.base import NoAnswer, ParcelUnknown
from providers.simulators.carrier import LIFE, life
from tests.conformance.conftest import able, named

SEED = 7
PACE_S = 0.1
MISSING = 0.3
NUMBERS = [f"no-{number}" for number in range(12)]
OPTIONS = ("--seed", SEED, "--pace", PACE_S, "--missing", MISSING)


@pytest.fixture(scope="module", params=able("tracks"), ids=named)
def provider(request):
    return request.param


@pytest.fixture(scope="module", params=[0.0, 0.5], ids=["calm", "bad days"])
def carrier(request, running, provider, connect, quick):
    with running("carrier", *OPTIONS, "--errors", request.param) as (_, url):
        quick(request.param > 0)
        yield connect(provider, "tracks", url)


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


def test_each_scan_is_an_event_that_the_journal_takes(carrier, provider):
    for scan in tracked(carrier, NUMBERS[0]):
        event = envelope_of(provider.name, NUMBERS[0], scan)
        assert Envelope.parse(event.as_document()) == event
        body: Any = decode(event.type, event.version, event.subject, event.data)
        assert body.status == scan.status


def test_a_number_that_the_carrier_does_not_know_is_told_apart(carrier):
    with pytest.raises(ParcelUnknown):
        tracked(carrier, "UNKNOWN-1")


@pytest.mark.parametrize("number", ["a/b?c#d", "송장 1", "50%", "a%2Fb"])
def test_a_number_may_hold_any_sign(carrier, number):
    assert isinstance(tracked(carrier, number), list)


def test_on_bad_days_only_one_kind_of_error_is_seen_and_it_says_several_things(running, provider, connect, quick):
    with running("carrier", *OPTIONS, "--errors", 1.0) as (process, url):
        quick(True)
        carrier = connect(provider, "tracks", url)
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
