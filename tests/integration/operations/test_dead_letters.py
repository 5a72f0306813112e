"""Dead letters on real servers: found by any name, edited, replayed, discarded; once, and with a trace."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.ids import format_id
from domain.policy import Policy
from events.envelope import Envelope
from journal.append import append
from journal.batch import Shop
from journal.drain import Drain
from journal.entries import shard_of
from journal.parked import sweep
from journal.policy_store import policy_id
from journal.relay import relay
from journal.streams import Streams
from journal.streams import connect as connect_redis
from journal.totals import account
from journal.verify import verify
from operations import dead_letters
from operations.dead_letters import (
    Done,
    EditRefused,
    LetterClosed,
    LetterUnknown,
    NameAmbiguous,
    list_open,
)
from operations.parked_events import list_parked
from storage.engine import connect
from tests.conftest import SHARDS

NOW = datetime.now(UTC)
POLICY = Policy()


class Place:
    """One shop on one database: takes deliveries, answers its doorbells, and has an operator."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.engine = connect(database_url, pinned=True)
        self.streams = Streams(connect_redis(redis_url), SHARDS, lambda _shard: None)
        with self.engine.begin() as conn:
            self.shop = Shop(policy_id(conn, POLICY), SHARDS)

    def take(self, *envelopes: Envelope) -> None:
        with self.engine.begin() as conn:
            appended = append(conn, envelopes, SHARDS)
        self.streams.publish(appended.new)
        self.work()

    def work(self) -> None:
        drain = Drain(self.engine, self.streams, POLICY, self.shop)
        for shard in self.streams.look().waiting():
            drain.answer(shard)

    def replay(self, *refs: str) -> Done:
        with self.engine.begin() as conn:
            done = dead_letters.replay(conn, refs, "ann")
        self.streams.publish(done.entries)
        self.work()
        return done

    def edit(self, ref: str, data: dict | None = None, subject: str | None = None) -> dead_letters.Shown:
        with self.engine.begin() as conn:
            return dead_letters.edit(conn, ref, data, subject, "ann")

    def discard(self, *refs: str) -> Done:
        with self.engine.begin() as conn:
            return dead_letters.discard(conn, refs, "ann", "a test order")

    def show(self, ref: str) -> dead_letters.Shown:
        with self.engine.connect() as conn:
            return dead_letters.show(conn, ref)

    def open(self, **filters: Any) -> list[str]:
        with self.engine.connect() as conn:
            return [letter.name for letter in list_open(conn, **filters)]

    def do(self, sql: str, **values: object) -> Sequence[Any]:
        with self.engine.begin() as conn:
            found = conn.execute(text(sql), values)
            return found.all() if found.returns_rows else []

    def one(self, sql: str, **values: object) -> Any:
        return self.do(sql, **values)[0][0]

    def outcome(self, id: str) -> tuple[str, str | None]:
        found = self.do(
            "select outcome, reason from results join journal using (seq) where event_id = :id order by seq", id=id
        )
        return tuple(found[0]) if found else ("waiting", None)

    def audit(self) -> list[tuple[str, str]]:
        return [tuple(row) for row in self.do("select actor, action from audit order by id")]

    def differences(self) -> list[str]:
        return [str(difference) for difference in verify(self.engine).differences]

    def close(self) -> None:
        self.engine.dispose()
        self.streams.client.close()


@pytest.fixture
def place(database_url: str, redis_url: str):
    made = Place(database_url, redis_url)
    yield made
    assert made.differences() == []
    with made.engine.connect() as conn:
        counts = account(conn)
    six = ("applied", "duplicate", "ignored", "parked", "dead", "waiting")
    assert sum(counts[name] for name in six) == counts["accepted"]
    made.close()


def told(id: str, kind: str, data: dict, *, order: str | None = "n1", source: str = "shop") -> Envelope:
    return Envelope(id, source, kind, NOW, order, data)


CREATED = told(
    "c",
    "OrderCreated",
    {
        "items": [{"item": "tea", "product": "p1", "quantity": 1, "unitPrice": "3000"}],
        "totalAmount": "3000",
        "paymentIds": ["pay_1"],
        "customerSnapshot": {"name": "Kim"},
    },
)
USD = told("usd", "PaymentSucceeded", {"paymentId": "pay_1", "amount": "3000", "currency": "USD"})
NO_AMOUNT = told("no-amount", "PaymentSucceeded", {"paymentId": "pay_1"})


