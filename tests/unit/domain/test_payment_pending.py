"""Payments under way: what their order waits for, and until when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.payment_handlers import PATIENCE
from domain.reactions import UNPAID
from events.envelope import Envelope
from tests.builders import (
    Story,
    any_order_of,
    canceled,
    created,
    expired,
    failed,
    given_up,
    later,
    paid,
    pending,
    taken_back,
    won,
)


def due(story: Story) -> list:
    """The times at which the unpaid timer was set to run out, the last one counts."""
    return [timer.due for timer in story.fold.timers if timer.kind == UNPAID]


def under_way(story: Story, name: str = "pay") -> tuple:
    payment = story.payment(name)
    return payment.status, payment.pending_kind, payment.pending_until


# -- what stands -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrival",
    any_order_of(
        failed(at=later(hours=1)), pending("processing", at=later(hours=2)), given_up(at=later(hours=1, seconds=1))
    ),
)
def test_of_pending_failed_and_canceled_before_a_success_the_latest_stands(arrival: tuple[Envelope, ...]):
    story = Story(created(), *arrival)
    assert under_way(story) == ("pending", "processing", later(hours=2) + PATIENCE)
    assert story.status == "pending"


@pytest.mark.parametrize("arrival", any_order_of(pending(at=later(hours=5)), paid(), failed(at=later(hours=6))))
def test_a_success_beats_them_whenever_it_comes(arrival: tuple[Envelope, ...]):
    assert under_way(Story(created(), *arrival)) == ("paid", None, None)
    assert Story(created(), *arrival).payment().facts is None


def test_after_a_reversal_nothing_told_before_the_success_counts():
    late = pending(at=later(hours=9))
    story = Story(created(), paid(), taken_back(at=later(hours=1)), late)
    assert under_way(story) == ("pending", None, None)
    assert story.outcome(late) == "ignored: overtaken"


def test_a_later_end_tells_the_shop_that_nothing_is_under_way_any_more():
    story = Story(created(), pending("awaiting_deposit", until=later(days=3).isoformat()))
    assert under_way(story) == ("pending", "awaiting_deposit", later(days=3))
    story.tell(failed(at=later(days=1)))
    assert (under_way(story), story.status) == (("failed", None, None), "failed")


@pytest.mark.parametrize("arrival", any_order_of(pending(at=later(hours=1), amount="7000"), pending(amount="10000")))
def test_the_amount_that_is_expected_is_the_one_told_last(arrival: tuple[Envelope, ...]):
    assert Story(created(payments=()), *arrival).payment().amount == won(7_000)


def test_an_amount_with_decimals_that_the_currency_does_not_have_is_malformed():
    wrong = pending(amount="0.5")
    assert Story(created(), wrong).outcome(wrong) == "dead: malformed"


# -- the unpaid timer --------------------------------------------------------------------------------


def test_sepa_processing_over_the_unpaid_timer():
    """A SEPA debit takes up to 14 days: its order is there when the money comes."""
    early = expired(at=later(days=1))
    story = Story(created(), pending("processing"), early)
    assert due(story) == [later(days=1), later(days=14)]
    assert (story.outcome(early), story.status) == ("parked: payment_under_way", "pending")
    story.tell(paid(at=later(days=9)))
    assert (story.outcome(early), story.status) == ("ignored: already_paid", "preparing")


def test_a_manual_capture_on_day_6():
    story = Story(created(), pending("authorized", until=later(days=7).isoformat()))
    assert due(story)[-1] == later(days=7)
    assert story.tell(paid(at=later(days=6))).status == "preparing"


def test_a_virtual_account_deposit_after_3_days():
    story = Story(created(), pending("awaiting_deposit", until=later(days=5).isoformat()))
    assert due(story)[-1] == later(days=5)
    assert story.tell(paid(at=later(days=3))).status == "preparing"


@pytest.mark.parametrize(
    ("end", "status"), [(paid(at=later(days=2)), "preparing"), (failed(at=later(days=2)), "failed")]
)
def test_an_async_session_that_succeeds_and_one_that_fails(end: Envelope, status: str):
    story = Story(created(), pending("processing", at=later(minutes=1)), end)
    assert story.status == status


def test_an_end_gives_the_timer_its_old_time_again():
    story = Story(created(), pending("processing"), failed(at=later(hours=2)))
    assert due(story) == [later(days=1), later(days=14), later(days=1)]


def test_without_an_unpaid_timer_nothing_is_set():
    assert due(Story(created(), pending(), unpaid_after=None)) == []


@pytest.mark.parametrize(
    "arrival",
    any_order_of(pending(until=later(hours=3).isoformat()), failed(at=later(hours=1)), expired(at=later(hours=2))),
)
def test_what_came_to_an_end_lets_the_order_expire_in_any_order(arrival: tuple[Envelope, ...]):
    story = Story(created(), *arrival)
    assert (story.status, story.payment().status, story.waiting) == ("canceled", "failed", [])


def test_once_its_time_is_up_the_order_expires():
    story = Story(created(), pending(until=later(days=3).isoformat()), expired(at=later(days=3)))
    assert (story.status, "expired" in story.flags) == ("canceled", True)


def test_under_way_after_expiry_is_ignored():
    late = pending(at=later(days=2))
    story = Story(created(), expired(at=later(days=1)), late)
    assert (story.outcome(late), story.status) == ("ignored: order_canceled", "canceled")
    assert under_way(story) == ("pending", "awaiting_deposit", later(days=2) + PATIENCE)


def test_an_order_is_canceled_by_a_person_whatever_is_under_way():
    assert Story(created(), pending(), canceled()).status == "canceled"


def test_patience_is_fourteen_days():
    assert timedelta(days=14) == PATIENCE
