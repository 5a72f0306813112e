"""A bank takes a deposit back: what counts no more, what the order keeps, and what nothing starts by itself."""

from __future__ import annotations

import pytest

from domain.order import Status
from domain.permitted_transitions import fulfillment_statuses, held_back, movable, order_statuses, transaction_statuses
from events.envelope import Envelope
from tests.builders import (
    Story,
    any_order_of,
    asked_back,
    boxed,
    came_back,
    canceled,
    created,
    delivered,
    expired,
    failed,
    given_up,
    later,
    line,
    lost,
    paid,
    refunded,
    shipped,
    taken_back,
    won,
)

FIRST, BACK, AGAIN = later(hours=1), later(hours=2), later(hours=3)
TWO = (line("mug", 2), line("cup"))


def reversed_order() -> Story:
    """Paid, planned, and the deposit taken back."""
    return Story(created(), paid(at=FIRST), taken_back(at=BACK))


# -- the payment: by the times that things happened ---------------------------------------------------


@pytest.mark.parametrize("arrival", any_order_of(created(), paid(at=FIRST), taken_back(at=BACK)))
def test_a_reversed_payment_is_pending_again_and_the_order_stays_where_it_was(arrival: tuple[Envelope, ...]):
    story = Story(*arrival)
    assert (story.payment().status, story.payment().paid_at, story.payment().amount) == ("pending", None, won(10_000))
    assert (story.status, story.flags, story.plan) == ("preparing", ["payment_reversed"], {"mug": 2})
    assert story.due == {}


@pytest.mark.parametrize("arrival", any_order_of(created(), paid(at=FIRST), taken_back(at=BACK), paid(at=AGAIN)))
def test_a_later_capture_pays_anew_whatever_is_told_first(arrival: tuple[Envelope, ...]):
    story = Story(*arrival)
    assert (story.payment().status, story.payment().paid_at) == ("paid", AGAIN)
    assert (story.status, story.flags, story.due) == ("preparing", [], {})


@pytest.mark.parametrize("arrival", any_order_of(paid(at=FIRST), taken_back(at=FIRST)))
def test_at_one_time_the_reversal_counts(arrival: tuple[Envelope, ...]):
    assert Story(created(), *arrival).payment().status == "pending"


@pytest.mark.parametrize(
    "arrival", any_order_of(paid(at=FIRST), taken_back(at=BACK), paid(at=AGAIN), taken_back(at=later(hours=4)))
)
def test_a_deposit_may_be_taken_back_twice(arrival: tuple[Envelope, ...]):
    story = Story(created(), *arrival)
    assert (story.payment().status, story.flags) == ("pending", ["payment_reversed"])


@pytest.mark.parametrize(
    "arrival",
    any_order_of(paid(9_000, at=FIRST), paid(10_000, at=BACK), taken_back(at=BACK), paid(8_000, at=AGAIN),
                 paid(7_000, at=later(hours=4))),
)  # fmt: skip
def test_since_its_reversal_a_payment_stands_at_its_highest_amount_and_earliest_time(arrival: tuple[Envelope, ...]):
    story = Story(created(), *arrival)
    assert (story.payment().amount, story.payment().paid_at) == (won(8_000), AGAIN)
    assert (story.status, story.flags) == ("preparing", ["payment_reversed"])


@pytest.mark.parametrize("arrival", any_order_of(failed(), given_up(), paid(at=FIRST), taken_back(at=BACK)))
def test_a_reversal_beats_failed_and_canceled_whenever_it_comes(arrival: tuple[Envelope, ...]):
    assert Story(created(), *arrival).payment().status == "pending"


@pytest.mark.parametrize("arrival", any_order_of(failed(), paid(4_000, at=FIRST), taken_back(at=BACK)))
def test_an_order_that_was_never_covered_is_pending_and_flagged(arrival: tuple[Envelope, ...]):
    story = Story(created(), *arrival)
    assert (story.status, story.flags) == ("pending", ["payment_reversed"])


