"""Returns: what may come back, who starts it, how far it is, and how the order shows it."""

from __future__ import annotations

import pytest

from events.envelope import Envelope
from tests.builders import (
    Story,
    any_order_of,
    approved,
    asked_back,
    came_back,
    canceled,
    confirmed,
    created,
    delivered,
    later,
    line,
    paid,
    processing,
    rejected,
    shipped,
    told,
    won,
)

ARRIVED = (created(), paid(), shipped(), delivered())
ONE = {"mug": 1}
TWO = (created(line("mug", 2), line("cup")), paid(15_000))


# -- a return may start for what has arrived ---------------------------------------------------------


def test_a_return_may_start_before_everything_was_delivered():
    early = asked_back("ret", ONE)
    story = Story(*TWO, shipped("box", ONE), delivered("box"), early)
    assert (story.outcome(early), story.status, story.back().status) == ("applied", "preparing", "processing")
    story.tell(delivered("rest", {"mug": 1, "cup": 1}))
    assert story.status == "return_processing"


def test_a_return_waits_for_the_delivery_of_its_items():
    early = asked_back()
    story = Story(created(), paid(), shipped(), early)
    assert story.outcome(early) == "parked: not_delivered"
    story.tell(delivered())
    assert (story.outcome(early), story.status) == ("applied", "return_processing")


def test_a_return_waits_until_other_returns_let_go_of_its_items():
    second = asked_back("second", ONE)
    story = Story(*ARRIVED, asked_back("first"), second, returns="staff")
    assert story.outcome(second) == "parked: items_held"
    story.tell(rejected("first"))
    assert story.outcome(second) == "applied"


def test_completed_returns_keep_their_items():
    second = asked_back("second", {"mug": 2})
    story = Story(*ARRIVED, asked_back("first", ONE), came_back("first"), second)
    assert story.outcome(second) == "parked: items_held"


@pytest.mark.parametrize("items", [None, {"mug": 2}])
def test_its_own_waiting_rejection_settles_a_request_rejected_and_holding_nothing(items: dict | None):
    asked, refusal = asked_back("second", items), rejected("second")
    for arrival in any_order_of(asked, refusal):
        story = Story(*ARRIVED, asked_back("first", ONE), *arrival)
        assert story.outcome(asked) == "applied: rejected_already"
        assert story.outcome(refusal) == "ignored: overtaken"
        assert (story.back("second").status, story.waiting) == ("rejected", [])
        third = asked_back("third", ONE)
        assert story.tell(third).outcome(third) == "applied"


def test_a_request_without_items_is_for_all_of_the_order():
    story = Story(*TWO, delivered("box", {"mug": 2, "cup": 1}), asked_back(), came_back())
    assert {i.reference: i.returned_quantity for i in story.order.items} == {"mug": 2, "cup": 1}
    assert story.status == "returned"


def test_a_request_told_twice_is_repeated():
    again = asked_back(items=ONE)
    story = Story(*ARRIVED, asked_back(), again)
    assert (story.outcome(again), len(story.order.returns)) == ("ignored: repeated", 1)


# -- how far it is -----------------------------------------------------------------------------------


@pytest.mark.parametrize("arrival", any_order_of(asked_back(), approved(), processing(), rejected()))
def test_a_return_stands_at_the_furthest_of_requested_approved_processing_rejected(arrival: tuple[Envelope, ...]):
    for last in ("rejected", "processing"):
        told = [one for one in arrival if last == "rejected" or one.type != "ReturnRejected"]
        story = Story(*ARRIVED, *told, returns="staff")
        assert (story.back().status, story.waiting) == (last, [])


@pytest.mark.parametrize("step", [approved, processing, rejected, came_back])
def test_a_step_waits_for_its_request(step):
    early = step()
    story = Story(*ARRIVED, early)
    assert story.outcome(early) == "parked: return_unknown"
    story.tell(asked_back())
    assert not story.outcome(early).startswith("parked")


def test_a_completed_return_waits_until_it_is_processed():
    early = came_back()
    story = Story(*ARRIVED, asked_back(), early, returns="staff")
    assert story.outcome(early) == "parked: return_not_processing"
    assert story.tell(approved()).outcome(early) == "applied"
    assert (story.back().status, story.status) == ("completed", "returned")


