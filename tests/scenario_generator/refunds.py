"""Money that goes back, and money that a bank asks about: refunds by id, by cumulative figures, and disputes.

What a provider told is kept as it was told; how it adds up, is said in the words of the design. A refund or a dispute
stands at the latest that was told of it: by time, then by how far along that is, then by source and id.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from events.envelope import Envelope
from tests.scenario_generator.goods import written

if TYPE_CHECKING:
    from tests.scenario_generator.payments import Payment
    from tests.scenario_generator.story import Story, Thread

ALONG = ("pending", "requires_action", "succeeded", "canceled", "failed")  # of a refund
DECIDED = ("inquiry", "open", "lost", "won")  # of a dispute
NOTHING = Decimal(0)


class Fact(NamedTuple):
    """One thing told of a refund or a dispute, in the order in which one stands above another."""

    time: datetime
    rank: int
    source: str
    id: str
    status: str
    amount: Decimal | None = None


@dataclass
class Thing:
    """A refund or a dispute, as far as it has been told."""

    facts: list[Fact] = field(default_factory=list)
    requested: list[datetime] = field(default_factory=list)

    @property
    def status(self) -> str:
        return max(self.facts).status

    @property
    def amount(self) -> Decimal | None:
        """As the latest that says one says it."""
        said = [(one[:4], one.amount) for one in self.facts if one.amount is not None]
        return max(said)[1] if said else None

    @property
    def failed(self) -> bool:
        return self.status in ("failed", "canceled")

    def made_by(self, time: datetime) -> bool:
        """A time of request that nobody told lies before everything."""
        return not self.requested or min(self.requested) <= time

    def failed_by(self, time: datetime) -> bool:
        """It had failed before that time, and had not come back to life by then; at that very time is too late."""
        first = min((one.time for one in self.facts if one.status in ("failed", "canceled")), default=None)
        if first is None or first >= time:
            return False
        return self.failed or max(self.facts).time > time


@dataclass
class Movements:
    """All that was told of one payment's refunds and disputes."""

    refunds: dict[str, Thing] = field(default_factory=dict)
    reports: list[tuple[datetime, Decimal]] = field(default_factory=list)
    disputes: dict[str, Thing] = field(default_factory=dict)

    def refunded(self) -> Decimal:
        """Refunds known by id that did not fail, and what no id explains of the report that leaves most unexplained."""
        living = sum((one.amount or NOTHING for one in self.refunds.values() if not one.failed), NOTHING)
        rest = [
            total
            - sum(
                (r.amount or NOTHING for r in self.refunds.values() if r.made_by(time) and not r.failed_by(time)),
                NOTHING,
            )
            for time, total in self.reports
        ]
        return living + max([NOTHING, *rest])

    def untried(self, settled: Container[str]) -> Decimal:
        """The amount of failed refunds for which none was made afterwards, nor paid by hand."""
        steps: list[tuple[datetime, int, Decimal]] = []
        for name, one in self.refunds.items():
            if one.failed and name not in settled:
                first = min(f.time for f in one.facts if f.status in ("failed", "canceled"))
                steps.append((first, 0, one.amount or NOTHING))
            elif one.requested and not one.failed:
                steps.append((min(one.requested), 1, one.amount or NOTHING))
        hole = NOTHING
        for _, made, amount in sorted(steps):
            hole = max(hole - amount, NOTHING) if made else hole + amount
        return hole

    def lost(self, captured: Decimal) -> Decimal:
        """Without an amount it is all that was captured."""
        gone = [one.amount for one in self.disputes.values() if one.status == "lost"]
        return min(captured, sum((captured if amount is None else amount for amount in gone), NOTHING))

    def contested(self) -> bool:
        return any(one.status in ("open", "lost") for one in self.disputes.values())

    def inquired(self) -> bool:
        """A bank asks, and there is nothing worse of this payment."""
        return not self.contested() and any(one.status == "inquiry" for one in self.disputes.values())


