"""The demo's script: orders' whole lives, as a shop's many systems would report them. Pure and seeded.

Each life knows where it ends and how much money goes back, so that what the workers made of it can be
checked. Parcels have no end here: the carrier is polled, and what it says is not ours to tell. Nothing
else is spared: events come twice, in another order than they happened, and some are poison.

Each act comes through the door that such a report comes through. Orders, cancellations, confirmations, returns and the
parcels that the shop itself sends are API calls; payments are signed webhooks, or are made at a simulated provider, which
tells of them itself. Warehouses that report parcels of their
own, some before the payment, and a confirmation before the delivery, find no door over HTTP (the API refuses what is too
early, and no webhook is theirs): as events of a queue they go straight to the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal

from domain.order import Status
from events.envelope import Envelope

CARRIER = "simulated"
CURRENCY = "KRW"
PAYMENT_PREFIX = "demo-"  # of every payment id here: how money of a demo is told from a shop's
NUMBER_PREFIX = "SIM-"  # of every tracking number here
DUPLICATES = 0.10  # share of events that are delivered again
OTHER_BODY = 0.03  # share of those that come with another body
# Whom orders are paid through, with its weight. At PortOne and Toss somebody pays, and the provider says where to look.
PAID_BY = {"stripe": 50, "standard": 20, "portone": 15, "toss": 15}
# Lives whose one payment the order names: of another, PortOne does not say whose it is.
ONE_PAYMENT = frozenset(("plain", "early_payment", "split", "shipped_first", "canceled", "late_payment", "underpaid"))
LATE = 0.25  # share of events that come after what happened next
MIN_ORDERS = 20  # so that every plot is played

# What happens before a parcel arrives, with its weight.
PLOTS = {
    "plain": 54,
    "early_payment": 12,  # the payment's webhook comes before the order
    "second_try": 8,  # a payment fails, the next succeeds
    "two_payments": 5,  # that pay the order together
    "paid_twice": 4,  # the later payment goes back
    "split": 8,  # two parcels
    "shipped_first": 4,  # the warehouse is faster than the payment's webhook
    "canceled": 2,
    "canceled_unpaid": 1,
    "late_payment": 1,  # for an order that was canceled meanwhile
    "underpaid": 1,  # stays pending
    "wrong_currency": 0.5,  # stays pending; a dead letter
}
# What happens once everything has arrived, with its weight.
ENDINGS = {"kept": 49, "confirmed": 36, "confirmed_early": 4, "returned": 7, "returned_partly": 2, "return_rejected": 1}
# Who sends parcels, with its weight: a warehouse that reports what it has shipped, or the shop itself, by API calls, which
# tells every step, or leaves it to the carrier's scans to imply the last.
WAREHOUSES = {"shipped": 70, "every_step": 15, "packed": 15}
# Events that cannot be applied, with how many of a thousand orders get one.
POISON = {"malformed": 3, "unknown_item": 3, "unknown_version": 2, "unknown_type": 8}
UNSHIPPED = frozenset(("canceled", "canceled_unpaid", "late_payment", "underpaid", "wrong_currency"))

PRODUCTS = (
    ("mug-stoneware", 14_000),
    ("tea-hwangcha", 23_500),
    ("scarf-linen", 41_000),
    ("lamp-paper", 68_000),
    ("notebook-hanji", 9_800),
    ("chopsticks-brass", 32_000),
)
NAMES = ("Kim Haneul", "Lee Dasom", "Park Sora", "Choi Narae", "Jung Garam", "Ada Byron", "Joana Prado")
REASONS = ("change_of_mind", "defective", "wrong_delivery", "damaged", "other")

Cue = Literal["preparing", "delivered", "return_processing"]
Door = Literal["api", "stripe", "standard", "portone", "toss", "journal"]
AT_PROVIDER: tuple[Door, ...] = ("portone", "toss")  # acts that are no request of ours: somebody pays there


@dataclass(frozen=True, slots=True)
class Act:
    """One event that the outside reports. `happens` is in seconds after the demo's beginning.

    Of an act that waits for a cue, `happens` is in seconds after that. `after`: the id of the act whose answer it needs.
    """

    source: str
    id: str
    type: str
    subject: str | None
    data: dict[str, Any]
    happens: float = 0.0
    version: int = 1
    door: Door = "journal"
    after: str = ""

    def envelope(self, beginning: datetime) -> Envelope:
        """The event as it travels."""
        time = beginning + timedelta(seconds=round(self.happens, 3))
        return Envelope(self.id, self.source, self.type, time, self.subject, self.data, self.version)


@dataclass(slots=True)
class Life:
    """One order from its creation to its end."""

    number: str
    plot: str
    ending: str  # "" where nothing ships
    ends: str = Status.PENDING  # the status it must stand at
    total: int = 0
    refunded: int = 0  # what must have gone back in all
    parcels: int = 0
    dead: int = 0  # events that must end in the dead letters
    opening: list[tuple[float, Act]] = field(default_factory=list)  # (arrives, act), repeated ones included
    cued: dict[Cue, list[Act]] = field(default_factory=dict)  # sent once the order stands there


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an order."""

    item: str
    product: str
    quantity: int
    price: int


