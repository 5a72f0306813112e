"""`orders ingest --wait`: what it waits for, what it says meanwhile, and that it ends where nothing moves."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from outbound import refunds
from outbound.refund_attempt import Refunder
from tests.builders import canceled, created, paid, told
from tests.integration.cli.test_doctor_cures import Provider


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds instead of minutes."""
    for name, seconds in {"QUIET_S": 0.2, "PATIENCE_S": 1.5}.items():
        monkeypatch.setattr(f"cli.patience.{name}", seconds)


@pytest.fixture
def served(shop, hands, monkeypatch: pytest.MonkeyPatch):
    """Workers are here: ours, which settle all that comes until the test ends."""
    shop.do("insert into heartbeats (name, at) values ('timers', now() + interval '1 hour')")
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            shop.work()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield shop
    over.set()
    thread.join()


def a_file(folder: Path, *envelopes: Any) -> str:
    lines = [
        {
            "specversion": "1.0",
            "id": each.id,
            "source": each.source,
            "type": each.type,
            "time": each.time.isoformat(),
            "data": each.data,
        }
        | ({"subject": each.subject} if each.subject else {})
        for each in envelopes
    ]
    file = folder / "events.ndjson"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    return str(file)


def test_it_ends_when_all_is_done(served, orders, tmp_path):
    answer = orders("ingest", a_file(tmp_path, created(), paid()), "--wait", "--live", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["left"]["undecided"] == 0
    assert answer.json["left"]["reasons"] == []


def test_events_that_died_are_counted_by_reason_with_the_way_on(served, orders, tmp_path):
    served.tell(told("PaymentSucceeded", paymentId="pay-0"))  # who died before is not of this file
    twice = (paid(10_000, "pay-1", currency="USD"), paid(10_000, "pay-2", currency="USD"))
    told_ = orders(
        "ingest", file := a_file(tmp_path, created(), *twice, told("PaymentSucceeded", paymentId="pay")), "--wait"
    )
    assert told_.code == 1
    assert "every event has its result" in told_.out
    assert (
        "left: 3 events given up (2 currency_mismatch, 1 malformed): `orders given-up causes --kind event`" in told_.out
    )
    again = orders("ingest", file, "--wait", "--json")
    assert (again.code, again.json["duplicates"], again.json["left"]["died"]) == (0, 4, {}), "they were told of before"


def test_refunds_without_anybody_to_make_them_end_it_with_an_account(served, orders, tmp_path):
    answer = orders("ingest", a_file(tmp_path, created(), paid(), canceled()), "--wait", "--live")
    assert answer.code == 1
    assert "every event has its result" in answer.out
    assert "left: 1 refund due, and no refund client is set: `orders doctor` names the setting" in answer.out


def test_refunds_that_fail_again_and_again_end_it_with_the_last_answer(served, orders, tmp_path, monkeypatch):
    monkeypatch.setenv("ORDERS_REFUND_URL", "http://user:secret@bank.example")
    opened, over = served.opened, threading.Event()
    refunder = Refunder("simulated", Provider(), unnamed=True)

    def refund() -> None:  # as the chore does, but does not wait between the tries
        while not over.wait(0.02):
            served.do("update effects set next_at = now() where state = 'due'")
            refunds.run_due(opened.engine, opened.streams, opened.shop.shards, refunder, datetime.now(UTC))

    thread = threading.Thread(target=refund, daemon=True)
    thread.start()
    try:
        answer = orders("ingest", a_file(tmp_path, created(), paid(), canceled()), "--wait", "--live", "--json")
    finally:
        over.set()
        thread.join()
    assert answer.code == 1, answer.err
    left = answer.json["left"]
    assert (left["refunds"]["provider"], left["refunds"]["last_error"]) == ("their provider", "bank: HTTP 503")
    assert left["refunds"]["open"] + left["refunds"]["dead"] == 1
    assert any("bank: HTTP 503" in reason for reason in left["reasons"])


def test_refunds_that_wait_for_a_bank_account_are_listed_by_their_orders(served, orders, tmp_path):
    over = threading.Event()

    def needs_an_account() -> None:
        while not over.wait(0.02):
            served.do("update effects set state = 'account_needed', updated_at = now() where state = 'due'")

    thread = threading.Thread(target=needs_an_account, daemon=True)
    thread.start()
    try:
        answer = orders("ingest", a_file(tmp_path, created(), paid(), canceled()), "--wait", "--live", "--json")
    finally:
        over.set()
        thread.join()
    number = served.do("select order_number from orders")[0][0]
    left = answer.json["left"]
    assert (answer.code, left["refunds"]["account_needed"]) == (1, [number])
    assert any(f"of order {number}: PUT /api/orders/ORDER/refund-account" in line for line in left["reasons"])


def test_refunds_that_nobody_takes_up_are_not_waited_for_for_ever(served, orders, tmp_path, monkeypatch, quick):
    monkeypatch.setenv("ORDERS_REFUND_URL", "http://bank.example")
    served.do("update heartbeats set at = now() - interval '1 hour'")
    monkeypatch.setattr("cli.ingest.command.heartbeat", lambda opened: datetime.now(UTC))
    answer = orders("ingest", a_file(tmp_path, created(), paid(), canceled()), "--wait", "--live")
    assert answer.code == 1
    assert "nothing moved for" in answer.err
    assert "waiting: 1 refund on the way by their provider" in answer.err
    assert "workers: the last heartbeat is 1 h old" in answer.err, "the cause, as the doctor knows it"
    assert "1 refund not made by their provider" in answer.out


def test_events_that_nobody_decides_end_it_with_the_cause(shop, orders, tmp_path, monkeypatch, quick):
    shop.do("insert into heartbeats (name, at) values ('timers', now() - interval '1 hour')")
    answer = orders("ingest", a_file(tmp_path, created(), paid()), "--wait", "--json")
    assert answer.code == 1
    assert answer.json["left"]["undecided"] == 2
    assert "waiting: 2 undecided events" in answer.err
    assert "worker: drain: nobody takes what is in orders.drain" in answer.err
    assert any("`orders doctor` says why" in reason for reason in answer.json["left"]["reasons"])


def test_a_held_row_is_named_while_it_waits(shop, orders, tmp_path, monkeypatch, quick):
    monkeypatch.setattr("operations.health.sessions.HELD_S", 0)
    shop.do("insert into heartbeats (name, at) values ('timers', now())")
    shop.tell(created(), paid())
    with shop.opened.engine.connect() as conn:
        conn.exec_driver_sql("select from orders for update")
        answer = orders("ingest", a_file(tmp_path, told("OrderNoted", note="x")), "--wait")
        conn.rollback()
    assert answer.code == 1
    assert "holds orders" in answer.err
    assert "select pg_terminate_backend(" in answer.err