def by_id(story: Story, payment: Payment, parts: list[Decimal]) -> Thread:
    """These amounts go back, each as a refund of its own or by hand, where only the sum tells of it."""
    choices, story_of = story.choices, payment.movements
    by_hand = NOTHING
    for part in parts:
        if choices.chance(25):
            story.trait("refunded by hand")
            by_hand += part
            _report(story, payment, by_hand)
            yield None
            continue
        for attempt in range(2):
            ends = yield from _a_refund(story, payment, part, by_hand)
            if ends or attempt or choices.chance(40):
                break
            story.trait("a failed refund tried again")
        if choices.chance(30):
            story.trait("refunds by id, and their sum")
            _report(story, payment, by_hand)
            yield None
    if any(one.failed for one in story_of.refunds.values()):
        story.trait("a refund that failed")


def _a_refund(story: Story, payment: Payment, amount: Decimal, by_hand: Decimal) -> Any:
    """One refund with all that becomes of it. → whether it arrives."""
    choices = story.choices
    name = f"re_{payment.id}_{len(payment.movements.refunds)}"
    steps = choices.pick(
        (("succeeded",), ("succeeded",), ("pending", "succeeded"), ("pending", "failed"), ("succeeded", "failed"),
         ("requires_action", "canceled"), ("succeeded", "failed", "succeeded"))
    )  # fmt: skip
    requested = story.pen.now().replace(microsecond=0)
    for place, status in enumerate(steps):
        data: dict[str, Any] = {"refund": name}
        told = amount if not place or choices.chance(60) else None
        if told is not None:
            data["amount"] = written(told)
        if choices.chance(70):
            data["requestedAt"] = requested.isoformat()
            payment.movements.refunds.setdefault(name, Thing()).requested.append(requested)
        if status == "failed" and choices.chance(60):
            kind, version = "RefundFailed", 1
        else:
            kind, version = "PaymentRefunded", 2
            if status != "succeeded" or choices.chance(50):
                data["status"] = status
        event = payment.tell(story, kind, data, story.pen.now().replace(microsecond=0), version)
        thing = payment.movements.refunds.setdefault(name, Thing())
        thing.facts.append(Fact(event.time, ALONG.index(status), event.source, event.id, status, told))
        story.trait(f"a refund {status}")
        yield None
        if choices.chance(10):
            _report(story, payment, by_hand)
            yield None
    return steps[-1] == "succeeded"


def _report(story: Story, payment: Payment, by_hand: Decimal) -> None:
    """The provider's sum as of now."""
    known = payment.movements.refunds.values()
    report(story, payment, by_hand + sum((one.amount or NOTHING for one in known if not one.failed), NOTHING))


def report(story: Story, payment: Payment, total: Decimal) -> None:
    """One cumulative figure, in the older or the newer form."""
    version = story.choices.pick((1, 1, 2))
    event = payment.tell(story, "PaymentRefunded", {"refundedAmount": written(total)}, None, version)
    payment.movements.reports.append((event.time, total))


def disputing(story: Story, payment: Payment) -> Thread:
    """One or two disputes, told in either form, each with how it ends."""
    choices = story.choices
    for number in range(choices.pick((1, 1, 2))):
        newer = choices.chance(60)
        name = f"dp_{payment.id}_{number}" if newer and choices.chance(70) else payment.id
        amount = story.goods.coin * choices.number(1, int(payment.amount / story.goods.coin))
        if number:
            story.trait("disputed twice")
        ways = (
            ("open",),
            ("open", "won"),
            ("open", "lost"),
            ("won",),
            ("lost",),
            ("open", "lost", "won"),
            ("won", "open"),
            ("inquiry",),
            ("inquiry", "won"),
            ("inquiry", "open"),
        )
        way = choices.pick(ways)
        story.trait(f"disputed: {', then '.join(way)}")
        for status in way:
            told = amount if newer and choices.chance(60) else None
            data = {} if status == "open" else {"outcome": status}
            if status == "open" and choices.chance(50):
                data["reason"] = "fraudulent"
            if newer and name != payment.id:
                data["dispute"] = name
            if told is not None:
                data["amount"] = written(told)
            event = _about(story, payment, data, 2 if newer else 1)
            thing = payment.movements.disputes.setdefault(name, Thing())
            thing.facts.append(Fact(event.time, DECIDED.index(status), event.source, event.id, status, told))
            yield None


def _about(story: Story, payment: Payment, data: dict[str, Any], version: int) -> Envelope:
    return payment.tell(story, "PaymentDisputed", data, story.pen.now().replace(microsecond=0), version)
