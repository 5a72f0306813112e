"""Databases that a release before left, recorded by `record_release`: upgraded under load, told of, folded anew; and nothing is sent."""

from __future__ import annotations

import json
import lzma
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, text

from cli.rules import bring_orders_up_to_date
from domain.policy import Context, Policy
from events.envelope import Envelope
from journal.append import append
from journal.batch import Shop, clock, settle
from journal.entries import Entry, read
from journal.policy_store import policy_id
from journal.refold import is_behind, refold_all
from journal.verify import Difference, verify
from storage.engine import connect
from storage.migrate import pending, shards_fixed, upgrade
from tests.databases import drop, make, with_database
from tests.integration.api.commands.conftest import Shop as Door
from tests.integration.cli.conftest import Orders, orders

__all__ = ["orders"]  # a fixture

RELEASES = sorted(path.name.removesuffix(".sql.xz") for path in (Path(__file__).parent / "releases").glob("*.sql.xz"))
# What a release before did not keep, or reckoned otherwise, as the changelog names it: these events lead to it.
NAMED = frozenset(
    ("PaymentFailed", "PaymentCanceled", "PaymentRefunded", "PaymentDisputed", "PaymentReversed", "ReturnCompleted")
)
PARCELS = ("Fulfillment", "Tracking")  # types of what is told of a parcel begin so
KEPT = {"facts", "failed_at", "tracking_status", "last_scan_at"}  # of a parcel, more than before or otherwise
SENT = ("timers", "deliveries", "results", "journal", "parked", "dead_letters")
WRITERS, STEP_S = 3, 0.005
WAIT_S = 10.0  # that a write may take while the schema changes, on a slow machine


@pytest.fixture(params=RELEASES)
def release(request) -> str:
    return str(request.param)


@pytest.fixture
def old(release: str, postgres_url: str) -> Iterator[str]:
    """The database of a release, as it left it."""
    name = make(postgres_url, "template1")
    url = with_database(postgres_url, name)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute(recorded(release, "sql").encode())
    yield url
    drop(postgres_url, name)


def recorded(release: str, kind: str) -> str:
    return lzma.decompress((Path(__file__).parent / "releases" / f"{release}.{kind}.xz").read_bytes()).decode()


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    engine = connect(url, pinned=True)
    try:
        yield engine
    finally:
        engine.dispose()


def rows(engine: Engine, table: str) -> list[Any]:
    with engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(f"select t::text from {table} t order by 1"))]


def settle_all(engine: Engine) -> None:
    """Decide whatever waits, as the workers of this release do."""
    policy = Policy()
    with engine.begin() as conn:
        shop = Shop(policy_id(conn, policy), shards_fixed(conn))
        waiting = conn.execute(text("select seq from undecided order by seq")).scalars().all()
        entries: Sequence[Entry] = read(conn, waiting)
    for start in range(0, len(entries), 100):
        with engine.begin() as conn:
            settle(conn, entries[start : start + 100], Context(clock(), policy), shop)


def told(order: str, number: str, kind: str, **data: Any) -> Envelope:
    return Envelope(number, "load", kind, datetime.now(UTC), order, data)


# -- under load ----------------------------------------------------------------------------------------------


