"""The order's table row by row, told as events."""

from __future__ import annotations

import pytest

from domain.order import LIFECYCLE, Order, Status
from tests.builders import (
    Story,
    an_order,
    approved,
    asked_back,
    boxed,
    came_back,
    canceled,
    confirmed,
    corrected,
    created,
    delivered,
    expired,
    failed,
    items_canceled,
    later,
    line,
    lost,
    packed,
    paid,
    processing,
    rejected,
    scan,
    shipped,
    told,
    tracked,
    won,
)

PAID = (created(), paid())
ARRIVED = (*PAID, shipped(), delivered())
NOTHING = told("OrderCreated", items=[], totalAmount="10000")
ASKED = (*ARRIVED, asked_back("ret", {"mug": 1}))
BACK = (asked_back("ret", {"mug": 1}), approved(), processing(), came_back())
# (event of the row, what was told before, what is told now, from, to); returns wait for staff here.
ROWS = [
    ("OrderCreated", (), created(), "new", "pending"),
    ("OrderCreated", (), created(line("gift", 1, 0)), "new", "preparing"),  # paid at once; a plan starts
    ("PaymentSucceeded", (created(),), paid(), "pending", "preparing"),
    ("PaymentSucceeded", (created(), failed()), paid(), "failed", "preparing"),
    ("PaymentSucceeded", (created(), failed()), paid(1), "failed", "pending"),
    ("PaymentFailed", (created(),), failed(), "pending", "failed"),
    ("OrderCanceled", (created(),), canceled(), "pending", "canceled"),
    ("OrderCanceled", (created(), failed()), canceled(), "failed", "canceled"),
    ("OrderCanceled", (created(total=0, discountAmount="10000"),), canceled(), "preparing", "canceled"),
    ("OrderCanceled", PAID, canceled(), "preparing", "canceled"),
    ("OrderCanceled", (NOTHING, paid()), canceled(), "paid", "canceled"),
    ("OrderExpired", (created(),), expired(), "pending", "canceled"),
    ("OrderExpired", (created(), failed()), expired(), "failed", "canceled"),
    ("FulfillmentCreated", PAID, boxed(), "preparing", "preparing"),
    ("FulfillmentShipped", (*PAID, boxed()), shipped(), "preparing", "shipped"),
    ("FulfillmentShipped", PAID, shipped("box", {"mug": 1}), "preparing", "preparing"),
    ("FulfillmentDelivered", (*PAID, shipped()), delivered(), "shipped", "delivered"),
    ("FulfillmentDelivered", (*PAID, delivered("box", {"mug": 1}), *BACK), items_canceled({"mug": 1}), "preparing", "returned"),
    ("FulfillmentDelivered", (*PAID, boxed()), delivered(), "preparing", "delivered"),
    ("FulfillmentDelivered", (*PAID, shipped("box", {"mug": 1})), delivered(), "preparing", "preparing"),
    ("FulfillmentCorrected", ARRIVED, corrected("packed", at=later(days=1)), "delivered", "preparing"),
    ("FulfillmentCorrected", (*ARRIVED, confirmed()), corrected("pending", at=later(days=1)), "confirmed", "preparing"),
    ("FulfillmentFailed", (*PAID, shipped()), lost(), "shipped", "preparing"),
    ("FulfillmentFailed", (*PAID, boxed()), lost(), "preparing", "preparing"),
    ("OrderConfirmed", ARRIVED, confirmed(), "delivered", "confirmed"),
    ("TrackingUpdated", (*ARRIVED, confirmed(by="timer", at=later(days=7)), shipped("more", {"mug": 1}, **tracked())),
     scan("delivered", at=later(days=8)), "confirmed", "delivered"),
    ("OrderConfirmed", ASKED, confirmed(), "return_requested", "return_requested"),
    ("ReturnRequested", ARRIVED, asked_back(), "delivered", "return_requested"),
    ("ReturnRequested", (*ARRIVED, confirmed()), asked_back(), "confirmed", "return_requested"),
    ("ReturnRequested", ASKED, asked_back("other", {"mug": 1}), "return_requested", "return_requested"),
    ("ReturnProcessingStarted", ASKED, processing(), "return_requested", "return_processing"),
    ("ReturnApproved", ASKED, approved(), "return_requested", "return_processing"),  # then it starts by itself
    ("ReturnRejected", ASKED, rejected(), "return_requested", "delivered"),
    ("ReturnRejected", (*ASKED, processing()), rejected(), "return_processing", "delivered"),
    ("ReturnRejected", (*ASKED, confirmed()), rejected(), "return_requested", "confirmed"),
    ("ReturnRejected", (*ASKED, processing(), confirmed()), rejected(), "return_processing", "confirmed"),
    ("ReturnRejected", (*ASKED, asked_back("other", {"mug": 1}), processing()), rejected(), "return_processing",
     "return_requested"),
    ("ReturnCompleted", (*ARRIVED, asked_back(), processing()), came_back(), "return_processing", "returned"),
    ("ReturnCompleted", (*ASKED, processing()), came_back(), "return_processing", "delivered"),
    ("ReturnCompleted", (*ASKED, processing(), confirmed()), came_back(), "return_processing", "confirmed"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "before", "event", "source", "to"), ROWS)
def test_a_row_of_the_table(row: str, before: tuple, event, source: str, to: str):
    story = Story(*before, returns="staff")
    assert story.status == source
    story.tell(event)
    assert story.status == to
    assert story.outcome(event).partition(":")[0] == "applied"


