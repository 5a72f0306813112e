"""Parcels on real servers, followed at a carrier in a process of its own: each scan becomes one event."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from events.envelope import OWN_SOURCE
from outbound.tracking import polls, trackers
from outbound.tracking.claims import LEASE_S
from outbound.tracking.polls import PollRules
from providers.base import NoAnswer, ParcelUnknown, Scan
from providers.carriers.scans import scan_event
from providers.carriers.simulated import SimulatedCarrier
from storage import engine as engines
from tests.simulators import ROOT, SHARDS, a_paid_order, a_shop, an_event, running

CJ = "cj logistics"
PACE = timedelta(minutes=15)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LEASE_OVER = timedelta(seconds=LEASE_S + 1)
RULES = PollRules(PACE, retire_after=timedelta(days=30))


@pytest.fixture
def shop(database_url, redis_url):
    with a_shop(database_url, redis_url, {CJ: (CJ, None)}.get) as shop:
        yield shop


def a_shipped_order(number, parcel, carrier="CJ  Logistics"):
    shipped = an_event("FulfillmentShipped", number, fulfillment="box", carrier=carrier, trackingNumber=parcel)
    return [*a_paid_order(number, 10_000), shipped]


def poll(shop, carrier, later=timedelta(0), engine=None):
    """The poller, then the drain."""
    now = datetime.now(UTC) + later
    asked = polls.run_due(engine or shop.engine, shop.streams, SHARDS, CJ, carrier, RULES, now)
    shop.work()
    return asked


def counts(shop):
    with shop.engine.connect() as conn:
        return trackers.counts(conn)


def statuses(shop):
    return dict(tuple(row) for row in shop.rows("select order_number, status from orders"))


def event_id(parcel, scan):
    """The id of a scan's event, whoever tells it."""
    return scan_event(CJ, parcel, scan, seen=scan.time).id


def scan_events(shop):
    return shop.rows("select source, event_id, subject, data from journal where type = 'TrackingUpdated' order by seq")


HAPPENED = datetime.now(UTC).replace(microsecond=0)  # within the life of what these tests ship


@dataclass
class AScan:
    id: str
    status: str
    time: datetime = HAPPENED
    description: str | None = None
    location: str | None = None
    detail: str | None = None
    estimated: datetime | None = None


class Scripted:
    """A carrier that answers what `parcels` holds: scans, or an exception."""

    def __init__(self, **parcels):
        self.parcels = parcels

    def track(self, number):
        answer = self.parcels[number]
        if isinstance(answer, Exception):
            raise answer
        return answer


# -- to the end ----------------------------------------------------------------------------------------------


def until_delivered(shop, carrier, engine=None, most_s=60):
    """Poll with time going on, so that all is always due, until nothing is watched."""
    until = time.monotonic() + most_s
    later = timedelta(0)
    while counts(shop)["watched"]:
        assert time.monotonic() < until, counts(shop)
        poll(shop, carrier, later, engine)
        later += DAY
        time.sleep(0.02)


@pytest.mark.parametrize(("errors", "pollers"), [(0.05, 1), (0.3, 1), (0.3, 2)])
def test_every_parcel_arrives_and_no_scan_is_told_twice(shop, database_url, errors, pollers):
    """Two pollers whose clocks run apart take each other's leases for over; still no scan comes twice."""
    orders = {f"order-{n}": f"parcel-{n}" for n in range(12)}
    shop.tell(*(event for number, parcel in orders.items() for event in a_shipped_order(number, parcel)))
    assert counts(shop) == {"watched": 12, "failing": 0, "retired": 0}
    with (
        running("carrier", "--pace", 0.2, "--errors", errors, "--missing", 0.2) as (_, url),
        ThreadPoolExecutor(pollers) as rivals,
    ):

        def poller():
            engine = engines.connect(database_url, pinned=True)
            with closing(SimulatedCarrier(url, timeout=0.3, name=CJ)) as client:
                until_delivered(shop, client, engine)
            engine.dispose()

        for job in [rivals.submit(poller) for _ in range(pollers)]:
            job.result()
    shop.work()
    assert statuses(shop) == dict.fromkeys(orders, "delivered")
    assert counts(shop) == {"watched": 0, "failing": 0, "retired": 0}
    taken = shop.rows("select sum(cardinality(scans)) from trackers")[0][0]
    assert taken == len(scan_events(shop)) > 12
    assert shop.rows("select count(*) from duplicates") == [(0,)]
    assert shop.rows("select distinct status from trackers") == [("delivered",)]


