"""Whatever is told of an order, in whatever order and however contradictory: nothing breaks."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from domain.refunds import targets
from events.envelope import Envelope
from tests.builders import (
    Story,
    approved,
    asked_back,
    boxed,
    came_back,
    canceled,
    confirmed,
    created,
    delivered,
    disputed,
    expired,
    failed,
    given_up,
    later,
    line,
    lost,
    packed,
    paid,
    processing,
    refunded,
    rejected,
    scan,
    shipped,
    taken_back,
    told,
    tracked,
)

BEGINNINGS: list[tuple[Envelope, ...]] = [(), (created(line("mug", 2), line("cup")), paid(15_000))]
ITEMS = (None, {"mug": 1}, {"mug": 2, "cup": 1}, {"mug": 9}, {"lamp": 1})
POOL = [
    created(line("mug", 2), line("cup")), created(line("lamp"), currency="USD"),
    *(paid(amount, name) for amount in (0, 1, 15_000, 99_999) for name in ("pay", "other")),
    paid(15_000, "other", at=later(hours=-1)), paid(1, currency="USD"), paid("0.5"),
    failed(), given_up(), given_up("other"), disputed(), disputed("won"), refunded(5_000), refunded(15_000, "other"),
    taken_back(), taken_back(at=later(hours=-2)), taken_back("other", at=later(hours=2)),
    *(paid(amount, name, at=later(hours=3)) for amount in (1, 15_000) for name in ("pay", "other")),
    canceled(), expired(), confirmed(),
    *(step(box, items) for step in (boxed, packed, shipped, delivered) for box in ("box", "two") for items in ITEMS),
    *(step("box", **tracked()) for step in (boxed, shipped)), lost("box"), lost("two"),
    *(scan(status) for status in ("picked_up", "delivered", "return_to_sender", "on_hold")),
    *(asked_back(name, items) for name in ("ret", "more") for items in ITEMS), asked_back("late", at=later(days=99)),
    *(step(name) for step in (approved, processing, rejected, came_back) for name in ("ret", "more")),
    came_back(refund=99_999), told("OrderCanceled", by="somebody"),
]  # fmt: skip


@given(
    beginning=st.sampled_from(BEGINNINGS),
    events=st.lists(st.sampled_from(POOL), max_size=25),
    returns=st.sampled_from(["auto", "staff"]),
)
def test_nothing_that_is_told_breaks_an_order(beginning: tuple, events: list[Envelope], returns: str):
    story = Story(*beginning, returns=returns)
    for number, event in enumerate(events):
        before = story.everything()
        once = replace(event, id=f"{event.id}-{number}")
        story.tell(once)
        if story.outcome(once).startswith(("parked", "dead")):
            assert story.everything() == before
    order = story.order

    # Each part stands for something real.
    assert order.canceled_at is None or story.status == "canceled"
    assert sum(parcel.planned for parcel in order.fulfillments) <= 1
    for item in order.items:
        assert item.delivered_quantity <= item.shipped_quantity <= item.quantity
        assert 0 <= item.returned_quantity <= item.quantity
    if story.status in ("paid", "preparing", "shipped"):
        assert story.plan == {item.reference: quantity for item, quantity in order.open_shares()}

    # No more goes back than ever came in, and no more is due than is there.
    assert all(one.refund_target <= one.ever_captured() for one in order.transactions)
    assert sum(story.due.values()) <= sum(one.ever_captured() for one in order.transactions)
    assert sum(targets(order)) <= order.captured()
    if all(one.reversed_at is None for one in order.transactions):
        assert sum(story.due.values()) <= order.captured()
        assert "payment_reversed" not in story.flags

    # What stands of a payment is what its captures say.
    for one in order.transactions:
        assert (one.status == "paid") <= (one.paid_at is not None)
        assert one.paid_at is None or one.reversed_at is None or one.paid_at > one.reversed_at

    # Whatever waits has been tried; trying again changes nothing.
    before, settled = story.everything(), len(story.fold.settled)
    story.fold.retry()
    assert (story.everything(), len(story.fold.settled)) == (before, settled)
