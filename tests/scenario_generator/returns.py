"""Returns of items: partial, repeated, refused and asked for again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

from tests.scenario_generator.fulfillments import listed
from tests.scenario_generator.goods import written

if TYPE_CHECKING:
    from tests.scenario_generator.story import Story, Thread

REASONS = ("change_of_mind", "defective", "wrong_delivery", "damaged", "other")
CARRIER = "Returns Express"
APPROVED, STARTED = "ReturnApproved", "ReturnProcessingStarted"


@dataclass
class Return:
    """A return, as far as it has been told."""

    ref: str
    items: dict[str, int]
    approved: bool = False
    rejected: bool = False
    completed: bool = False
    withdrawn: bool = False
    received: list[datetime] = field(default_factory=list)  # as it was told, or scanned by the number that stands
    number: str | None = None  # of the parcel that brings it back
    scans: list[tuple[datetime, int, str, str]] = field(default_factory=list)  # (…, rank, …, status)
    refund: Decimal | None = None  # as the completion states it
    at: datetime | None = None  # the completion's time

    @property
    def open(self) -> bool:
        return not self.rejected and not self.completed

    def status(self, policy: str) -> str:
        if self.completed:
            return "completed"
        if self.rejected:
            return "rejected"
        return "processing" if self.approved or policy == "auto" else "requested"

    def expected(self, story: Story) -> dict[str, Any]:
        refund = given_back_for(story).get(self.ref) if self.completed else None
        return {
            "status": self.status(story.policy),
            "items": dict(self.items),
            "refundAmount": refund,
            "receivedAt": min(self.received, default=None),
            "carrier": CARRIER if self.number else None,
            "trackingNumber": self.number,
            "trackingStatus": max(self.scans)[3] if self.scans else None,
            "rejectedBy": ("customer" if self.withdrawn else "staff") if self.rejected else None,
        }


def returning(story: Story, ending: str, everything: bool) -> Thread:
    """One return; `ending`: completed, rejected or open."""
    choices = story.choices
    most = story.returnable()
    items = dict(most) if everything else choices.part(most)
    one = story.new_return(items)
    data: dict[str, Any] = {"return": one.ref, "reason": choices.pick(REASONS)}
    if items != story.goods.ordered or choices.chance(50):
        data["items"] = listed(items)
    else:
        story.trait("a return without items")
    if any(item in earlier.items for earlier in story.returns if earlier.rejected for item in items):
        story.trait("rejected, then asked for again")
    if not story.everything_delivered():
        story.trait("a return before everything was delivered")
    if len(story.returns) == 1 and choices.chance(15):
        story.trait("asked back after weeks")
        story.pen.wait(days=choices.number(10, 20))
    tracked = choices.chance(35)
    if tracked:
        one.number = f"RET-{story.pen.order}-{one.ref}"
    if tracked and choices.chance(50):
        data |= {"carrier": CARRIER, "trackingNumber": one.number}
    story.pen.tell("ReturnRequested", data, source="shop")
    yield None
    if tracked and "carrier" not in data:
        yield from _number_told_later(story, one)
    for step in _steps(story, ending):
        one.approved = True
        story.trait(f"{step} under {story.policy}")
        story.pen.tell(step, {"return": one.ref}, source="staff")
        yield None
    one.withdrawn = ending == "rejected" and choices.chance(40)
    if tracked:
        yield from _on_its_way_back(story, one)
    if not one.withdrawn and choices.chance(30):  # what was received is not withdrawn any more
        for _ in range(choices.pick((1, 1, 2))):
            told = story.pen.tell(
                "ReturnReceived", {"return": one.ref}, source="warehouse", at=story.pen.now() + story.a_while()
            )
            one.received.append(told.time)
            story.trait("a return received")
            yield None
    if ending == "rejected":
        one.rejected = True
        story.trait("a return withdrawn" if one.withdrawn else "a return refused")
        by = "customer" if one.withdrawn else "staff"
        story.pen.tell("ReturnRejected", {"return": one.ref, "by": by}, source="shop")
    elif ending == "completed":
        one.completed = True
        data = {"return": one.ref}
        if choices.chance(10):
            one.items = choices.part(items)
            data["items"] = listed(one.items)
            if one.items != items:
                story.trait("less came back than was asked for")
            items = one.items
        if choices.chance(40):
            one.refund = _some_refund(story, items)
            data["refundAmount"] = written(one.refund)
        one.at = story.pen.tell("ReturnCompleted", data, source="staff").time
        if capped(story):
            story.trait("more stated than a return may give back")
    story.trait(f"a return {one.status(story.policy)}")
    yield None


def _number_told_later(story: Story, one: Return) -> Thread:
    """The carrier and number of a return that was asked for without; a typo may come first."""
    if story.choices.chance(30):
        wrong = {"return": one.ref, "carrier": CARRIER, "trackingNumber": f"typo-{one.number}"}
        story.pen.tell("ReturnTrackingChanged", wrong, source="shop", at=story.pen.now() - timedelta(seconds=1))
        story.pen.wait_until(story.pen.now() + timedelta(seconds=1))
        yield None
    story.trait("a return's number told later")
    right = {"return": one.ref, "carrier": CARRIER, "trackingNumber": one.number}
    story.pen.tell("ReturnTrackingChanged", right, source="shop")
    yield None


def _on_its_way_back(story: Story, one: Return) -> Thread:
    """Scans of a return's parcel; where it is to be withdrawn, it has not arrived."""
    moves = ["in_transit", "out_for_delivery"]
    for rank, status in enumerate(moves + ([] if one.withdrawn else ["delivered", "delivered"])):
        if story.choices.chance(50):
            data = {"carrier": CARRIER, "trackingNumber": one.number, "status": status}
            told = story.pen.tell("TrackingUpdated", data, source="tracker", subject=False)
            one.scans.append((told.time, min(rank, 2), told.id, status))
            if status == "delivered":
                one.received.append(told.time)
                story.trait("a return received by a scan")
            yield None