def test_a_scan_is_its_orders_event(shop):
    shop.tell(*a_shipped_order("1", "P1"))
    happened = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    scan = AScan("s1", "in_transit", happened, "Left the hub", "Seoul")
    assert poll(shop, Scripted(P1=[scan])) == 1
    (told,) = scan_events(shop)
    assert told[:3] == (f"carrier:{CJ}", event_id("P1", scan), None)
    assert told.data == {
        "carrier": CJ,
        "trackingNumber": "P1",
        "status": "in_transit",
        "description": "Left the hub",
        "location": "Seoul",
    }
    assert shop.rows("select time from journal where type = 'TrackingUpdated'") == [(happened,)]


def test_a_parcel_is_asked_for_at_its_pace(shop):
    shop.tell(*a_shipped_order("1", "P1"))
    carrier = Scripted(P1=[AScan("s1", "in_transit")])
    assert poll(shop, carrier) == 1
    assert poll(shop, carrier, PACE * 0.7) == 0
    assert poll(shop, carrier, PACE * 1.3) == 1


def test_a_scan_that_turns_up_late_is_told_too(shop):
    shop.tell(*a_shipped_order("1", "P1"))
    late = AScan("s1", "picked_up", datetime(2026, 11, 1, tzinfo=UTC))
    first = AScan("s2", "in_transit", datetime(2026, 11, 2, tzinfo=UTC))
    poll(shop, Scripted(P1=[first]))
    poll(shop, Scripted(P1=[late, first]), HOUR)
    assert [row.event_id for row in scan_events(shop)] == [event_id("P1", first), event_id("P1", late)]
    assert shop.rows("select status, scans, finished from trackers") == [("in_transit", ["s2", "s1"], False)]


@pytest.mark.parametrize("end", ["delivered", "return_to_sender", "cancelled"])
def test_the_watch_ends_with_the_parcel_whatever_is_scanned_after(shop, end):
    shop.tell(*a_shipped_order("1", "P1"))
    after = AScan("s2", "in_transit", datetime(2026, 11, 2, tzinfo=UTC))
    poll(shop, Scripted(P1=[AScan("s1", end), after]))
    assert shop.rows("select status, finished from trackers") == [(end, True)]
    assert len(scan_events(shop)) == 2


def test_two_orders_in_one_parcel_each_have_its_scans(shop):
    shop.tell(*a_shipped_order("1", "P1"), *a_shipped_order("2", "P1"))
    scan = AScan("s1", "delivered")
    assert poll(shop, Scripted(P1=[scan])) == 1
    assert statuses(shop) == {"1": "delivered", "2": "delivered"}
    told, copy = scan_events(shop)
    assert told[:3] == (f"carrier:{CJ}", event_id("P1", scan), None)
    assert (copy.source, copy.data) == (OWN_SOURCE, told.data)


def test_only_carriers_that_are_polled_are_asked(shop):
    shop.tell(*a_shipped_order("1", "P1", "Horse Post"))
    assert counts(shop)["watched"] == 0
    shop.tell(*a_shipped_order("2", "P2"))
    now = datetime.now(UTC)
    assert polls.run_due(shop.engine, shop.streams, SHARDS, "another", Scripted(), RULES, now) == 0


def test_history_is_not_watched(shop):
    shop.tell(*a_shipped_order("1", "P1"), held=True)
    assert counts(shop)["watched"] == 0


