"""The dispatcher on real servers, against receivers on real sockets: signed, in order, once each, or dead and visible."""

from __future__ import annotations

import doctest
import random
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import AF_INET
from time import sleep

import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import WebhookVerificationError

from domain.ids import format_id
from outbound.webhooks import deliveries, dispatcher, subscriptions
from outbound.webhooks.deliveries import LEASE, WAITS, Result
from outbound.webhooks.sender import Reply, Sender
from tests.builders import ORDER, boxed, created, delivered, paid, shipped, told
from tests.integration.outbound.webhooks.conftest import verified

ROOT = Path(__file__).parents[3]
DAY = timedelta(days=1.2)  # longer than any wait
LINE = [{"item": "a", "product": "p", "quantity": 1, "unitPrice": "1"}]


def an_order(number: str):
    return told("OrderCreated", subject=number, items=LINE, totalAmount="1", paymentIds=[f"pay-{number}"])


def its_payment(number: str):
    return told("PaymentSucceeded", subject=None, paymentId=f"pay-{number}", amount="1")


def claimed(shop, later=timedelta(0)):
    with shop.engine.begin() as conn:
        return deliveries.claim(conn, {shop.subscription().id: 8}, datetime.now(UTC) + later)


def settled(shop, *results):
    with shop.engine.begin() as conn:
        kept = deliveries.settle(conn, results)
        return kept, subscriptions.judge(conn, kept, results[0].at)


def test_a_change_is_posted_signed_and_done(shop, receiver):
    found, secret = shop.subscribe(receiver.url)
    shop.tell(created(customerSnapshot={"name": "김", "email": "kim@shop.example"}))
    assert shop.send() == 1
    [post] = receiver.posts
    assert verified(post, secret)
    assert post.id == format_id("deliveries", shop.rows("select id from deliveries")[0][0])
    assert post.headers["content-type"] == "application/json"
    assert post.headers["host"] == receiver.url.split("/")[2]
    body = post.body
    assert (body["collection"], body["operation"]) == ("orders", "create")
    assert body["data"]["orderNumber"] == ORDER
    assert body["data"]["customerSnapshot"]["name"] == "김"
    assert body["data"]["totalAmount"] == 10_000
    [(at,)] = shop.rows("select at from deliveries")
    assert body["timestamp"] == at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    [row] = shop.rows("select state, attempts, last_status, last_error from deliveries")
    assert tuple(row) == ("done", 1, 200, None)
    assert shop.send() == 0
    assert found.state == "active"


def test_changes_of_one_order_arrive_in_order_though_two_send_and_many_fail(shop, receiver):
    """… one at a time, each once, under an id that attempts share."""
    chance = random.Random(7)
    busy: Counter[str] = Counter()
    lock = threading.Lock()

    def decide(post):
        with lock:
            busy[post.order] += 1
            assert busy[post.order] == 1, "two of one order at once"
            fails = chance.random() < 0.3
        sleep(0.002)
        with lock:
            busy[post.order] -= 1
        return 503 if fails else 200

    receiver.decide = decide
    shop.subscribe(receiver.url, ["orders", "transactions"])
    numbers = [f"N{n}" for n in range(20)]
    shop.tell(*(an_order(n) for n in numbers))
    for n in numbers:
        shop.tell(its_payment(n))
    now = datetime.now(UTC)
    for round_ in range(12):
        moment = now + DAY * round_
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(dispatcher.dispatch, shop.engine, shop.sender, moment) for _ in range(2)]
            [job.result(60) for job in jobs]
        shop.do("update subscriptions set failing_since = null, state = 'active'")
        if set(shop.states()) == {"done"}:
            break
    assert set(shop.states()) == {"done"}
    assert len(receiver.taken) == 4 * len(numbers) < len(receiver.posts)
    by_order = defaultdict(list)
    for post in receiver.taken:
        by_order[post.order].append((post.body["collection"], post.body["operation"]))
    wanted = [("orders", "create"), ("transactions", "create"), ("orders", "update"), ("transactions", "update")]
    assert {tuple(each) for each in by_order.values()} == {tuple(wanted)}
    assert len({post.id for post in receiver.posts}) == 4 * len(numbers)