@pytest.mark.parametrize(
    "arrival", any_order_of(paid(at=FIRST), refunded(8_000), taken_back(at=BACK), paid(8_000, at=AGAIN))
)
def test_a_lower_deposit_of_which_all_went_back_is_canceled(arrival: tuple[Envelope, ...]):
    assert Story(created(), *arrival).payment().status == "canceled"


def test_what_became_of_each_event_is_told():
    first, again, late = paid(at=FIRST), paid(at=AGAIN), paid(9_000, at=later(minutes=30))
    back, older, twice = taken_back(at=BACK), taken_back(at=later(minutes=90)), taken_back(at=BACK)
    story = Story(created(), first, back, older, twice, late, again)
    assert [story.outcome(one) for one in (first, back, older, twice, late, again)] == [
        "applied", "applied", "ignored: overtaken", "ignored: repeated", "applied: reversed_since", "applied",
    ]  # fmt: skip
    newer = taken_back(at=later(minutes=150))
    assert story.tell(newer).outcome(newer) == "ignored: overtaken"  # the deposit had been made anew since
    assert story.payment().paid_at == AGAIN


def test_a_payment_that_is_told_once_or_alike_keeps_no_list_of_its_captures():
    story = Story(created(), paid(at=FIRST), paid("10000.00", at=FIRST))
    assert story.payment().captures == []
    assert len(story.tell(paid(at=AGAIN), paid("10000.0", at=AGAIN)).payment().captures) == 2


# -- the order: it does not go back, and nothing starts by itself -------------------------------------


@pytest.mark.parametrize("arrival", any_order_of(paid(at=FIRST), boxed(), shipped(at=BACK), taken_back(at=AGAIN)))
def test_what_the_warehouse_reports_is_recorded_all_the_same(arrival: tuple[Envelope, ...]):
    story = Story(created(), *arrival)
    assert (story.status, story.parcel().status, story.flags) == ("shipped", "shipped", ["payment_reversed"])
    assert story.waiting == []


@pytest.mark.parametrize("arrival", any_order_of(paid(at=FIRST), boxed(), lost(), taken_back(at=BACK)))
def test_items_of_a_failed_parcel_rejoin_the_plan_and_wait_there(arrival: tuple[Envelope, ...]):
    story = Story(created(), *arrival)
    assert (story.status, story.plan, story.flags) == ("preparing", {"mug": 2}, ["payment_reversed"])


def test_a_plan_that_is_held_back_is_moved_by_no_request():
    order = reversed_order().order
    plan = order.fulfillments[0]
    assert str(held_back(order)).startswith("payment_reversed: payment pay was taken back")
    assert fulfillment_statuses(order, plan) == []
    assert [movable(order, step) for step in (Status.PREPARING, Status.SHIPPED, Status.DELIVERED)] == [[], [], []]
    assert order_statuses(order) == ["canceled"]


def test_once_the_deposit_is_made_anew_the_plan_goes_on():
    order = reversed_order().tell(paid(at=AGAIN)).order
    assert held_back(order) is None
    assert fulfillment_statuses(order, order.fulfillments[0]) == ["packed", "shipped", "delivered", "failed"]
    assert "shipped" in order_statuses(order)


def test_a_parcel_that_has_left_may_be_reported_further_and_one_that_has_not_may_fail():
    boxes = (shipped("out", {"cup": 1}), boxed("box", {"mug": 1}))
    story = Story(created(*TWO), paid(15_000, at=FIRST), *boxes, taken_back(at=BACK))
    order = story.order
    assert fulfillment_statuses(order, story.parcel("out")) == ["delivered", "failed"]
    assert fulfillment_statuses(order, story.parcel()) == ["failed"]
    assert fulfillment_statuses(order, next(one for one in order.fulfillments if one.planned)) == []


def test_a_reversed_payment_may_be_asked_to_be_paid_and_nothing_else():
    story = reversed_order()
    assert transaction_statuses(story.payment()) == ["paid"]
    assert story.tell(paid(at=AGAIN)).payment().status == "paid"


