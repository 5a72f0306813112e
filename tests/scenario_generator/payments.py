"""The payments of an order: who pays what, what is told about each, and where each ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from events.envelope import Envelope
from tests.scenario_generator.choices import Choices
from tests.scenario_generator.goods import Goods, written
from tests.scenario_generator.refunds import Movements, by_id, disputing, report

if TYPE_CHECKING:
    from tests.scenario_generator.story import Story, Thread

MOST_PAYMENTS = 4
PATIENCE = timedelta(days=14)  # how long an order waits for a payment under way that does not say until when
PENDING_KINDS = ("awaiting_deposit", "authorized", "processing")


class Unsettled(NamedTuple):
    """Something told of a payment before it succeeded, in the order in which one stands above another."""

    time: datetime
    rank: int  # pending, then canceled, then failed
    source: str
    id: str
    status: str
    kind: str | None = None
    until: datetime | None = None


@dataclass
class Payment:
    """A payment: what its payer will do, and what has been told of it so far."""

    id: str
    amount: Decimal  # that will be captured; 0: none
    known: bool  # OrderCreated names it
    refunds: list[Decimal] = field(default_factory=list)  # cumulative, as they will be reported
    told: bool = False
    unsettled: list[Unsettled] = field(default_factory=list)
    captures: list[tuple[datetime, Decimal]] = field(default_factory=list)
    reversed_at: datetime | None = None  # the latest
    movements: Movements = field(default_factory=Movements)

    def tell(
        self, story: Story, kind: str, data: dict[str, Any], at: datetime | None = None, version: int = 1
    ) -> Envelope:
        """An event about it; without a subject only what leads to the order all the same."""
        led = self.known or self.told
        subject = not led or story.choices.chance(40)
        if not subject:
            story.trait("a payment event without subject")
        self.told = True
        data = {"paymentId": self.id, **data}
        return story.pen.tell(kind, data, source="stripe", at=at, subject=subject, version=version)

    @property
    def refunded(self) -> Decimal:
        return self.movements.refunded()

    @property
    def lost(self) -> Decimal:
        """The part of the money that is there which disputes took."""
        return self.movements.lost(self.captured)

    @property
    def counting(self) -> list[tuple[datetime, Decimal]]:
        """The captures that happened after the last reversal."""
        return [one for one in self.captures if self.reversed_at is None or one[0] > self.reversed_at]

    @property
    def captured(self) -> Decimal:
        """The money that is there, refunded or not."""
        return max((amount for _, amount in self.counting), default=Decimal(0))

    @property
    def once_captured(self) -> Decimal:
        return max((amount for _, amount in self.captures), default=Decimal(0))

    @property
    def paid_at(self) -> datetime | None:
        return min((at for at, _ in self.counting), default=None)

    @property
    def status(self) -> str:
        if self.captured:
            return "canceled" if self.refunded >= self.captured else "paid"
        if self.reversed_at is not None or not self.unsettled:
            return "pending"
        return max(self.unsettled).status

    @property
    def given_up(self) -> bool:
        """It ended without money; one that was captured has not failed, even where all of it went back."""
        return not self.captured and self.status in ("failed", "canceled")

    @property
    def under_way(self) -> Unsettled | None:
        """The latest that was told, if that is no end and no success came."""
        if self.captures or self.reversed_at is not None or not self.unsettled:
            return None
        latest = max(self.unsettled)
        return latest if latest.kind else None

    def expected(self) -> dict[str, Any]:
        under_way = self.under_way
        return {
            "pendingKind": under_way.kind if under_way else None,
            "pendingUntil": under_way.until if under_way else None,
            "status": self.status,
            "amount": self.captured or None,
            "refundedAmount": self.refunded,
            "paidAt": self.paid_at,
        }


def some_payments(choices: Choices, order: str, goods: Goods) -> list[Payment]:
    """One to four payments that together pay, pay too much, pay too little or never pay."""
    amounts = _amounts(choices, goods)
    idle = choices.pick((0, 0, 0, 1, 2)) if amounts else choices.pick((1, 1, 2, 3, 0))
    amounts = choices.order_of([*amounts, *[Decimal(0)] * idle][:MOST_PAYMENTS])
    return [Payment(f"pi_{order}_{place}", amount, known=choices.chance(50)) for place, amount in enumerate(amounts)]


def plan_refunds(story: Story, payment: Payment) -> None:
    """Decide what goes back of it, in up to three reports of the sum so far."""
    choices, coin = story.choices, story.goods.coin
    coins = int(payment.amount / coin)
    if coins < 1 or not choices.chance(25):
        return
    sums = sorted(choices.number(1, coins) for _ in range(choices.number(1, 3)))
    if choices.chance(40):
        sums[-1] = coins
    payment.refunds = [coin * one for one in sums]


def paying(story: Story, payment: Payment) -> Thread:
    """The events of one payment, in the order in which they happen."""
    choices = story.choices
    often = 40 if story.fate == "expired" else 15 if payment.amount else 5
    for _ in range(choices.pick((0, 0, 0, 1, 1, 2))):
        yield from _fails(story, payment)
        yield from _may_be_pending(story, payment, often)
    if choices.chance(12 if payment.amount else 35):
        yield from _is_canceled(story, payment)
    yield from _may_be_pending(story, payment, often)
    if not payment.amount:
        if not payment.known and not payment.told:
            yield from _fails(story, payment)
        return
    yield from _succeeds(story, payment)
    if choices.chance(12):
        story.trait("a failure told after the success")
        yield from _fails(story, payment)
    yield from _may_be_pending(story, payment, 5)
    early, late = choices.chance(15), choices.chance(5)
    if early:
        yield from _is_reversed(story, payment)
    sums = [one for one in payment.refunds if one <= payment.captured]
    if choices.chance(50):
        parts = [later - earlier for earlier, later in zip([Decimal(0), *sums], sums, strict=False) if later > earlier]
        yield from by_id(story, payment, parts)
    else:
        for refunded in sums:
            report(story, payment, refunded)
            yield None
    if payment.refunded:
        full = payment.refunded >= payment.captured
        story.trait("refunded in full" if full else "refunded in part")
        if len(payment.refunds) > 1:
            story.trait("several reports of refunds")
        if choices.chance(15):
            _captures(story, payment, payment.amount)
            yield None
    if late:
        yield from _is_reversed(story, payment)
    if choices.chance(12):
        yield from disputing(story, payment)


def _amounts(choices: Choices, goods: Goods) -> list[Decimal]:
    coins, coin = int(goods.total / goods.coin), goods.coin
    if not coins:
        return [coin * choices.number(1, 5000)] if choices.chance(20) else []
    way = choices.pick(("once", "once", "once", "together", "together", "over", "under", "never"))
    if way == "never" or (way == "under" and coins < 2):
        return []
    if way == "under":
        amounts = [choices.number(1, coins - 1)]
        rest = coins - 1 - amounts[0]
        amounts += [choices.number(1, rest)] if rest and choices.chance(40) else []
    elif way == "together":
        amounts = _split(choices, coins)
    elif way == "over":
        amounts = [coins, choices.pick((coins, choices.number(1, 2 * coins)))]
        amounts = amounts if choices.chance(60) else [coins + choices.number(1, coins)]
    else:
        amounts = [coins]
    return [coin * amount for amount in amounts]


def _split(choices: Choices, coins: int) -> list[int]:
    """Two or three amounts that make up `coins`, as far as there are that many coins."""
    parts = []
    for _ in range(choices.number(1, 2)):
        if coins > 1:
            parts.append(choices.number(1, coins - 1))
            coins -= parts[-1]
    return [*parts, coins]


def _succeeds(story: Story, payment: Payment) -> Thread:
    """Up to three reports of one capture; the highest amount and the earliest time are true."""
    choices, coin = story.choices, story.goods.coin
    before = {one.status for one in payment.unsettled}
    if "failed" in before:
        story.trait("a success after a failure")
    if "canceled" in before:
        story.trait("a success after a cancellation")
    if payment.under_way:
        story.trait("a success of a payment under way")
    reports = [payment.amount] * choices.pick((1, 1, 1, 2, 3))
    if len(reports) > 1:
        story.trait("a payment told several times")
        coins = int(payment.amount / coin)
        for place in range(1, len(reports)):
            if choices.chance(60):
                reports[place] = coin * choices.number(1, coins)
        reports = choices.order_of(reports)
    for amount in reports:
        _captures(story, payment, amount)
        yield None


def _captures(story: Story, payment: Payment, amount: Decimal) -> None:
    choices, currency = story.choices, story.goods.currency
    at = story.pen.now() - timedelta(seconds=choices.pick((0, 0, 0, 5, 3600)))
    data = {"amount": written(amount)}
    if currency != "KRW" or choices.chance(50):
        data["currency"] = currency
    if choices.chance(20):
        data["paymentMethod"] = choices.pick(("card", "transfer"))
    payment.captures.append((at, amount))
    if payment.reversed_at is not None and at <= payment.reversed_at:
        story.trait("a capture told after its reversal")
    if story.canceled:
        story.trait("paid after it was canceled")
    payment.tell(story, "PaymentSucceeded", data, at)


def _is_reversed(story: Story, payment: Payment) -> Thread:
    """The bank takes the deposit back; it may be made anew, with another amount, and be taken back again."""
    choices, coin = story.choices, story.goods.coin
    story.trait("a payment reversed")
    for turn in range(choices.pick((1, 1, 2))):
        if turn:
            story.trait("reversed again")
        at = story.pen.now() - timedelta(seconds=choices.pick((0, 0, 0, 5, 3600)))
        if payment.counting and at < min(payment.counting)[0]:
            story.trait("a reversal of nothing")
        payment.reversed_at = at if payment.reversed_at is None else max(payment.reversed_at, at)
        data = {"reason": "bank_error"} if choices.chance(30) else {}
        payment.tell(story, "PaymentReversed", data, at)
        yield None
        if choices.chance(20):
            yield from _fails(story, payment)
        if choices.chance(60):
            whole = choices.chance(70)
            amount = payment.amount if whole else coin * choices.number(1, int(payment.amount / coin))
            for _ in range(choices.pick((1, 1, 2))):
                _captures(story, payment, amount)
                yield None


def _fails(story: Story, payment: Payment) -> Thread:
    data = {"code": "card_declined"} if story.choices.chance(30) else {}
    told = payment.tell(story, "PaymentFailed", data, _about_now(story))
    payment.unsettled.append(Unsettled(told.time, 2, told.source, told.id, "failed"))
    yield None


def _is_canceled(story: Story, payment: Payment) -> Thread:
    told = payment.tell(story, "PaymentCanceled", {}, _about_now(story))
    payment.unsettled.append(Unsettled(told.time, 1, told.source, told.id, "canceled"))
    yield None


def _may_be_pending(story: Story, payment: Payment, percent: int) -> Thread:
    """It is under way; never told once the order expired, since nothing applies to that."""
    choices = story.choices
    if not choices.chance(percent) or (story.canceled and story.fate == "expired"):
        return
    at = _about_now(story)
    data: dict[str, Any] = {"kind": choices.pick(PENDING_KINDS)}
    until = at + PATIENCE
    if choices.chance(60):
        until = at + timedelta(hours=choices.pick((0, 1, 24, 72)), seconds=1)
        data["until"] = until.isoformat()
    if payment.amount and choices.chance(50):
        data["amount"] = written(payment.amount)
    if payment.unsettled and max(payment.unsettled).status != "pending":
        story.trait("under way after it had ended")
    told = payment.tell(story, "PaymentPending", data, at)
    payment.unsettled.append(Unsettled(told.time, 0, told.source, told.id, "pending", data["kind"], until))
    under_way = payment.under_way
    story.trait(f"a payment {data['kind']}" if under_way and under_way.id == told.id else "under way, told too late")
    yield None


def _about_now(story: Story) -> datetime:
    """Whole seconds, as providers tell them: two events often have one time."""
    at = story.pen.now() - timedelta(seconds=story.choices.pick((0, 0, 0, 1, 5, 3600)))
    return at.replace(microsecond=0)
