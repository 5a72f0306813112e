"""`orders scan`: staff tell what they know of a parcel."""

from __future__ import annotations

import pytest

from tests.builders import ORDER, created, line, paid, shipped

VAN = ("Our Van", "4711")


@pytest.fixture
def by_van(shop):
    """A parcel on its way with a carrier that nobody polls."""
    shop.tell(created(line("mug")), paid(5_000), shipped("box", {"mug": 1}, carrier=VAN[0], trackingNumber=VAN[1]))
    return shop


def test_a_delivery_that_is_told_moves_the_order_and_stands_on_its_timeline_with_its_place(by_van, orders):
    told = orders("scan", *VAN, "delivered", "--place", "Back door", "--words", "Left with a neighbour")
    assert told.code == 0, told.err
    assert f"parcel 4711 of order {ORDER}: delivered at " in told.out
    by_van.work()
    shown = orders("show", ORDER)
    assert "delivered: Left with a neighbour, Back door" in " ".join(shown.out.split())
    document = orders("show", ORDER, "--json").json
    assert document["status"] == "delivered"
    (scan,) = (entry["scan"] for entry in document["timeline"] if entry["scan"])
    assert (scan["status"], scan["location"]) == ("delivered", "Back door")
    assert by_van.do("select action, order_number, reason from audit where action = 'scan'") == [
        ("scan", ORDER, "Left with a neighbour")
    ]
    assert orders("verify", ORDER).code == 0


def test_the_same_report_twice_changes_nothing(by_van, orders):
    report = ("scan", *VAN, "in_transit", "--at", "2026-11-01T12:00Z", "--json")
    first, second = orders(*report), orders(*report)
    assert first.json == {
        "order": ORDER, "carrier": "Our Van", "trackingNumber": "4711", "status": "in_transit",
        "time": "2026-11-01T12:00:00Z", "new": True, "polledBy": None,
    }  # fmt: skip
    assert second.json == first.json | {"new": False}
    assert by_van.do("select count(*) from audit where action = 'scan'") == [(1,)]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((*VAN, "lost"), 2, "STATUS 'lost' is none; give one of pending, picked_up"),
        ((*VAN, "delivered", "--at", "soon"), 2, "--at soon is no time"),
        ((*VAN, "delivered", "--place", "x" * 20_000), 2, "location"),
        ((*VAN, "in_transit", "--expected", "tomorrow"), 2, "--expected"),
        (("Our Van", "4712", "delivered"), 1, "no order has a parcel 4712 of Our Van"),
        (("Their Van", "4711", "delivered"), 1, "write the carrier as `orders show ORDER` has it"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_told(by_van, orders, arguments, code, says):
    before = by_van.do("select count(*) from journal")
    answer = orders("scan", *arguments)
    assert (answer.code, says in " ".join(answer.err.split())) == (code, True), answer.err
    assert by_van.do("select count(*) from journal") == before