def test_another_payment_may_take_its_place():
    story = reversed_order()
    story.tell(paid(payment="other", at=AGAIN))
    assert (story.flags, story.due, story.payment().status) == ([], {}, "pending")
    story.tell(paid(at=later(hours=4)))
    assert story.due == {"pay": won(10_000)}  # the later of the two is too much


def test_no_unpaid_timer_is_set_again_nor_does_one_cancel_what_may_be_packed():
    story = reversed_order()
    assert [timer.kind for timer in story.fold.timers] == ["unpaid"]
    timer = expired()
    assert story.tell(timer).outcome(timer) == "ignored: already_paid"


@pytest.mark.parametrize("arrival", any_order_of(paid(4_000, at=FIRST), taken_back(at=BACK)))
def test_an_order_that_nobody_paid_for_in_the_end_expires(arrival: tuple[Envelope, ...]):
    timer = expired()
    assert Story(created(), *arrival, timer).outcome(timer) == "applied"


def test_a_delivered_order_stays_delivered_and_flagged():
    story = Story(created(), paid(at=FIRST), delivered("box", {"mug": 2}), taken_back(at=BACK))
    assert (story.status, story.flags) == ("delivered", ["payment_reversed"])


# -- money: what was reversed pays for nothing, and none of it goes back ------------------------------


@pytest.mark.parametrize("arrival", any_order_of(paid(at=FIRST), taken_back(at=BACK)))
def test_a_canceled_order_owes_nobody_a_reversed_deposit(arrival: tuple[Envelope, ...]):
    story = Story(created(), *arrival, canceled())
    assert (story.status, story.flags, story.due) == ("canceled", [], {})


def test_a_deposit_made_anew_on_a_canceled_order_goes_back():
    story = Story(created(), paid(at=FIRST), taken_back(at=BACK), canceled(), paid(at=AGAIN))
    assert story.due == {"pay": won(10_000)}


def test_what_was_due_before_the_reversal_and_has_not_gone_back_is_due_no_more():
    story = Story(created(), paid(at=FIRST), canceled(), taken_back(at=BACK))
    assert story.due == {}
    assert story.tell(paid(8_000, at=AGAIN)).due == {"pay": won(8_000)}


def test_what_had_gone_back_before_the_reversal_is_not_raised_twice():
    story = Story(created(), paid(at=FIRST), canceled(), refunded(10_000), taken_back(at=BACK))
    assert story.due == {"pay": won(10_000)}
    assert story.tell(paid(8_000, at=AGAIN)).due == {"pay": won(10_000)}


def test_a_returns_refund_is_not_made_again_of_another_payment():
    parts = (created(), paid(4_000, "one", at=FIRST), paid(6_000, "two", at=BACK), delivered("box", {"mug": 2}))
    story = Story(*parts, asked_back("ret", {"mug": 1}), came_back("ret"))
    assert story.due == {"two": won(5_000)}
    assert story.tell(refunded(5_000, "two"), taken_back("two", at=AGAIN)).due == {"two": won(5_000)}


def test_what_pays_instead_of_a_reversed_payment_is_not_too_much():
    story = Story(created(), paid(payment="first", at=FIRST), taken_back("first", at=BACK), paid(payment="second"))
    assert (story.due, story.flags) == ({}, [])


def test_the_order_is_flagged_where_what_pays_for_it_had_gone_back_as_too_much():
    story = Story(created(), paid(payment="first", at=FIRST), paid(payment="second", at=BACK))
    assert story.due == {"second": won(10_000)}
    story.tell(refunded(10_000, "second"), taken_back("first", at=AGAIN))
    assert story.flags == ["over_refunded", "payment_reversed", "refunded"]
    story.tell(paid(payment="first", at=later(hours=4)))
    assert (story.flags, story.due) == ([], {"second": won(10_000)})


def test_what_had_not_gone_back_pays_for_the_order_after_all():
    story = Story(created(), paid(payment="first", at=FIRST), paid(payment="second", at=BACK))
    assert story.due == {"second": won(10_000)}
    assert (story.tell(taken_back("first", at=AGAIN)).due, story.flags) == ({}, [])
