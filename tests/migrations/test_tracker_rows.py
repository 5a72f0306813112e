"""Trackers that are there when they are migrated: those of one number become one, karrio's are of the account that is asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, text

from domain.ids import fresh
from storage.engine import connect
from storage.migrate import config, upgrade

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
_numbers = itertools.count(1)


class Old:
    """A database at some revision; its trackers are written as the release of then wrote them."""

    def __init__(self, url: str, engine: Engine) -> None:
        self.url, self.engine = url, engine

    def go_to(self, revision: str) -> None:
        with self.engine.connect() as conn:
            command.upgrade(config(conn, 3), revision)
            conn.commit()

    def go_back_to(self, revision: str) -> None:
        with self.engine.connect() as conn:
            command.downgrade(config(conn), revision)
            conn.commit()

    def do(self, sql: str, **values: Any) -> Any:
        with self.engine.begin() as conn:
            found = conn.execute(text(sql), values)
            return found.mappings().all() if found.returns_rows else None

    def order(self) -> str:
        made = fresh(NOON)
        columns = "insert into orders (id, order_number, shard, status, version) values (:id, :number, 0, 'new', 0)"
        self.do(columns, id=made, number=f"N{next(_numbers)}")
        return made

    def tracker(self, order: str | None, number: str, **more: Any) -> str:
        values = {
            "order_id": order,
            "key": f"tracking:van:{number}",
            "carrier": "van",
            "tracking_number": number,
            **more,
        }
        made = values["id"] = fresh(NOON)
        self.do(
            f"insert into trackers ({', '.join(values)}) values ({', '.join(f':{name}' for name in values)})", **values
        )
        return made

    def named_by(self, number: str, *orders: str) -> None:
        values = {"key": f"tracking:van:{number}", "first": orders[0], "members": list(orders[1:]) or None}
        self.do("insert into correlations values (:key, :first, cast(:members as uuid[]))", **values)

    def trackers(self, number: str) -> list[Any]:
        return list(self.do("select * from trackers where tracking_number = :number", number=number))


@pytest.fixture
def old(empty_database_url: str) -> Iterator[Old]:
    engine = connect(empty_database_url)
    yield Old(empty_database_url, engine)
    engine.dispose()


def test_trackers_of_one_number_become_one_that_lacks_nothing(old: Old):
    """In whatever turn they were made: the one that is heard of last stays, with the soonest poll and all scans of the three."""
    old.go_to("0025_given_up_by_order")
    orders = [old.order() for _ in range(3)]
    kinds: list[dict[str, Any]] = [
        {"next_at": NOON + 2 * HOUR, "created_at": NOON - 9 * HOUR, "scans": ["a", "b"], "status": "in_transit", "heard_at": NOON},
        {"next_at": NOON + HOUR, "created_at": NOON - 3 * HOUR, "scans": ["a"], "failures": 4, "last_error": "no answer"},
        {"next_at": NOON - HOUR, "created_at": NOON - 400 * HOUR, "scans": ["z"], "finished": True, "heard_at": NOON + HOUR},
    ]  # fmt: skip
    stay = {}
    for turn in itertools.permutations(range(3)):
        number = "".join(map(str, turn))
        stay[number] = {which: old.tracker(orders[which], number, **kinds[which]) for which in turn}[0]
        old.named_by(number, orders[1], orders[0], orders[2])
    alone = old.tracker(orders[0], "alone", next_at=NOON, scans=["y", "x"])
    old.named_by("alone", orders[0])

    upgrade(old.url, 3)

    for number, kept in stay.items():
        (found,) = old.trackers(number)
        assert (found["id"], found["order_id"], found["finished"]) == (kept, None, False)
        assert (found["next_at"], found["created_at"], found["heard_at"]) == (NOON + HOUR, NOON - 9 * HOUR, NOON)
        assert (found["status"], found["failures"], sorted(found["scans"])) == ("in_transit", 0, ["a", "b", "z"])
    (other,) = old.trackers("alone")
    assert (other["id"], other["next_at"], other["scans"]) == (alone, NOON, ["y", "x"])


def test_where_all_trackers_of_a_number_ended_the_one_that_stays_has_ended(old: Old):
    old.go_to("0025_given_up_by_order")
    orders = [old.order() for _ in range(2)]
    old.tracker(orders[0], "1", finished=True, status="delivered", heard_at=NOON, next_at=NOON)
    old.tracker(orders[1], "1", finished=True, last_error="nothing new for 30 days", next_at=NOON - HOUR)
    upgrade(old.url, 3)
    (found,) = old.trackers("1")
    assert (found["finished"], found["status"], found["last_error"]) == (True, "delivered", None)


def test_a_tracker_that_an_older_worker_adds_meanwhile_stands_beside_the_one(old: Old):
    old.go_to("0025_given_up_by_order")
    orders = [old.order() for _ in range(2)]
    old.tracker(orders[0], "1")
    upgrade(old.url, 3)
    old.tracker(orders[1], "1")
    assert sorted(found["order_id"] is None for found in old.trackers("1")) == [False, True]


def test_one_tracker_goes_back_to_the_order_that_named_its_number_first(old: Old):
    old.go_to("0025_given_up_by_order")
    orders = [old.order() for _ in range(2)]
    for order in orders:
        old.tracker(order, "1", next_at=NOON)
    old.named_by("1", orders[1], orders[0])
    upgrade(old.url, 3)
    old.go_back_to("0025_given_up_by_order")
    (found,) = old.trackers("1")
    assert (found["order_id"], found["next_at"]) == (orders[1], NOON)


def test_karrios_trackers_are_of_the_account_that_is_asked_and_go_back(old: Old):
    old.go_to("0026_one_tracker")
    old.tracker(None, "1", provider="karrio", carrier_id="fedex", next_at=NOON, scans=["a"], failures=2)
    old.tracker(None, "2", provider="easypost", carrier_id="UPS")
    old.tracker(None, "3")
    for name in ("karrio", "easypost"):
        old.do("insert into polled_carriers (name, polls) values (:name, 7)", name=name)
    upgrade(old.url, 3)
    (renamed,) = old.trackers("1")
    assert (renamed["provider"], renamed["carrier_id"]) == ("karrio:fedex", "fedex")
    assert (renamed["next_at"], renamed["scans"], renamed["failures"]) == (NOON, ["a"], 2)
    assert [old.trackers(number)[0]["provider"] for number in ("2", "3")] == ["easypost", None]
    assert [tuple(row.values()) for row in old.do("select name, polls from polled_carriers")] == [("easypost", 7)]
    old.go_back_to("0026_one_tracker")
    assert old.trackers("1")[0]["provider"] == "karrio"