def given_back_for(story: Story) -> dict[str, Decimal]:
    """Completed return or item cancel → its amount: one row by time, then name, out of what was paid for the goods."""
    goods = story.goods
    price = goods.worth(goods.ordered)
    paid = max(price - goods.discount, Decimal(0))
    left = paid + goods.tax_of_goods
    gone = dict.fromkeys(goods.ordered, 0)
    amounts = {}
    rounding = left
    row: list[Any] = [*(one for one in story.returns if one.at is not None), *story.item_cancels]
    for one in sorted(row, key=lambda one: (one.at, one.ref)):
        worth = goods.worth(one.items)
        for item, count in one.items.items():
            gone[item] += count
        tax = goods.tax_on(one.items)
        share = worth * paid / price + tax if price else Decimal(0)
        wanted = (share / goods.coin).to_integral_value(ROUND_FLOOR) * goods.coin
        rounding -= wanted
        if one.refund is not None:
            wanted = min(one.refund, ((worth + tax) / goods.coin).to_integral_value(ROUND_FLOOR) * goods.coin)
        elif gone == goods.ordered:
            wanted += rounding
        amounts[one.ref] = min(wanted, left)
        left -= amounts[one.ref]
    return amounts


def capped(story: Story) -> bool:
    """True where less is given back for a return or an item cancel than was stated."""
    amounts = given_back_for(story)
    row: list[Any] = [*(one for one in story.returns if one.at), *story.item_cancels]
    return any(one.refund is not None and one.refund > amounts[one.ref] for one in row)


def _steps(story: Story, ending: str) -> list[str]:
    """The steps that staff tell: none are needed by policy, else an approval is."""
    ways: tuple[list[str], ...] = ([], [APPROVED], [APPROVED, STARTED])
    if story.policy == "auto":
        ways = (*ways, [STARTED])
    elif ending == "completed":
        ways = ways[1:]
    elif ending == "open":
        ways = ([], *ways)
    return story.choices.pick(ways)


def _some_refund(story: Story, items: dict[str, int]) -> Decimal:
    """An amount that is within the lines' price and within what is left of the money, as a rule."""
    coin = story.goods.coin
    if story.choices.chance(15):
        return coin * story.choices.number(0, 100_000)
    left = sum((payment.amount for payment in story.payments), Decimal(0))
    left -= sum((payment.refunds[-1] for payment in story.payments if payment.refunds), Decimal(0))
    left -= sum((one.refund for one in story.returns if one.refund is not None), Decimal(0))
    most = min(story.goods.worth(items), left)
    return coin * story.choices.number(0, max(0, int(most / coin)))
