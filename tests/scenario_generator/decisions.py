"""Decisions of people about money: an underpayment accepted, refunds asked for, allocated, settled by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.scenario_generator.goods import written

if TYPE_CHECKING:
    from datetime import datetime

    from tests.scenario_generator.refunds import Thing
    from tests.scenario_generator.story import Story, Thread

NOTHING = Decimal(0)
Later = tuple["datetime", str, str, Any]  # time, source, id, and what was said: the greatest stands


@dataclass
class Decisions:
    """All that people decided about the money of one order."""

    accepted: list[Decimal] = field(default_factory=list)
    grants: dict[str, list[Later]] = field(default_factory=dict)  # the amounts said of each
    allocated: dict[str, list[Later]] = field(default_factory=dict)  # the reasons
    settled: dict[str, list[Later]] = field(default_factory=dict)  # the amounts stated, None where none was
    settled_at: list[datetime] = field(default_factory=list)

    def enough(self, total: Decimal) -> Decimal:
        """The money that covers the order."""
        return min([total, *self.accepted])

    def base(self, total: Decimal, captured: Decimal) -> Decimal:
        return min(total, max(min(self.accepted), captured)) if self.accepted else total

    def granted(self, refunds: dict[str, Thing]) -> Decimal:
        """Asked for, or made by hand and allocated; what failed of the latter is no grant."""
        asked = sum((max(said)[3] for said in self.grants.values()), NOTHING)
        by_hand = [
            refunds[name].amount or NOTHING
            for name, said in self.allocated.items()
            if name in refunds and not refunds[name].failed and max(said)[3] != "due"
        ]
        return asked + sum(by_hand, NOTHING)

    def paid_by_hand(self, refunds: dict[str, Thing]) -> Decimal:
        """Settled, where that refund failed or was never made."""
        paid = NOTHING
        for name in self.settled:
            if name in refunds:
                paid += (refunds[name].amount or NOTHING) if refunds[name].failed else NOTHING
            elif name in self.grants:
                paid += max(self.grants[name])[3]
            else:
                paid += max(self.settled[name], key=lambda said: said[:3])[3] or NOTHING
        return paid


def accepting(story: Story) -> Thread:
    """Somebody takes what came as enough, once or twice."""
    choices, coin = story.choices, story.goods.coin
    yield lambda: bool(story.captured()) and story.captured() < story.goods.total
    for _ in range(choices.pick((1, 1, 2))):
        most = int(story.goods.total / coin)
        amount = story.captured() if choices.chance(70) else coin * choices.number(1, most)
        story.decisions.accepted.append(amount)
        story.trait("an underpayment accepted")
        story.pen.tell("OrderAccepted", {"amount": written(amount), "by": "staff"}, source="shop")
        yield None


def giving(story: Story) -> Thread:
    """Refunds without a return, and what becomes of refunds that were made, as somebody says."""
    choices, coin, decisions = story.choices, story.goods.coin, story.decisions
    about_refunds = choices.chance(60)
    yield lambda: bool(story.refunds() if about_refunds else story.captured())
    for number in range(choices.pick((1, 1, 2, 3))):
        known = sorted(name for one in story.payments for name in one.movements.refunds)
        way = choices.pick(("ask", "allocate", "settle", "settle"))
        if way == "ask" or not known:
            name = f"rfd-{choices.number(0, number)}"
            amount = coin * choices.number(1, max(1, int(story.goods.total / coin)))
            data = {
                "refund": name,
                "amount": written(amount),
                "reason": choices.pick(("goodwill", "shipping", "other")),
            }
            if choices.chance(40):
                data["paymentId"] = choices.pick(story.payments).id
            told = story.pen.tell("RefundRequested", data, source="shop")
            decisions.grants.setdefault(name, []).append((told.time, told.source, told.id, amount))
            story.trait("a refund asked for")
        elif way == "allocate":
            name, reason = choices.pick(known), choices.pick(("goodwill", "shipping", "other", "due"))
            told = story.pen.tell("RefundAllocated", {"refund": name, "reason": reason}, source="shop")
            decisions.allocated.setdefault(name, []).append((told.time, told.source, told.id, reason))
            story.trait("a refund allocated")
        else:
            name = choices.pick([*known, *decisions.grants, "an attempt of ours"])
            data = {"refund": name, "method": "transfer", "by": "staff"}
            stated = coin * choices.number(1, max(1, int(story.goods.total / coin))) if choices.chance(50) else None
            if stated is not None:
                data["amount"] = written(stated)
            told = story.pen.tell("RefundSettled", data, source="shop")
            decisions.settled.setdefault(name, []).append((told.time, told.source, told.id, stated))
            decisions.settled_at.append(told.time)
            story.trait("a refund settled by hand")
        yield None
