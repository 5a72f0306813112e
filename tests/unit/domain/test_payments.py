"""Payments: facts in any order, and what they make of the order."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from random import Random

import pytest

from events.envelope import Envelope
from tests.builders import (
    Story,
    a_refund,
    any_order_of,
    boxed,
    canceled,
    created,
    disputed,
    expired,
    failed,
    given_up,
    later,
    line,
    paid,
    pending,
    refunded,
    shipped,
    won,
)
from tests.fold_helpers import fold, fold_events, state_of

# -- a payment: success beats failed and canceled, whenever it comes ---------------------------------


@pytest.mark.parametrize("arrival", any_order_of(created(), failed(), given_up(), paid()))
def test_success_beats_failed_and_canceled_whenever_it_comes(arrival: tuple[Envelope, ...]):
    story = Story(*arrival)
    assert (story.payment().status, story.status) == ("paid", "preparing")


def test_success_after_failure_revives_the_order():
    story = Story(created(), failed())
    assert story.status == "failed"
    assert story.tell(paid()).status == "preparing"


def test_a_failure_after_the_success_is_overtaken():
    # A provider that says DONE and ABORTED milliseconds later has been seen: the order stays paid.
    aborted, dropped = failed(), given_up()
    story = Story(created(), paid(), aborted, dropped)
    assert story.outcome(aborted) == story.outcome(dropped) == "ignored: overtaken"
    assert (story.payment().status, story.status) == ("paid", "preparing")


@pytest.mark.parametrize("arrival", any_order_of(failed(), given_up(at=later(minutes=1)), failed()))
def test_of_failed_and_canceled_the_latest_stands(arrival: tuple[Envelope, ...]):
    assert Story(created(), *arrival).payment().status == "canceled"


@pytest.mark.parametrize("arrival", any_order_of(failed(), given_up(), pending()))
def test_of_those_at_one_time_the_furthest_stands(arrival: tuple[Envelope, ...]):
    assert Story(created(), *arrival).payment().status == "failed"


# -- one payment told twice --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrival",
    any_order_of(paid(4_000, at=later(hours=2)), paid(10_000, at=later(hours=3)), paid(9_000, at=later(hours=1))),
)
def test_a_payment_told_several_times_stands_at_its_highest_amount_and_earliest_time(arrival: tuple[Envelope, ...]):
    story = Story(created(), *arrival)
    assert (story.payment().amount, story.payment().paid_at) == (won(10_000), later(hours=1))
    assert story.due == {}


@pytest.mark.parametrize("method", any_order_of("card", "transfer"))
def test_of_two_methods_the_same_one_stays_in_either_order(method: tuple[str, str]):
    link = "https://receipts.example/"
    told = (paid(paymentMethod=one, receiptUrl=link + one, provider=one) for one in method)
    payment = Story(created(), *told).payment()
    assert (payment.payment_method, payment.provider, payment.receipt_url) == (
        "transfer",
        "transfer",
        link + "transfer",
    )


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "", "receipt-7", "https://x.example/" + "y" * 2000, "https://a b"]
)
def test_a_payment_is_not_lost_for_the_sake_of_a_link_that_is_none(link: str):
    payment = Story(created(), paid(10_000, receiptUrl=link)).payment()
    assert (payment.amount, payment.receipt_url) == (won(10_000), None)


def test_the_first_capture_takes_the_place_of_what_was_expected():
    story = Story(created(), paid(4_000))
    assert story.payment().amount == won(4_000)


# -- refundedAmount ----------------------------------------------------------------------------------


@pytest.mark.parametrize("arrival", any_order_of(refunded(3_000), refunded(1_000), refunded(2_000)))
def test_the_refunded_amount_is_the_highest_figure_that_was_reported(arrival: tuple[Envelope, ...]):
    story = Story(created(), paid(), *arrival)
    assert (story.payment().refunded_amount, story.payment().status) == (won(3_000), "paid")


def test_what_is_merely_due_back_is_not_shown_as_refunded():
    story = Story(created(), paid(), canceled())
    assert story.due == {"pay": won(10_000)}
    assert (story.payment().refunded_amount, story.payment().status) == (won(0), "paid")


def test_a_refund_that_was_made_comes_back_as_an_event_and_the_transaction_shows_it():
    story = Story(created(), paid(), canceled(), refunded(10_000))
    assert (story.payment().refunded_amount, story.payment().status) == (won(10_000), "canceled")


@pytest.mark.parametrize("arrival", any_order_of(created(), paid(), refunded(10_000)))
def test_a_payment_refunded_in_full_is_canceled_in_any_order(arrival: tuple[Envelope, ...]):
    assert Story(*arrival).payment().status == "canceled"


@pytest.mark.parametrize(
    "back", [[refunded(4_000)], [a_refund("succeeded", 4_000)], [refunded(1_000), refunded(5_000)]]
)
def test_too_little_money_that_all_went_back_has_not_failed(back: list[Envelope]):
    """Captured counts, refunded or not: what was captured did not fail, though its payment reads canceled."""
    for arrival in permutations([created(), paid(4_000), *back]):
        story = Story(*arrival)
        assert (story.payment().status, story.status) == ("canceled", "pending")
        assert story.tell(failed("other")).status == "pending"


def test_refunds_that_look_like_more_than_the_payment_do_not_fail_its_order():
    """A made-up life's refund failed and came back to life around a sum of that second, so that the sum counts beside it."""
    half = later(seconds=0.25)
    events = [
        created(),
        paid(4_000),
        a_refund("succeeded", 2_000, refund="re_1"),
        replace(refunded(2_000), time=half),
        a_refund("failed", 2_000, refund="re_1"),
        replace(a_refund("succeeded", 2_000, refund="re_1"), time=later(seconds=1)),
        replace(
            a_refund("succeeded", 1_500, refund="re_2", requestedAt=later(seconds=2).isoformat()), time=later(seconds=2)
        ),
    ]
    random = Random(14928)
    for _ in range(50):
        random.shuffle(events)
        story = Story(*events)
        assert (story.payment().refunded_amount, story.payment().status) == (won(5_500), "canceled")
        assert (story.status, "over_refunded" in story.flags) == ("pending", True)