@pytest.fixture
def died(place: Place) -> Place:
    """A shop whose one payment died."""
    place.take(CREATED)
    place.take(USD)
    assert place.outcome("usd") == ("dead", "currency_mismatch")
    return place


# -- edit and replay ---------------------------------------------------------------------------------------


def test_an_edited_event_is_applied_by_its_replay_and_by_the_first_only(died: Place):
    edited = died.edit("usd", {"paymentId": "pay_1", "amount": "3000", "currency": "KRW"})
    assert edited.original == {"subject": "n1", "data": USD.data}
    assert edited.corrected is not None
    assert (edited.corrected["data"]["currency"], edited.corrected["by"]) == ("KRW", "ann")
    assert died.outcome("usd") == ("dead", "currency_mismatch")  # until it is replayed

    done = died.replay("usd")
    assert [entry.data["currency"] for entry in done.entries] == ["KRW"]
    assert died.outcome("usd") == ("applied", None)
    assert died.one("select status from orders") == "preparing"
    assert died.open() == []

    again = died.replay("usd")
    assert (again.changed, again.entries) == ([], [])
    assert [(letter.name, why) for letter, why in again.unchanged] == [("shop/usd", "it was replayed before")]
    assert died.audit() == [("ann", "dlq edit"), ("ann", "dlq replay")]
    assert died.one("select data->>'currency' from journal where event_id = 'usd'") == "USD"  # append-only


def test_a_replay_without_a_cure_dies_again_and_is_open_again(died: Place):
    died.replay("usd")
    assert died.outcome("usd") == ("dead", "currency_mismatch")
    [letter] = [died.show("usd").letter]
    assert (letter.state, letter.deaths) == ("open", 2)
    assert len(died.replay("usd").changed) == 1


def test_the_same_edit_twice_leaves_one_trace(died: Place):
    for _ in range(3):
        died.edit("usd", {**USD.data, "currency": "KRW"})
    assert died.audit() == [("ann", "dlq edit")]
    [done] = died.show("usd").history
    assert (done["before"], done["after"]) == ({"currency": "USD"}, {"currency": "KRW"})


def test_a_second_edit_starts_from_the_first(died: Place):
    died.edit("usd", {**USD.data, "currency": "KRW"})
    died.edit("usd", None, "n2")
    shown_now = died.show("usd")
    assert shown_now.corrected is not None
    assert shown_now.corrected["data"]["currency"] == "KRW"
    assert (shown_now.corrected["subject"], shown_now.letter.subject) == ("n2", "n2")


@pytest.mark.parametrize(
    ("data", "subject", "why"),
    [
        ({"paymentId": "pay_1"}, None, "amount: Field required"),
        ({"paymentId": "pay_1", "amount": "many"}, None, "amount: "),
        ({"paymentId": "a\x00", "amount": "1"}, None, "NUL"),
        ({"paymentId": "pay_1", "amount": "1", "more": "x" * 1_100_000}, None, "at most 1048576"),
        (None, "n" * 300, "at most 255"),
    ],
)
def test_an_edit_that_would_die_again_is_refused(died: Place, data: dict | None, subject: str | None, why: str):
    with pytest.raises(EditRefused, match=why):
        died.edit("usd", data, subject)
    assert died.show("usd").corrected is None
    assert died.audit() == []


def test_what_was_replayed_or_discarded_cannot_be_edited(died: Place):
    died.edit("usd", {**USD.data, "currency": "KRW"})
    died.replay("usd")
    with pytest.raises(LetterClosed, match="was replayed"):
        died.edit("usd", {**USD.data, "currency": "EUR"})
    died.take(NO_AMOUNT)
    died.discard("no-amount")
    with pytest.raises(LetterClosed, match="was discarded"):
        died.edit("no-amount", {**NO_AMOUNT.data, "amount": "1"})


