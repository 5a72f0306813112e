"""The simulated carrier's pure part: what happens to a parcel, and when it is told."""

from datetime import UTC, datetime
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from events.field_types import TrackingStatus
from providers.simulators.carrier import Carrier, scan_document
from providers.simulators.limits import Limits
from providers.simulators.lives import DELAY, FATES, LIFE, life, scans_so_far, with_fates
from providers.simulators.parcels import Hub, Told

SEEDS = st.integers(0, 10**9)
NUMBERS = st.text(min_size=1, max_size=40)
SHARES = st.floats(0, 1)
FLEET = [str(number) for number in range(1000)]


@given(seed=SEEDS, number=NUMBERS, missing=SHARES)
def test_every_parcel_is_delivered_within_its_life(seed, number, missing):
    steps = life(seed, number, missing)
    assert steps[-1].status == "delivered"
    assert all(0 < step.happened <= step.reported <= LIFE for step in steps)
    assert [step.happened for step in steps] == sorted(step.happened for step in steps)
    assert {step.status for step in steps} <= set(get_args(TrackingStatus))


@given(seed=SEEDS, number=NUMBERS, missing=SHARES)
def test_a_life_follows_from_seed_and_number_and_missing_only_takes_away(seed, number, missing):
    whole = life(seed, number)
    assert life(seed, number) == whole
    assert set(life(seed, number, missing)) <= set(whole)
    assert len({step.id for step in whole}) == len(whole)


@given(seed=SEEDS, number=NUMBERS, moments=st.tuples(st.floats(0, 20), st.floats(0, 20)))
def test_what_was_told_once_is_told_in_every_later_poll(seed, number, moments):
    steps = life(seed, number)
    early, late = (scans_so_far(steps, moment, pace=2.0) for moment in sorted(moments))
    assert set(early) <= set(late)
    assert scans_so_far(steps, LIFE * 2.0, pace=2.0) == steps


def test_of_a_fleet_about_the_asked_share_lacks_scans_and_some_come_unannounced():
    whole = {number: life(7, number) for number in FLEET}
    gappy = {number: life(7, number, 0.1) for number in FLEET}
    assert 70 <= sum(gappy[number] != whole[number] for number in FLEET) <= 130
    assert any(len(steps) == 1 for steps in gappy.values())
    assert all(life(7, number, 0.0) == whole[number] for number in FLEET)
    assert all(life(7, number, 1.0) != whole[number] for number in FLEET)


def test_in_a_fleet_some_scans_are_told_after_later_ones():
    fleet = [life(7, number) for number in FLEET]
    overtaken = [steps for steps in fleet if sorted(steps, key=lambda step: step.reported) != steps]
    after_delivery = [steps for steps in fleet if max(s.reported for s in steps[:-1]) > steps[-1].reported]
    delayed = [steps for steps in fleet if any(step.status == "delivery_delayed" for step in steps)]
    assert 100 < len(overtaken) < 700
    assert after_delivery
    assert 150 < len(delayed) < 250


def test_a_scan_reads_the_same_in_every_answer_and_tells_when_it_happened():
    step = life(7, "1")[0]
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    document = scan_document(Told(step, step.time(noon, 10.0)))
    assert document == scan_document(Told(step, step.time(noon, 10.0)))
    assert document["id"] == "scan-1"
    assert document["time"].startswith("2026-11-01T12:00:0")
    assert document["time"].endswith("Z")


# -- fates -----------------------------------------------------------------------------------------------------


@given(seed=SEEDS, number=NUMBERS, fates=st.sets(st.sampled_from(sorted(FATES))))
def test_whatever_befalls_a_parcel_its_own_last_scan_is_its_delivery(seed, number, fates):
    steps = with_fates(life(seed, number), fates)
    own = [step for step in steps if not step.years_ago and step.id != "late"]
    last = max(own, key=lambda step: (step.happened, step.status == "delivered"))
    assert last.status == "delivered"
    assert max(step.reported for step in steps) <= LIFE + DELAY + 0.5
    assert len({step.id for step in steps}) == len(steps)


def test_each_fate_does_what_it_says():
    plain = life(7, "1")
    noon = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert [s.reported for s in with_fates(plain, {"delayed"})] == [s.reported + DELAY for s in plain]
    assert {s.reported for s in with_fates(plain, {"quiet"})[1:]} == {plain[-1].reported}
    *_, failed, delivered = with_fates(plain, {"contradicted"})
    assert (failed.status, failed.happened) == ("delivery_failed", delivered.happened)
    taken, other, *own = with_fates(plain, {"reused"})
    assert [taken.time(noon, 1.0).year, other.time(noon, 1.0).year] == [2025, 2025]
    assert (other.status, own) == ("delivered", plain)
    sent, back = with_fates(plain, {"returned"})[-2:]
    assert (sent.status, back.status) == ("return_to_sender", "delivered")


def test_fates_are_drawn_for_each_parcel_by_seed_and_number():
    hub = Hub(Carrier(), 7, shares={"reused": 0.1})
    met = {number for number in FLEET if hub.fate("reused", number)}
    assert 60 <= len(met) <= 140
    assert met == {number for number in FLEET if Hub(Carrier(), 7, shares={"reused": 0.1}).fate("reused", number)}


# -- limits ----------------------------------------------------------------------------------------------------


def test_a_rate_counts_in_every_second_and_a_quota_in_all():
    limits = Limits(rate=3, quota=5)
    assert [limits.lets_through(str(at), at) for at in (0.0, 0.5, 0.9, 0.95, 1.6)] == [True, True, True, False, True]
    assert limits.told()["soonest_s"] is None
    assert not limits.lets_through("1.6", 9.0)
    assert limits.told()["soonest_s"] == 7.4
    told = limits.told()
    assert (told["questions"], told["over_rate"], told["over_quota"], told["most"]) == (6, 1, 1, 4)
    assert limits.pause_s() == 3600


def test_limits_are_changed_by_name_and_by_nothing_else():
    limits = Limits()
    limits.change({"quota": 9, "away": True, "questions": 0, "nonsense": 1})
    assert (limits.quota, limits.away, limits.questions) == (9, True, 0)
    limits.change({"quota": None})
    assert limits.quota is None
