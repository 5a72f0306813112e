"""Privacy on real servers: what is kept of a customer is exported whole, and erased from every table, while verify stays clean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.order import ENDED, Status
from domain.policy import Policy
from journal.append import append
from journal.batch import Shop
from journal.drain import Drain
from journal.policy_store import policy_id
from journal.streams import Streams, connect
from journal.verify import verify
from operations import dead_letters, privacy
from storage import engine as engines
from storage.clock import clock
from tests.builders import asked_back, came_back, canceled, created, delivered, paid, shipped, told
from tests.conftest import SHARDS

SNAPSHOT = {"name": "Haneul Kim", "email": "haneul@shop.example"}
ADDRESS = {"recipientName": "Haneul Kim", "address1": "12 Elm Street"}
TRACES = ("Haneul", "haneul@", "Elm Street", "ring twice", "torn by Haneul")


class Place:
    """A shop with one customer, of whom something stands in every table that may hold it."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.engine = engines.connect(database_url, pinned=True)
        self.streams = Streams(connect(redis_url), SHARDS, lambda _: None)
        with self.engine.begin() as conn:
            self.shop = Shop(policy_id(conn, Policy()), SHARDS)

    def tell(self, *envelopes) -> None:
        for envelope in envelopes:
            with self.engine.begin() as conn:
                new = append(conn, [envelope], SHARDS).new
            self.streams.publish(new)
            drain = Drain(self.engine, self.streams, Policy(), self.shop)
            for shard in self.streams.look().waiting():
                drain.answer(shard)

    def do(self, sql: str, **values: object) -> Sequence[Any]:
        with self.engine.begin() as conn:
            found = conn.execute(text(sql), values)
            return found.all() if found.returns_rows else []

    def holds(self) -> dict[str, list[str]]:
        """Table → which traces of the customer stand somewhere in it."""
        tables = [row[0] for row in self.do("select tablename from pg_tables where schemaname = 'public'")]
        found = {}
        for table in tables:
            content = " ".join(row[0] for row in self.do(f'select cast(t as text) from "{table}" t'))
            if here := [trace for trace in TRACES if trace in content]:
                found[table] = here
        return found


@pytest.fixture
def place(database_url, redis_url) -> Iterator[Place]:
    place = Place(database_url, redis_url)
    person: dict[str, Any] = {
        "customer": "c-42",
        "customerSnapshot": SNAPSHOT,
        "shippingAddress": ADDRESS,
        "notes": "ring twice",
    }
    place.tell(
        created(subject="7", **person), paid(subject="7"), shipped(subject="7"), delivered(subject="7"),
        asked_back(subject="7", note="torn by Haneul", reason="defective"),
        created(subject="8", payments=("other",), customer="c-43", customerSnapshot={"name": "Lee"}),
        # dead: its order number is taken
        told("OrderCreated", subject="7", totalAmount="5", currency="KRW", paymentIds=["x"],
             items=[{"item": "a", "product": "p", "quantity": 1, "unitPrice": "5"}], **person),
    )  # fmt: skip
    with place.engine.begin() as conn:
        for letter in dead_letters.list_open(conn):
            dead_letters.edit(conn, letter.id, None, "7", "ann")
    place.do("insert into api_keys (id, kind, digest, hint) values (gen_random_uuid(), 'secret', 'x', 'abcd')")
    place.do("insert into answers (api_key_id, idempotency_key, digest, status, body) "
             "select id, 'k', 'd', 201, :body from api_keys", body='{"doc": {"orderNumber": "7", "notes": "ring twice"}}')  # fmt: skip
    place.do("insert into refund_accounts (order_id, sealed, masked) select id, 'sealed', cast(:masked as jsonb) from orders "
             "where order_number = '7'", masked='{"holderName": "Haneul"}')  # fmt: skip
    yield place
    place.engine.dispose()
    place.streams.client.close()


def test_the_export_is_one_document_of_all_that_is_kept_and_is_itself_a_look(place):
    with place.engine.begin() as conn:
        found = privacy.export(conn, "c-42", "cli:kim", "request 17")
    (order,) = found["orders"]
    assert order["customerSnapshot"] == SNAPSHOT
    assert order["returns"]["docs"][0]["note"] == "torn by Haneul"
    assert [each["type"] for each in order["timeline"]][:1] == ["OrderCreated"]
    assert any(row.get("notes") == "ring twice" for row in found["personal"])
    assert "Lee" not in str(found)
    (look,) = place.do("select action, target, reason from audit where actor = 'cli:kim'")
    assert tuple(look) == ("look at personal data", privacy.subject("c-42"), "request 17")