def test_a_receiver_that_hangs_holds_up_nobody_else(shop, receiver, another):
    over, came = threading.Event(), []

    def hang(post):
        came.append(post)
        over.wait(60)
        return 500

    receiver.decide = hang
    shop.subscribe(receiver.url)
    shop.subscribe(another.url)
    numbers = [f"N{n}" for n in range(100)]
    shop.tell(*(an_order(n) for n in numbers))
    sender = Sender(allow_private=True, total_s=60)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(dispatcher.run_due, shop.engine, sender, datetime.now(UTC))
        while len(another.posts) < len(numbers) and not run.done():
            sleep(0.01)
        assert len(another.posts) == len(numbers), "they waited for the one that hangs"
        shop.tell(an_order("late"))
        while len(another.posts) == len(numbers) and not run.done():
            sleep(0.01)
        assert another.posts[-1].body["data"]["orderNumber"] == "late"
        assert len(came) == dispatcher.A_RECEIVER, "it has more than its share, or less"
        over.set()
        run.result(60)
    states = dict(
        shop.rows(
            "select s.url, count(*) from deliveries d join subscriptions s on s.id = d.subscription_id where d.state = 'done' group by 1"
        )
    )
    assert states == {another.url: 101}
    [error] = {
        row[0] for row in shop.rows("select last_error from deliveries where state = 'due' and last_error is not null")
    }
    assert error == "answered 500"


def test_one_dispatcher_runs_at_a_time(shop, receiver):
    here, go = threading.Event(), threading.Event()

    def decide(post):
        here.set()
        go.wait(10)
        return 200

    receiver.decide = decide
    shop.subscribe(receiver.url)
    shop.tell(created())
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(shop.send)
        assert here.wait(10)
        assert shop.send(LEASE * 2) == 0
        go.set()
        assert first.result(10) == 1
    assert shop.states() == ["done"]


def test_what_a_killed_dispatcher_had_under_way_comes_again_under_its_id(shop, receiver, database_url):
    here = threading.Event()

    def hang(post):
        here.set()
        sleep(1)
        return 200

    receiver.decide = hang
    shop.subscribe(receiver.url)
    shop.tell(created())
    program = (
        "import sys; from datetime import UTC, datetime; from outbound.webhooks.sender import Sender\n"
        "from outbound.webhooks import dispatcher; from storage import engine\n"
        "dispatcher.run_due(engine.connect(sys.argv[1], pinned=True), Sender(True), datetime.now(UTC))"
    )
    with subprocess.Popen([sys.executable, "-c", program, database_url], cwd=ROOT) as process:
        assert here.wait(30)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    receiver.decide = lambda post: 200
    assert shop.send() == 0, "another runs, for all that is known"
    with shop.engine.begin() as conn:
        conn.execute(text("update leases set until = now()"))  # ten seconds later
    assert shop.send() == 0, "the lease of what was under way is not over"
    assert shop.send(LEASE) == 1
    for _ in range(200):
        if len(receiver.posts) == 2:
            break
        sleep(0.02)
    assert len(receiver.posts) == 2
    assert len({post.id for post in receiver.posts}) == 1
    assert shop.states() == ["done"]


def test_a_result_after_its_lease_counts_for_nothing(shop, receiver):
    shop.subscribe(receiver.url)
    shop.tell(created())
    [late] = claimed(shop)
    [rival] = claimed(shop, LEASE)
    now = datetime.now(UTC)
    assert settled(shop, Result(late, 500, "answered 500", now, 0.5)) == ([], [])
    assert shop.subscription().failing_since is None
    [[kept], _] = settled(shop, Result(rival, 200, None, now, 0.5))
    assert kept.claim is rival
    assert shop.states() == ["done"]