# -- errors --------------------------------------------------------------------------------------------------


def test_errors_slow_a_parcel_down_and_one_answer_clears_them(shop):
    shop.tell(*a_shipped_order("1", "P1"))
    away = Scripted(P1=NoAnswer("busy"))
    poll(shop, away)
    poll(shop, away, 2 * HOUR)
    row = shop.rows("select * from trackers")[0]
    assert (row.failures, row.last_error, row.finished) == (2, "busy", False)
    assert row.next_at > datetime.now(UTC) + 2 * HOUR + 6 * PACE
    assert counts(shop) == {"watched": 1, "failing": 1, "retired": 0}
    poll(shop, Scripted(P1=[AScan("s1", "in_transit")]), DAY)
    assert shop.rows("select failures, last_error from trackers") == [(0, None)]


def test_the_pause_that_a_carrier_asks_for_is_kept(shop):
    shop.tell(*a_shipped_order("1", "P1"))
    poll(shop, Scripted(P1=NoAnswer("too many", retry_after=7200)))
    assert shop.rows("select next_at from trackers")[0].next_at > datetime.now(UTC) + 1.9 * HOUR


def test_a_parcel_that_stays_unknown_for_a_month_is_retired_and_counted(shop):
    shop.tell(*a_shipped_order("1", "UNKNOWN1"))
    with running("carrier") as (_, url), closing(SimulatedCarrier(url, name=CJ)) as client:
        for day in range(31):
            assert counts(shop)["retired"] == 0
            assert poll(shop, client, day * DAY) == 1
    row = shop.rows("select * from trackers")[0]
    assert (row.finished, row.failures) == (True, 31)
    assert "UNKNOWN1 is unknown" in row.last_error
    assert counts(shop) == {"watched": 0, "failing": 0, "retired": 1}


def test_a_parcel_that_is_not_known_yet_is_asked_for_within_hours(shop):
    shop.tell(*a_shipped_order("1", "P1"))
    unknown = Scripted(P1=ParcelUnknown("who?"))
    for day in range(20):
        poll(shop, unknown, day * DAY)
    assert shop.rows("select next_at from trackers")[0].next_at < datetime.now(UTC) + 19 * DAY + 8 * HOUR


@pytest.mark.parametrize("fault", [KeyError("scans"), [AScan("s1", "in_transit", description="\x00")]])
def test_one_bad_answer_stops_no_other_parcel(shop, fault):
    shop.tell(*a_shipped_order("1", "P1"), *a_shipped_order("2", "P2"))
    assert poll(shop, Scripted(P1=fault, P2=[AScan("s1", "delivered")])) == 2
    assert statuses(shop)["2"] == "delivered"
    (bad,) = shop.rows("select failures, scans, last_error from trackers where tracking_number = 'P1'")
    assert (bad.failures, bad.scans) == (1, [])
    assert bad.last_error


# -- killed, or too slow -------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from outbound.tracking import polls
from journal.streams import Streams, connect
from storage import engine

class Killed:
    def track(self, number):
        os.kill(os.getpid(), signal.SIGKILL)

