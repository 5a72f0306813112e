"""Pauses of events on real servers: nothing that rests is applied, all else is, and the end works off in order."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, sleep
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import Engine, text

from domain.policy import Policy
from journal import drain as drain_module
from journal import parked, pause_end, timers
from journal.append import append
from journal.batch import Shop
from journal.commands import Step, perform
from journal.drain import Drain
from journal.pauses import Paused
from journal.policy_store import policy_id
from journal.refold import refold_orders
from journal.relay import relay
from journal.streams import Streams, connect
from journal.verify import verify
from operations import pauses
from operations.event_replay import decide_again
from operations.given_up import Thing
from storage import engine as engines
from tests.builders import boxed, created, delivered, later, paid, scan, shipped, tracked
from tests.conftest import SHARDS

POLICY = Policy()


@dataclass
class Place:
    """One shop whose operator pauses, whose drains work, and whose chore ends pauses."""

    engine: Engine
    streams: Streams
    shop: Shop

    def take(self, *envelopes) -> None:
        with self.engine.begin() as conn:
            new = append(conn, envelopes, SHARDS).new
        self.streams.publish(new)

    def work(self) -> None:
        drain = Drain(self.engine, self.streams, POLICY, self.shop)
        for _ in range(2):
            for shard in self.streams.look().waiting():
                drain.answer(shard)

    def tell(self, *envelopes) -> None:
        self.take(*envelopes)
        self.work()

    def pause(self, kind: str, name: str | None = None, **more) -> None:
        with self.engine.begin() as conn:
            pauses.pause(conn, kind, name, "a test", "kim", **more)

    def resume(self, kind: str, name: str | None = None) -> None:
        with self.engine.begin() as conn:
            pauses.resume(conn, kind, name, "kim")

    def end(self) -> int:
        return pause_end.run_due(self.engine, POLICY, self.shop)

    def rows(self, sql: str, **values) -> list:
        with self.engine.begin() as conn:
            found = conn.execute(text(sql), values)
            return [tuple(row) for row in found] if found.returns_rows else []

    def status(self, number: str = "7") -> str:
        found = self.rows("select status from orders where order_number = :n", n=number)
        return found[0][0] if found else "none"

    def outcomes(self) -> dict[str, int]:
        return dict(self.rows("select coalesce(reason, outcome), count(*) from results group by 1"))

    def applied(self, number: str = "7") -> list[str]:
        return [row[0] for row in self.rows(
            "select j.type from results r join journal j using (seq) join orders o on o.id = r.order_id "
            "where o.order_number = :n and apply_number is not null and j.source = 'shop' order by apply_number", n=number)]  # fmt: skip

    def sound(self) -> None:
        assert [str(each) for each in verify(self.engine).differences] == []


@pytest.fixture
def place(database_url, redis_url) -> Iterator[Place]:
    engine = engines.connect(database_url, pinned=True, pool=10)
    client = connect(redis_url)
    with engine.begin() as conn:
        shop = Shop(policy_id(conn, POLICY), SHARDS)
    yield Place(engine, Streams(client, SHARDS, lambda _: None), shop)
    engine.dispose()
    client.close()


def test_an_orders_events_wait_while_it_is_paused_and_all_others_flow(place):
    place.tell(created(subject="7"), created(subject="8", payments=("other",)))
    place.pause("order", "7")
    place.tell(paid(subject="7"), paid(subject="8", payment="other"))
    assert (place.status("7"), place.status("8")) == ("pending", "preparing")
    assert place.outcomes()["paused"] == 1
    assert place.streams.look().waiting() == [], "what rests is in nobody's way"
    place.sound()
    place.resume("order", "7")
    assert place.end() == 1
    assert place.status("7") == "preparing"
    assert "paused" not in place.outcomes()
    place.sound()


def test_an_event_that_names_only_a_payment_of_a_paused_order_waits_too(place):
    place.tell(created(subject="7"))
    place.pause("order", "7")
    place.tell(paid(subject=None))
    assert (place.status(), place.outcomes()["paused"]) == ("pending", 1)
    place.resume("order", "7")
    place.end()
    assert place.status() == "preparing"


def test_what_waited_is_worked_off_in_order_with_what_came_while_it_was_resumed(place):
    place.tell(created(subject="7"), paid(subject="7"))
    place.pause("order", "7")
    place.tell(boxed(subject="7"))
    place.tell(shipped(subject="7", at=later(hours=1)))
    place.resume("order", "7")
    place.tell(delivered(subject="7", at=later(hours=2)))  # its pause is over, and not worked off
    assert place.applied() == ["OrderCreated", "PaymentSucceeded"]
    assert place.end() == 3
    assert place.applied()[2:] == ["FulfillmentCreated", "FulfillmentShipped", "FulfillmentDelivered"]
    assert place.rows("select count(*) from pauses where closed_at is null") == [(0,)]
    place.sound()


def test_a_type_of_event_waits_in_every_order_and_what_came_too_early_before_is_not_tried(place):
    place.tell(shipped(subject="7", **tracked()))  # too early: the order is not known
    place.pause("event_type", "FulfillmentShipped")
    place.tell(created(subject="7"), paid(subject="7"), shipped("second", subject="8"))
    assert place.status() == "preparing", "FulfillmentShipped, which waited, would have moved it"
    assert place.outcomes()["paused"] == 1
    parked.sweep(place.engine, POLICY, place.shop)
    assert place.status() == "preparing"
    place.resume("event_type", "FulfillmentShipped")
    place.end()
    assert place.status() == "shipped"
    place.sound()


def test_timers_rest_while_their_order_or_any_type_of_event_is_paused(place):
    place.tell(created(subject="7"))
    long_after = later(days=400)
    for kind, name in (("order", "7"), ("event_type", "PaymentSucceeded")):
        place.pause(kind, name)
        assert timers.run_due(place.engine, Policy(grace=POLICY.grace * 0), place.shop, long_after) == 0
        place.resume(kind, name)
        place.end()
    assert timers.run_due(place.engine, Policy(grace=POLICY.grace * 0), place.shop, long_after) == 1


def test_a_request_about_a_paused_order_is_refused_with_who_and_why(place):
    place.tell(created(subject="7"))
    place.pause("order", "7")

    def cancel(request):
        request.lock(["7"], "number")
        return request.append(Step("OrderCanceled", "7", {"by": "staff"}))

    with pytest.raises(Paused, match=r"order 7 is paused by kim since .*: a test; `orders resume order 7`"):
        perform(place.engine, POLICY, place.shop, "api/key", "r1", cancel)
    place.resume("order", "7")
    place.end()
    perform(place.engine, POLICY, place.shop, "api/key", "r1", cancel)
    assert place.status() == "canceled"


def test_a_pause_ends_by_itself_when_its_time_is_up(place):
    place.tell(created(subject="7"))
    place.pause("order", "7", until=later(days=9000))
    place.tell(paid(subject="7"))
    assert place.end() == 0, "it stands"
    place.rows("update pauses set until = now() - interval '1 second' returning id")
    assert place.end() == 1
    assert place.status() == "preparing"


def test_what_another_pause_keeps_waits_on(place):
    place.tell(created(subject="7"))
    place.pause("order", "7")
    place.pause("event_type", "PaymentSucceeded")
    place.tell(paid(subject="7"), scan("delivered", subject=None))
    place.resume("order", "7")
    assert place.end() == 0
    assert place.outcomes()["paused"] == 1
    place.resume("event_type", "PaymentSucceeded")
    assert place.end() == 1


def test_a_thousand_ends_of_pauses_against_drains_leave_nothing_aside(place):
    """Races: a pause begins and ends again and again while a drain applies; no event stays behind, and none overtakes."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance, over = random.Random(seed), threading.Event()
    place.tell(*(created(subject=str(n), payments=(f"p{n}",)) for n in range(8)))

    def flip() -> None:
        while not over.is_set():
            number = str(chance.randrange(8))
            place.pause("order", number)
            sleep(chance.random() * 0.004)
            place.resume("order", number)
            place.end()

    flipping = threading.Thread(target=flip)
    flipping.start()
    until = monotonic() + 3
    while monotonic() < until:
        for n in range(8):
            place.take(scan("in_transit", number=f"T{chance.random()}", subject=str(n)))
        place.work()
    over.set()
    flipping.join()
    place.end()
    relay(place.engine, place.streams)
    place.work()
    assert place.rows("select count(*) from parked where reason = 'paused'") == [(0,)]
    assert place.rows("select count(*) from pauses where closed_at is null") == [(0,)]
    place.sound()