def test_another_order_number_moves_the_event_to_that_order(place: Place):
    other = next(n for n in map(str, range(99)) if shard_of(n, SHARDS) != shard_of("wrong", SHARDS))
    place.take(replace(CREATED, subject=other))
    place.take(told("s", "FulfillmentShipped", {"fulfillment": "F1", "items": []}, order="wrong"))
    place.take(told("p", "PaymentSucceeded", {"paymentId": "pay_1", "amount": "3000"}, order="wrong"))
    assert place.outcome("p") == ("dead", "payment_id_taken")
    place.edit("p", None, other)
    place.replay("p")
    assert place.outcome("p") == ("applied", None)
    assert place.do("select order_number, status from orders where status <> 'new'") == [(other, "preparing")]
    # Its journal row keeps the shard it was accepted under; a stream is a way, and locks are on rows.
    assert place.one("select shard from journal where event_id = 'p'") == shard_of("wrong", SHARDS)
    place.edit("s", {"fulfillment": "F1", "items": [{"item": "tea", "quantity": 1}]}, other)
    place.replay("s")
    assert place.one("select status from orders where status <> 'new'") == "shipped"


def test_two_numbers_of_one_new_order_under_two_shards_at_once(place: Place):
    """Edited onto one order that is not there yet, and drained side by side under the shards they came with."""
    names = [f"w{n}" for n in range(12)]
    for n, name in enumerate(names):
        place.take(told(name, "PaymentSucceeded", {"paymentId": f"pay_{n}"}, order=name))
        place.edit(name, {"paymentId": f"pay_{n}", "amount": "100"}, "n1")
    with place.engine.begin() as conn:
        done = dead_letters.replay(conn, names, "ann")
    place.streams.publish(done.entries)
    shards = sorted({entry.shard for entry in done.entries})
    drains = [Drain(place.engine, place.streams, POLICY, place.shop, batch=1) for _ in shards]
    with ThreadPoolExecutor(len(shards)) as pool:
        list(pool.map(lambda pair: pair[0].answer(pair[1]), zip(drains, shards, strict=True)))
    place.work()
    place.take(replace(CREATED, data={**CREATED.data, "paymentIds": []}))
    assert {place.outcome(name)[0] for name in names} == {"applied"}
    assert place.one("select sum(amount) from transactions") == 1200
    assert place.one("select count(*) from orders where order_number = 'n1'") == 1


def test_names_in_an_edit_go_to_the_side_table(place: Place):
    bad = replace(CREATED, data={**CREATED.data, "totalAmount": "x"})
    place.take(bad)
    kept = place.one("select data->>'personal' from journal")
    good = {**CREATED.data, "customerSnapshot": {"name": "Lee"}, "notes": "ring twice"}
    edited = place.edit("c", good)
    assert edited.corrected is not None
    assert edited.corrected["data"]["personal"] == kept
    assert not {"customerSnapshot", "notes"} & set(edited.corrected["data"])
    assert place.do("select id, fields from personal") == [
        (kept, {"customerSnapshot": {"name": "Lee"}, "notes": "ring twice"})
    ]
    assert "Lee" not in str(place.do("select detail from audit"))
    place.replay("c")
    assert place.one("select personal_id from orders") == kept


def test_an_edit_cannot_borrow_anothers_names(died: Place):
    died.edit("usd", {**USD.data, "currency": "KRW", "personal": "00000000-0000-7000-8000-000000000000"})
    corrected = died.show("usd").corrected
    assert corrected is not None
    assert "personal" not in corrected["data"]


# -- the way back ------------------------------------------------------------------------------------------


def test_a_replay_that_was_not_published_comes_back_by_the_relay(died: Place):
    died.edit("usd", {**USD.data, "currency": "KRW"})
    died.do("update relay_marks set seq = 1000000")
    with died.engine.begin() as conn:
        dead_letters.replay(conn, ["usd"], "ann")
    shard, seq = died.do("select shard, seq from journal where event_id = 'usd'")[0]
    assert died.one("select seq from relay_marks where shard = :shard", shard=shard) == seq - 1
    assert died.one("select count(*) from relay_marks where seq < 1000000") == 1
    died.do("update journal set accepted_at = accepted_at - interval '1 minute'")
    relay(died.engine, died.streams)
    died.work()
    assert died.outcome("usd") == ("applied", None)


