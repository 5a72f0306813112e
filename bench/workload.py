"""The workload of every contestant: whole lives of orders in order of arrival, and the state that each must end in.

A life is 5 or 6 events of an order of 1–3 lines; 10 % have a return, 5 % of the events come twice. An
order's own events lie far apart, so that hardly any comes too early: (a) and (b) have no cheap way to wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from events.envelope import Envelope

DUPLICATES = 0.05  # of all events
RETURNS = 0.1  # of all orders
REPORTED = 0.4  # of the rest: the warehouse names the parcel before it leaves
GAP, MORE_GAP = 0.03, 10.0  # between two events of an order: at least, and the rate of what is more
HERE = Decimal(1000)  # prices are whole thousands of won


@dataclass(slots=True)
class State:
    """The compared state of an order in the end: its stages, its quantities, its money."""

    status: str = ""
    items: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)  # ordered, shipped, delivered, returned
    payments: dict[str, tuple[str, Decimal, Decimal]] = field(default_factory=dict)  # stage, captured, to give back
    parcels: dict[str, str] = field(default_factory=dict)
    returns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Play:
    """Deliveries in order of arrival, repeated ones included, and order number → its last state."""

    deliveries: list[Envelope]
    states: dict[str, State]

    @property
    def events(self) -> int:
        """The number of different events."""
        return len({(e.source, e.id) for e in self.deliveries})


def play(orders: int, tag: str, *, seed: int = 7, duplicates: float = DUPLICATES) -> Play:
    """So many lives; `tag` begins every order number. The same seed gives the same lives."""
    chance = Random(seed)
    begins = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
    arrivals: list[tuple[float, Envelope]] = []
    states: dict[str, State] = {}
    for n in range(orders):
        number = f"{tag}-{n:06d}"
        steps, states[number] = _life(number, n, chance)
        at = chance.random()
        for i, (source, kind, data) in enumerate(steps):
            happened = begins + timedelta(seconds=60 * i, milliseconds=n)
            envelope = Envelope(f"{number}:{i}", source, kind, happened, number, data)
            arrivals.append((at, envelope))
            if chance.random() < duplicates:
                arrivals.append((at + GAP / 2 + chance.random() / 20, envelope))
            at += GAP + chance.expovariate(MORE_GAP)
    arrivals.sort(key=lambda arrival: arrival[0])
    return Play([envelope for _, envelope in arrivals], states)


def _life(number: str, n: int, chance: Random) -> tuple[list[tuple[str, str, dict[str, Any]]], State]:
    quantities = [chance.choice((1, 1, 2)) for _ in range(chance.choice((1, 1, 2, 2, 3)))]
    prices = [chance.randrange(5, 80) * HERE for _ in quantities]
    total = sum((q * p for q, p in zip(quantities, prices, strict=True)), Decimal(0))
    payment, parcel = f"pi_{number}", f"{number}-1"
    lines = [
        {"item": f"L{i}", "product": f"prd_{n % 500}", "option": 'Size: "L"', "quantity": q, "unitPrice": str(p)}
        for i, (q, p) in enumerate(zip(quantities, prices, strict=True))
    ]
    created: dict[str, Any] = {
        "items": lines,
        "totalAmount": str(total),
        "currency": "KRW",
        "customer": f"cus_{n % 999}",
        "paymentIds": [payment],
        "customerSnapshot": {"name": "Kim Minji", "email": "minji@example.com"},
        "shippingAddress": {"address1": "152 Teheran-ro", "city": "Seoul", "postalCode": "06236"},
    }
    paid = {"paymentId": payment, "amount": str(total), "currency": "KRW", "provider": "bench"}
    steps = [("shop", "OrderCreated", created), ("payments", "PaymentSucceeded", {**paid, "paymentMethod": "card"})]
    state = State("confirmed", parcels={parcel: "delivered"})
    state.items = {f"L{i}": (q, q, q, 0) for i, q in enumerate(quantities)}
    state.payments = {payment: ("paid", total, Decimal(0))}
    shares = [{"item": f"L{i}", "quantity": q} for i, q in enumerate(quantities)]
    if chance.random() < RETURNS:
        steps += _carried(parcel, n)
        back = [{"item": "L0", "quantity": 1}]
        steps.append(("shop", "ReturnRequested", {"return": f"R-{number}", "reason": "damaged", "items": back}))
        given = {"return": f"R-{number}", "refundAmount": str(prices[0])}
        steps.append(("warehouse", "ReturnCompleted", given))
        state.status = "returned" if quantities == [1] else "delivered"
        state.items["L0"] = (*state.items["L0"][:3], 1)
        state.payments[payment] = ("paid", total, prices[0])
        state.returns = {f"R-{number}": "completed"}
    elif len(quantities) == 3:  # in two parcels
        first, second = _carried(parcel, n, shares[:1]), _carried(f"{number}-2", n, shares[1:])
        steps += [first[0], second[0], first[1], second[1]]
        state.status, state.parcels = "delivered", {parcel: "delivered", f"{number}-2": "delivered"}
    else:
        if chance.random() < REPORTED:
            steps.append(("warehouse", "FulfillmentCreated", {"fulfillment": parcel, "items": shares}))
        steps += _carried(parcel, n)
        steps.append(("shop", "OrderConfirmed", {"by": "customer"}))
    return steps, state


def _carried(parcel: str, n: int, shares: list[dict[str, Any]] | None = None) -> list[tuple[str, str, dict[str, Any]]]:
    left: dict[str, Any] = {"fulfillment": parcel, "carrier": "CJ Logistics", "trackingNumber": f"6{n:07d}-{parcel}"}
    if shares is not None:
        left["items"] = shares
    return [("warehouse", "FulfillmentShipped", left), ("carrier", "FulfillmentDelivered", {"fulfillment": parcel})]


# -- the check -----------------------------------------------------------------------------------------------

Rows = Iterable[tuple[Any, ...]]


def gathered(orders: Rows, items: Rows, payments: Rows, parcels: Rows, returns: Rows) -> dict[str, State]:
    """States out of a database: rows of (order number, …) in the order of State's fields."""
    found = {number: State(status) for number, status in orders}
    for number, name, *quantities in items:
        ordered, shipped, delivered, returned = quantities
        found[number].items[name] = (ordered, shipped, delivered, returned)
    for number, name, status, captured, back in payments:
        found[number].payments[name] = (status, captured, back)
    for number, name, status in parcels:
        found[number].parcels[name] = status
    for number, name, status in returns:
        found[number].returns[name] = status
    return found


def differences(expected: Mapping[str, State], found: Mapping[str, State]) -> Iterator[str]:
    """The differences from what should be, an order per line."""
    for number in sorted({*expected, *found}):
        want, has = expected.get(number), found.get(number)
        if want != has:
            yield f"{number}: expected {want}, found {has}"