def test_it_is_tried_for_three_days_then_dead_and_the_subscription_with_it(shop, receiver, caplog):
    receiver.decide = lambda post: 500
    shop.subscribe(receiver.url)
    shop.tell(created(), paid())
    shop.tell(boxed())
    waited = timedelta(0)
    for attempt, wait in enumerate((timedelta(0), *WAITS), 1):
        waited += wait * (1 + deliveries.SPREAD) + timedelta(seconds=2)
        if attempt > 1:
            assert shop.send(waited - wait * 0.11 - timedelta(seconds=3)) == 0, f"attempt {attempt} came too early"
        assert shop.send(waited) == 1
        assert len(receiver.posts) == attempt
    assert len({post.id for post in receiver.posts}) == 1
    assert shop.states() == ["dead", "due"], "the next change of the order waits, and goes on from here"
    found = shop.subscription()
    assert (found.state, found.dead, found.due) == ("disabled", 1, 1)
    assert found.notice.startswith("nothing but failure since ")
    assert found.notice.endswith("the last: answered 500")
    assert "are disabled: nothing but failure" in caplog.text
    assert shop.send(waited + DAY) == 0, "what waits for a disabled one stays"
    receiver.decide = lambda post: 200
    with shop.engine.begin() as conn:
        assert subscriptions.enable(conn, found.id, "kim", datetime.now(UTC)) == 1
    assert shop.send() == 1
    assert shop.states() == ["dead", "done"]
    with shop.engine.begin() as conn:
        assert deliveries.replay_where(conn, found.id, "dead", datetime.now(UTC)) == 1
    assert shop.send() == 1
    assert shop.states() == ["done", "done"]
    assert receiver.posts[-1].id == receiver.posts[0].id


def test_a_success_starts_the_three_days_anew(shop, receiver):
    shop.subscribe(receiver.url)
    shop.tell(an_order("a"), an_order("b"))
    receiver.decide = lambda post: 500
    shop.send()
    assert shop.subscription().failing_since is not None
    receiver.decide = lambda post: 200 if post.body["data"]["orderNumber"] == "a" else 500
    for days in (2, 4):
        shop.send(timedelta(days=days))
        assert shop.subscription().state == "active"
    receiver.decide = lambda post: 200
    shop.send(timedelta(days=6))
    assert shop.subscription().failing_since is None
    assert shop.states() == ["done", "done"]


def test_gone_disables_at_once(shop, receiver):
    receiver.decide = lambda post: 410
    shop.subscribe(receiver.url)
    shop.tell(created())
    shop.send()
    found = shop.subscription()
    assert (found.state, found.notice, found.due) == ("disabled", "answered 410", 1)
    shop.tell(paid())
    assert len(shop.states()) == 1, "what changes while it is disabled is not recorded for it"


def test_gone_keeps_its_own_reason_whatever_came_after_it(shop):
    shop.subscribe("https://gone.example/")
    shop.tell(*(an_order(f"N{n}") for n in range(3)))
    ended, now = claimed(shop), datetime.now(UTC)
    answers = ((410, "answered 410"), (500, "answered 500"), (200, None))
    _, [(_, notice)] = settled(
        shop, *(Result(claim, *answer, now, 0) for claim, answer in zip(ended, answers, strict=True))
    )
    assert notice == shop.subscription().notice == "answered 410"
    assert shop.subscription().state == "disabled"


def test_a_subscription_is_removed_though_a_drain_tells_it_of_a_change_just_now(shop):
    found, _ = shop.subscribe("https://busy.example/")
    shop.tell(created())

    def remove():
        with shop.engine.begin() as conn:
            return subscriptions.remove(conn, found.id, "kim")

    with ThreadPoolExecutor(1) as pool:
        with shop.engine.begin() as drain:
            drain.execute(text("select from subscriptions for key share"))
            drain.execute(
                text(
                    "insert into deliveries (id, subscription_id, order_id, collection, operation, document, at) select "
                    "gen_random_uuid(), subscription_id, order_id, collection, operation, document, at from deliveries"
                )
            )
            removing = pool.submit(remove)
            shop.wait_until_blocked()
        assert removing.result(10).due == 1
    assert shop.rows("select from subscriptions union all select from deliveries") == []
    shop.tell(paid())
    assert shop.states() == []