class Load:
    """Writers, each with a connection of its own: events are journaled and orders' rows held and changed, until the block ends.

    By statements that fit the release before as well as this one: so do its processes, which still run while it is migrated.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.accepted: list[str] = []
        self.failed: list[BaseException] = []
        self.longest_s = 0.0  # of one write
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.wait(WRITERS * 5)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def wait(self, more: int) -> None:
        """Until so many more events were accepted."""
        until, turns = len(self.accepted) + more, 0
        while len(self.accepted) < until and not self.failed and turns < 6000:
            turns += 1
            sleep(STEP_S)

    def _write(self, writer: int) -> None:
        try:
            with opened(self.url) as engine:
                with engine.connect() as conn:
                    shards = shards_fixed(conn)
                    orders = conn.execute(text("select order_number from orders order by 1")).scalars().all()
                for turn in count():
                    if self._over.is_set():
                        return
                    order, name = orders[turn % len(orders)], f"load-{writer}-{turn}"
                    event = told(order, name, "PaymentFailed", paymentId=f"pi_{writer}_{order}")
                    began = monotonic()
                    with engine.begin() as conn:
                        append(conn, [event], shards)
                        conn.execute(text("select from orders where order_number = :n for update"), {"n": order})
                        conn.execute(text("update orders set updated_at = now() where order_number = :n"), {"n": order})
                    self.accepted.append(name)
                    self.longest_s = max(self.longest_s, monotonic() - began)
                    sleep(STEP_S)
        except BaseException as error:
            self.failed.append(error)


def test_it_is_upgraded_under_load_and_nothing_accepted_is_lost(old: str):
    waiting = pending(old)
    assert waiting
    with Load(old) as load:
        before = len(load.accepted)
        assert upgrade(old, 1) == waiting
        during = len(load.accepted)
        load.wait(WRITERS * 5)
    assert load.failed == []
    assert during > before, "written to while it was upgraded"
    assert len(load.accepted) > during
    assert load.longest_s < WAIT_S, "a step of the upgrade held up whoever writes"
    with opened(old) as engine:
        with engine.connect() as conn:
            kept = set(conn.execute(text("select event_id from journal where source = 'load'")).scalars())
        assert kept == set(load.accepted)
        refold_all(engine, lambda each: None, lambda done, of: None)
        settle_all(engine)
        assert [str(each) for each in verify(engine).differences] == []


# -- the orders that differ ----------------------------------------------------------------------------------


def test_orders_that_differ_are_listed_and_are_those_that_the_changelog_names(old: str):
    upgrade(old, 1)
    with opened(old) as engine:
        found = verify(engine).differences
        assert found
        with engine.connect() as conn:
            kinds = {
                number: set(types)
                for number, types in conn.execute(
                    text("select subject, array_agg(distinct type) from journal where subject is not null group by 1")
                )
            }
            of_payment = conn.execute(
                text(
                    "select o.order_number, j.type from journal j join transactions t on t.payment_id = j.data->>'paymentId' "
                    "join orders o on o.id = t.order_id where j.subject is null"
                )
            )
            for number, kind in of_payment:
                kinds[number].add(kind)
        of_parcels = [each for each in found if each.path.startswith("fulfillments[")]
        fields = {each.path.rpartition(".")[2] for each in of_parcels}
        assert fields <= KEPT, "each parcel stands where it stood, with what it held"
        assert all(any(kind.startswith(PARCELS) for kind in kinds[each.order]) for each in of_parcels)
        others = [each for each in found if each not in of_parcels]
        assert [str(each) for each in others if not kinds[each.order] & NAMED] == []
        paths = Counter(each.path.partition("[")[0] for each in others)
        assert set(paths) <= {"facts", "flags", "transactions", "returns"}, (
            "no status of an order and no quantity is another"
        )


def test_they_are_folded_anew_and_nothing_is_sent_for_them(old: str):
    upgrade(old, 1)
    with opened(old) as engine:
        before = {table: rows(engine, table) for table in SENT}
        targets = effects(engine)
        assert behind(engine)
        listed = verify(engine).differences
        told: list[Difference] = []
        count = refold_all(engine, told.append, lambda done, of: None)
        assert count == len({each.order for each in listed})
        assert _lines(told) == _lines(listed)
        assert not behind(engine)
        assert verify(engine).differences == []
        assert {table: rows(engine, table) for table in SENT} == before
        assert [each[:4] for each in effects(engine)] == [each[:4] for each in targets]


def test_what_the_release_would_have_refunded_on_top_of_a_dispute_waits_for_a_person(old: str):
    upgrade(old, 1)
    with opened(old) as engine:
        before = {each.id: each.state for each in effects(engine)}
        refold_all(engine, lambda each: None, lambda done, of: None)
        kept = [each for each in effects(engine) if each.state != before[each.id]]
        assert kept, "the recorded database has such an order"
        for each in kept:
            assert (before[each.id], each.state) == ("due", "staff")
            assert "disputed" in each.flags
        assert all(each.state == "staff" for each in effects(engine) if "disputed" in each.flags)


def test_up_lists_them_and_folds_them_anew_before_its_workers_start(old: str, capsys):
    upgrade(old, 1)
    with opened(old) as engine:
        count = len({each.order for each in verify(engine).differences})
        bring_orders_up_to_date(engine)
        said = capsys.readouterr().err
        assert f"{count} orders were folded anew" in said
        assert said.count("is otherwise order ") > count
        assert verify(engine).differences == []
        bring_orders_up_to_date(engine)
        assert capsys.readouterr().err == ""


def behind(engine: Engine) -> bool:
    with engine.connect() as conn:
        return is_behind(conn)


def effects(engine: Engine) -> list[Any]:
    """The refunds that were recorded, with their orders' flags."""
    with engine.connect() as conn:
        return list(
            conn.execute(
                text(
                    "select e.id, e.target, e.made, e.idempotency_key, e.state, o.flags "
                    "from effects e join orders o on o.id = e.order_id order by e.id"
                )
            )
        )