def test_a_relay_that_looked_before_a_replay_leaves_the_mark_alone(died: Place):
    """Its look saw everything decided; it must not move the mark over what is undecided again."""
    shard, seq = died.do("select shard, seq from journal where event_id = 'usd'")[0]
    read = died.one("select seq from relay_marks where shard = :shard", shard=shard)
    assert read < seq
    with died.engine.begin() as conn:
        dead_letters.replay(conn, ["usd"], "ann")
    died.do("update relay_marks set seq = 1000 where shard = :shard and seq = :was", shard=shard, was=read)
    assert died.one("select seq from relay_marks where shard = :shard", shard=shard) < seq
    died.work()


def test_two_replays_at_once_are_one(died: Place):
    def replay(_: int) -> int:
        with died.engine.begin() as conn:
            return len(dead_letters.replay(conn, ["usd"], "ann").changed)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(replay, range(12))) == 1
    assert died.audit() == [("ann", "dlq replay")]


def test_what_was_parked_too_long_waits_again_after_its_replay(place: Place):
    place.take(told("early", "OrderConfirmed", {}))
    place.take(told("lost", "PaymentSucceeded", {"paymentId": "pay_1", "amount": "3000"}, order=None))
    place.do("update parked set until = now() - interval '1 minute'")
    assert sweep(place.engine, POLICY, place.shop) == (0, 2)
    assert place.outcome("early") == place.outcome("lost") == ("dead", "parked_too_long")
    assert place.differences() == []
    place.replay("early", "lost")
    assert place.outcome("early") == ("parked", "order_unknown")
    assert place.outcome("lost") == ("parked", "payment_unknown")
    assert place.one("select count(*) from parked where until > now()") == 2
    place.do("update parked set until = now() - interval '1 minute'")
    sweep(place.engine, POLICY, place.shop)
    assert place.show("early").letter.deaths == 2
    place.take(CREATED)
    place.replay("lost")
    assert place.outcome("lost") == ("applied", None)
    assert place.one("select status from orders") == "preparing"


# -- discard -----------------------------------------------------------------------------------------------


def test_a_discarded_event_counts_as_ignored_and_stays_so(died: Place):
    done = died.discard("usd")
    assert [letter.name for letter in done.changed] == ["shop/usd"]
    assert died.outcome("usd") == ("ignored", "discarded")
    assert died.one("select detail from results where reason = 'discarded'") == "a test order"
    assert died.open() == []
    again = died.discard("usd")
    assert again.changed == []
    assert [why for _, why in again.unchanged] == ["it was discarded before"]
    assert died.replay("usd").changed == []
    assert died.outcome("usd") == ("ignored", "discarded")
    assert died.audit() == [("ann", "dlq discard")]


# -- many ------------------------------------------------------------------------------------------------