def test_while_secrets_rotate_both_sign(shop, receiver):
    found, old = shop.subscribe(receiver.url)
    shop.tell(created())
    with shop.engine.begin() as conn:
        new = subscriptions.rotate(conn, found.id, "test")
        with pytest.raises(subscriptions.SubscriptionError, match="--finish"):
            subscriptions.rotate(conn, found.id, "test")
    shop.send()
    assert verified(receiver.posts[0], old, new)
    shop.tell(paid())
    with shop.engine.begin() as conn:
        assert subscriptions.finish_rotation(conn, found.id, "test")
        assert not subscriptions.finish_rotation(conn, found.id, "test")
    shop.send()
    assert verified(receiver.posts[1], new)
    with pytest.raises(WebhookVerificationError):
        verified(receiver.posts[1], old)
    assert all(secret not in str(shop.rows("select * from audit")) for secret in (old, new))


def test_who_was_forgotten_meanwhile_is_not_told(shop, receiver):
    shop.subscribe(receiver.url)
    shop.tell(created(customerSnapshot={"name": "Kim", "email": "kim@shop.example"}, notes="ring twice"))
    receiver.decide = lambda post: 500
    shop.send()
    assert receiver.posts[0].body["data"]["notes"] == "ring twice"
    shop.do("delete from personal")
    receiver.decide = lambda post: 200
    shop.send(DAY)
    data = receiver.posts[1].body["data"]
    assert (data["customerSnapshot"], data["notes"], data["shippingAddress"]) == (None, None, None)
    assert b"Kim" not in receiver.posts[1].raw


def test_a_failing_change_holds_back_its_own_order_only(shop, receiver):
    receiver.decide = lambda post: 500 if post.body["data"]["orderNumber"] == "bad" else 200
    shop.subscribe(receiver.url)
    shop.tell(an_order("bad"), an_order("good"))
    shop.tell(its_payment("bad"), its_payment("good"))
    shop.send()
    by_order = Counter(post.body["data"]["orderNumber"] for post in receiver.posts)
    assert by_order == {"bad": 1, "good": 2}


def test_a_replay_waits_for_what_is_under_way_of_its_order(shop, receiver):
    shop.subscribe(receiver.url)
    shop.tell(created())
    shop.send()
    shop.tell(paid())
    [under_way] = claimed(shop)
    first = shop.rows("select id from deliveries order by number")[0][0]
    now = datetime.now(UTC)
    with shop.engine.begin() as conn:
        assert deliveries.replay(conn, [first], now) == [first]
    assert claimed(shop) == []
    settled(shop, Result(under_way, 200, None, now, 0))
    assert [claim.id for claim in claimed(shop, LEASE)] == [first]


def test_a_replay_waits_for_a_claim_that_is_not_committed_yet(shop, receiver):
    shop.subscribe(receiver.url)
    shop.tell(created())
    shop.send()
    shop.tell(paid())
    first, second = (row[0] for row in shop.rows("select id from deliveries order by number"))
    now = datetime.now(UTC)

    def replay():
        with shop.engine.begin() as conn:
            return deliveries.replay(conn, [first], now)

    with ThreadPoolExecutor(1) as pool:
        with shop.engine.begin() as conn:
            [under_way] = deliveries.claim(conn, {shop.subscription().id: 8}, now)
            replaying = pool.submit(replay)
            shop.wait_until_blocked()
        assert replaying.result(10) == [first]
    assert under_way.id == second
    assert claimed(shop) == []
    assert [claim.id for claim in claimed(shop, LEASE)] == [first]


