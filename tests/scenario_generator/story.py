"""One order's life while it is made up: threads that each wait for what must be true, and go on.

Whoever pays, sends, cancels, confirms or returns is a thread: it tells an event, then yields, and
what it yields (a condition, or None) says when it may go on. Chance picks who is next. A thread
whose time never comes has simply not happened. What was told is the whole truth: the end that a
life must have is added up from it, by the words of the design.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import strategies as st

from events.envelope import Envelope
from tests.scenario_generator.arrival import arrivals
from tests.scenario_generator.cancels import ItemCancel, canceling_items
from tests.scenario_generator.choices import Choices, DrawnChoices, RandomChoices
from tests.scenario_generator.confirmations import confirming, is_confirmed
from tests.scenario_generator.decisions import Decisions, accepting, giving
from tests.scenario_generator.edits import addressed_after_shipping, customer, editing, standing
from tests.scenario_generator.fulfillments import CARRIERS, sending
from tests.scenario_generator.goods import some_goods
from tests.scenario_generator.holds import flags as flags_of_holds
from tests.scenario_generator.holds import holding
from tests.scenario_generator.life import Life, Pen
from tests.scenario_generator.parcels import Box, Named, Parcel, normal
from tests.scenario_generator.payments import paying, plan_refunds, some_payments
from tests.scenario_generator.refunds import Thing
from tests.scenario_generator.replacements import replacing, too_many
from tests.scenario_generator.returns import Return, capped, given_back_for, returning
from tests.scenario_generator.traits import name_traits

Thread = Generator[Callable[[], bool] | None, None, None]
MOST_PARCELS = 8


def a_life(random: Random, policy: str = "auto") -> Life:
    """A life by a seeded Random; `policy` is the shop's about returns, auto or staff."""
    return Story(RandomChoices(random), policy).told()


@st.composite
def lives(draw: Any, policy: str = "auto") -> Life:
    """A strategy of lives for Hypothesis."""
    return Story(DrawnChoices(draw), policy).told()


@st.composite
def lives_and_arrivals(draw: Any, policy: str = "auto") -> tuple[Life, list[Envelope]]:
    """Lives, each with an order of arrival."""
    choices = DrawnChoices(draw)
    life = Story(choices, policy).told()
    return life, arrivals(life, choices)