def lives(count: int, seed: int, tag: str, span: float) -> list[Life]:
    """`count` lives that begin within `span` seconds. `tag` begins every name, so that demos do not meet."""
    chance = Random(f"lives:{seed}")
    cast = _cast(count, chance)
    poisoned = _poisoned(cast, chance)
    made = []
    for n, (plot, ending) in enumerate(cast):
        begins = span * n / count
        writer = _Writer(f"{tag}-{n + 1:05d}", plot, ending, begins, Random(f"{seed}:{n}"))
        made.append(writer.write(poisoned.get(n, ())))
    return made


def deliveries(played: Sequence[Life]) -> list[tuple[float, Act]]:
    """The deliveries that wait for nothing, in the order of their arrival."""
    return sorted((each for life in played for each in life.opening), key=lambda each: (each[0], each[1].id))


def again(act: Act, chance: Random) -> Act | None:
    """The act as it is delivered a second time, or None where it comes once."""
    if chance.random() >= DUPLICATES or act.door in AT_PROVIDER:  # whose simulators send twice by themselves
        return None
    if chance.random() < OTHER_BODY:
        return replace(act, data={**act.data, "resent": True}, after=act.id)  # so that it is the second
    return act


def _cast(count: int, chance: Random) -> list[tuple[str, str]]:
    """(plot, ending) of each order: everything once, the rest by weight, well mixed."""
    cast = [("plain", ending) for ending in ENDINGS] + [(plot, "") for plot in PLOTS if plot != "plain"]
    while len(cast) < count:
        cast.append((_pick(PLOTS, chance), ""))
    cast = [
        (plot, "" if plot in UNSHIPPED else ending or (_pick(ENDINGS, chance) if n >= len(PLOTS) else "kept"))
        for n, (plot, ending) in enumerate(cast[:count])
    ]
    chance.shuffle(cast)
    return cast


def _pick(weights: dict[str, Any], chance: Random) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]


def _poisoned(cast: Sequence[tuple[str, str]], chance: Random) -> dict[int, tuple[str, ...]]:
    """Which orders get which poison. Plain ones only: their own events must go on all the same."""
    plain = [n for n, (plot, _) in enumerate(cast) if plot == "plain"]
    wanted = [kind for kind, share in POISON.items() for _ in range(max(1, round(share * len(cast) / 1000)))]
    taken = chance.sample(plain, min(len(plain), len(wanted)))
    found: dict[int, tuple[str, ...]] = {}
    for place, kind in enumerate(wanted):
        n = taken[place % len(taken)]
        found[n] = (*found.get(n, ()), kind)
    return found


