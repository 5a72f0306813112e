"""`orders parcels`: what is on its way, late or silent, and why it is stuck."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from queries.parser import parse
from queries.repository import find
from tests.builders import created, line, paid, scan, shipped

HOURS = {name: timedelta(hours=hours) for name, hours in {"ago": 1, "yesterday": 24, "long ago": 24 * 9}.items()}
CARRIERS = {"fine": "UPS®", "late": "fedex ground", "silent": "FedEx", "held": "Our Van", "lost sight": "ups"}


@pytest.fixture(scope="module")
def now():
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def parcels(shop, now):
    """Five parcels on their way, and one that has arrived; each is its order's only one."""
    told: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
        "fine": [("in_transit", "ago", {"estimatedDelivery": now + timedelta(days=1), "location": "Busan"})],
        "late": [("in_transit", "ago", {"estimatedDelivery": now - timedelta(days=2)})],
        "silent": [("in_transit", "long ago", {"location": "OAKLAND, CA"})],
        "held": [
            ("in_transit", "yesterday", {}),
            ("on_hold", "ago", {"description": "Customs asks", "location": "Incheon"}),
        ],
        "lost sight": [],
        "arrived": [("in_transit", "long ago", {}), ("delivered", "yesterday", {})],
    }
    for name, scans in told.items():
        carrier, left = CARRIERS.get(name, "UPS"), now - HOURS["long ago"] - timedelta(days=1)
        shop.tell(
            created(line("mug"), payments=(name,), subject=name, at=left),
            paid(5_000, name, subject=name, at=left),
            shipped(name, {"mug": 1}, subject=name, at=left, carrier=carrier, trackingNumber=name),
            *(
                scan(status, name, carrier=carrier, subject=name, at=now - HOURS[when],
                     **{key: value.isoformat() if isinstance(value, datetime) else value for key, value in data.items()})
                for status, when, data in scans
            ),
        )  # fmt: skip
    return shop


def named(answer):
    return [each["order"] for each in answer.json["parcels"]]


def test_all_on_their_way_are_listed_that_of_which_nothing_was_heard_for_longest_first(parcels, orders):
    answer = orders("parcels", "--json")
    assert answer.code == 0, answer.err
    assert named(answer)[:2] == ["lost sight", "silent"]
    assert sorted(named(answer)) == sorted(CARRIERS)
    found = {each["order"]: each for each in answer.json["parcels"]}
    assert found["held"]["lastScan"]["location"] == "Incheon"
    assert (found["held"]["trackingStatus"], found["held"]["why"]) == ("on_hold", "its carrier holds it")
    assert found["late"]["why"] == "its carrier's estimate is over"
    assert found["silent"]["why"] == "its carrier tells nothing"
    assert found["fine"]["why"] is None
    assert {name: (each["late"], each["silent"]) for name, each in found.items()} == {
        "fine": (False, False), "late": (True, False), "silent": (False, True), "held": (False, False),
        "lost sight": (False, True),
    }  # fmt: skip


def test_late_and_silent_are_chosen_and_the_exit_code_says_whether_there_are_any(parcels, orders):
    late, silent = orders("parcels", "--late", "--json"), orders("parcels", "--silent", "--json")
    assert (late.code, named(late)) == (1, ["late"])
    assert (silent.code, named(silent)) == (1, ["lost sight", "silent"])
    none = orders("parcels", "--silent", "--silent-after", "30d")
    assert (none.code, none.out) == (0, "no such parcel is on its way\n")


def test_a_carrier_is_chosen_by_any_of_its_names(parcels, orders):
    assert sorted(named(orders("parcels", "--carrier", "Federal Express", "--json"))) == ["late", "silent"]
    assert sorted(named(orders("parcels", "--carrier", "UPS", "--json"))) == ["fine", "lost sight"]
    assert named(orders("parcels", "--carrier", "our van", "--json")) == ["held"]
    nobody = orders("parcels", "--carrier", "DHL")
    assert nobody.code == 2
    assert "no parcel on its way is of a carrier 'DHL'; there are parcels of" in " ".join(nobody.err.split())


def test_a_person_reads_where_each_is_since_when_and_why(parcels, orders):
    answer = " ".join(orders("parcels").out.split())
    assert "Busan" in answer
    assert "(9 d ago) OAKLAND, CA" in answer
    assert "(2 d late)" in answer
    assert "5 on their way, 1 of them late, 2 silent" in answer
    shown = " ".join(orders("show", "held").out.split())
    assert "on hold, seen" in shown
    assert "at Incheon (Customs asks)" in shown


def test_limit_and_wrong_use(parcels, orders):
    assert named(orders("parcels", "--limit", "1", "--json")) == ["lost sight"]
    assert len(named(orders("parcels", "--limit", "0", "--json"))) == 5
    wrong = orders("parcels", "--silent-after", "soon")
    assert (wrong.code, "--silent-after" in wrong.err) == (2, True)


def test_the_query_api_has_the_same_as_filters(parcels, now):
    """As docs/howto/follow-parcels.md writes them."""

    def numbers(where):
        with parcels.opened.engine.connect() as conn:
            return {each["trackingNumber"] for each in find(conn, "fulfillments", parse(where))["docs"]}

    moment = now.strftime("%Y-%m-%dT%H:%MZ")
    before = (now - timedelta(days=3)).strftime("%Y-%m-%dT%H:%MZ")
    shipped_ones = "where[status][equals]=shipped"
    assert numbers(f"{shipped_ones}&where[estimatedDelivery][less_than]={moment}") == {"late"}
    assert numbers("where[trackingStatus][in]=on_hold,delivery_delayed,delivery_failed") == {"held"}
    assert numbers(f"{shipped_ones}&where[lastScan.time][less_than]={before}") == {"silent"}
