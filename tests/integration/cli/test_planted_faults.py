"""Eight faults, each planted: the doctor's check has its stable id, its cause and its cure, the console's first page has the same,
and the alert's own figures tell of it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
import redis
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.engine import make_url

from operations.beat import BEAT_KEY
from operations.gauges import Figures
from operations.health import sessions
from storage.engine import connect
from tests.conftest import SHARDS
from tests.integration.api.commands.conftest import Shop
from tests.integration.api.console.conftest import Console

RULES = Path(__file__).parents[3] / "ops" / "prometheus" / "alerts.yml"


class Plant:
    """The place of a fault: its servers, and the stand-ins for beat and workers."""

    def __init__(
        self, shop: Any, hands: Any, monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str
    ) -> None:
        self.do, self.hands, self.monkeypatch = shop.do, hands, monkeypatch
        self.database_url, self.redis_url = database_url, redis_url
        self.do("insert into heartbeats (name, at) values ('timers', clock_timestamp())")

    def figures(self) -> dict[str, float]:
        """Every figure without labels, as the beat or the API would tell it."""
        found = Figures(self.database_url, self.redis_url, SHARDS)
        try:
            return {figure.name: value for figure, rows in found.look() for labels, value in rows if not labels}
        finally:
            found.close()


@contextmanager
def no_beat(plant: Plant) -> Iterator[None]:
    plant.hands.beats = False
    plant.hands.doing()
    with redis.Redis.from_url(plant.redis_url) as client:
        client.delete(BEAT_KEY)
    yield


@contextmanager
def no_worker(plant: Plant) -> Iterator[None]:
    plant.hands.takes = set()
    plant.hands.doing()
    plant.do("update heartbeats set at = clock_timestamp() - interval '10 minutes'")
    yield


@contextmanager
def a_redis_that_evicts(plant: Plant) -> Iterator[None]:
    with redis.Redis.from_url(plant.redis_url) as client:
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            yield
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "0")


@contextmanager
def a_wrong_database_url(plant: Plant) -> Iterator[None]:
    """The database has another name from now on: the URL that every process was given is wrong."""
    url = make_url(plant.database_url)
    names = [str(url.database), f"{url.database}_nowhere"]
    maintenance = url.set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(maintenance, autocommit=True) as conn:
        rename(conn, *names)
        yield
        rename(conn, *reversed(names))


def rename(conn: psycopg.Connection, old: str, new: str) -> None:
    """Give a database another name, in spite of whoever is connected to it."""
    until = monotonic() + 20
    while True:
        conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [old])
        try:
            conn.execute(sql.SQL("alter database {} rename to {}").format(sql.Identifier(old), sql.Identifier(new)))
        except psycopg.errors.ObjectInUse:
            assert monotonic() < until, "somebody comes back to it again and again"
            sleep(0.05)
        else:
            return


@contextmanager
def migrations_behind(plant: Plant) -> Iterator[None]:
    ((kept,),) = plant.do("select version_num from alembic_version")
    plant.do("update alembic_version set version_num = '0016_accounts'")
    yield
    plant.do("update alembic_version set version_num = :kept", kept=kept)


@contextmanager
def a_long_transaction(plant: Plant) -> Iterator[None]:
    plant.monkeypatch.setattr(sessions, "OLD_S", 0.2)  # and the alert's hour is told by its figure, which grows
    engine = connect(plant.database_url, application="a report")
    with engine.connect() as conn:
        conn.execute(text("select 1"))
        conn.execute(text("select pg_sleep(0.5)"))
        yield
    engine.dispose()


@contextmanager
def a_clock_off_by_ten_minutes(plant: Plant) -> Iterator[None]:
    plant.do("insert into heartbeats (name, at, skew) values ('worker 8 on far', clock_timestamp(), -600)")
    yield


@contextmanager
def an_endpoint_that_fails_for_a_day(plant: Plant) -> Iterator[None]:
    plant.do(
        "insert into subscriptions (id, url, collections, operations, secrets, failing_since) values (gen_random_uuid(), "
        "'https://hook.example/', '{orders}', '{create}', '{s}', now() - interval '1 day')"
    )
    yield


FAULTS = [
    (no_beat, "beat", "it is dead", "orders beat"),
    (no_worker, "worker-drain", "nobody takes what is in", "orders worker"),
    (a_redis_that_evicts, "redis-memory", "maxmemory-policy is allkeys-lru", "noeviction"),
    (a_wrong_database_url, "postgresql", "does not exist", "DATABASE_URL"),
    (migrations_behind, "schema", "lacks", "orders migrate"),
    (a_long_transaction, "database-transactions", "a report", "pg_terminate_backend"),
    (a_clock_off_by_ten_minutes, "hosts-clocks", "10 min behind", "timedatectl"),
    (an_endpoint_that_fails_for_a_day, "webhooks", "takes nothing since 1 d", "mend its receiver"),
]


@pytest.mark.parametrize(("fault", "id", "cause", "cure"), FAULTS, ids=[each[1] for each in FAULTS])
def test_a_planted_fault_is_told_with_its_cause_its_cure_and_its_alert(
    shop, orders, hands, monkeypatch, database_url, redis_url, fault: Callable, id: str, cause: str, cure: str
):
    plant = Plant(shop, hands, monkeypatch, database_url, redis_url)
    sound = plant.figures()
    with fault(plant):
        found = [each for each in orders("doctor", "--json").json["checks"] if each["id"] == id]
        figures = plant.figures()
    worst = next(each for each in found if each["level"] != "ok")
    assert cause in worst["says"]
    assert cure in worst["remedy"]
    expression = expression_of(worst["alert"])
    assert not any(true(each, sound) for each in expression), "the alert is silent where all is sound"
    if fault is a_long_transaction:
        assert figures["orders_oldest_transaction_seconds"] >= 0.5
    else:
        assert any(true(each, figures) for each in expression)


@pytest.mark.parametrize(("fault", "id", "cause", "cure"), FAULTS, ids=[each[1] for each in FAULTS])
def test_the_first_page_of_the_console_names_a_planted_fault_and_its_cure(
    shop, orders, hands, monkeypatch, database_url, redis_url, fault: Callable, id: str, cause: str, cure: str
):
    plant = Plant(shop, hands, monkeypatch, database_url, redis_url)
    served = Shop(database_url, redis_url)
    monkeypatch.setattr("api.console.checks.WITHIN_S", 30.0)  # a busy machine is slow to look at all of it
    try:
        console = Console(served)
        first = console.page("")
        assert 'hx-get="/console/now/checks" hx-trigger="load, every 30s"' in first, "it asks as soon as it is shown"
        with fault(plant):
            told = html.unescape(console.page("/now/checks", **{"HX-Request": "true"}))
            whole = html.unescape(console.page(""))
        (row,) = [each for each in re.findall(rf'<tr id="check-{id}-\d+".*?</tr>', told, re.DOTALL) if cause in each]
        assert cure in row
        assert row in whole, "the page has it from its beginning, once it was looked for"
    finally:
        served.close()


def expression_of(alert: str) -> list[tuple[str, str, float]]:
    """The comparisons of an alert's expression, any of which makes it fire: figure, operator, number."""
    (told,) = re.findall(rf"alert: {alert}\n\s+expr: (.*)", RULES.read_text())
    return [(name, sign, float(number)) for name, sign, number in re.findall(r"max\((\w+)\) (>|==) (\d+)", told)]


def true(comparison: tuple[str, str, float], figures: dict[str, float]) -> bool:
    name, sign, number = comparison
    value = figures.get(name)
    return value is not None and (value > number if sign == ">" else value == number)