# -- every route that applies events ---------------------------------------------------------------------


MONEY = {"subject": "8", "payment": "eight"}  # that order 8 waits for


def by_drain(place, monkeypatch):
    place.tell(paid(**MONEY))


def by_drain_in_parts(place, monkeypatch):
    monkeypatch.setattr(drain_module, "settle", lambda *_: 1 / 0)
    place.tell(paid(**MONEY))


def by_sweep(place, monkeypatch):
    place.tell(paid(**MONEY))
    place.rows("update orders set examined = null returning id")
    parked.sweep(place.engine, POLICY, place.shop)


def by_timers(place, monkeypatch):
    """They apply what their own orders wait for; a scan of a box that order 7 shares is the event of order 8 first."""
    with place.engine.begin() as conn:
        append(conn, [paid(**MONEY), scan("in_transit", at=later(hours=1))], SHARDS)
    timers.run_due(place.engine, Policy(grace=POLICY.grace * 0), place.shop, later(days=400))


def by_replay(place, monkeypatch):
    money = paid(**MONEY)
    place.take(money)
    place.rows("insert into results (seq, outcome, reason, policy_id, decided_at) "
               "select seq, 'dead', 'bug', 1, now() from journal where event_id = :id returning seq", id=money.id)  # fmt: skip
    ((letter, seq),) = place.rows("insert into dead_letters (id, seq, reason) "
                                  "select gen_random_uuid(), seq, 'bug' from journal where event_id = :id returning id, seq", id=money.id)  # fmt: skip
    dead = SimpleNamespace(id=letter, seq=seq, happened_at=money.time, order_number="8", payment_id=None, ref=money.id)
    with place.engine.begin() as conn:
        decide_again(conn, [cast(Thing, dead)], POLICY, place.shop)