@pytest.mark.parametrize("told_first", ["completed", "rejected"])
def test_rejected_and_completed_contradict_and_the_first_to_commit_wins(told_first: str):
    done, refusal = came_back(), rejected()
    first, second = (done, refusal) if told_first == "completed" else (refusal, done)
    story = Story(*ARRIVED, asked_back(), first, second)
    assert story.outcome(first) == "applied"
    assert story.outcome(second) == f"ignored: return_{told_first}"
    assert (story.back().status, story.flags) == (told_first, ["return_contradicted"])
    assert story.status == ("returned" if told_first == "completed" else "delivered")
    assert story.due == ({"pay": won(10_000)} if told_first == "completed" else {})


def test_a_return_completed_twice_is_repeated():
    again = came_back(refund=1)
    story = Story(*ARRIVED, asked_back(), came_back(), again)
    assert (story.outcome(again), story.back().refund_amount) == ("ignored: repeated", won(10_000))


# -- several returns ---------------------------------------------------------------------------------


def test_of_several_open_returns_the_order_shows_the_most_advanced():
    story = Story(*ARRIVED, asked_back("one", ONE), asked_back("two", ONE), returns="staff")
    assert story.status == "return_requested"
    assert story.tell(processing("two")).status == "return_processing"
    assert story.tell(rejected("two")).status == "return_requested"
    assert story.tell(rejected("one")).status == "delivered"


def test_partial_and_repeated_returns_until_nothing_is_left():
    story = Story(*ARRIVED, asked_back("one", ONE), came_back("one"))
    assert (story.status, story.item().returned_quantity) == ("delivered", 1)
    story.tell(asked_back("two", ONE), rejected("two"), asked_back("three", ONE), came_back("three"))
    assert (story.status, story.item().returned_quantity) == ("returned", 2)
    nothing = asked_back("four", ONE)
    assert story.tell(nothing).outcome(nothing) == "parked: items_held"


def test_an_order_confirmed_during_a_return_shows_it_afterwards():
    story = Story(*ARRIVED, asked_back("one", ONE), confirmed())
    assert story.status == "return_processing"
    assert story.tell(came_back("one")).status == "confirmed"


# -- who starts it -----------------------------------------------------------------------------------


def test_inside_the_window_a_return_is_approved_and_processed_by_itself():
    story = Story(*ARRIVED, asked_back())
    assert story.follow_ups[-2:] == ["ReturnApproved", "ReturnProcessingStarted"]
    assert (story.back().status, story.back().for_staff) == ("processing", False)


@pytest.mark.parametrize(("seconds", "for_staff"), [(0, False), (1, True)])
def test_the_window_counts_from_the_arrival_of_the_items_to_the_request(seconds: int, for_staff: bool):
    asked = asked_back(at=later(days=32, seconds=seconds))
    story = Story(created(), paid(), shipped(), delivered(at=later(days=2)), asked)
    assert (story.outcome(asked), story.back().for_staff) == ("applied", for_staff)
    assert story.status == ("return_requested" if for_staff else "return_processing")


def test_each_item_has_a_window_of_its_own():
    story = Story(*TWO, delivered("old", {"mug": 2}), delivered("new", {"cup": 1}, at=later(days=20)))
    story.tell(asked_back("mugs", {"mug": 1}, at=later(days=31)), asked_back("cup", {"cup": 1}, at=later(days=31)))
    assert (story.back("mugs").for_staff, story.back("cup").for_staff) == (True, False)


def test_without_a_window_a_return_is_never_too_late():
    story = Story(*ARRIVED, asked_back(at=later(days=3650)), return_window=None)
    assert story.back().status == "processing"


def test_outside_the_window_an_event_is_recorded_and_left_to_staff():
    story = Story(*ARRIVED, asked_back(at=later(days=31)))
    assert (story.back().status, story.follow_ups) == ("requested", ["FulfillmentCreated"])
    assert story.tell(approved()).back().status == "processing"


def test_where_staff_decide_each_request_waits_for_a_person_and_an_approved_one_is_processed_by_itself():
    story = Story(*ARRIVED, asked_back(), returns="staff")
    assert (story.back().status, story.status) == ("requested", "return_requested")
    story.tell(approved())
    assert (story.back().status, story.follow_ups[-1]) == ("processing", "ReturnProcessingStarted")


# -- what cannot come back ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "reason"),
    [({"lamp": 1}, "unknown_item"), ({"mug": 3}, "too_many_items"), ({"mug": 1, "lamp": 1}, "unknown_item")],
)
def test_a_request_for_what_was_never_ordered_is_dead_and_changes_nothing(items: dict, reason: str):
    story = Story(*ARRIVED)
    before, wrong = story.everything(), asked_back("ret", items)
    assert story.tell(wrong).outcome(wrong) == f"dead: {reason}"
    assert story.everything() == before