def test_the_rows_told_here_are_those_of_the_table():
    assert {row[0] for row in ROWS} == {row[0] for row in LIFECYCLE} | {"ReturnApproved", "OrderExpired"}


def test_an_order_of_no_items_stays_paid_since_nothing_is_to_ship():
    story = Story(NOTHING, paid())
    assert story.status == "paid"
    assert story.follow_ups == []


def test_a_step_told_late_that_lists_less_takes_a_delivered_order_back():
    story = Story(*ARRIVED)
    assert story.status == "delivered"
    story.tell(packed("box", {"mug": 1}))
    assert story.status == "preparing"
    assert story.inside("box") == story.plan == {"mug": 1}


@pytest.mark.parametrize("decision", [(), (confirmed(),), (asked_back(),), (asked_back(), processing())])
def test_wherever_a_delivered_order_stands_a_late_list_of_fewer_items_takes_it_back(decision: tuple):
    story = Story(*ARRIVED, *decision, shipped("box", {"mug": 1}), returns="staff")
    assert story.status == "preparing"


# -- confirming --------------------------------------------------------------------------------------


def test_a_confirmation_waits_until_everything_was_delivered():
    early = confirmed(at=later(days=3))
    story = Story(created(line("mug"), line("cup")), early, paid(), shipped(), delivered("box", {"mug": 1}))
    assert story.outcome(early) == "parked: not_delivered"
    story.tell(delivered("second", {"cup": 1}))
    assert story.outcome(early) == "applied"
    assert story.status == "confirmed"
    assert story.order.confirmed_at == later(days=3)


def test_a_confirmation_asks_whether_everything_arrived_not_whether_a_return_is_open():
    yes = confirmed()
    story = Story(*ASKED, yes)
    assert story.outcome(yes) == "applied"
    assert story.status == "return_processing"
    assert story.tell(rejected()).status == "confirmed"


def test_a_confirmation_told_twice_stands_at_its_earliest_time():
    again = confirmed(at=later(days=1))
    story = Story(*ARRIVED, confirmed(at=later(days=2)), again)
    assert story.outcome(again) == "ignored: repeated"
    assert story.order.confirmed_at == later(days=1)


def test_a_canceled_order_is_not_confirmed():
    late = confirmed()
    assert Story(created(), canceled(), late).outcome(late) == "ignored: order_canceled"


def test_an_order_that_came_back_entirely_can_still_be_confirmed_and_stays_returned():
    late = confirmed()
    story = Story(*ARRIVED, asked_back(), came_back(), late)
    assert story.outcome(late) == "applied"
    assert story.status == "returned"


# -- creating ----------------------------------------------------------------------------------------


def test_everything_waits_for_its_order():
    early = [paid(), shipped(), canceled(), asked_back()]
    story = Story(*early)
    assert [story.outcome(event) for event in early] == ["parked: order_unknown"] * 4
    assert story.status == "new"
    story.tell(created())
    assert story.outcome(early[0]) == "applied"


def test_a_second_order_of_one_number_is_dead_and_changes_nothing():
    story = Story(created())
    before = story.everything()
    other = created(line("lamp"))
    assert story.tell(other).outcome(other) == "dead: order_number_taken"
    assert story.everything() == before


def test_an_order_keeps_what_its_event_says():
    story = Story(
        created(line("mug", 2), line("cup", 1, "3000"), discountAmount="1000", shippingAmount="2500",
                discountCode="SPRING", customer="c-1", at=later(hours=-1))
    )  # fmt: skip
    order = story.order
    assert (order.total_amount, order.discount_amount, order.shipping_amount) == (won(14_500), won(1_000), won(2_500))
    assert (order.currency, order.customer, order.discount_code) == ("KRW", "c-1", "SPRING")
    assert order.placed_at == later(hours=-1)
    assert [(i.reference, i.position, i.quantity, i.total_price) for i in order.items] == [
        ("mug", 0, 2, won(10_000)),
        ("cup", 1, 1, won(3_000)),
    ]
    assert order.flags == []


def test_amounts_that_do_not_add_up_are_flagged_for_good():
    story = Story(created(total=9_999))
    assert story.flags == ["amounts_differ"]
    assert story.tell(paid(9_999), shipped(), delivered()).flags == ["amounts_differ"]


def test_the_one_payment_that_an_order_names_is_expected_to_bring_its_total():
    assert Story(created()).payment().amount == won(10_000)
    two = Story(created(payments=("one", "two", "one")))
    assert [(t.payment_id, t.amount) for t in two.order.transactions] == [("one", won(0)), ("two", won(0))]


# -- guards ------------------------------------------------------------------------------------------


def test_an_order_is_covered_when_captured_money_reaches_its_total():
    story = Story(created(), paid(9_999))
    assert not story.order.is_covered()
    assert story.tell(paid(10_000)).order.is_covered()


def test_nothing_was_shipped_or_delivered_of_an_order_without_items():
    empty: Order = an_order(status=Status.PAID)
    assert not empty.is_shipped()
    assert not empty.is_delivered()
    assert not empty.is_returned()
    assert not empty.every_payment_failed()


def test_each_applied_or_ignored_event_takes_the_next_apply_number():
    events = [created(), paid(), paid(), canceled()]
    story = Story(*events)
    numbers = [one.apply_number for one in story.fold.settled]
    assert numbers == [1, 2, 3, 4, 5]  # the plan is the third
    assert story.order.version == 5
