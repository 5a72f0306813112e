"""Limits, breakers and the pace of polls on real servers: shared by all workers, and no write that is not needed."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from outbound.tracking import carriers, polls, trackers
from outbound.tracking.allowance import burst, interval
from outbound.tracking.breaker import FAILURES
from outbound.tracking.polls import PollRules
from providers.base import NoAnswer, ParcelUnknown, RateLimited, Scan
from providers.carriers.limits import Limits, Rate
from storage import engine as engines
from tests.simulators import SHARDS, a_paid_order, a_shop, an_event

VAN = "our van"
PACE = timedelta(minutes=15)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
MONTH_S_BEGIN = datetime(2026, 12, 1, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop(module_database_url, module_redis_url):
    with a_shop(module_database_url, module_redis_url, {VAN: (VAN, None)}.get) as shop:
        shop.tell(*a_paid_order("1", 500), an_event("FulfillmentShipped", "1", fulfillment="box"))
        yield shop


@pytest.fixture
def parcels(shop):
    """`parcels(count)` makes so many trackers due, and there are no others."""

    def make(count, begun=MONTH_S_BEGIN):
        shop.do(
            "delete from trackers; delete from polled_carriers; delete from correlations where key like 'tracking:%'"
        )
        shop.do(
            "insert into trackers (id, key, carrier, tracking_number, next_at, created_at) "
            "select gen_random_uuid(), 'tracking:our van:' || n, 'our van', cast(n as text), :at, :at "
            "from generate_series(1, :count) n",
            count=count,
            at=begun,
        )
        shop.do(
            "insert into correlations (key, order_id) select t.key, o.id from trackers t, orders o where o.order_number = '1'"
        )

    return make


class Van:
    """A carrier that answers each parcel as `tell` says, and notes when it was asked for which."""

    def __init__(self, tell=lambda number: []):
        self.tell, self.times = tell, []
        self.asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def track(self, number):
        with self._lock:
            self.asked[number] += 1
            self.times.append(time.monotonic())
        answer = self.tell(number)
        if isinstance(answer, Exception):
            raise answer
        return answer


def poll(shop, van, now=MONTH_S_BEGIN, engine=None, limit=10_000, **rules):
    return polls.run_due(
        engine or shop.engine, shop.streams, SHARDS, VAN, van, PollRules(PACE, **rules), now, limit=limit
    )


def stands(shop):
    with shop.engine.connect() as conn:
        return carriers.every(conn)[0]


# -- the rate and the quota --------------------------------------------------------------------------------------


def test_two_workers_keep_one_rate_together_and_ask_for_no_parcel_twice(shop, parcels, module_database_url):
    parcels(60)
    rate, van = Rate(40, SECOND), Van()
    limits = Limits(rate)
    begun = time.monotonic()
    engines_of_two = [engines.connect(module_database_url, pinned=True) for _ in range(2)]
    with ThreadPoolExecutor(2) as workers:
        rounds = [workers.submit(poll, shop, van, engine=engine, limits=limits) for engine in engines_of_two]
        assert sum(each.result() for each in rounds) == 60
    for engine in engines_of_two:
        engine.dispose()
    assert set(van.asked.values()) == {1}
    apart_s, at_once = interval(rate).total_seconds(), burst(rate)
    early = [n for n, at in enumerate(sorted(van.times), 1) if at - begun < (n - at_once) * apart_s]
    assert not early, "of so many questions the last went out before the rate let it"


def test_a_quota_that_is_spent_lets_nothing_through_until_the_month_is_over(shop, parcels):
    parcels(10)
    van, limits = Van(), Limits(per_month=7)
    assert poll(shop, van, limits=limits) == 7
    assert poll(shop, van, limits=limits) == 0
    assert stands(shop).allowance.quota_spent(limits, MONTH_S_BEGIN)
    assert poll(shop, van, MONTH_S_BEGIN + 31 * DAY, limits=limits) == 7
    assert shop.rows("select count(*) from trackers where failures > 0 or finished") == [(0,)]


def test_a_carrier_that_wants_fewer_questions_gets_none_for_its_pause_and_no_parcel_is_blamed(shop, parcels):
    parcels(40)
    van = Van(lambda number: RateLimited("429", retry_after=600))
    asked = poll(shop, van)
    assert asked <= 2 * polls.AT_ONCE
    assert poll(shop, van, MONTH_S_BEGIN + 599 * SECOND) == 0
    assert shop.rows("select max(failures), count(last_error) from trackers") == [(0, 0)]
    assert poll(shop, Van(), MONTH_S_BEGIN + 3 * HOUR) == 40
    assert stands(shop).last_error is None


# -- the breaker -------------------------------------------------------------------------------------------------


def test_a_carrier_that_is_away_is_left_alone_then_tried_with_one_parcel(shop, parcels):
    parcels(100)
    van = Van(lambda number: NoAnswer("503"))
    asked = poll(shop, van)
    assert FAILURES <= asked <= 2 * polls.AT_ONCE
    untouched = "select count(*) from trackers where failures = 0 and next_at = :at"
    assert shop.rows(untouched, at=MONTH_S_BEGIN) == [(100 - asked,)]
    assert poll(shop, van, MONTH_S_BEGIN + 29 * SECOND) == 0
    assert poll(shop, van, MONTH_S_BEGIN + 60 * SECOND) == 1
    assert stands(shop).breaker.opened == 2
    assert poll(shop, Van(), MONTH_S_BEGIN + 10 * HOUR) == 100
    assert stands(shop).breaker.state == "closed"


def test_parcels_that_the_carrier_does_not_know_open_no_breaker(shop, parcels):
    parcels(30)
    assert poll(shop, Van(lambda number: ParcelUnknown("who?"))) == 30
    assert stands(shop).breaker.state == "closed"


def test_while_its_carrier_is_away_no_parcel_is_retired(shop, parcels):
    parcels(20)
    away, month = Van(lambda number: NoAnswer("503")), timedelta(days=30)
    for day in range(40):
        poll(shop, away, MONTH_S_BEGIN + day * DAY, retire_after=month)
    assert shop.rows("select count(*) from trackers where finished") == [(0,)]


# -- what is written ---------------------------------------------------------------------------------------------


def test_a_poll_that_tells_nothing_new_writes_nothing_but_the_next_time(shop, parcels):
    parcels(3)
    seen = Scan("s1", MONTH_S_BEGIN, "in_transit")
    van = Van(lambda number: [seen])
    poll(shop, van)
    before = shop.rows("select to_jsonb(t) - 'next_at' from trackers t order by id")
    seqs = shop.rows("select count(*) from journal")
    wrote = []
    with shop.engine.begin() as conn:  # a trigger sees each write with what it changes
        conn.execute(text("create table seen_writes (changed text)"))
        conn.execute(
            text(
                "create function see() returns trigger language plpgsql as $$ begin insert into seen_writes "
                "select n.key from jsonb_each(to_jsonb(new)) n where to_jsonb(old) -> n.key <> n.value; return new; end $$"
            )
        )
        conn.execute(text("create trigger see before update on trackers for each row execute function see()"))
    try:
        assert poll(shop, van, MONTH_S_BEGIN + HOUR) == 3
        wrote = shop.rows("select changed, count(*) from seen_writes group by 1")
    finally:
        shop.do("drop trigger see on trackers; drop function see; drop table seen_writes")
    assert wrote == [("next_at", 6)], "its lease, and its next time"
    assert shop.rows("select to_jsonb(t) - 'next_at' from trackers t order by id") == before
    assert shop.rows("select count(*) from journal") == seqs


def test_the_drain_writes_a_tracker_when_its_number_is_named_or_open_again_and_with_no_scan(shop, parcels):
    parcels(0)
    named = {"fulfillment": "drained", "carrier": VAN, "trackingNumber": "D1"}
    shop.tell(
        *a_paid_order("drained", 500),
        an_event("FulfillmentPacked", "drained", items=[{"item": "a", "quantity": 1}], **named),
    )
    row = "select to_jsonb(t) || jsonb_build_object('written', t.xmin::text, 'locked', t.xmax::text) from trackers t"
    before = shop.rows(row)
    shop.tell(an_event("FulfillmentShipped", "drained", **named))
    shop.tell(an_event("TrackingUpdated", None, carrier=VAN, trackingNumber="D1", status="in_transit"))
    assert shop.rows(row) == before
    shop.do("update trackers set finished = true")
    shop.tell(an_event("FulfillmentDelivered", "drained", fulfillment="drained"))
    assert shop.rows("select finished from trackers") == [(True,)]
    shop.tell(an_event("FulfillmentCorrected", "drained", fulfillment="drained", status="shipped", by="kim"))
    assert shop.rows("select finished, status from trackers") == [(False, None)]


def test_an_idle_round_writes_nothing(shop, parcels):
    parcels(1, begun=MONTH_S_BEGIN + DAY)
    poll(shop, Van(), limits=Limits(Rate(5, SECOND)))
    row = "select to_jsonb(c) from polled_carriers c"
    before = shop.rows(row)
    assert poll(shop, Van(), limits=Limits(Rate(5, SECOND))) == 0
    assert shop.rows(row) == before


def test_a_parcel_that_is_silent_is_asked_for_more_slowly_and_retired_after_a_month(shop, parcels):
    parcels(1)
    van, now, waits = Van(lambda number: [Scan("s1", MONTH_S_BEGIN, "in_transit")]), MONTH_S_BEGIN, []
    while not shop.rows("select finished from trackers")[0][0]:
        poll(shop, van, now, retire_after=timedelta(days=30))
        next_at = shop.rows("select next_at from trackers")[0][0]
        waits.append(next_at - now)
        now = next_at + SECOND
    assert waits[0] < 1.3 * PACE
    assert max(waits[-20:]) > 10 * PACE
    assert 29 * DAY < now - MONTH_S_BEGIN < 32 * DAY
    assert len(waits) < 700  # at the pace of its first days they would be 2,880
    said = shop.rows("select last_error from trackers")[0][0]
    assert said == "nothing new for 30 days; its last status was in_transit"


# -- for operators -----------------------------------------------------------------------------------------------


def test_retired_parcels_are_listed_and_asked_for_again(shop, parcels):
    parcels(4)
    shop.do("update trackers set finished = true, last_error = 'nothing new' where tracking_number in ('1', '2', '3')")
    with shop.engine.begin() as conn:
        listed = trackers.listed(conn, "retired", MONTH_S_BEGIN, None, 10)
        assert {each.tracking_number for each in listed} == {"1", "2", "3"}
        assert {(each.polled_by, each.retired) for each in listed} == {(VAN, True)}
        assert {tuple(each.orders) for each in listed} == {("1",)}
        assert trackers.resume(conn, ["1", "4"], None, MONTH_S_BEGIN, "kim") == ["1"]
        assert trackers.resume(conn, [], VAN, MONTH_S_BEGIN, "kim") == ["2", "3"]
        assert trackers.resume(conn, [], None, MONTH_S_BEGIN, "kim") == []
    assert shop.rows("select actor, count(*) from audit where action = 'trackers resume' group by 1") == [("kim", 3)]
    assert poll(shop, Van(), retire_after=timedelta(days=30)) == 4
    assert shop.rows("select count(*) from trackers where finished") == [(0,)]


@pytest.mark.parametrize(("kind", "numbers"), [("watched", {"1", "2", "3"}), ("failing", {"2"}), ("silent", {"3"})])
def test_each_kind_of_watch_can_be_listed(shop, parcels, kind, numbers):
    parcels(4)
    shop.do("update trackers set finished = true where tracking_number = '4'")
    shop.do("update trackers set failures = 2 where tracking_number = '2'")
    shop.do("update trackers set heard_at = :at where tracking_number <> '3'", at=MONTH_S_BEGIN + 3 * DAY)
    with shop.engine.begin() as conn:
        listed = trackers.listed(conn, kind, MONTH_S_BEGIN + DAY, VAN, 10)
        assert {each.tracking_number for each in listed} == numbers
        assert trackers.listed(conn, kind, MONTH_S_BEGIN + DAY, "another", 10) == []
