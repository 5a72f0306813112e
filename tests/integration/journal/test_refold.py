"""Orders of an older release: listed by `verify` where the rules are others now, and written over by `refold`."""

from __future__ import annotations

import pytest

from journal.refold import refold_orders
from journal.verify import verify
from tests.integration.journal.test_verify import CREATED, STORY, Place, lines, place, told

__all__ = ["place"]  # a fixture

NUMBER = CREATED.subject or ""
FAILED = told("f", "PaymentFailed", {"paymentId": "pay_2"}, hours=5)
CANCELED = told("g", "PaymentCanceled", {"paymentId": "pay_2"}, hours=4)
# As the release before stored it: canceled stood whatever came after it, and nothing of it was kept besides.
OLDER = (
    "update transactions set status = 'canceled', facts = null where payment_id = 'pay_2'",
    "update results set outcome = 'ignored', reason = 'overtaken' from journal j where j.seq = results.seq and event_id = 'f'",
    "update policies set body = body - 'rules'",
)


@pytest.fixture
def older(place: Place) -> Place:
    place.take([*STORY, CANCELED, FAILED])
    place.work()
    assert lines(verify(place.engine)) == []
    for statement in OLDER:
        place.do(statement)
    return place


def test_outcomes_of_older_rules_are_left_as_they_are_and_states_are_compared(older: Place):
    found = lines(verify(older.engine))
    assert len(found) == 2, found  # the status and the facts, not the outcome
    assert f"order {NUMBER}: transactions[pay_2].status: stored canceled, by the journal failed" in found


def test_an_order_that_differs_is_written_over_and_nothing_is_sent(older: Place):
    before = older.do("select * from effects"), older.do("select * from timers"), older.do("select * from results")
    assert len(next(refold_orders(older.engine, [NUMBER]))) == 2
    assert lines(verify(older.engine)) == []
    assert older.one("select status from transactions where payment_id = 'pay_2'") == "failed"
    assert before == (
        older.do("select * from effects"),
        older.do("select * from timers"),
        older.do("select * from results"),
    )


def test_rows_too_many_and_too_few_are_put_right(older: Place):
    older.do("delete from return_items")
    older.do("update transactions set id = gen_random_uuid() where payment_id = 'pay_2'")
    assert next(refold_orders(older.engine, [NUMBER]))
    assert lines(verify(older.engine)) == []


def test_an_order_that_is_as_the_journal_tells_is_not_touched(place: Place):
    place.take(STORY)
    place.work()
    stamp = place.one("select updated_at from orders")
    assert next(refold_orders(place.engine, [NUMBER])) == []
    assert place.one("select updated_at from orders") == stamp
    assert next(refold_orders(place.engine, ["unknown"])) == []
