"""Refunds by their ids, cumulative figures and disputes: what went back, what is owed again, what is gone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from events.envelope import Envelope
from tests.builders import (
    ORDER,
    Story,
    any_order_of,
    asked_back,
    came_back,
    canceled,
    created,
    delivered,
    later,
    paid,
    refunded,
    told,
    won,
)
from tests.fold_helpers import NOW


def refund(name: str, amount: Any = None, status: str | None = None, payment: str = "pay", **data: Any) -> Envelope:
    """One refund by its id, in the newer form."""
    at = data.pop("at", NOW)
    data = {"amount": None if amount is None else str(amount), "status": status, **data}
    body = {"paymentId": payment, "refund": name, **{k: v for k, v in data.items() if v is not None}}
    return Envelope(f"{name}-{status}-{at.isoformat()}-{amount}", "psp", "PaymentRefunded", at, ORDER, body, 2)


def refund_failed(name: str, amount: Any = None, payment: str = "pay", **data: Any) -> Envelope:
    amount = None if amount is None else str(amount)
    return told("RefundFailed", paymentId=payment, refund=name, amount=amount, **data)


def dispute(name: str, outcome: str | None = None, amount: Any = None, **data: Any) -> Envelope:
    """One dispute by its id, in the newer form."""
    at = data.pop("at", NOW)
    body = {"paymentId": "pay", "dispute": name, "outcome": outcome, "amount": None if amount is None else str(amount)}
    named = f"{name}-{outcome}-{at.isoformat()}"
    return Envelope(named, "psp", "PaymentDisputed", at, ORDER, {k: v for k, v in body.items() if v is not None}, 2)


def gone(story: Story) -> Decimal:
    return story.payment().refunded_amount


def in_dispute(story: Story) -> tuple[int, int]:
    """(lost, contested) of the payment, in won."""
    lost, contested = story.payment().in_dispute()
    return int(lost), int(contested)


def aimed(*events: Envelope) -> Decimal:
    """The sum that is to go back and has not, after these."""
    each = Story(created(), paid(), *events).order.transactions
    return sum((max(t.refund_target - t.refunded_amount, Decimal(0)) for t in each), Decimal(0))


# -- what went back ----------------------------------------------------------------------------------


def test_refunds_add_up_by_their_ids_and_a_repeat_adds_nothing():
    again = refund("one", 3_000, at=later(minutes=1))
    story = Story(created(), paid(), refund("one", 3_000), refund("two", 2_000, "pending"), again)
    assert gone(story) == won(5_000)
    assert story.outcome(again) == "applied"  # told at a later time: it stands at that now


ARRIVAL = any_order_of(
    refund("one", 3_000, requestedAt=later(hours=1).isoformat()),
    refunded(3_000, at=later(hours=1)),
    refunded(5_000, at=later(hours=2)),
    refund("two", 1_000, requestedAt=later(hours=3).isoformat()),
)


@pytest.mark.parametrize("arrival", ARRIVAL)
def test_a_sum_adds_what_no_id_explains_of_it(arrival: tuple[Envelope, ...]):
    """3,000 by id and in the first sum, 2,000 by hand in the second, 1,000 by id after both."""
    assert gone(Story(created(), paid(), *arrival)) == won(6_000)


def test_the_larger_of_the_two_sums_would_pay_twice():
    """By id 5,000; by hand 5,000, which only the sum tells: all of it is gone, and nothing more goes out."""
    at = later(hours=1)
    story = Story(
        created(), paid(), canceled(), refund("one", 5_000, requestedAt=at.isoformat()), refunded(10_000, at=at)
    )
    assert (gone(story), story.payment().status) == (won(10_000), "canceled")
    late = refund("two", 5_000, requestedAt=later(hours=2).isoformat())
    assert gone(Story(created(), paid(), refund("one", 5_000), refunded(5_000, at=at), late)) == won(10_000)


@pytest.mark.parametrize(
    "arrival",
    any_order_of(
        refund("one", 4_000, requestedAt=later(hours=1).isoformat()),
        refund_failed("one", at=later(hours=3)),
        refunded(4_000, at=later(hours=3)),
    ),
)
def test_a_failure_at_a_reports_very_time_is_not_in_it(arrival: tuple[Envelope, ...]):
    assert gone(Story(created(), paid(), *arrival)) == 0


def test_an_unknown_time_of_request_is_before_every_report():
    assert gone(Story(created(), paid(), refunded(4_000, at=later(hours=-9)), refund("one", 4_000))) == won(4_000)


@pytest.mark.parametrize(
    "arrival",
    any_order_of(
        refund("one", 4_000, "pending"),
        refund("one", None, "requires_action"),
        refund("one", None, "succeeded"),
        refund_failed("one"),
    ),
)
def test_at_one_time_a_refund_stands_at_its_furthest_status(arrival: tuple[Envelope, ...]):
    assert gone(Story(created(), paid(), *arrival)) == 0


def test_an_amount_with_decimals_that_the_currency_does_not_have_is_malformed():
    for wrong in (refund("one", "0.5"), refund_failed("one", "0.5"), dispute("one", amount="0.5")):
        assert Story(created(), paid(), wrong).outcome(wrong) == "dead: malformed"


# -- what is owed again ------------------------------------------------------------------------------


def test_refund_failed_three_days_later():
    """It went back, its payment was canceled; three days later it comes back, and the money is owed again."""
    story = Story(created(), paid(), canceled(), refund("one", 10_000))
    assert (story.payment().status, story.flags) == ("canceled", [])
    story.fold.refunds.clear()
    story.tell(refund_failed("one", at=later(days=3)))
    assert (story.payment().status, gone(story), story.flags) == ("paid", won(0), ["refund_failed"])
    assert story.fold.refunds == {}  # a person tries again, or settles it by hand


def test_refund_failed_three_days_later_then_retried():
    story = Story(created(), paid(), canceled(), refund("one", 10_000), refund_failed("one", at=later(days=3)))
    story.tell(refund("two", 10_000, "pending", requestedAt=later(days=4).isoformat(), at=later(days=4)))
    assert (gone(story), story.flags) == (won(10_000), [])


def test_a_refund_that_fails_on_an_order_that_owes_nothing_flags_nothing():
    assert Story(created(), paid(), refund("one", 100), refund_failed("one", at=later(days=3))).flags == []


@pytest.mark.parametrize(
    "arrival", any_order_of(refund("one", 3_000), refund_failed("one", at=later(days=1)), canceled())
)
def test_what_is_owed_in_the_end_does_not_depend_on_the_order(arrival: tuple[Envelope, ...]):
    assert aimed(*arrival) == won(10_000)


# -- what went back counts, whoever made it ----------------------------------------------------------


def test_goodwill_5_in_the_dashboard_then_a_return_of_20():
    lines = created(payments=("a", "b"))
    story = Story(lines, paid(5_000, "a"), paid(5_000, "b", at=later(hours=1)), delivered("box", {"mug": 2}))
    story.tell(refund("hand", 1_000, payment="a"))
    assert story.flags == ["over_refunded"]
    story.tell(asked_back("ret", {"mug": 1}), came_back("ret"))
    assert story.due == {"b": won(4_000)}  # the 1,000 of the other payment count
    assert story.flags == []


def test_more_gone_than_due_is_flagged():
    assert Story(created(), paid(), refunded(1_000)).flags == ["over_refunded"]
    assert Story(created(), paid(12_000), refunded(2_000)).flags == []


# -- disputes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrival",
    any_order_of(
        dispute("one"), dispute("two", amount=2_000), dispute("one", "won", at=later(days=1)),
        dispute("two", "lost", at=later(days=2)),
    ),
)  # fmt: skip
def test_two_disputes_one_won_one_lost(arrival: tuple[Envelope, ...]):
    story = Story(created(), paid(), *arrival)
    assert (story.flags, story.payment().dispute, in_dispute(story)) == (["disputed"], "lost", (2_000, 0))
    assert story.tell(canceled()).due == {"pay": won(8_000)}  # lost money is gone


def test_a_new_dispute_after_a_won_one_is_open():
    story = Story(created(), paid(), dispute("one", "won"))
    assert story.flags == []
    assert story.tell(dispute("two", at=later(days=9))).flags == ["disputed"]
    assert in_dispute(story) == (0, 10_000)


def test_of_two_facts_about_one_dispute_the_later_stands():
    assert Story(created(), paid(), dispute("one", "won"), dispute("one", at=later(days=1))).flags == ["disputed"]


@pytest.mark.parametrize("arrival", any_order_of(created(), paid(), dispute("one", "inquiry"), canceled()))
def test_an_inquiry_contests_nothing_but_refunds_wait(arrival: tuple[Envelope, ...]):
    story = Story(*arrival)
    assert (story.flags, story.payment().dispute, in_dispute(story)) == (["inquiry"], "inquiry", (0, 0))
    assert story.due == {"pay": 10_000}
    assert story.fold.order.payments().inquired == 1


@pytest.mark.parametrize(
    ("then", "flags", "contested"),
    [("won", [], 0), (None, ["disputed"], 10_000), ("lost", ["disputed"], 0)],
)
def test_an_inquiry_is_closed_or_becomes_a_dispute(then: str | None, flags: list[str], contested: int):
    told = [created(), paid(), dispute("one", "inquiry"), dispute("one", then, at=later(days=1))]
    for arrival in any_order_of(*told):
        story = Story(*arrival)
        assert (story.flags, in_dispute(story)[1]) == (flags, contested)


def test_a_dispute_of_another_outcome_stays_open_until_a_person_decides():
    """PortOne says that one is resolved, and not in whose favor."""
    story = Story(created(), paid(), dispute("one"), dispute("one", "resolved", at=later(days=1)))
    assert (story.flags, in_dispute(story)) == (["disputed"], (0, 10_000))
    assert story.tell(dispute("one", "won", at=later(days=2))).flags == []


def test_a_first_versions_dispute_has_the_name_of_its_payment():
    old = told("PaymentDisputed", paymentId="pay")
    assert Story(created(), paid(), old, dispute("pay", "won")).flags == []


def test_a_dispute_without_an_amount_is_about_all_that_was_captured():
    story = Story(created(), paid(), canceled(), dispute("one", "lost"))
    assert (story.due, in_dispute(story)) == ({}, (10_000, 0))


@pytest.mark.parametrize("outcome", [None, "lost"])
def test_a_cancel_under_a_dispute_has_its_refund_weighed_anew(outcome: str | None):
    story = Story(created(), paid(), canceled())
    story.fold.refunds.clear()
    story.tell(dispute("one", outcome, amount=4_000))
    assert [t.payment_id for t in story.fold.refunds.values()] == ["pay"]
    assert story.due == {"pay": won(10_000 if outcome is None else 6_000)}


def test_a_return_under_a_lost_dispute_gives_back_what_is_left_at_most():
    story = Story(created(), paid(), delivered("box", {"mug": 2}), dispute("one", "lost", amount=7_000))
    story.tell(asked_back(), came_back())
    assert story.due == {"pay": won(3_000)}


# -- decisions of people -----------------------------------------------------------------------------


def granted(name: str, amount: int, payment: str | None = None, **data: Any) -> Envelope:
    return told("RefundRequested", refund=name, amount=str(amount), paymentId=payment, reason="goodwill", **data)


def allocated(name: str, reason: str, **data: Any) -> Envelope:
    return told("RefundAllocated", refund=name, reason=reason, **data)


def settled(name: str) -> Envelope:
    return told("RefundSettled", refund=name, method="transfer", by="staff")


def accepted(amount: str | int, **data: Any) -> Envelope:
    return told("OrderAccepted", amount=str(amount), by="staff", **data)


def test_goodwill_allocated_takes_nothing_off_a_later_return():
    story = Story(created(), paid(), delivered("box", {"mug": 2}), refund("hand", 1_000), allocated("hand", "goodwill"))
    assert story.flags == []
    story.tell(asked_back("ret", {"mug": 1}), came_back("ret"))
    assert story.due == {"pay": won(6_000)}  # 1,000 went back already
    story.tell(allocated("hand", "due", at=later(days=1)))
    assert story.due == {"pay": won(5_000)}


def test_shipping_refunded_without_a_return():
    story = Story(created(shippingAmount="2500"), paid(12_500), granted("rfd", 2_500))
    assert (story.due, story.flags, story.status) == ({"pay": won(2_500)}, [], "preparing")


@pytest.mark.parametrize(
    "arrival", any_order_of(granted("rfd", 1_000), granted("rfd", 3_000, at=later(hours=1)), paid())
)
def test_of_two_requests_of_one_refund_the_later_stands(arrival: tuple[Envelope, ...]):
    assert Story(created(), *arrival).due == {"pay": won(3_000)}


def test_a_refund_goes_back_on_the_payment_that_is_named_as_far_as_it_holds_money():
    two = (created(payments=("a", "b")), paid(5_000, "a"), paid(5_000, "b", at=later(hours=1)))
    assert Story(*two, granted("rfd", 2_000, "a")).due == {"a": won(2_000)}
    assert Story(*two, granted("rfd", 7_000, "a")).due == {"a": won(5_000), "b": won(2_000)}


def test_never_more_than_was_captured_and_not_lost():
    story = Story(created(), paid(), granted("one", 9_000), granted("two", 9_000), dispute("dp", "lost", amount=4_000))
    assert story.due == {"pay": won(6_000)}


def test_a_hand_made_refund_that_failed_is_no_grant():
    story = Story(created(), paid(), refund("hand", 1_000), allocated("hand", "goodwill"))
    assert (story.tell(refund_failed("hand", at=later(days=3))).flags, story.due) == ([], {})


def test_refund_failed_three_days_later_then_settled_by_hand():
    story = Story(created(), paid(), canceled(), refund("one", 10_000), refund_failed("one", at=later(days=3)))
    assert story.flags == ["refund_failed"]
    story.tell(settled("one"))
    assert (story.flags, gone(story), story.payment().status) == ([], won(0), "paid")
    assert story.due == {}  # it was paid past the provider


def test_a_refused_refund_made_by_hand():
    """The provider refuses ours, somebody makes it in the dashboard: its report is enough."""
    story = Story(created(), paid(), canceled(), refund_failed("ours", 10_000), refunded(10_000, at=later(hours=1)))
    assert (story.flags, gone(story)) == ([], won(10_000))


@pytest.mark.parametrize("arrival", any_order_of(refund("one", 4_000), settled("one"), canceled()))
def test_what_is_settled_counts_only_where_that_refund_failed_or_was_never_made(arrival: tuple[Envelope, ...]):
    story = Story(created(), paid(), *arrival)
    assert story.due == {"pay": won(10_000)}
    assert story.tell(refund_failed("one", at=later(days=3))).due == {"pay": won(6_000)}


def test_99_99_of_100_accepted_later_canceled():
    dollars: dict[str, Any] = {"currency": "USD"}
    order = created(total="100.00", **dollars)
    story = Story(order, paid("99.99", **dollars), accepted("99.99"))
    assert (story.status, "underpaid" in story.flags) == ("preparing", False)
    story.tell(canceled())
    assert story.due == {"pay": Decimal("99.99")}


@pytest.mark.parametrize("arrival", any_order_of(paid(9_000), accepted(9_000), paid(2_000, "rest", at=later(hours=1))))
def test_more_money_fills_the_difference_first(arrival: tuple[Envelope, ...]):
    story = Story(created(), *arrival)
    assert (story.status, story.due) == ("preparing", {"rest": won(1_000)})


def test_a_return_of_an_accepted_order_leaves_what_was_written_off():
    story = Story(created(), paid(9_000), accepted(9_000), delivered("box", {"mug": 2}))
    story.tell(asked_back("ret", {"mug": 1}), came_back("ret"))
    assert story.due == {"pay": won(5_000)}


def test_less_than_what_was_accepted_covers_nothing():
    assert Story(created(), paid(8_000), accepted(9_000)).status == "pending"
    assert Story(created(), paid(8_000), accepted(9_000), accepted(8_000)).status == "preparing"


@pytest.mark.parametrize("make", [accepted, lambda amount: granted("rfd", amount)])
def test_a_decisions_amount_has_the_decimals_of_the_currency(make: Any):
    wrong = make("0.5")
    assert Story(created(), paid(), wrong).outcome(wrong) == "dead: malformed"