class _Writer:
    """Writes one life. Every random choice is of its own seed."""

    def __init__(self, number: str, plot: str, ending: str, begins: float, chance: Random) -> None:
        self.life = Life(number, plot, ending)
        self.number, self.begins, self.chance = number, begins, chance
        count = chance.choices((1, 2, 3), (5, 3, 2))[0] if plot != "split" and ending != "returned_partly" else 3
        goods = chance.sample(PRODUCTS, count)
        self.lines = [Line(f"{number}/{n}", p, chance.randint(1, 3), price) for n, (p, price) in enumerate(goods, 1)]
        self.goods = sum(line.quantity * line.price for line in self.lines)
        self.discount = 5_000 if chance.random() < 0.25 and self.goods > 10_000 else 0
        self.shipping = 0 if self.goods > 50_000 else 3_000
        self.life.total = self.total = self.goods + self.shipping - self.discount
        paid_by: Door = _pick(PAID_BY, chance)  # type: ignore[assignment]
        self.payments: Door = "standard" if paid_by in AT_PROVIDER and plot not in ONE_PAYMENT else paid_by
        self.arrivals: dict[str, float] = {}  # act id → when it arrives

    def write(self, poison: Sequence[str]) -> Life:
        """The whole life."""
        life, plot = self.life, self.life.plot
        paid_at = self._pay()
        if plot in ("canceled", "canceled_unpaid", "late_payment"):
            life.ends = Status.CANCELED
            data = {"by": "customer", "reason": "ordered by mistake"}
            self._act("shop", "cancel", "OrderCanceled", data, 0.7, door="api", after="created")
        elif plot not in UNSHIPPED:
            self._ship(paid_at)
            self._end()
        for kind in poison:
            self._poison(kind)
        for arrives, act in list(life.opening):
            repeated = again(act, self.chance)
            if repeated is not None:
                life.opening.append((arrives + self.chance.uniform(0.05, 4.0), repeated))
        return life

    # -- the order and its money ---------------------------------------------------------------------------

    def _pay(self) -> str:
        """The order and its payments; the name of the payment that completes it, "" where none does."""
        plot, total, life = self.life.plot, self.total, self.life
        first, second = (f"{PAYMENT_PREFIX}{self.number}-{letter}" for letter in "ab")
        self._act("shop", "created", "OrderCreated", self._order([first]), 0.0, door="api")
        if plot == "early_payment":
            self._paid("paid-1", first, total, 0.1)
            self._arrives_after("created", "paid-1")
        elif plot == "second_try":
            data = {"paymentId": first, "code": "card_declined", "message": "The card was declined"}
            self._act("payments", "failed", "PaymentFailed", data, 0.2, subject=None, door=self.payments)
            self._paid("paid-2", second, total, 0.5, subject=self.number)  # the order names but its first payment
        elif plot == "two_payments":
            part = total // 3
            self._paid("paid-1", first, part, 0.2)
            self._paid("paid-2", second, total - part, 0.4, subject=self.number)
        elif plot == "paid_twice":
            self._paid("paid-1", first, total, 0.2)
            self._paid("paid-2", second, total, 0.5, subject=self.number)
            life.refunded = total
        elif plot == "underpaid":
            self._paid("paid-1", first, total * 3 // 5, 0.2)
        elif plot == "wrong_currency":
            self._paid("paid-1", first, f"{total / 1400:.2f}", 0.2, currency="USD")
            life.dead += 1
        elif plot == "late_payment":
            self._paid("paid-1", first, total, 1.5)
            life.refunded = total
        elif plot != "canceled_unpaid":
            self._paid("paid-1", first, total, 0.3)
            life.refunded = total if plot == "canceled" else 0
        return next((name for name in ("paid-2", "paid-1") if self._id(name) in self.arrivals), "")

    def _order(self, payment_ids: list[str]) -> dict[str, Any]:
        name = self.chance.choice(NAMES)
        data: dict[str, Any] = {
            "items": [
                {"item": x.item, "product": x.product, "quantity": x.quantity, "unitPrice": str(x.price)}
                for x in self.lines
            ],
            "totalAmount": str(self.total),
            "currency": CURRENCY,
            "shippingAmount": str(self.shipping),
            "customer": f"customer-{self.chance.randint(1, 400)}",
            "customerSnapshot": {"name": name, "email": f"{name.split()[-1].lower()}@shop.example"},
            "paymentIds": payment_ids,
        }
        if self.discount:
            data |= {"discountCode": "WELCOME", "discountAmount": str(self.discount)}
        return data

    def _paid(
        self,
        name: str,
        payment_id: str,
        amount: object,
        after: float,
        *,
        currency: str = CURRENCY,
        subject: str | None = None,
    ) -> None:
        data = {"paymentId": payment_id, "amount": str(amount), "currency": currency, "provider": "standard"}
        self._act("payments", name, "PaymentSucceeded", data, after, subject=subject, door=self.payments)

    # -- parcels -------------------------------------------------------------------------------------------

    def _ship(self, paid: str) -> None:
        """What the warehouse reports; the rest of a parcel's life is the carrier's."""
        life = self.life
        shares: list[list[Line] | None] = [self.lines[:1], self.lines[1:]] if life.plot == "split" else [None]
        life.parcels = len(shares)
        steps = "shipped" if life.plot == "shipped_first" else _pick(WAREHOUSES, self.chance)
        for n, lines in enumerate(shares, 1):
            parcel: dict[str, Any] = {"fulfillment": f"{self.number}/F{n}"}
            if lines is not None:
                parcel["items"] = [{"item": line.item, "quantity": line.quantity} for line in lines]
            sent = {**parcel, "carrier": CARRIER, "trackingNumber": f"{NUMBER_PREFIX}{self.number}-{n}"}
            leaves = self.chance.uniform(1.1, 2.2)
            made, packed, shipped = f"made-{n}", f"packed-{n}", f"shipped-{n}"
            if steps == "shipped":
                # Listed items are known by the names that the order's answer gave them.
                self._act("warehouse", shipped, "FulfillmentShipped", sent, leaves, after="created" if lines else "")
                continue
            self._cue("preparing", "shop", made, "FulfillmentCreated", parcel)
            data = sent if steps == "packed" else parcel
            self._cue("preparing", "shop", packed, "FulfillmentPacked", data, 0.2, after=made)
            if steps != "packed":
                self._cue("preparing", "shop", shipped, "FulfillmentShipped", sent, leaves - 0.7, after=packed)
        if life.plot == "shipped_first":
            self._arrives_after(paid, "shipped-1")

    def _end(self) -> None:
        """What happens once everything has arrived."""
        life, ending = self.life, self.life.ending
        life.ends = Status.DELIVERED
        if ending in ("confirmed", "confirmed_early"):
            life.ends = Status.CONFIRMED
            data = {"by": "customer"}
            if ending == "confirmed_early":  # waits, parked, until the carrier tells of the delivery
                self._act("shop", "confirm", "OrderConfirmed", data, 2.5)
            else:
                self._cue("delivered", "shop", "confirm", "OrderConfirmed", data)
        elif ending != "kept":
            self._return()

    def _return(self) -> None:
        life, ending = self.life, self.life.ending
        name = {"return": f"{self.number}/R1"}
        asked: dict[str, Any] = {**name, "reason": self.chance.choice(REASONS), "note": "Please collect it on Friday"}
        if ending == "returned_partly":
            line = self.lines[0]
            asked["items"] = [{"item": line.item, "quantity": 1}]
            life.refunded += line.price * (self.goods - self.discount) // self.goods
        elif ending == "returned":
            life.ends = Status.RETURNED
            life.refunded += self.goods - self.discount
        self._cue("delivered", "shop", "return", "ReturnRequested", asked)
        if ending == "return_rejected":
            self._cue("return_processing", "shop", "rejected", "ReturnRejected", {**name, "by": "staff"})
        else:
            self._cue("return_processing", "shop", "completed", "ReturnCompleted", name)

    # -- poison --------------------------------------------------------------------------------------------

    def _poison(self, kind: str) -> None:
        life = self.life
        if kind == "malformed":
            payment = f"{PAYMENT_PREFIX}{self.number}-a"
            data: dict[str, Any] = {"paymentId": payment, "amount": "a lot of money", "currency": CURRENCY}
            door: Door = "standard" if self.payments in AT_PROVIDER else self.payments
            self._act("payments", "garbled", "PaymentSucceeded", data, 0.6, door=door)
        elif kind == "unknown_item":
            data = {"fulfillment": f"{self.number}/F9", "items": [{"item": "no-such-item", "quantity": 1}]}
            self._act("warehouse", "stray", "FulfillmentCreated", data, 1.0)
        elif kind == "unknown_version":
            data = {"paymentId": f"{PAYMENT_PREFIX}{self.number}-a", "reason": "fraudulent"}
            self._act("payments", "from-tomorrow", "PaymentDisputed", data, 0.8, version=9, door="standard")
        else:
            data = {"points": self.total // 100}
            self._act("payments", "points", "loyalty.points_earned", data, 0.9, door="stripe")
            return  # ignored, not dead
        life.dead += 1

    # -- acts ----------------------------------------------------------------------------------------------

    _OWN = "own"  # the order itself is the subject

    def _id(self, name: str) -> str:
        return f"{self.number}:{name}"

    def _act(
        self,
        source: str,
        name: str,
        kind: str,
        data: dict[str, Any],
        when: float,
        *,
        subject: str | None = _OWN,
        version: int = 1,
        door: Door = "journal",
        after: str = "",
    ) -> None:
        """Report something that happens `when` seconds after the life's beginning, now and then late.

        `after` names the act whose answer it needs.
        """
        happens = self.begins + when
        late = self.chance.random() < LATE
        lag = self.chance.uniform(0.3, 2.0) if late else self.chance.uniform(0.0, 0.3)
        number = self.number if subject == self._OWN else subject
        needs = after and self._id(after)
        act = Act(f"demo/{source}", self._id(name), kind, number, data, happens, version, door, needs)
        self.arrivals[act.id] = happens + lag
        self.life.opening.append((happens + lag, act))

    def _cue(
        self, cue: Cue, source: str, name: str, kind: str, data: dict[str, Any], delay: float = 0.0, after: str = ""
    ) -> None:
        """Call the API once the order stands at `cue`."""
        needs = after and self._id(after)
        act = Act(f"demo/{source}", self._id(name), kind, self.number, data, delay, door="api", after=needs)
        self.life.cued.setdefault(cue, []).append(act)

    def _arrives_after(self, later: str, sooner: str) -> None:
        """Delay one act until another has arrived."""
        arrives = self.arrivals[self._id(sooner)] + self.chance.uniform(0.3, 1.5)
        self.life.opening = [
            (max(at, arrives) if act.id == self._id(later) else at, act) for at, act in self.life.opening
        ]
        self.arrivals[self._id(later)] = max(arrives, self.arrivals[self._id(later)])
