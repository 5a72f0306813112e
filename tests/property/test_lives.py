"""The maker of lives itself: its lives are valid, its oracle adds up, and nothing is too rare."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings

from events.catalogue import CATALOGUE, Event
from events.envelope import Envelope
from events.money import check
from tests.fold_helpers import an_event
from tests.scenario_generator import (
    UNSTATED,
    Life,
    RandomChoices,
    a_life,
    arrivals,
    describe,
    differences,
    lives,
    lives_and_arrivals,
    smallest_failing,
)
from tests.scenario_generator.fulfillments import SHIPPED, STEPS

LIVES = 4000
# Each at least so often in 4,000 lives.
RARELY, SELDOM, OFTEN = 5, 15, 60
TRAITS = {
    "order pending": OFTEN, "order failed": OFTEN, "order paid": SELDOM, "order canceled": OFTEN,
    "order preparing": OFTEN, "order shipped": OFTEN, "order delivered": OFTEN,
    "order confirmed": OFTEN, "order return_requested": OFTEN, "order return_processing": OFTEN,
    "order returned": OFTEN,
    "in KRW": OFTEN, "in USD": OFTEN, "in BRL": OFTEN, "in KWD": OFTEN,
    "a total of 0": OFTEN, "no items": OFTEN,
    "several payments pay together": OFTEN, "overpaid": OFTEN, "underpaid for good": OFTEN,
    "a success after a failure": OFTEN, "a success after a cancellation": OFTEN,
    "a failure told after the success": OFTEN, "a payment told several times": OFTEN,
    "more stated than a return may give back": SELDOM,
    "tax": OFTEN, "tax by line": OFTEN,
    "an underpayment accepted": OFTEN, "a refund asked for": OFTEN, "a refund allocated": SELDOM,
    "a refund settled by hand": SELDOM,
    "held": OFTEN, "released": OFTEN, "flagged held": OFTEN, "flagged refunded": OFTEN,
    "flagged shipped_while_held": OFTEN,
    "an item cancel told again": OFTEN, "items canceled on a canceled order": OFTEN,
    "items canceled before they were paid": OFTEN, "items canceled beside a parcel": OFTEN,
    "items canceled once paid": OFTEN, "all items canceled": OFTEN, "all items canceled, one after the other": SELDOM,
    "a payment awaiting_deposit": OFTEN, "a payment authorized": OFTEN, "a payment processing": OFTEN,
    "a success of a payment under way": OFTEN, "under way after it had ended": OFTEN, "under way, told too late": OFTEN,
    "expired once nothing was under way any more": SELDOM,
    "a payment event without subject": OFTEN, "paid after it was canceled": OFTEN,
    "refunded in part": OFTEN, "refunded in full": OFTEN, "several reports of refunds": OFTEN,
    "a payment reversed": OFTEN, "reversed again": OFTEN, "reversed, and paid anew": OFTEN,
    "a capture told after its reversal": SELDOM, "a reversal of nothing": SELDOM,
    "short of what was reversed": OFTEN, "shipped, and the money reversed": SELDOM,
    "disputed: open": SELDOM, "disputed: won": SELDOM, "disputed: open, then won": SELDOM, "disputed: lost": SELDOM,
    "disputed: open, then lost": SELDOM, "disputed: open, then lost, then won": SELDOM,
    "disputed: inquiry": SELDOM, "disputed: inquiry, then won": SELDOM, "disputed: inquiry, then open": SELDOM,
    "disputed: won, then open": SELDOM, "disputed twice": SELDOM, "lost in a dispute": SELDOM,
    "refunded by hand": OFTEN, "refunds by id, and their sum": OFTEN, "over_refunded": OFTEN, "refund_failed": SELDOM,
    "a refund pending": OFTEN, "a refund requires_action": OFTEN, "a refund succeeded": OFTEN,
    "a refund canceled": OFTEN, "a refund failed": OFTEN, "a refund that failed": OFTEN,
    "a failed refund tried again": OFTEN,
    "OrderCanceled": OFTEN, "OrderExpired": OFTEN, "canceled unpaid": OFTEN,
    "canceled once paid": OFTEN, "canceled with a parcel prepared": OFTEN,
    "canceled after a failed parcel": OFTEN, "created on a canceled order": OFTEN,
    "a split shipment": OFTEN, "a step skipped": OFTEN, "a step told late": OFTEN,
    "one step told twice": OFTEN, "a parcel without items": OFTEN,
    "a later step lists other items": OFTEN, "a late step lists what no longer holds": OFTEN,
    "a failed parcel": OFTEN, "sent again": OFTEN, "delivered after it failed": OFTEN,
    "something left to send": OFTEN,
    "shipped by a scan": OFTEN, "delivered by a scan": OFTEN, "failed by a scan": OFTEN,
    "a scan on the road": OFTEN, "contradictory scans after delivery": OFTEN,
    "shipped at a later time than delivered": OFTEN, "half of a carrier and number": OFTEN,
    "delivered by mistake, and taken back": OFTEN, "delivered by mistake, then really": OFTEN, "corrected twice": OFTEN,
    "corrected to pending": SELDOM, "corrected to packed": OFTEN, "corrected to shipped": OFTEN,
    "corrected to delivered": SELDOM, "corrected to failed": OFTEN, "failed after it was delivered": OFTEN,
    "returned to its sender": SELDOM, "delivered, then returned to its sender": OFTEN,
    "returned to its sender, then delivered there": OFTEN, "flagged returned_to_sender": OFTEN,
    "a number replaced": SELDOM, "the carrier corrected": SELDOM, "two parcels of one number": SELDOM,
    "a stranger's scan by a number that was told by mistake": OFTEN, "corrected before a stranger's scans": SELDOM,
    "a number given out again": OFTEN,
    "a return requested": OFTEN, "a return processing": OFTEN, "a return rejected": OFTEN,
    "a return completed": OFTEN, "several returns completed": OFTEN,
    "rejected, then asked for again": OFTEN, "a return without items": OFTEN,
    "a return before everything was delivered": OFTEN, "confirmed after a return began": OFTEN,
    "asked back after weeks": OFTEN,
    "less came back than was asked for": SELDOM, "returned after it was confirmed": SELDOM, "confirmed by the timer": OFTEN,
    "the timer ran out before the last parcel arrived": OFTEN,
    "a field edited twice": OFTEN, "the address edited after a parcel left": RARELY,
    "some lines need no shipping": OFTEN, "nothing needs shipping": OFTEN,
    "digital, and pending": RARELY, "digital, and failed": RARELY, "digital, and canceled": OFTEN,
    "digital, and preparing": SELDOM, "digital, and shipped": RARELY, "digital, and delivered": SELDOM,
    "digital, and confirmed": SELDOM, "digital, and return_requested": RARELY,
    "digital, and return_processing": RARELY, "digital, and returned": SELDOM,
    "a parcel replaced": SELDOM, "a replaced parcel turned up again": RARELY, "more sent than was ordered": RARELY,
    "a return's number told later": OFTEN, "a return received": OFTEN, "a return received by a scan": OFTEN,
    "a return withdrawn": OFTEN, "a return refused": OFTEN,
    "ReturnApproved under auto": OFTEN, "ReturnApproved under staff": OFTEN,
    "ReturnProcessingStarted under auto": OFTEN, "ReturnProcessingStarted under staff": OFTEN,
}  # fmt: skip


@pytest.fixture(scope="module")
def many() -> list[Life]:
    return [a_life(Random(seed), ("auto", "staff")[seed % 2]) for seed in range(LIVES)]


def body(event: Envelope):
    return an_event(event).data


def of(life: Life, *kinds: str) -> list[Envelope]:
    return [event for event in life.events if event.type in kinds]


# ---------------------------------------------------------------- variety


def test_nothing_that_a_life_may_hold_is_rare(many: list[Life]):
    counts = Counter(trait for life in many for trait in life.traits)
    rare = {name: counts[name] for name, least in TRAITS.items() if counts[name] < least}
    assert rare == {}


def test_every_trait_that_is_named_is_asked_for(many: list[Life]):
    assert {trait for life in many for trait in life.traits} == set(TRAITS)


def test_lives_are_short_and_long(many: list[Life]):
    lengths = sorted(len(life.events) for life in many)
    assert lengths[0] <= 2
    assert lengths[-1] >= 40
    assert lengths[-1] <= 90
    assert 8 <= lengths[LIVES // 2] <= 25


def test_every_event_of_the_catalogue_is_told(many: list[Life]):
    assert {event.type for life in many for event in life.events} == set(CATALOGUE)


def test_the_same_seed_makes_the_same_life():
    assert a_life(Random(7)) == a_life(Random(7))
    assert a_life(Random(7)).events != a_life(Random(8)).events


# ---------------------------------------------------------------- valid events


def test_every_body_is_what_the_catalogue_allows(many: list[Life]):
    for life in many:
        for seq, event in enumerate(life.events):
            made = Event(seq, event.source, event.id, event.type, event.time, event.subject, body(event))
            assert type(made.data).__name__ == event.type


def test_every_event_survives_its_travel(many: list[Life]):
    for life in many[:300]:
        for event in life.events:
            assert Envelope.parse(event.as_document()) == event


def test_ids_are_unique_in_all_lives_and_in_no_order(many: list[Life]):
    for life in many:
        ids = [event.id for event in life.events]
        assert len(set(ids)) == len(ids)
    longest = max(many, key=lambda life: len(life.events))
    ids = [event.id for event in longest.events]
    assert ids != sorted(ids)


def test_amounts_add_up_and_have_the_decimals_of_their_currency(many: list[Life]):
    for life in many:
        order = body(life.events[0])
        currency = order.currency or "KRW"
        worth = sum((line.quantity * line.unitPrice for line in order.items), Decimal(0))
        tax = order.taxAmount or 0
        assert worth + order.shippingAmount + tax - order.discountAmount == order.totalAmount
        for event in life.events[1:]:
            told = body(event)
            assert (getattr(told, "currency", None) or currency) == currency
            for name in ("amount", "refundedAmount", "refundAmount"):
                if (amount := getattr(told, name, None)) is not None:
                    check(amount, currency)


def test_times_are_utc_and_within_the_window_for_returns(many: list[Life]):
    for life in many:
        times = [event.time for event in life.events]
        assert all(time.tzinfo is UTC for time in times)
        own = [
            event.time for event in life.events if event.type != "TrackingUpdated"
        ]  # a stranger's scans may be years off
        assert max(own) - min(own) < timedelta(days=29)


# ---------------------------------------------------------------- valid lives


def test_a_life_begins_with_its_order(many: list[Life]):
    assert all([life.events[0]] == of(life, "OrderCreated") for life in many)


def test_a_payment_event_without_subject_is_led_to_its_order_by_an_earlier_one(many: list[Life]):
    for life in many:
        led = set(body(life.events[0]).paymentIds)
        for event in life.events[1:]:
            if (payment := event.data.get("paymentId")) is not None:
                assert event.subject == life.order or payment in led
                led.add(payment)


def test_a_scan_comes_after_the_event_that_tells_its_number(many: list[Life]):
    for life in many:
        told = set()
        for event in life.events:
            number = event.data.get("trackingNumber")
            if event.type == "TrackingUpdated":
                assert number in told
            elif number is not None:
                told.add(number)


def test_the_first_event_of_a_parcel_names_it(many: list[Life]):
    for life in many:
        named = set()
        for event in life.events:
            ref = event.data.get("fulfillment")
            if ref is not None and ref not in named:
                opens = event.type in ("FulfillmentCreated", "FulfillmentShipped")
                assert opens or "items" in event.data
                named.add(ref)


def test_nothing_contradicts(many: list[Life]):
    for life in many:
        canceled = of(life, "OrderCanceled", "OrderExpired")
        assert len(canceled) <= 1
        left = Counter({line.item: line.quantity for line in body(life.events[0]).items})
        left.subtract({item: counts["canceled"] for item, counts in life.expected["items"].items()})
        assert min(left.values(), default=0) >= 0
        if life.expected["items"] and not any(left.values()):
            assert life.expected["status"] == "canceled"
        assert len(of(life, "OrderConfirmed")) <= 2
        if canceled:
            assert not of(life, "FulfillmentDelivered", "ReturnRequested", "OrderConfirmed")
            statuses = {one["status"] for one in life.expected["fulfillments"].values()}
            assert statuses <= {"failed"}
        if of(life, "OrderExpired"):
            assert not of(life, "PaymentSucceeded")
        completed = {event.data["return"] for event in of(life, "ReturnCompleted")}
        rejected = {event.data["return"] for event in of(life, "ReturnRejected")}
        assert not completed & rejected


def test_a_parcel_comes_after_the_money(many: list[Life]):
    for life in many:
        total = Decimal(life.events[0].data["totalAmount"])
        captured: dict[str, Decimal] = {}
        for event in life.events:
            if event.type == "PaymentSucceeded":
                payment, amount = event.data["paymentId"], Decimal(event.data["amount"])
                captured[payment] = max(captured.get(payment, Decimal(0)), amount)
            if event.type == "OrderAccepted":
                total = min(total, Decimal(event.data["amount"]))
            if event.type in STEPS and not of(life, "ItemsCanceled"):  # what those cost need not be paid
                assert sum(captured.values(), Decimal(0)) >= total


def test_a_refund_comes_after_the_money_that_it_gives_back(many: list[Life]):
    for life in many:
        captured: dict[str, Decimal] = defaultdict(Decimal)
        for event in life.events:
            payment = event.data.get("paymentId", "")
            if event.type == "PaymentSucceeded":
                captured[payment] = max(captured[payment], Decimal(event.data["amount"]))
            if event.type in ("PaymentRefunded", "PaymentDisputed"):
                assert Decimal(event.data.get("refundedAmount", 0)) <= captured[payment]
                assert captured[payment]


def test_a_cancellation_comes_while_nothing_is_out(many: list[Life]):
    for life in many:
        parcel_of: dict[str, str] = {}
        shipped: set[str] = set()
        failed: set[str] = set()
        for event in life.events:
            number = event.data.get("trackingNumber", "")
            ref = event.data.get("fulfillment") or parcel_of.get(number, "")
            parcel_of[number] = ref
            status = event.data.get("status")
            if event.type == STEPS[SHIPPED] or status in ("picked_up", "in_transit"):
                shipped.add(ref)
            if event.type == "FulfillmentFailed" or status == "return_to_sender":
                failed.add(ref)
            if event.type == "OrderCanceled":
                assert shipped <= failed


# ---------------------------------------------------------------- an oracle that adds up


def test_items_are_in_one_place_each(many: list[Life]):
    for life in many:
        lines = body(life.events[0]).items
        ordered = {line.item: line.quantity for line in lines}
        held = Counter(life.expected["plan"])
        for parcel in life.expected["fulfillments"].values():
            if parcel["status"] != "failed":
                held.update(parcel["items"])
        for item, counts in life.expected["items"].items():
            held[item] += counts["canceled"]
        for item in {line.item for line in lines if line.requiresShipping is False}:  # in no parcel
            held[item] += life.expected["items"][item]["shipped"]
        if life.expected["flags"]["over_fulfilled"] or "a parcel replaced" in life.traits:
            continue
        assert all(held[item] <= count for item, count in ordered.items())
        if life.expected["status"] not in ("pending", "failed", "canceled"):
            assert dict(held) == ordered


def test_no_more_came_back_than_arrived_and_no_more_arrived_than_left(many: list[Life]):
    for life in many:
        ordered = {line.item: line.quantity for line in body(life.events[0]).items}
        assert life.expected["items"].keys() == ordered.keys()
        for item, counts in life.expected["items"].items():
            assert 0 <= counts["delivered"] <= counts["shipped"]
            assert counts["returned"] <= counts["delivered"] or life.expected["flags"]["return_without_delivery"]
            assert counts["shipped"] <= ordered[item]


def test_what_is_due_back_is_within_what_was_paid(many: list[Life]):
    for life in many:
        paid = sum((one["amount"] or 0 for one in life.expected["transactions"].values()), Decimal(0))
        if life.due_back is UNSTATED:
            continue
        decided = life.traits & {
            "lost in a dispute",
            "a refund asked for",
            "a refund allocated",
            "an underpayment accepted",
        }
        decided |= {name for name in life.traits if name.startswith("items canceled")}
        if decided or any(one["status"] == "completed" for one in life.expected["returns"].values()):
            assert 0 <= life.due_back <= paid
        elif life.expected["status"] == "canceled":
            assert life.due_back == paid
        else:
            assert life.due_back == max(paid - Decimal(life.events[0].data["totalAmount"]), 0)


def test_returns_never_hold_more_than_arrived(many: list[Life]):
    for life in many:
        held: Counter[str] = Counter()
        for one in life.expected["returns"].values():
            if one["status"] != "rejected":
                held.update(one["items"])
        for item, count in held.items():
            arrived = life.expected["items"][item]["delivered"]
            assert count <= arrived or life.expected["flags"]["return_without_delivery"]


def test_refunds_of_returns_stay_within_what_was_paid_for_the_goods(many: list[Life]):
    for life in many:
        order = body(life.events[0])
        price = sum((line.quantity * line.unitPrice for line in order.items), Decimal(0))
        amounts = [one["refundAmount"] or 0 for one in life.expected["returns"].values()]
        most = max(price - order.discountAmount, Decimal(0)) + (order.taxAmount or 0)
        assert 0 <= sum(amounts, Decimal(0)) <= most


def test_the_oracle_knows_exactly_who_was_told_of(many: list[Life]):
    for life in many:
        for field, name in (("fulfillments", "fulfillment"), ("returns", "return")):
            told = {event.data[name] for event in life.events if name in event.data}
            assert life.expected[field].keys() == told
        told = {event.data["paymentId"] for event in life.events if "paymentId" in event.data}
        assert life.expected["transactions"].keys() == told | set(body(life.events[0]).paymentIds)


# ---------------------------------------------------------------- arrival


def test_an_arrival_has_every_event_and_nothing_else(many: list[Life]):
    for seed, life in enumerate(many[:500]):
        coming = arrivals(life, RandomChoices(Random(seed)))
        assert {event.id for event in coming} == {event.id for event in life.events}
        assert all(event in life.events for event in coming)


def test_arrivals_are_in_order_and_mixed_up_with_and_without_duplicates(many: list[Life]):
    lengthy = [life for life in many if len(life.events) > 5][:500]
    some = [(life, arrivals(life, RandomChoices(Random(n)))) for n, life in enumerate(lengthy)]
    assert sum(coming == life.events for life, coming in some) > 5
    assert sum(coming[: len(life.events)] != life.events for life, coming in some) > 250
    assert sum(len(coming) == len(life.events) for life, coming in some) > 50
    assert sum(len(coming) > len(life.events) for life, coming in some) > 250


def test_a_failing_arrival_is_made_small(many: list[Life]):
    life = next(life for life in many if len(life.events) == 12)
    coming = [*life.events[::-1], *life.events]

    def confirmed_too_early(coming: list[Envelope]) -> bool:
        return coming.index(life.events[9]) < coming.index(life.events[8])

    small = smallest_failing(life, coming, confirmed_too_early)
    first = life.events
    assert small == [*first[:8], first[9], first[8], *first[10:]]
    assert describe(life, small).count("\n") == 12


# ---------------------------------------------------------------- comparing


def test_equal_ends_have_no_differences(many: list[Life]):
    for life in many[:200]:
        flags = [name for name, raised in life.expected["flags"].items() if raised]
        assert differences(life.expected, life.expected) == []
        assert differences(life.expected, {**life.expected, "flags": flags, "waiting": []}) == []


def test_differences_are_told_field_by_field():
    expected = {
        "status": "paid",
        "items": {"tea": {"shipped": 0}},
        "transactions": {"pi_1": {"amount": Decimal("1.50"), "paidAt": UNSTATED}},
        "flags": {"underpaid": True, "disputed": False},
        "plan": {"tea": 1},
    }
    found = {
        "status": "failed",
        "items": {"cup": {"shipped": 0}},
        "transactions": {"pi_1": {"amount": Decimal("2.50"), "x": 1}, "pi_2": {"amount": None}},
        "flags": ["disputed", "something_else"],
        "plan": {},
    }
    assert differences(expected, found) == [
        "status: expected 'paid', found 'failed'",
        "items.tea: expected {shipped: 0}, found nothing",
        "items.cup: expected nothing, found {shipped: 0}",
        "transactions.pi_1.amount: expected 1.50, found 2.50",
        "transactions.pi_2: expected nothing, found {amount: None}",
        "flags.underpaid: expected True, found False",
        "flags.disputed: expected False, found True",
        "plan.tea: expected 1, found nothing",
    ]


# ---------------------------------------------------------------- Hypothesis

BRIEF = settings(max_examples=50)


@BRIEF
@given(life=lives("auto"))
def test_hypothesis_makes_lives_by_policy(life: Life):
    assert life.policy == "auto"
    assert not any(one["status"] == "requested" for one in life.expected["returns"].values())


@BRIEF
@given(made=lives_and_arrivals("staff"))
def test_hypothesis_makes_arrivals(made: tuple[Life, list[Envelope]]):
    life, coming = made
    assert {event.id for event in coming} == {event.id for event in life.events}