def test_a_return_of_a_canceled_orders_items_keeps_waiting():
    asked = asked_back()
    assert Story(created(), paid(), canceled(), asked).outcome(asked) == "parked: not_delivered"


# -- what really came back -----------------------------------------------------------------------------

THREE = (created(line("mug", 3)), paid(15_000), delivered("box", {"mug": 3}))
SHORT = came_back("one", items=[{"item": "mug", "quantity": 2}], at=later(hours=1))
FIRST, SECOND = asked_back("one", {"mug": 3}), asked_back("two", {"mug": 1}, at=later(hours=2))


@pytest.mark.parametrize("arrival", any_order_of(FIRST, SHORT, SECOND, came_back("two", at=later(hours=3))), ids=str)
def test_2_of_3_came_back_and_the_third_by_another_return_in_any_order_of_arrival(arrival: tuple):
    story = Story(*THREE, *arrival)
    assert (story.waiting, story.status, story.item().returned_quantity) == ([], "returned", 3)
    assert [[share.quantity for share in story.back(name).shares] for name in ("one", "two")] == [[2], [1]]
    assert (story.back("one").refund_amount, story.back("two").refund_amount) == (won(10_000), won(5_000))


def test_more_than_the_return_has_is_dead():
    wrong = came_back("one", items=[{"item": "mug", "quantity": 4}])
    story = Story(*THREE, FIRST, wrong)
    assert story.outcome(wrong) == "dead: too_many_items"
    assert story.back("one").status == "processing"


def test_an_item_that_the_order_does_not_have_is_dead():
    wrong = came_back("one", items=[{"item": "pot", "quantity": 1}])
    assert Story(*THREE, FIRST, wrong).outcome(wrong) == "dead: unknown_item"


def test_a_line_that_did_not_come_back_is_kept_for_storage_to_delete():
    story = Story(created(line("mug", 2), line("cup")), paid(15_000), delivered("box", {"mug": 2, "cup": 1}))
    story.tell(asked_back("one"))
    gone = next(share for share in story.back("one").shares if share.quantity == 1)
    gone.change_state = 0  # as loaded
    story.tell(came_back("one", items=[{"item": "mug", "quantity": 2}]))
    assert [part.id for part in story.order.deleted] == [gone.id]
    assert story.item("cup").claimed == 0


def received(back: str = "ret", **data):
    return told("ReturnReceived", source="warehouse", **{"return": back, **data})


@pytest.mark.parametrize(
    "arrivals", any_order_of(received(at=later(hours=2)), received(at=later(hours=1)), asked_back())
)
def test_a_return_was_received_by_the_earliest_word_of_it(arrivals):
    story = Story(created(), paid(), delivered("box", {"mug": 2}), *arrivals)
    assert (story.back().received_at, story.waiting) == (later(hours=1), [])


def test_a_withdrawn_return_says_by_whom_and_lets_go_of_its_items():
    story = Story(created(), paid(), delivered("box", {"mug": 2}), asked_back(), rejected(by="customer"))
    assert (story.back().withdrawn(), story.status) == (True, "delivered")
    assert story.tell(asked_back("again")).back("again").status == "processing"


@pytest.mark.parametrize(
    "arrivals", any_order_of(rejected(by="staff", at=later(hours=2)), rejected(by="customer"), asked_back())
)
def test_of_two_rejections_the_earlier_says_by_whom(arrivals):
    story = Story(created(), paid(), delivered("box", {"mug": 2}), *arrivals)
    assert (story.back().status, story.back().rejected_by) == ("rejected", "customer")


def test_a_withdrawal_and_a_receipt_contradict_and_the_first_to_come_counts():
    start = (created(), paid(), delivered("box", {"mug": 2}), asked_back())
    late = Story(*start, received(), withdrawal := rejected(by="customer"))
    assert late.outcome(withdrawal) == "ignored: return_received"
    assert (late.back().status, late.flags) == ("processing", ["return_contradicted"])
    early = Story(*start, rejected(by="customer"), received())
    assert (early.back().status, early.flags) == ("rejected", ["withdrawn_return_received"])


def test_staff_may_reject_what_was_received():
    story = Story(created(), paid(), delivered("box", {"mug": 2}), asked_back(), received(), rejected(by="staff"))
    assert (story.back().status, story.flags) == ("rejected", [])