def test_a_database_of_this_release_is_never_behind(database_url: str):
    with opened(database_url) as engine:
        settle_all(engine)
        assert not behind(engine)


def _lines(differences: Any) -> list[str]:
    found: list[Difference] = list(differences)
    return sorted(map(str, found))


# -- requests that are repeated ------------------------------------------------------------------------------


def test_repeats_of_its_create_order_requests_answer_as_before(old: str, release: str, redis_url: str):
    """Each field that the release answered has the value it had, and nothing is journaled."""
    upgrade(old, 1)
    with opened(old) as engine:
        journaled = rows(engine, "journal")
    door = Door(old, redis_url)
    try:
        for each in json.loads(recorded(release, "json")):
            answer = door.call("POST", "/api/orders", each["request"])
            assert answer.status_code == 201, answer.text
            before, after = each["repeat"]["doc"], answer.json()["doc"]
            assert {name: after.get(name) for name in before} == before
            other = door.call("POST", "/api/orders", {**each["request"], "notes": "another"})
            assert other.status_code == 409, other.text
        assert rows(door.doors.engine, "journal") == journaled
        refold_all(door.doors.engine, lambda each: None, lambda done, of: None)
    finally:
        door.close()


def test_migrate_and_the_doctor_say_what_is_still_to_be_done(old: str, redis_url: str, orders: Orders, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", old)
    monkeypatch.setenv("REDIS_URL", redis_url)

    def schema() -> tuple[str, str]:
        for _ in range(10):  # a doctor looks for moments only: on a loaded machine that may be too short
            (found,) = (each for each in orders("doctor", "--json").json["checks"] if each["name"] == "schema")
            if "looked at" not in found["says"]:
                break
        return found["level"], found["says"]

    assert orders("migrate", "--json").json["refold"] is True
    assert schema() == ("problem", "orders may be as the rules of a release before made them")
    assert "run `orders verify --refold`" in orders("migrate").out
    assert orders("verify", "--refold", "--json").json["differences"]
    assert schema() == ("ok", "up to date")
    assert orders("migrate", "--json").json == {"applied": [], "refold": False}


@pytest.mark.parametrize("command", ["worker", "api"])
def test_a_process_that_applies_events_does_not_start_before_that(command, old, redis_url, orders: Orders, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", old)
    monkeypatch.setenv("REDIS_URL", redis_url)
    unmigrated = orders(command)
    assert (unmigrated.code, unmigrated.out) == (1, "")
    assert "run `orders migrate`" in " ".join(unmigrated.err.split())
    upgrade(old, 1)
    refused = orders(command)
    assert (refused.code, refused.out) == (1, "")
    assert "before those of this one start, run `orders verify --refold`" in " ".join(refused.err.split())