def by_request(place, monkeypatch):
    step = Step("PaymentSucceeded", "8", {"paymentId": "eight", "amount": "10000"})
    with suppress(Paused):
        perform(
            place.engine, POLICY, place.shop, "api/key", "r1", lambda request: request.append(step, to_the_end=True)
        )


def by_the_end_of_another_pause(place, monkeypatch):
    place.pause("event_type", "PaymentSucceeded")
    place.tell(paid(**MONEY))
    place.resume("event_type", "PaymentSucceeded")
    place.end()


def by_refold(place, monkeypatch):
    place.tell(paid(**MONEY))
    list(refold_orders(place.engine, ["8"]))


ROUTES = [
    by_drain,
    by_drain_in_parts,
    by_sweep,
    by_timers,
    by_replay,
    by_request,
    by_the_end_of_another_pause,
    by_refold,
]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.__name__)
@pytest.mark.parametrize(
    ("kind", "name"), [("order", "8"), ("event_type", "FulfillmentShipped")], ids=["order", "type"]
)
def test_no_route_applies_what_rests(place, monkeypatch, route, kind, name):
    """Order 8 waits for its money, and its parcel's shipment waits for that: what rests is the order, or the shipment."""
    place.tell(created(subject="8", payments=("eight",)), shipped("their box", subject="8", **tracked()))
    place.tell(created(subject="7", payments=("seven",)), paid(subject="7", payment="seven"))
    place.tell(shipped(subject="7", **tracked()), delivered(subject="7"))
    decided = "select j.type, r.outcome from results r join journal j using (seq) join orders o on o.id = r.order_id where o.order_number = '8'"
    before = place.rows(decided)
    assert sorted(before) == [("FulfillmentShipped", "parked"), ("OrderCreated", "applied")]
    place.pause(kind, name)
    route(place, monkeypatch)
    if kind == "order":
        assert place.rows(decided) == before
    assert ("FulfillmentShipped", "parked") in place.rows(decided)
    monkeypatch.undo()
    place.resume(kind, name)
    place.end()
    relay(place.engine, place.streams)
    place.tell(paid(**MONEY))
    assert place.status("8") == "shipped"
    place.sound()


def test_what_the_database_refuses_of_early_events_keeps_no_pause_in_force(place):
    place.rows("alter table transactions add constraint no_such_method check (payment_method <> 'refused')")
    place.tell(*(paid(1, f"more {n}", subject=n, paymentMethod=how) for n, how in (("7", "refused"), ("8", "card"))))
    place.pause("event_type", "PaymentSucceeded")
    place.tell(*(created(subject=n, payments=(f"p{n}",)) for n in ("7", "8")))
    assert place.outcomes()["order_unknown"] == 2
    place.resume("event_type", "PaymentSucceeded")
    place.end()
    assert place.outcomes()["order_unknown"] == 1, "the other one was tried all the same"
    assert place.rows("select count(*) from pauses where closed_at is null") == [(0,)]
    place.tell(paid(subject="7", payment="p7"))
    assert place.outcomes()["database_refused"] == 1, "what wakes it shows it to be the poison"
    place.sound()


def test_a_pause_that_is_over_only_now_is_worked_off_before_it_ends(place, monkeypatch):
    """It is resumed while the end of another one looks for the last time."""
    place.tell(shipped(subject="7"))
    place.pause("event_type", "FulfillmentShipped")
    place.pause("event_type", "OrderHeld")
    place.tell(created(subject="7"), paid(subject="7"))
    place.resume("event_type", "OrderHeld")
    close = pause_end._close

    def resumed_before(*arguments):
        monkeypatch.undo()
        place.resume("event_type", "FulfillmentShipped")
        close(*arguments)

    monkeypatch.setattr(pause_end, "_close", resumed_before)
    place.end()
    assert place.rows("select name from pauses where closed_at is null") == [("FulfillmentShipped",)]
    place.end()
    assert place.status("7") == "shipped"
    assert place.rows("select name from pauses where closed_at is null") == []
    place.sound()