def test_a_thousand_at_once_is_a_few_statements(died: Place):
    from sqlalchemy import event

    died.take(*[replace(NO_AMOUNT, id=f"x{n}", subject=f"o{n}") for n in range(1000)])
    seqs = [str(row[0]) for row in died.do("select seq from dead_letters")]
    statements: list[str] = []
    event.listen(died.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    with died.engine.begin() as conn:
        done = dead_letters.replay(conn, seqs, "ann")
    assert len(done.entries) == 1001
    assert len(statements) <= 12
    died.streams.publish(done.entries)
    died.work()
    assert died.one("select count(*) from dead_letters where state = 'open' and deaths = 2") == 1001


# -- looking -----------------------------------------------------------------------------------------------


def test_a_letter_is_found_by_each_of_its_names(died: Place):
    seq = died.one("select seq from journal where event_id = 'usd'")
    id = died.one("select id from dead_letters")
    for ref in ("usd", "shop/usd", str(seq), id, id.replace("-", "")):
        assert died.show(ref).letter.seq == seq
    letter = died.show("usd").letter
    assert letter.type == "PaymentSucceeded"
    assert "another currency" in letter.text
    assert "received 3000 USD" in (letter.detail or "")
    with died.engine.connect() as conn:
        assert len(dead_letters.find(conn, ["usd", "shop/usd", str(seq)])) == 1
        assert dead_letters.find(conn, []) == []


def test_a_name_of_several_is_refused_with_all_of_them(died: Place):
    died.take(replace(USD, source="stripe"))
    seq = died.one("select min(seq) from dead_letters")
    died.take(replace(USD, id=str(seq)))
    with pytest.raises(NameAmbiguous, match=r"shop/usd.*stripe/usd"):
        died.replay("usd")
    with pytest.raises(NameAmbiguous):
        died.show(str(seq))
    assert died.show("stripe/usd").letter.source == "stripe"
    died.take(replace(USD, source="shop/of", id="usd/1"))
    assert died.show("shop/of/usd/1").letter.source == "shop/of"
    died.take(replace(USD, id="of/usd/1"))
    with pytest.raises(NameAmbiguous, match=r"shop/of/usd/1.*shop/of/usd/1"):
        died.show("shop/of/usd/1")
    assert died.audit() == []


def test_an_unknown_name_changes_nothing(died: Place):
    for operation in (died.replay, died.discard):
        with pytest.raises(LetterUnknown, match="nobody"):
            operation("usd", "nobody")
    with pytest.raises(LetterUnknown):
        died.edit("c", {})  # applied: no dead letter
    assert died.open() == ["shop/usd"]


def test_lists_are_filtered_and_cut(died: Place):
    died.take(NO_AMOUNT)
    died.take(told("bad", "OrderCanceled", {"by": 7}))
    assert died.open() == ["shop/bad", "shop/no-amount", "shop/usd"]  # the last to die first
    assert died.open(limit=1) == ["shop/bad"]
    assert died.open(type="PaymentSucceeded") == ["shop/no-amount", "shop/usd"]
    assert died.open(reason="malformed", type="PaymentSucceeded") == ["shop/no-amount"]
    assert died.open(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(died.open(since=NOW - timedelta(hours=1))) == 3


def test_what_is_parked_tells_for_what(place: Place):
    place.take(
        CREATED,
        told("early", "OrderConfirmed", {}),
        told("lost", "PaymentFailed", {"paymentId": "pay_9"}, order=None),
    )
    with place.engine.connect() as conn:
        found = list_parked(conn)
        assert len(list_parked(conn, limit=1)) == 1
    assert [(p.event_id, p.order_number, p.key, p.reason) for p in found] == [
        ("early", "n1", None, "not_delivered"),
        ("lost", None, "payment:pay_9", "payment_unknown"),
    ]
    assert found[0].text == "waits until the items were delivered"
    assert all(p.until is not None and p.until - p.since == POLICY.parked_for for p in found)


# -- effects -----------------------------------------------------------------------------------------------


@pytest.fixture
def refund(place: Place) -> str:
    """The dead refund of an overpaid order."""
    place.take(CREATED, told("p", "PaymentSucceeded", {"paymentId": "pay_1", "amount": "4000"}))
    place.do("update effects set state = 'dead'")
    id: str = place.one("select id from effects")
    place.do(
        "insert into dead_letters (id, effect_id, reason, detail) "
        "values (gen_random_uuid(), :id, 'refund_refused', 'the card is closed')",
        id=id,
    )
    return id


def test_a_dead_refund_is_listed_and_replayed(place: Place, refund: str):
    name = format_id("effects", refund)
    assert place.open() == place.open(type="Refund") == [name]
    letter = place.show(name).letter
    assert (letter.subject, letter.payment_id, letter.text) == ("n1", "pay_1", "the card is closed")
    done = place.replay(name)
    assert [one.effect_id for one in done.changed] == [refund]
    assert done.entries == []
    assert place.one("select state from effects") == "due"
    assert place.show(refund).letter.state == "replayed"
    assert [why for _, why in place.replay(refund).unchanged] == ["it was replayed before"]
    assert len(place.audit()) == len(place.show(refund).history) == 1


def test_a_dead_refund_is_discarded_and_stays_dead(place: Place, refund: str):
    assert len(place.discard(refund).changed) == 1
    assert place.discard(refund).changed == []
    assert place.one("select state from effects") == "dead"
    assert place.open() == []
    assert place.audit() == [("ann", "dlq discard")]


def test_a_dead_refund_cannot_be_edited(place: Place, refund: str):
    with pytest.raises(EditRefused, match="no event"):
        place.edit(refund, {"amount": "1"})
