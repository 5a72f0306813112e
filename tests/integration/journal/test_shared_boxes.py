"""One box with the goods of several orders: each order has every scan of its number, in any order of arrival."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from domain.order import Order
from events.envelope import Envelope
from journal.verify import verify
from tests.builders import created, later, paid, scan, shipped, tracked

ORDERS = ("A", "B", "C")


def of(number: str, event: Envelope) -> Envelope:
    """The same event of another order."""
    return Envelope(f"{event.id}-{number}", event.source, event.type, event.time, number, event.data, event.version)


def an_order(number: str) -> list[Envelope]:
    payment = f"pay-{number}"
    events = [created(payments=(payment,)), paid(payment=payment), shipped(**tracked())]
    return [of(number, event) for event in events]


SCANS = [scan("in_transit", at=later(hours=1)), scan("delivered", at=later(days=2), description="at the door")]


def states(rig) -> dict[str, Order]:
    return rig.orders(ORDERS)


def settled(rig) -> None:
    """Drain until nothing waits: copies are events of their own."""
    for _ in range(4):
        rig.work()
    assert rig.do("select type from journal left join results using (seq) where results.seq is null") == []


@pytest.mark.parametrize("turn", range(6))
def test_three_orders_in_one_box_all_have_its_scans_in_each_order_of_arrival(rig, turn):
    """Naming, naming late, and scans: who comes first, and what shares a batch, is drawn."""
    events = [*itertools.chain.from_iterable(an_order(number) for number in ORDERS), *SCANS]
    random = Random(turn)
    random.shuffle(events)
    while events:
        size = random.choice((1, 2, 5, len(events)))
        rig.accept(*events[:size])
        rig.work()
        del events[:size]
    settled(rig)
    for number, order in states(rig).items():
        (parcel,) = order.fulfillments
        assert (order.status, parcel.status) == ("delivered", "delivered"), number
        assert (parcel.delivered_at, parcel.last_scan_description) == (later(days=2), "at the door")
    assert len(rig.do("select 1 from journal where type = 'TrackingUpdated'")) == len(SCANS) * len(ORDERS)
    assert verify(rig.engine).differences == []