def test_a_capture_of_more_than_was_refunded_is_paid_again():
    story = Story(created(), paid(4_000), refunded(4_000))
    assert story.payment().status == "canceled"
    assert story.tell(paid(10_000)).payment().status == "paid"


def test_a_lower_figure_of_refunds_is_overtaken():
    lower = refunded(1_000)
    assert Story(created(), paid(), refunded(3_000), lower).outcome(lower) == "ignored: overtaken"


def test_money_that_went_back_still_covers_the_order():
    story = Story(created(), refunded(10_000), paid())
    assert story.status == "preparing"


# -- the order's money -------------------------------------------------------------------------------


def test_two_payments_pay_together():
    story = Story(created(), paid(6_000, "one"), paid(4_000, "two"))
    assert (story.status, story.due) == ("preparing", {})


def test_two_successes_for_one_order_the_second_is_refunded():
    story = Story(created(), paid(payment="first"), paid(payment="second", at=later(minutes=1)))
    assert story.due == {"second": won(10_000)}


def test_too_little_money_leaves_the_order_pending_and_flagged_until_more_comes():
    story = Story(created(), paid(9_999))
    assert (story.status, story.flags, story.due) == ("pending", ["underpaid"], {})
    story.tell(paid(1, "rest"))
    assert (story.status, story.flags, story.due) == ("preparing", [], {})


def test_too_little_money_goes_back_when_a_person_cancels():
    story = Story(created(), paid(9_999), canceled())
    assert (story.status, story.flags, story.due) == ("canceled", [], {"pay": won(9_999)})


def test_the_unpaid_timer_leaves_an_underpaid_order_to_a_person():
    timer = expired()
    story = Story(created(), paid(9_999), timer)
    assert (story.outcome(timer), story.status, story.flags) == ("ignored: already_paid", "pending", ["underpaid"])


def test_too_much_money_the_excess_goes_back():
    story = Story(created(), paid(12_500))
    assert (story.status, story.due) == ("preparing", {"pay": won(2_500)})


def test_another_currency_is_dead_lettered_and_changes_nothing():
    story = Story(created())
    before = story.everything()
    dollars = paid(10_000, currency="USD")
    assert story.tell(dollars).outcome(dollars) == "dead: currency_mismatch"
    assert "received 10000 USD" in str(story.settled(dollars)[0].outcome.detail)
    assert "expects 10000 KRW" in str(story.settled(dollars)[0].outcome.detail)
    assert story.everything() == before


