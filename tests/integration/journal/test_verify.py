"""Promise 6 on real servers: whatever arrived, and however, the fold of the journal is what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import text

from domain.policy import Policy
from events.envelope import Envelope
from journal import verify as module
from journal.append import append
from journal.batch import Shop
from journal.drain import Drain
from journal.policy_store import all_policies, policy_id
from journal.streams import Streams
from journal.streams import connect as connect_redis
from journal.verify import as_known_at, verify
from storage.engine import connect
from tests.conftest import SHARDS
from tests.scenario_generator import RandomChoices, a_life, arrivals

AUTO, STAFF = Policy(), Policy(returns="staff")
START = datetime(2026, 11, 1, 9, tzinfo=UTC)


class Place:
    """One shop on one database: takes deliveries, and answers its doorbells when told to."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.engine = connect(database_url, pinned=True)
        self.rung: list[int] = []
        self.streams = Streams(connect_redis(redis_url), SHARDS, self.rung.append)

    def take(self, envelopes: Sequence[Envelope]) -> None:
        with self.engine.begin() as conn:
            appended = append(conn, envelopes, SHARDS)
        self.streams.publish(appended.new)

    def work(self, policy: Policy = AUTO) -> None:
        with self.engine.begin() as conn:
            shop = Shop(policy_id(conn, policy), SHARDS)
        drain = Drain(self.engine, self.streams, policy, shop)
        for shard in self.streams.look().waiting():
            drain.answer(shard)
        assert not self.streams.look().waiting()

    def do(self, sql: str, **values: object):
        with self.engine.begin() as conn:
            found = conn.execute(text(sql), values)
            return found.all() if found.returns_rows else []

    def one(self, sql: str, **values: object):
        return self.do(sql, **values)[0][0]

    def close(self) -> None:
        self.engine.dispose()
        self.streams.client.close()


@pytest.fixture
def place(database_url: str, redis_url: str):
    made = Place(database_url, redis_url)
    yield made
    made.close()


def told(id: str, kind: str, data: dict, *, hours: float = 0, order: str | None = "2611010001") -> Envelope:
    return Envelope(id, "shop", kind, START + timedelta(hours=hours), order, data)


LINES = [
    {"item": "tea", "product": "p1", "quantity": 2, "unitPrice": "3000"},
    {"item": "pot", "product": "p2", "quantity": 1, "unitPrice": "9000"},
]
CREATED = told("c", "OrderCreated", {"items": LINES, "totalAmount": "15000", "paymentIds": ["pay_1"]})
PAID = told("p", "PaymentSucceeded", {"paymentId": "pay_1", "amount": "15000", "provider": "stripe"}, hours=1)
SHIPPED = told(
    "s", "FulfillmentShipped", {"fulfillment": "F1", "items": [{"item": "tea", "quantity": 2}]}, hours=2
)  # fmt: skip
DELIVERED = told("d", "FulfillmentDelivered", {"fulfillment": "F1", "carrier": "CJ", "trackingNumber": "1"}, hours=3)
ASKED = told(
    "r", "ReturnRequested", {"return": "R1", "reason": "defective", "items": [{"item": "tea", "quantity": 1}]}, hours=4
)
STORY = [CREATED, PAID, SHIPPED, DELIVERED, ASKED]


def lines(report: module.Report) -> list[str]:
    return [str(difference) for difference in report.differences]


# -- clean -------------------------------------------------------------------------------------------------


