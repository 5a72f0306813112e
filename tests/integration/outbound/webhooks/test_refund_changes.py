"""Changes of refunds: noted by whoever makes them, told once each, and as they stand then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from journal import change_capture
from outbound.webhooks import refund_changes
from tests.builders import a_refund, canceled, created, paid

URL = "https://shop.example/hook"


def record(shop) -> int:
    return refund_changes.record_due(shop.engine, datetime.now(UTC))


def recorded(shop) -> list[tuple[str, str, str]]:
    rows = shop.rows("select collection, operation, document from deliveries order by number")
    return [(row[0], row[1], row[2]["status"]) for row in rows]


def test_a_refund_that_is_due_is_created_and_every_step_of_it_is_an_update(shop):
    shop.subscribe(URL, ["refunds"])
    shop.tell(created(), paid(), canceled())
    assert record(shop) == 1
    assert recorded(shop) == [("refunds", "create", "pending")]
    shop.do("update effects set state = 'account_needed'")
    assert record(shop) == 1
    assert shop.rows("select document ->> 'waitsFor' from deliveries order by number")[-1][0] == "account"
    shop.do("update effects set state = 'due'")
    assert (record(shop), [row[1] for row in recorded(shop)]) == (1, ["create", "update", "update"])


def test_what_a_provider_tells_by_its_id_is_a_refund_too(shop):
    shop.subscribe(URL, ["refunds"])
    shop.tell(created(), paid(), a_refund(status="pending"))
    record(shop)
    shop.tell(a_refund())
    record(shop)
    assert recorded(shop) == [("refunds", "create", "pending"), ("refunds", "update", "succeeded")]


def test_a_change_that_nobody_sees_is_told_to_nobody(shop):
    shop.subscribe(URL, ["refunds"])
    shop.tell(created(), paid(), canceled())
    record(shop)
    shop.do("update effects set attempts = attempts + 1, updated_at = now() + interval '1 minute'")
    assert (record(shop), len(recorded(shop))) == (0, 1)
    assert shop.rows("select from refund_changes") == []


def test_several_changes_before_a_look_are_told_as_the_last_of_them(shop):
    shop.subscribe(URL, ["refunds"])
    shop.tell(created(), paid(), a_refund(status="pending"), a_refund())
    record(shop)
    assert recorded(shop) == [("refunds", "create", "succeeded")]


def test_nobody_asks_and_nothing_is_noted(shop):
    shop.subscribe(URL, ["orders"])
    shop.tell(created(), paid(), canceled())
    assert shop.rows("select from refund_changes") == []
    assert record(shop) == 0


def test_a_refund_of_before_the_subscription_is_an_update(shop):
    shop.tell(created(), paid(), canceled())
    shop.do("update effects set created_at = created_at - interval '1 minute'")
    shop.subscribe(URL, ["refunds"])
    shop.do("update effects set state = 'staff'")
    record(shop)
    assert recorded(shop) == [("refunds", "update", "pending")]


def test_history_is_told_to_nobody(shop):
    shop.subscribe(URL, ["refunds"])
    shop.tell(created(), paid(), canceled(), held=True)
    assert (record(shop), recorded(shop)) == (0, [])


def test_each_is_told_the_operations_that_it_asked_for(shop):
    shop.subscribe(URL, ["refunds"], ["update"])
    shop.tell(created(), paid(), canceled())
    record(shop)
    assert recorded(shop) == []
    shop.do("update effects set state = 'staff'")
    record(shop)
    assert recorded(shop) == [("refunds", "update", "pending")]


def test_many_are_told_in_slices(shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(refund_changes, "AT_ONCE", 2)
    shop.subscribe(URL, ["refunds"])
    for n in range(5):
        mine = {"subject": f"N{n}"}
        shop.tell(created(payments=(f"p{n}",), **mine), paid(payment=f"p{n}", **mine), canceled(**mine))
    assert record(shop) == 5
    assert len(recorded(shop)) == 5


def test_a_rollback_notes_nothing(shop):
    shop.subscribe(URL, ["refunds"])
    shop.tell(created(), paid(), canceled())
    record(shop)
    with shop.engine.connect() as conn:
        conn.exec_driver_sql("update effects set state = 'staff'")
        conn.rollback()
    assert record(shop) == 0


def test_what_a_killed_round_took_is_told_by_the_next(shop, monkeypatch: pytest.MonkeyPatch):
    shop.subscribe(URL, ["refunds"])
    shop.tell(created(), paid(), canceled())
    with monkeypatch.context() as broken:
        broken.setattr(change_capture, "deliver", _killed)
        with pytest.raises(KeyboardInterrupt):
            record(shop)
    assert record(shop) == 1
    assert datetime.now(UTC) - shop.rows("select at from deliveries")[0][0] < timedelta(minutes=1)


def _killed(*_):
    raise KeyboardInterrupt