database_url, redis_url = sys.argv[1:]
streams = Streams(connect(redis_url), 64, lambda shard: None)
rules = polls.PollRules(timedelta(minutes=15))
polls.run_due(engine.connect(database_url), streams, 64, "cj logistics", Killed(), rules, datetime.now(UTC))
"""


def test_a_killed_poller_costs_the_lease(shop, database_url, redis_url):
    shop.tell(*a_shipped_order("1", "P1"))
    died = subprocess.run([sys.executable, "-c", KILLED, database_url, redis_url], cwd=ROOT, check=False, timeout=60)
    assert died.returncode == -9
    carrier = Scripted(P1=[AScan("s1", "delivered")])
    assert poll(shop, carrier) == 0
    assert poll(shop, carrier, LEASE_OVER) == 1
    assert statuses(shop) == {"1": "delivered"}


def test_an_answer_after_the_lease_changes_nothing(shop):
    class Slow(Scripted):
        def track(self, number):
            poll(shop, Scripted(P1=[AScan("s1", "in_transit"), AScan("s2", "delivered")]), LEASE_OVER)
            return [AScan("s1", "in_transit")]

    shop.tell(*a_shipped_order("1", "P1"))
    poll(shop, Slow())
    assert len(scan_events(shop)) == 2
    assert shop.rows("select count(*) from duplicates") == [(0,)]
    assert shop.rows("select status, finished from trackers") == [("delivered", True)]


def test_a_carrier_that_never_answers_holds_up_no_round(shop, monkeypatch):
    monkeypatch.setattr(polls, "ANSWER_S", 0.3)
    over, answered = threading.Event(), []

    class Hanging(Scripted):
        def track(self, number):
            if number == "P1":
                over.wait(60)
            answered.append(number)
            return [AScan("s1", "delivered")]

    shop.tell(*a_shipped_order("1", "P1"), *a_shipped_order("2", "P2"))
    assert poll(shop, Hanging()) == 2
    assert answered == ["P2"], "the round waited for the one that hangs"
    over.set()
    assert statuses(shop) == {"1": "shipped", "2": "delivered"}
    assert shop.rows("select last_error from trackers where tracking_number = 'P1'") == [("no answer in time",)]


class Slow(Scripted):
    """A carrier that takes longer for one parcel than a whole run may take."""

    def track(self, number):
        time.sleep(2 * polls.SLICE_S)
        return super().track(number)


def test_a_slow_carrier_is_asked_for_a_slice_and_then_the_next_run_goes_on(shop, monkeypatch):
    monkeypatch.setattr(polls, "SLICE_S", 0.3)
    monkeypatch.setattr(polls, "AT_ONCE", 1)
    for n in range(3):
        shop.tell(*a_shipped_order(f"order-{n}", f"parcel-{n}"))
    slow = Slow(**{f"parcel-{n}": [AScan(f"s{n}", "in_transit")] for n in range(3)})
    assert [poll(shop, slow, HOUR) for _ in range(4)] == [1, 1, 1, 0]
    assert len(scan_events(shop)) == 3


# -- who tells it --------------------------------------------------------------------------------------------


def test_a_scan_that_a_webhook_told_before_is_the_same_event(shop):
    shop.tell(*a_shipped_order("1", "P1"))
    scan = AScan("the carrier's", "in_transit", description="Left the hub")
    departed = Scan("another", scan.time, "in_transit", "Departed")
    shop.tell(scan_event("CJ Logistics", "P1", departed, seen=scan.time))
    poll(shop, Scripted(P1=[scan]))
    assert [(row.source, row.event_id) for row in scan_events(shop)] == [(f"carrier:{CJ}", event_id("P1", scan))]
    assert shop.rows("select status, cardinality(scans) from trackers") == [("in_transit", 1)]
    assert shop.rows("select count(*) from duplicates") == [(1,)]


def test_scans_of_another_parcel_that_had_the_number_a_year_ago_end_no_watch(shop):
    shop.tell(*a_shipped_order("1", "P1"))
    now = datetime.now(UTC)
    stranger = AScan("old", "delivered", now - 365 * DAY)
    poll(shop, Scripted(P1=[stranger]))
    assert shop.rows("select status, finished from trackers") == [(None, False)]
    poll(shop, Scripted(P1=[stranger, AScan("own", "delivered", now)]), DAY)
    assert shop.rows("select status, finished from trackers") == [("delivered", True)]


def test_two_scans_of_one_moment_and_status_are_one_event(shop):
    shop.tell(*a_shipped_order("1", "P1"))
    poll(shop, Scripted(P1=[AScan("s1", "in_transit", location="Seoul"), AScan("s2", "in_transit", location="Busan")]))
    assert len(scan_events(shop)) == 1
    assert shop.rows("select scans from trackers") == [(["s1", "s2"],)]
    assert shop.rows("select count(*) from duplicates") == [(0,)]