def test_lives_in_any_order_with_duplicates_are_what_the_journal_tells(place: Place):
    choices = RandomChoices(Random(2611))
    coming = [arrivals(a_life(Random(seed), ("auto", "staff")[seed % 2]), choices) for seed in range(240)]
    mixed = [envelope for one in coming for envelope in one]
    Random(7).shuffle(coming)
    for start in range(0, len(mixed), 500):  # settings change between the batches
        place.take(mixed[start : start + 500])
        place.work((AUTO, STAFF, replace(AUTO, return_window=None))[start // 500 % 3])
    report = verify(place.engine)
    assert lines(report) == []
    assert report.orders == place.one("select count(*) from orders") >= 239
    assert report.events == place.one("select count(*) from results where apply_number is not null") > 2500
    assert len(place.do("select id from policies")) == 3
    outcomes = {row[0] for row in place.do("select distinct outcome from results")}
    assert {"applied", "ignored"} <= outcomes


def test_events_one_at_a_time_backwards_are_what_the_journal_tells(place: Place):
    for seed in range(12):
        for envelope in reversed(a_life(Random(seed)).events):
            place.take([envelope])
            place.work(AUTO if seed % 2 else STAFF)
    assert lines(verify(place.engine)) == []


def test_a_rejection_that_waited_settles_its_request_again(place: Place):
    place.take([told("x", "ReturnRejected", {"return": "R1"}, hours=5)])
    place.work()
    place.take([ASKED])
    place.work()
    place.take([CREATED])
    place.work()
    assert place.one("select status from returns") == "rejected"
    assert place.one("select reason from results r join journal using (seq) where event_id = 'r'") == "rejected_already"
    assert lines(verify(place.engine)) == []


def test_what_waits_and_what_is_dead_and_what_is_unknown_is_no_difference(place: Place):
    place.take(STORY)
    place.work()
    place.take(
        [
            told("early", "OrderConfirmed", {}),
            told("other", "OrderCanceled", {}, order="never-created"),
            told("lost", "PaymentFailed", {"paymentId": "pay_9"}, order=None),
            told("poison", "PaymentSucceeded", {"paymentId": "pay_1"}),
            told("won", "PaymentSucceeded", {"paymentId": "pay_1", "amount": "5", "currency": "USD"}),
            told("odd", "SomethingElse", {}),
        ]
    )
    place.work()
    assert sorted(place.do("select outcome, count(*) from results group by 1 order by 1"))[1:] == [
        ("dead", 2), ("ignored", 1), ("parked", 3),
    ]  # fmt: skip
    report = verify(place.engine)
    assert lines(report) == []
    assert report.orders == 2  # the hidden one too


def test_progress_is_told_in_chunks(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CHUNK", 2)
    place.take(
        [replace(CREATED, id=f"c{n}", subject=f"n{n}", data={**CREATED.data, "paymentIds": []}) for n in range(5)]
    )
    place.work()
    heard: list[tuple[int, int]] = []
    report = verify(place.engine, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(2, 5), (4, 5), (5, 5)]
    assert report.as_document() == {"orders": 5, "events": 5, "differences": []}


def test_one_order_alone(place: Place):
    place.take([*STORY, replace(CREATED, id="c2", subject="n2", data={**CREATED.data, "paymentIds": []})])
    place.work()
    place.do("update orders set total_amount = 1, customer = 'x' where order_number = 'n2'")
    assert verify(place.engine, STORY[0].subject).orders == 1
    assert lines(verify(place.engine, STORY[0].subject)) == []
    assert len(verify(place.engine, "n2").differences) == 2
    assert verify(place.engine, "nobody").orders == 0


# -- tampered ----------------------------------------------------------------------------------------------

TAMPERED = [
    ("update orders set status = 'paid'", "status: stored paid, by the journal preparing"),
    ("update orders set version = version + 1", "version: stored 9, by the journal 8"),
    ("update orders set shard = shard + 1", None),
    ("update orders set flags = '{underpaid}'", "flags: stored underpaid, by the journal nothing"),
    ("update orders set total_amount = 15001", "total_amount: stored 15001, by the journal 15000"),
    ("update orders set placed_at = placed_at + interval '1 hour'",
     "placed_at: stored 2026-11-01T10:00:00Z, by the journal 2026-11-01T09:00:00Z"),
    ("update orders set confirmed_at = '2026-11-09T00:00Z'",
     "confirmed_at: stored 2026-11-09T00:00:00Z, by the journal nothing"),
    ("update order_items set shipped_quantity = 1 where reference = 'pot'",
     "items[pot].shipped_quantity: stored 1, by the journal 0"),
    ("update order_items set variant = 'big' where reference = 'pot'",
     "items[pot].variant: stored big, by the journal nothing"),
    ("update transactions set refunded_amount = 5", "transactions[pay_1].refunded_amount: stored 5, by the journal 0"),
    ("update transactions set id = gen_random_uuid()", None),
    ("update fulfillments set carrier = 'DHL' where reference = 'F1'",
     "fulfillments[F1].carrier: stored DHL, by the journal CJ"),
    ("update fulfillments set reference = 'F2' where reference = 'F1'",
     "fulfillments[F1].reference: stored F2, by the journal F1"),
    ("update fulfillments set parcels = '{}' where reference = 'F1'",
     "fulfillments[F1].parcels: stored nothing, by the journal tracking:cj:1"),
    ("update fulfillment_items set quantity = 3 from fulfillments f where f.id = fulfillment_id and f.planned",
     "fulfillment_items[plan/pot].quantity: stored 3, by the journal 1"),
    ("update returns set reason = 'other'", "returns[R1].reason: stored other, by the journal defective"),
    ("delete from return_items", None),
    ("update results set reason = 'repeated' from journal j where j.seq = results.seq and event_id = 'p'",
     "event 2 (PaymentSucceeded shop/p).reason: stored repeated, by the journal nothing"),
    ("update results set step_to = 'shipped' from journal j where j.seq = results.seq and event_id = 'p'",
     "event 2 (PaymentSucceeded shop/p).step_to: stored shipped, by the journal paid"),
]  # fmt: skip


@pytest.fixture
def told_place(place: Place):
    place.take(STORY)
    place.work()
    assert lines(verify(place.engine)) == []
    return place


@pytest.mark.parametrize(("sql", "line"), TAMPERED, ids=[sql.split(" set ")[-1][:40] for sql, _ in TAMPERED])
def test_a_field_that_was_tampered_with_is_the_one_difference(told_place: Place, sql: str, line: str | None):
    told_place.do(sql)
    report = verify(told_place.engine)
    assert len(report.differences) == 1, lines(report)
    [found] = report.differences
    assert found.order == CREATED.subject
    if line is not None:
        assert str(found) == f"order {CREATED.subject}: {line}"


def test_a_row_too_many_and_a_row_too_few(told_place: Place):
    told_place.do("""
        insert into transactions (id, order_id, payment_id, currency, status, amount)
        select gen_random_uuid(), id, 'pay_x', 'KRW', 'pending', 7 from orders
    """)
    told_place.do("delete from return_items")
    told_place.do("delete from returns")
    found = lines(verify(told_place.engine))
    assert len(found) == 3
    assert any("transactions[pay_x]: stored payment_id pay_x, currency KRW" not in line for line in found)
    assert any("returns[R1]: stored nothing, by the journal " in line for line in found)
    assert any("return_items[R1/tea]: stored nothing" in line for line in found)


def test_an_id_is_compared_too(told_place: Place):
    told_place.do("update transactions set id = '01930000-0000-7000-8000-000000000000'")
    [found] = verify(told_place.engine).differences
    assert found.path == "transactions[pay_1].id"
    assert found.stored == "01930000-0000-7000-8000-000000000000"


def test_a_hole_in_the_apply_numbers(told_place: Place):
    told_place.do("update results set apply_number = apply_number + 10 where apply_number = 8")
    found = lines(verify(told_place.engine))
    assert any("apply_number: stored 18, by the journal 8" in line for line in found)


def test_a_changed_body_shows_in_what_follows_from_it(told_place: Place):
    told_place.do("""update journal set data = jsonb_set(data, '{amount}', '"14000"') where event_id = 'p'""")
    found = {d.path for d in verify(told_place.engine).differences}
    assert {"status", "transactions[pay_1].amount"} <= found


def test_a_body_that_cannot_be_read_is_told(told_place: Place):
    told_place.do("""update journal set data = '{}' where event_id = 'p'""")
    assert any("cannot be read: paymentId" in line for line in lines(verify(told_place.engine)))


def test_a_failure_of_our_own_code_is_told(told_place: Place, monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(module, "apply", fails)
    found = lines(verify(told_place.engine))
    assert any("our own code fails on it: ZeroDivisionError: oh" in line for line in found)


@pytest.mark.parametrize(
    ("sql", "stored", "due"),
    [
        ("delete from parked", "the result parked", "a row of parked beside it"),
        ("update results set outcome = 'ignored' where outcome = 'parked'",
         "a row of parked, and the result ignored", "the result parked"),
        ("update parked set reason = 'not_paid'", "parked for not_paid under ", "parked for not_delivered under "),
        ("delete from dead_letters", "the result dead", "an open dead letter beside it"),
        ("update dead_letters set state = 'replayed'", "the result dead", "an open dead letter beside it"),
        ("delete from results where outcome = 'dead'", "a dead letter open, and the result nothing", "the result dead"),
        ("update results set order_id = gen_random_uuid() where outcome = 'dead'", "a result of order ", "an order of"),
        ("update results set apply_number = 77 where outcome = 'parked'", "parked, apply number 77",
         "no apply number"),
    ],
)  # fmt: skip
def test_what_hangs_on_results_is_checked(told_place: Place, sql: str, stored: str, due: str):
    told_place.take(
        [
            told("early", "OrderConfirmed", {}),
            told("poison", "FulfillmentShipped", {"fulfillment": "F7", "items": [{"item": "cup", "quantity": 1}]}),
        ]
    )
    told_place.work()
    assert lines(verify(told_place.engine)) == []
    told_place.do(sql)
    found = verify(told_place.engine).differences
    assert any(str(d.stored).startswith(stored) and str(d.folded).startswith(due) for d in found), found


# -- at a time ---------------------------------------------------------------------------------------------


def test_an_order_as_it_was_known_at_a_time(place: Place):
    place.take([PAID])
    place.work()
    times = [datetime.now(UTC)]
    for envelope in (CREATED, SHIPPED, DELIVERED, ASKED):
        place.take([envelope])
        place.work()
        times.append(datetime.now(UTC))
    number = CREATED.subject or ""
    assert as_known_at(place.engine, number, START) is None
    assert as_known_at(place.engine, number, times[0]) is None  # named by a payment, not there yet
    known = [as_known_at(place.engine, number, at) for at in times[1:]]
    assert [order and (str(order.status), order.items[0].shipped_quantity, len(order.returns)) for order in known] == [
        ("preparing", 0, 0), ("preparing", 2, 0), ("preparing", 2, 0), ("preparing", 2, 1),
    ]  # fmt: skip
    assert known[0] is not None
    assert known[0].captured() == Decimal(15000)
    assert as_known_at(place.engine, "nobody", times[-1]) is None


# -- policies ----------------------------------------------------------------------------------------------


def test_a_policy_is_kept_once(place: Place):
    with place.engine.begin() as conn:
        ids = [policy_id(conn, policy) for policy in (AUTO, STAFF, AUTO, STAFF, AUTO)]
        assert len(set(ids)) == 2
        assert all_policies(conn)[ids[1]] == STAFF
        assert all_policies(conn) == {ids[0]: AUTO, ids[1]: STAFF}
        numbers = conn.execute(text("select last_value from policies_id_seq")).scalar_one()
    assert numbers == ids[1]  # asking uses up none


def test_two_that_keep_the_same_policy_get_the_same_number(place: Place):
    from concurrent.futures import ThreadPoolExecutor

    def ask(_: int) -> int:
        with place.engine.begin() as conn:
            return policy_id(conn, STAFF)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(16)))) == 1