class Story:
    """The order, its payments, parcels and returns, and those who are at work on them."""

    def __init__(self, choices: Choices, policy: str) -> None:
        self.choices, self.policy = choices, policy
        order = f"261101{choices.number(0, 999_999):06}"
        self.pen = Pen(choices, order)
        self.goods = some_goods(choices)
        self.payments = some_payments(choices, order, self.goods)
        self.parcels: list[Parcel] = []
        self.boxes: dict[Named, Box] = {}  # by carrier, in one case, and number
        self.returns: list[Return] = []
        self.item_cancels: list[ItemCancel] = []
        self.held: dict[str, list[datetime]] = {}
        self.released: dict[str, list[datetime]] = {}
        self.edits: list[Envelope] = []
        self.replaced = False  # a parcel that was given up for lost
        self.canceled = False
        self.confirmations: list[tuple[str, datetime]] = []  # by whom, and when
        self._traits: set[str] = set()
        self._threads: list[tuple[Thread, Callable[[], bool] | None]] = []
        self._to_lose = 0  # parcels that must fail before the order is canceled

        self.pays = sum((one.amount for one in self.payments), Decimal(0)) >= self.goods.total
        never_paid = not any(one.amount for one in self.payments)
        fates = ["lives"] * 6 + ["canceled"] * 2
        if self.goods.digital:
            fates += ["canceled"] * 6  # which what was delivered so does not keep from happening
        if not self.pays:
            fates = ["lives", "canceled"] + ["expired"] * never_paid
        self.fate = choices.pick(fates)
        self.decisions = Decisions()
        for payment in self.payments:
            plan_refunds(self, payment)

    def told(self) -> Life:
        """The whole life, from its first event to its end."""
        self._place()
        for payment in self.payments:
            self._threads.append((paying(self, payment), None))
        if not self.pays and self.fate == "lives" and self.choices.chance(50):
            self._threads.append((accepting(self), None))
        if self.choices.chance(30):
            self._threads.append((giving(self), None))
        if self.choices.chance(25):
            self._threads.append((canceling_items(self), None))
        if self.choices.chance(20):
            self._threads.append((holding(self), None))
        if self.choices.chance(20):
            self._threads.append((editing(self), None))
        if self.fate == "lives" and self.choices.chance(40):
            self._threads.append((replacing(self), None))
        if self.fate == "lives":
            self._threads += [(self._send(), None), (self._ask_back(), None)]
            if self.choices.chance(60):
                self._threads.append((confirming(self), self.everything_delivered))
        else:
            self._cancel()
        while ready := [one for one in self._threads if one[1] is None or one[1]()]:
            thread, condition = self.choices.pick(ready)
            self._threads.remove((thread, condition))
            self._go_on(thread)
        expected = self._expected()
        self.trait(f"order {expected['status']}")
        name_traits(self, expected)
        traits, by_hand = frozenset(self._traits), self.decisions.paid_by_hand(self.refunds())
        return Life(self.pen.order, self.policy, self.pen.events, expected, self._due_back(), traits, by_hand)

    def trait(self, name: str) -> None:
        self._traits.add(name)

    def new_parcel(self, items: dict[str, int]) -> Parcel:
        place = len(self.parcels)
        number = f"TRK{self.pen.order}{place}" if self.choices.chance(60) else None
        parcel = Parcel(f"box-{place}", dict(items), self.choices.pick(CARRIERS), number, self.boxes)
        numbered = [one for one in self.parcels if one.tracked and one.living]
        if numbered and self.fate == "lives" and self.choices.chance(10):
            other = self.choices.pick(numbered)
            self.trait("two parcels of one number")
            parcel.carrier, parcel.number = max(other.pairs)[4]
            parcel.shared = other.shared = True
        self.parcels.append(parcel)
        return parcel

    def box(self, named: Named) -> Box:
        """The number, as the order knows it."""
        return self.boxes.setdefault(normal(named), Box())

    def new_return(self, items: dict[str, int]) -> Return:
        self.returns.append(Return(f"ret-{len(self.returns)}", dict(items)))
        return self.returns[-1]

    def cancel_items(self, one: ItemCancel) -> None:
        """Take these items out; where none is left, the order is canceled, as if somebody had canceled the whole."""
        self.item_cancels.append(one)
        if not any(self.wanted().values()) and not self.canceled:
            self.canceled = True
            self.trait(
                "all items canceled, one after the other" if len(self.item_cancels) > 1 else "all items canceled"
            )

    def would_cover(self, one: ItemCancel) -> bool:
        """True where an item cancel leaves nothing to be paid."""
        self.item_cancels.append(one)
        covered = self.covered()
        self.item_cancels.remove(one)
        return covered

    def a_while(self) -> timedelta:
        return timedelta(seconds=self.choices.pick((0, 1, 3600, -1, -3600)))

    # ------------------------------------------------------------ what is true by now

    def wanted(self) -> dict[str, int]:
        """Items that were ordered and not canceled."""
        canceled = self._held(self.item_cancels)
        return {item: count - canceled[item] for item, count in self.goods.ordered.items()}

    def enough(self) -> Decimal:
        """The money that covers the order: less for what was canceled of it."""
        if not self.item_cancels:
            return self.decisions.enough(self.goods.total)
        amounts = given_back_for(self)
        less = sum((amounts[one.ref] for one in self.item_cancels), Decimal(0))
        return max(self.decisions.enough(self.goods.total) - less, Decimal(0))

    def captured(self) -> Decimal:
        """The money that is there, refunded or not."""
        return sum((one.captured for one in self.payments), Decimal(0))

    def once_captured(self) -> Decimal:
        """The money that came at any time, reversed or not."""
        return sum((one.once_captured for one in self.payments), Decimal(0))

    def covered(self) -> bool:
        """A reversal never takes an order back to where it was: it goes on, flagged."""
        return self.once_captured() >= self.enough()

    def short(self) -> bool:
        """True if a reversal left it without money that it needs; what went back as too much, is missing, too."""
        if self.canceled or all(one.reversed_at is None for one in self.payments):
            return False
        if self.captured() < self.enough():
            return self.covered() or any(one.reversed_at and not one.captured for one in self.payments)
        return self.gone() > self._due_back()

    def gone(self) -> Decimal:
        """The money that went back, of whichever payment, or was paid by hand."""
        by_hand = self.decisions.paid_by_hand(self.refunds())
        return sum((one.refunded for one in self.payments), by_hand)

    def refunds(self) -> dict[str, Thing]:
        """All refunds that are known by id."""
        return {name: thing for one in self.payments for name, thing in one.movements.refunds.items()}

    def shipped(self) -> dict[str, int]:
        """The number of each item that left in a parcel that did not fail."""
        return self._shown(self._held(one for one in self.parcels if one.left)) | self._digital()

    def delivered(self) -> dict[str, int]:
        return self._shown(self._held(one for one in self.parcels if one.delivered)) | self._digital()

    def held_by_parcels(self) -> dict[str, int]:
        return self._held(one for one in self.parcels if one.living)

    def _shown(self, counts: dict[str, int]) -> dict[str, int]:
        """No more of an item than was ordered, however often it was sent."""
        return {item: min(count, self.goods.ordered[item]) for item, count in counts.items()}

    def _digital(self) -> dict[str, int]:
        """What needs no shipping is there as soon as the order is paid."""
        there = self.covered() and not self.canceled
        wanted = self.wanted()
        return {item: wanted[item] if there else 0 for item in self.goods.digital}

    def everything_delivered(self) -> bool:
        return any(self.wanted().values()) and self.delivered() == self.wanted()

    def unsent(self, awaited: bool = False) -> dict[str, int]:
        """The items that no living parcel holds, nor, with `awaited`, one of which more is to be told."""
        holding = (one for one in self.parcels if one.living or (awaited and (one.busy or one.shared)))
        left = self._left(self.wanted(), self._held(holding))
        return {item: count for item, count in left.items() if item not in self.goods.digital}

    def cancelable(self) -> dict[str, int]:
        """The items that are in no parcel, nor will be, and nobody ever asked back; of digital ones, what no return holds."""
        held = self._held(one for one in self.returns if not one.rejected)
        free = self._left(self.wanted(), held)
        if self.replaced:
            return {}
        asked = {item for back in self.returns for item in back.items}
        unsent = {item: count for item, count in self.unsent(awaited=True).items() if item not in asked}
        return unsent | {item: free[item] for item in self.goods.digital if item in free}

    def returnable(self) -> dict[str, int]:
        """The items that were delivered at some time, are not canceled, and no return holds."""
        held = self._held(one for one in self.returns if not one.rejected)
        came, wanted = self._held(one for one in self.parcels if one.ever_delivered) | self._digital(), self.wanted()
        return self._left({item: min(came[item], wanted[item]) for item in came}, held)

    def _held(self, holders: Any) -> dict[str, int]:
        counts = dict.fromkeys(self.goods.ordered, 0)
        for holder in holders:
            for item, count in holder.items.items():
                counts[item] += count
        return counts

    def _left(self, most: dict[str, int], taken: dict[str, int]) -> dict[str, int]:
        return {item: most[item] - taken[item] for item in most if most[item] > taken[item]}

    # ------------------------------------------------------------ who is at work

    def _go_on(self, thread: Thread) -> None:
        with suppress(StopIteration):
            self._threads.append((thread, next(thread)))

    def _place(self) -> None:
        data = self.goods.data(self.choices)
        if known := [one.id for one in self.payments if one.known]:
            data["paymentIds"] = known
        self.pen.tell("OrderCreated", data, source="shop")

    def _send(self) -> Thread:
        """Parcels, until everything is under way or the shop gives up."""
        choices = self.choices
        thorough, failures = choices.chance(70), choices.pick((0, 0, 1, 2))
        for place in range(MOST_PARCELS):
            yield lambda: self.covered() and bool(self.unsent(awaited=True))
            if not thorough and choices.chance(35):
                return
            most = self.unsent(awaited=True)
            items = most if place > 3 or choices.chance(45) else choices.part(most)
            ending = "delivered" if thorough else choices.pick(("delivered", "stops"))
            if failures and choices.chance(50):
                failures -= 1
                ending = choices.pick(("failed", "failed", "found"))
            if any(one.failed for one in self.parcels):
                self.trait("sent again")
            self._go_on(sending(self, items, ending))

    def _cancel(self) -> None:
        """Somebody cancels, or the unpaid timer does: nothing is out then, or ever comes after."""
        choices = self.choices
        if self.pays and self.goods.to_ship:
            self._to_lose = choices.pick((0, 0, 1, 1, 2))
            for _ in range(self._to_lose):
                self._threads.append((self._prepare("failed"), self._may_prepare))
            for _ in range(choices.pick((0, 1, 2))):
                self._threads.append((self._prepare("prepared"), self._may_prepare))
        self._threads.append((self._ends_here(), self._may_end))

    def _ends_here(self) -> Thread:
        if self.canceled:  # item by item
            return
        if any(one.stand().shipped for one in self.parcels):
            self.trait("canceled after a failed parcel")
        elif self.parcels:
            self.trait("canceled with a parcel prepared")
        self.trait("canceled once paid" if self.covered() else "canceled unpaid")
        self.canceled = True
        if self.fate == "expired":
            self.trait("OrderExpired")
            self.pen.tell("OrderExpired", {}, source="timers", at=self._no_sooner_than_payments_allow())
        else:
            self.trait("OrderCanceled")
            self.pen.tell("OrderCanceled", {}, source="shop")
        yield None

    def _no_sooner_than_payments_allow(self) -> datetime:
        """The time at which the unpaid timer runs out: what is under way is waited for."""
        at = self.pen.now()
        awaited = [one.until for payment in self.payments if (one := payment.under_way) and one.until]
        if not awaited:
            return at
        self.trait("expired once nothing was under way any more")
        return self.pen.wait_until(max(awaited))

    def _may_prepare(self) -> bool:
        return self.covered() and bool(self.unsent())

    def _may_end(self) -> bool:
        only_digital = bool(self.goods.ordered) and not self.goods.to_ship
        if only_digital and self.fate == "canceled" and self.pays and not self.covered():
            return False  # once it was delivered
        return sum(one.failed for one in self.parcels) >= self._to_lose

    def _prepare(self, ending: str) -> Thread:
        yield from sending(self, self.choices.part(self.unsent()), ending)

    def _ask_back(self) -> Thread:
        choices = self.choices
        patient, everything = choices.chance(60), choices.chance(30)
        for _ in range(choices.pick((0, 0, 1, 2, 3, 4))):
            yield lambda: bool(self.returnable()) and (not patient or self.everything_delivered())
            ending = choices.pick(("completed", "completed", "rejected", "open", "open"))
            if everything and ending == "open":
                ending = "completed"
            self._go_on(returning(self, ending, everything))

    # ------------------------------------------------------------ how it must end

    def _expected(self) -> dict[str, Any]:
        shipped, delivered = self.shipped(), self.delivered()
        returned = self._held(one for one in self.returns if one.completed)
        canceled = self._held(self.item_cancels)
        covered = self.covered()
        disputed = any(one.movements.contested() for one in self.payments)
        flags = {"disputed": disputed, "shipped_after_cancel": False, "payment_reversed": self.short()}
        flags["inquiry"] = any(one.movements.inquired() for one in self.payments)
        flags["refund_capped"] = capped(self)
        due = self._due_back()
        untried = any(one.movements.untried(set(self.decisions.settled)) for one in self.payments)
        went_back = any(one.refunded for one in self.payments)
        flags["over_refunded"] = went_back and self.gone() > due
        flags["refund_failed"] = untried and self.gone() < due
        flags |= flags_of_holds(self)
        back = self._held(one for one in self.returns if not one.rejected)
        flags["return_without_delivery"] = any(back[item] > delivered[item] for item in back)
        flags["over_fulfilled"] = too_many(self)
        flags["address_after_shipping"] = addressed_after_shipping(self)
        if not self.canceled:  # the design does not say whether a canceled order stays flagged
            flags["underpaid"] = bool(self.captured()) and not covered
        return {
            "status": self._status(shipped, delivered, returned),
            "items": {
                item: {
                    "shipped": shipped[item],
                    "delivered": delivered[item],
                    "returned": returned[item],
                    "canceled": canceled[item],
                }
                for item in self.goods.ordered
            },
            "transactions": {one.id: one.expected() for one in self.payments},
            "fulfillments": {one.ref: one.expected(self.canceled) for one in self.parcels},
            "returns": {one.ref: one.expected(self) for one in self.returns},
            "flags": flags,
            "customer": customer(self),
            "edits": standing(self),
            "plan": self.unsent() if covered and not self.canceled else {},
        }

    def _status(self, shipped: dict[str, int], delivered: dict[str, int], returned: dict[str, int]) -> str:
        ordered = self.wanted()
        if self.canceled:
            return "canceled"
        if not self.covered():
            over = [one.given_up for one in self.payments]
            return "failed" if over and all(over) else "pending"
        if not ordered:
            return "paid"
        if shipped != ordered:
            return "preparing"
        if delivered != ordered:
            return "shipped"
        going_on = {one.status(self.policy) for one in self.returns if one.open}
        if going_on:
            return "return_processing" if "processing" in going_on else "return_requested"
        if returned == ordered:
            return "returned"
        return "confirmed" if is_confirmed(self) else "delivered"

    def _due_back(self) -> Decimal:
        """All that is there of a canceled order, else what is above what the payers keep."""
        there = self.captured() - sum((one.lost for one in self.payments), Decimal(0))
        if self.canceled:
            return there
        back = given_back_for(self).values()
        base = self.decisions.base(self.goods.total, self.captured())
        kept = max(base - sum(back, Decimal(0)) - self.decisions.granted(self.refunds()), Decimal(0))
        return max(there - kept, Decimal(0))