def test_what_was_taken_is_forgotten_after_thirty_days_a_portion_at_a_time(shop, receiver, monkeypatch):
    monkeypatch.setattr(deliveries, "PORTION", 2)
    shop.subscribe(receiver.url)
    receiver.decide = lambda post: 500 if post.body["data"]["orderNumber"] == "due" else 200
    shop.tell(*(an_order(f"N{n}") for n in range(4)), an_order("due"))
    shop.send()

    def purged(later):
        with shop.engine.begin() as conn:
            return deliveries.purge(conn, datetime.now(UTC) + later)

    assert purged(timedelta(days=29)) == 0
    again = "select min(number) from deliveries where state = 'done'"  # sent again since
    shop.do(f"update deliveries set updated_at = now() + interval '9 days' where number = ({again})")
    assert [purged(timedelta(days=31)) for _ in range(3)] == [2, 1, 0]
    assert sorted(shop.states()) == ["done", "due"]
    assert purged(timedelta(days=40)) == 1
    assert shop.states() == ["due"]


def test_redirects_are_not_followed(shop, receiver, another):
    for where in ("http://169.254.169.254/latest/meta-data/", another.url):
        receiver.decide = lambda post, where=where: (302, {"location": where}, b"")
        shop.subscribe(receiver.url)
        shop.tell(an_order(where))
        shop.send()
        assert "subscribe the address" in shop.rows("select last_error from deliveries order by number desc")[0][0]
        shop.do("delete from deliveries")
        shop.do("delete from subscriptions")
    assert another.posts == []


def test_a_host_that_turns_inward_is_refused_at_the_send(shop, receiver):
    """The name was public when it was subscribed; its answer to the second question is an address inside."""
    port = int(receiver.url.split(":")[2].split("/")[0])
    answers = iter([[(AF_INET, ("93.184.216.34", 443))], [(AF_INET, ("127.0.0.1", port))]])
    sender = Sender(allow_private=False, resolve=lambda host, port: next(answers))
    sender.check("https://rebinds.example/hook")
    shop.subscribe("https://rebinds.example/hook")
    shop.tell(created())
    assert shop.send(sender=sender) == 1
    assert receiver.posts == []
    [(error,)] = shop.rows("select last_error from deliveries")
    assert error.startswith("rebinds.example is 127.0.0.1, and that is inside a private network")


def test_a_bug_of_ours_fails_one_attempt_and_no_more(shop, receiver, caplog):
    class Broken:
        def post(self, url, secrets, webhook_id, body):
            raise ZeroDivisionError

    shop.subscribe(receiver.url)
    shop.tell(created())
    assert shop.send(sender=Broken()) == 1
    assert shop.rows("select state, last_error from deliveries") == [("due", "our own code failed: ZeroDivisionError")]
    assert "our own code failed" in caplog.text


def test_a_backlog_of_many_subscriptions_is_sent_in_one_run(shop):
    """More subscriptions than there are slots, a host for two of them each: nobody is left out."""

    class Counting:
        def __init__(self):
            self.urls: Counter[str] = Counter()
            self.lock = threading.Lock()

        def post(self, url, secrets, webhook_id, body):
            with self.lock:
                self.urls[url] += 1
            return Reply(200, None)

    for n in range(dispatcher.AT_ONCE + 10):
        shop.subscribe(f"https://h{n // 2}.example/{n}")
    shop.tell(*(an_order(f"N{n}") for n in range(3)))
    sender = Counting()
    assert shop.send(sender=sender) == 3 * (dispatcher.AT_ONCE + 10)
    assert set(sender.urls.values()) == {3}


def test_a_life_of_an_order_is_told_within_one_run(shop, receiver, monkeypatch):
    monkeypatch.setattr(dispatcher, "LOOK_S", 3600.0)  # no step may wait for the next look
    shop.subscribe(receiver.url, ["orders", "fulfillments"])
    for event in (created(), paid(), shipped(), delivered()):
        shop.tell(event)
    shop.send()
    statuses = [post.body["data"]["status"] for post in receiver.posts if post.body["collection"] == "orders"]
    assert statuses == ["pending", "preparing", "shipped", "delivered"]


def test_the_schedule_is_as_it_is_written():
    assert doctest.testmod(deliveries).failed == 0
