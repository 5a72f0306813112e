"""Many webhooks, few commits; and nobody is lost or failed by another."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from api.errors import ApiError
from api.publisher import Publisher
from api.webhooks_in.group_commit import WAITING_BYTES, Journaler, Verdict
from events.envelope import Envelope
from journal.relay import SETTLING_S, relay
from journal.streams import Streams, connect
from journal.trace_causes import Causes
from providers.base import ReceivedWebhook
from telemetry import traces
from tests.collector import recording
from tests.simulators import SHARDS, a_paid_order
from tests.webhooks import an_id, as_standard, as_stripe, portone_event, stripe_paid

CLOSED = "redis://127.0.0.1:1/0"


def a_notice(own_id=None, **data):
    envelope = Envelope(own_id or an_id(), "test", "test.x", datetime(2026, 11, 1, tzinfo=UTC), None, data)
    return ReceivedWebhook(envelope)


@pytest.fixture
def journaler(door):
    made = Journaler(door.shop.engine, SHARDS, Publisher(door.shop.streams))
    yield made
    asyncio.run(made.stop())


def accept(journaler, *notices, provider="test"):
    async def run():
        return await asyncio.gather(
            *[journaler.accept(notice, provider, 100) for notice in notices], return_exceptions=True
        )

    return asyncio.run(run())


def test_a_burst_is_written_in_few_commits_and_each_gets_its_own_answer(door):
    paid = [stripe_paid(f"pi_{number}", 500) for number in range(600)]
    twice = [as_stripe(document) for document in [*paid, *paid[:100]]]
    statuses = door.stripe(*twice)
    assert (statuses.count(202), statuses.count(200)) == (600, 100)
    assert door.commits < 140
    assert door.counts("accepted", "duplicate") == (700, 100)
    door.shop.work()
    assert door.counts("parked", "waiting") == (600, 0)


def test_groups_form_while_a_commit_is_under_way(door, journaler):
    assert set(accept(journaler, *[a_notice() for _ in range(1000)])) == {Verdict.NEW}
    assert journaler.commits <= 10


def test_two_of_one_group_are_one_and_its_duplicate(journaler):
    one = a_notice("e-1", a=1)
    same, other = ReceivedWebhook(replace(one.envelope)), a_notice("e-1", a=2)
    found = accept(journaler, one, same, other)
    assert sorted(found) == [Verdict.BODY_DIFFERS, Verdict.DUPLICATE, Verdict.NEW]


def test_poison_in_a_group_fails_nobody_but_itself(door, journaler):
    notices = [a_notice() for _ in range(200)]
    poison = {17, 99, 140}
    for place in poison:
        notices[place] = a_notice(f"nul \x00 {place}")
    found = accept(journaler, *notices)
    for place, verdict in enumerate(found):
        if place in poison:
            assert isinstance(verdict, ApiError)
            assert verdict.status == 400
        else:
            assert verdict is Verdict.NEW
    assert len(door.journaled("test")) == 197


def test_a_bug_of_ours_fails_nobody_but_itself(journaler):
    first, bug, last = accept(journaler, a_notice(), a_notice(a=object()), a_notice())
    assert (first, last) == (Verdict.NEW, Verdict.NEW)
    assert isinstance(bug, TypeError)


def test_thin_webhooks_of_a_group_with_poison_are_still_asked_for_once(door, journaler):
    thin = [replace(a_notice(), thin=True) for _ in range(5)]
    accept(journaler, *thin, a_notice("\x00"), provider="portone")
    accept(journaler, *thin, provider="portone")
    assert len(door.shop.rows("select from inbox")) == 5


def test_what_came_along_is_taken_where_it_is_new_and_counts_nothing_where_it_is_known(door, journaler):
    first, second, third = (a_notice(f"scan-{number}").envelope for number in (1, 2, 3))
    assert accept(journaler, ReceivedWebhook(second, (first,))) == [Verdict.NEW]
    assert accept(journaler, ReceivedWebhook(third, (first, second)), ReceivedWebhook(second, (first,))) == [
        Verdict.NEW,
        Verdict.DUPLICATE,
    ]
    assert [row.event_id for row in door.journaled("test")] == ["scan-2", "scan-1", "scan-3"]
    assert door.counts("accepted", "duplicate") == (4, 1)


def test_two_processes_may_journal_the_same_events_in_opposite_orders(door, journaler):
    rival = Journaler(door.shop.engine, SHARDS, Publisher(door.shop.streams))
    rounds = 15

    async def both():
        for number in range(rounds):
            notices = [a_notice(f"{number}-{each}") for each in range(60)]
            found = await asyncio.gather(
                *[journaler.accept(notice, "test", 100) for notice in notices],
                *[rival.accept(notice, "test", 100) for notice in reversed(notices)],
            )
            assert found.count(Verdict.NEW) == found.count(Verdict.DUPLICATE) == 60

    asyncio.run(both())
    asyncio.run(rival.stop())
    assert door.counts("accepted", "duplicate") == (rounds * 120, rounds * 60)


def test_what_was_handed_over_is_finished_and_nothing_is_taken_afterwards(door):
    publisher = Publisher(door.shop.streams)
    made = Journaler(door.shop.engine, SHARDS, publisher)

    async def run():
        waiting = [asyncio.ensure_future(made.accept(a_notice(), "test", 100)) for _ in range(700)]
        await asyncio.sleep(0)  # each has handed over
        await made.stop()
        late = await asyncio.gather(made.accept(a_notice(), "test", 100), return_exceptions=True)
        return await asyncio.gather(*waiting), late[0]

    found, late = asyncio.run(run())
    publisher.stop()
    assert set(found) == {Verdict.NEW}
    assert isinstance(late, ApiError)
    assert late.status == 503
    assert len(door.journaled("test")) == 700
    assert sum(door.shop.streams.look().lengths) == 700  # published before it left


def test_whoever_hangs_up_has_been_heard(door, journaler):
    async def run():
        asked = asyncio.ensure_future(journaler.accept(a_notice("e-1"), "test", 100))
        await asyncio.sleep(0)
        asked.cancel()
        return await journaler.accept(a_notice("e-2"), "test", 100)

    assert asyncio.run(run()) is Verdict.NEW
    assert {row.event_id for row in door.journaled("test")} == {"e-1", "e-2"}


def test_more_than_memory_should_hold_is_asked_to_come_back(journaler):
    async def run():
        large = WAITING_BYTES // 4 + 1
        asked = [journaler.accept(a_notice(), "test", large) for _ in range(40)]
        return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(run())
    assert found.count(Verdict.NEW) >= 3
    refused = [one for one in found if isinstance(one, ApiError)]
    assert refused
    assert {one.status for one in refused} == {503}
    assert all("Retry-After" in (one.headers or {}) for one in refused)


def test_without_redis_none_is_lost(door, redis_url):
    number = "N1"
    [created, _] = a_paid_order(number, 500, payment="pi_1")
    door.shop.tell(created)
    paid = [as_stripe(stripe_paid(f"pi_{each}", 500)) for each in range(1, 101)]
    assert set(door.statuses("payments/stripe", *paid, REDIS_URL=CLOSED)) == {202}
    assert door.counts("waiting") == (100,)
    streams = Streams(connect(redis_url), SHARDS, lambda shard: None)
    time.sleep(SETTLING_S)  # younger events are left to their publisher
    relay(door.shop.engine, streams)
    streams.client.close()
    door.shop.work()
    assert door.status(number) in ("paid", "preparing")
    assert door.counts("parked", "waiting") == (99, 0)


def test_no_answer_waits_for_redis(door, monkeypatch):
    """All are told before their events are published, and before anybody connects to Redis."""
    told = threading.Event()
    publish = Streams.publish
    monkeypatch.setattr(Streams, "publish", lambda *given: told.wait(60) and publish(*given))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and never says a word
        silent.setblocking(False)
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"

        async def run():
            async with door.application(REDIS_URL=url) as (_, client):
                for number in range(20):
                    body, headers = as_stripe(stripe_paid(f"pi_{number}", 500))
                    answer = await client.post("/webhooks/payments/stripe", content=body, headers=headers)
                    assert answer.status_code == 202
                with pytest.raises(BlockingIOError):
                    silent.accept()
                told.set()

        asyncio.run(run())
    assert door.counts("accepted", "waiting") == (20, 20)


def test_a_thin_burst_leaves_as_many_rows_as_webhooks(door):
    burst = [as_standard(portone_event("Paid", f"p-{number}")) for number in range(300)]
    assert set(door.statuses("payments/portone", *burst)) == {202}
    assert len(door.shop.rows("select from inbox join journal using (seq)")) == 300


def test_webhooks_of_one_commit_and_one_batch_lead_each_to_its_own_trace(door, monkeypatch):
    number = 6
    with recording(monkeypatch) as end:
        traces.causes = Causes(door.shop.streams.client)
        orders = [a_paid_order(f"N{each}", 500) for each in range(number)]
        door.shop.tell(*(created for created, _ in orders))
        assert set(door.statuses("payments/standard", *(as_standard(paid.as_document()) for _, paid in orders))) == {
            202
        }
        assert door.commits < number
        door.shop.work()
        ids = [row[0] for row in door.shop.rows("select cast(id as text) from orders")]
        kept = {traces.trace_id(traces.causes.find(each)) for each in ids}
        spans = end()
    receipts = {each.context.trace_id for each in spans if each.name == "webhook receipt"}
    batches = [each for each in spans if each.name == "drain batch" and each.context.trace_id in receipts]
    assert len(receipts) == number
    assert {link.context.trace_id for each in batches for link in each.links} == receipts
    assert kept == {f"{each:032x}" for each in receipts}


def test_a_trace_that_redis_cannot_keep_fails_nothing_and_is_not_tried_at_once_again():
    causes = Causes(connect(CLOSED, again=0))
    causes.keep({"order": "trace"})
    assert causes.find("order") is None
    assert causes._not_before > time.monotonic()