def test_an_erasure_leaves_no_trace_in_any_table_and_verify_clean(place):
    assert {"personal", "answers", "refund_accounts"} <= set(place.holds())
    with place.engine.begin() as conn:
        done = privacy.erase(conn, "c-42", "cli:kim", "request 17")
    assert (done.orders, done.answers, done.accounts, done.kept_accounts) == (1, 1, 1, 0)
    assert place.holds() == {}
    assert [str(each) for each in verify(place.engine).differences] == []
    (act,) = place.do("select action, target, reason, after from audit where action = 'privacy erase'")
    assert act.target == privacy.subject("c-42")
    assert "c-42" not in str(tuple(act))
    assert place.do("select fields ->> 'customerSnapshot' from personal where fields::text like '%Lee%'") != []


def test_a_bank_account_of_a_refund_under_way_is_kept_and_said(place):
    place.do("insert into effects (id, order_id, transaction_id, payment_id, currency, target, state) select gen_random_uuid(), "
             "o.id, t.id, t.payment_id, 'KRW', 5, 'in_flight' from orders o join transactions t on t.order_id = o.id "
             "where o.order_number = '7' on conflict do nothing")  # fmt: skip
    with place.engine.begin() as conn:
        done = privacy.erase(conn, "c-42", "cli:kim", "request 17")
    assert (done.accounts, done.kept_accounts) == (0, 1)


def test_nobody_of_that_id_is_said(place):
    with place.engine.begin() as conn, pytest.raises(privacy.CustomerUnknown, match="'c-1'"):
        privacy.erase(conn, "c-1", "cli:kim", "request 17")


def test_an_erasure_may_be_repeated_and_events_go_on(place):
    for _ in range(2):
        with place.engine.begin() as conn:
            privacy.erase(conn, "c-42", "cli:kim", "request 17")
    place.tell(told("OrderConfirmed", subject="7", by="staff"))
    assert [str(each) for each in verify(place.engine).differences] == []


def test_by_age_what_is_over_is_forgotten_and_what_is_open_stays(place):
    with place.engine.begin() as conn:
        later = clock() + timedelta(days=800)
        assert privacy.forget_old(conn, later, None, None) == 0
        assert privacy.forget_old(conn, later, timedelta(days=730), None) > 0
    kept = place.do("select fields -> 'customerSnapshot' ->> 'name' from personal where fields ? 'customerSnapshot'")
    assert {row[0] for row in kept} == {"Haneul Kim", "Lee"}, "of orders that are open"


# Each stage by the number of the order that stands in it: those that have ended are forgotten by age, the others kept.
STAGES: dict[str, tuple[Status, list[Any]]] = {
    "s-pending": (Status.PENDING, []),
    "s-canceled": (Status.CANCELED, [canceled()]),
    "s-shipped": (Status.SHIPPED, [paid(), shipped()]),
    "s-delivered": (Status.DELIVERED, [paid(), shipped(), delivered()]),
    "s-confirmed": (Status.CONFIRMED, [paid(), shipped(), delivered(), told("OrderConfirmed", by="staff")]),
    "s-asked": (
        Status.RETURN_PROCESSING,
        [paid(), shipped(), delivered(), told("OrderConfirmed", by="staff"), asked_back(note="torn by Haneul")],
    ),
    "s-returned": (
        Status.RETURNED, [paid(), shipped(), delivered(), asked_back(note="torn by Haneul"), came_back()],
    ),
}  # fmt: skip


def test_by_age_an_order_keeps_its_personal_fields_until_it_has_ended_and_no_longer(place):
    place.do("delete from personal")
    for number, (_, later) in STAGES.items():
        events = [created(payments=(f"pay-{number}",), notes="ring twice"), *later]
        for at, each in enumerate(events):
            data = {**each.data, **({"paymentId": f"pay-{number}"} if "paymentId" in each.data else {})}
            place.tell(replace(each, id=f"{number}-{at}", subject=number, data=data))
    with place.engine.begin() as conn:
        privacy.forget_old(conn, clock() + timedelta(days=800), timedelta(days=730), None)
    stands = dict(
        tuple(row) for row in place.do("select order_number, status from orders where order_number like 's-%'")
    )
    assert stands == {number: str(status) for number, (status, _) in STAGES.items()}
    kept = place.do("select o.order_number from orders o join personal p on p.id = o.personal_id order by 1")
    assert {row[0] for row in kept} == {number for number, (status, _) in STAGES.items() if status not in ENDED}
    notes = place.do(
        "select o.order_number from returns r join orders o on o.id = r.order_id join personal p on p.id = r.personal_id"
    )
    assert [row[0] for row in notes] == ["s-asked"], "the note of a return that is still open"