def test_a_payment_without_a_currency_is_in_the_shops():
    in_dollars = created(line("mug", 1, "12.50"), currency="USD")
    unnamed = paid("12.50")
    assert Story(in_dollars, unnamed).outcome(unnamed) == "dead: currency_mismatch"
    assert Story(in_dollars, unnamed, currency="USD").status == "preparing"


@pytest.mark.parametrize(
    ("event", "field"),
    [(paid("12.5"), "amount"), (refunded("0.1"), "refundedAmount")],
)
def test_decimals_that_the_currency_does_not_have_are_malformed(event: Envelope, field: str):
    story = Story(created())
    before = story.everything()
    assert story.tell(event).outcome(event) == "dead: malformed"
    assert str(story.settled(event)[0].outcome.detail).startswith(f"{field}: ")
    assert story.everything() == before


def test_an_order_has_failed_only_when_every_payment_has():
    story = Story(created(payments=("one", "two")), failed("one"))
    assert story.status == "pending"
    assert story.tell(given_up("two")).status == "failed"


def test_a_new_payment_brings_a_failed_order_back_to_pending():
    story = Story(created(), failed(), disputed(payment="other"))
    assert story.status == "pending"


# -- payments and canceled orders --------------------------------------------------------------------


def test_a_payment_on_a_canceled_order_is_recorded_and_refunded():
    late = paid()
    story = Story(created(), canceled(), late)
    assert (story.outcome(late), story.status) == ("applied", "canceled")
    assert (story.payment().status, story.due) == ("paid", {"pay": won(10_000)})


@pytest.mark.parametrize("paid_first", [True, False])
def test_expired_and_paid_contradict_and_the_first_to_commit_wins(paid_first: bool):
    timer, money = expired(), paid()
    story = Story(created(), *((money, timer) if paid_first else (timer, money)))
    if paid_first:
        assert (story.outcome(timer), story.status, story.due) == ("ignored: already_paid", "preparing", {})
    else:
        assert (story.outcome(money), story.status) == ("ignored: paid_after_expiry", "canceled")
        assert (story.flags, story.due) == (["expired"], {"pay": won(10_000)})


def test_an_order_that_costs_nothing_does_not_expire():
    timer = expired()
    story = Story(created(line("gift", 1, 0)), timer)
    assert (story.outcome(timer), story.status) == ("ignored: already_paid", "preparing")


def test_a_canceled_order_does_not_expire_again():
    timer = expired()
    assert Story(created(), canceled(), timer).outcome(timer) == "ignored: repeated"


# -- payments and the order that they belong to ------------------------------------------------------


@pytest.mark.parametrize("payment_first", [True, False])
def test_a_payment_that_names_no_order_is_matched_by_its_id_in_either_commit_order(payment_first: bool):
    money, order = paid(subject=None), created()
    story = fold_events([money, order] if payment_first else [order, money])
    assert state_of(story.order)["status"] == "preparing"
    assert story.waiting == []


def test_a_payment_that_no_order_names_keeps_waiting():
    found = fold([paid(subject=None, payment="stranger"), created()])
    assert (found["status"], len(found["waiting"])) == ("pending", 1)


# -- disputes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "flags"),
    [((None,), ["disputed"]), (("won",), []), (("lost",), ["disputed"]), ((None, "won"), []), (("won", None), []),
     (("lost", None), ["disputed"]), (("lost", "won"), []), (("won", "lost"), [])],
)  # fmt: skip
def test_a_dispute_flags_the_order_until_it_is_won_and_moves_no_status(told: tuple, flags: list[str]):
    story = Story(created(), paid(), *(disputed(outcome) for outcome in told))
    assert (story.flags, story.status, story.payment().status) == (flags, "preparing", "paid")


def test_a_dispute_that_is_decided_is_not_opened_again():
    opened = disputed()
    story = Story(created(), paid(), disputed("lost"), opened)
    assert (story.outcome(opened), story.payment().dispute) == ("ignored: overtaken", "lost")


# -- what waits for money ----------------------------------------------------------------------------


@pytest.mark.parametrize("step", [boxed, shipped])
def test_created_and_shipped_wait_until_the_order_is_covered(step):
    parcel = step()
    story = Story(created(), paid(9_999), parcel)
    assert story.outcome(parcel) == "parked: not_paid"
    story.tell(paid(1, "rest"))
    assert story.outcome(parcel) == "applied"
    assert story.waiting == []
