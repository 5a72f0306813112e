"""Figures of what waits: what has its end is in none of them, and one slow figure is not a database that is down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from operations import figures, gauges
from operations.figures import Looks
from operations.health import events, outside
from operations.health.check import OK, Place
from settings.environment import read
from storage.clock import clock
from tests.conftest import SHARDS
from tests.simulators import AShop, a_paid_order, a_shop


@pytest.fixture
def shop(database_url, redis_url) -> Iterator[AShop]:
    with a_shop(database_url, redis_url) as shop:
        yield shop


def looked(database_url: str, redis_url: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Every figure by its name: labels → value."""
    figures = gauges.Figures(database_url, redis_url, SHARDS)
    try:
        return {figure.name: dict(rows) for figure, rows in figures.look()}
    finally:
        figures.close()


ENDED = (
    """insert into effects (id, order_id, transaction_id, payment_id, currency, target, state)
       select gen_random_uuid(), t.order_id, t.id, t.payment_id, 'KRW', 5, 'done' from transactions t
       on conflict (transaction_id) do update set state = 'done'""",
    """insert into inbox (id, seq, provider, state) select gen_random_uuid(), j.seq, 'toss', s.state from
       (select seq, row_number() over (order by seq) as n from journal) j
       join (values (1, 'done'), (2, 'expired')) s (n, state) using (n)""",
    """insert into subscriptions (id, url, secrets, collections, operations)
       values (gen_random_uuid(), 'https://s.example', '{}', '{orders}', '{create}')""",
    *(
        f"""insert into deliveries (id, subscription_id, order_id, collection, operation, document, at, state, discarded_at)
            select gen_random_uuid(), s.id, o.id, 'orders', 'create', '{{}}', now(), '{state}', {discarded}
            from subscriptions s, orders o"""
        for state, discarded in (("done", "null"), ("dead", "now()"))
    ),
    """insert into trackers (id, key, carrier, tracking_number, finished)
       values (gen_random_uuid(), 'cj:T1', 'cj', 'T1', true)""",
    """insert into dead_letters (id, seq, reason, state) select gen_random_uuid(), min(seq), 'poison', 'discarded' from journal""",
    """insert into pauses (id, kind, name, reason, "by", closed_at)
       values (gen_random_uuid(), 'order', '7', 'x', 'kim', now())""",
)
WAITING = {
    "orders_undecided_events", "orders_parked_events", "orders_dead_letters", "orders_refunds", "orders_deliveries",
    "orders_lookups", "orders_parcels", "orders_pauses",
}  # fmt: skip


def test_what_has_its_end_is_counted_by_none_of_those_who_say_what_waits(shop, database_url, redis_url):
    shop.tell(*a_paid_order("7", 5))
    for each in ENDED:
        shop.do(each)
    found = looked(database_url, redis_url)
    assert {name: rows for name in WAITING if any((rows := found[name]).values())} == {}
    figures = Looks(shop.engine).now()
    assert (figures.waiting, figures.parked, figures.dead, figures.dead_refunds) == (0, 0, 0, 0)
    assert [fare for fare in figures.providers if fare.waiting or fare.failing or fare.dead] == []
    place = Place(read({"DATABASE_URL": database_url, "REDIS_URL": redis_url}, Path("/nonexistent")), embedded=False)
    with shop.engine.connect() as conn:
        checks = [check for _, look in (*events.LOOKS, *outside.LOOKS) for check in look(conn, place)]
    assert [(check.name, check.says) for check in checks if check.level != OK] == []


DUE = """insert into effects (id, order_id, transaction_id, payment_id, currency, target, state, last_error)
         select gen_random_uuid(), order_id, id, payment_id, 'KRW', 5, case payment_id when 'pay-9' then 'dead' else 'due' end, 'no answer'
         from transactions on conflict (transaction_id) do update set state = excluded.state"""
LETTER = """insert into dead_letters (id, effect_id, reason) select gen_random_uuid(), id, 'refund_given_up' from effects where state = 'dead'"""


@pytest.mark.parametrize(("most", "counted"), [(9, 3), (3, 3), (2, 2)], ids=["all", "as many", "the first"])
def test_of_very_much_that_waits_for_a_provider_the_least_is_counted_and_said(shop, monkeypatch, most, counted):
    shop.tell(*(event for number in "6789" for event in a_paid_order(number, 5)))
    shop.do(DUE)
    shop.do(LETTER)
    monkeypatch.setattr(figures, "MOST", most)
    found = Looks(shop.engine).now()
    (refunds,) = [fare for fare in found.providers if fare.kind == "refunds"]
    assert (refunds.waiting, refunds.failing, refunds.dead, refunds.error) == (counted, counted, 1, "no answer")
    assert refunds.least == (counted == most)
    assert found.providers_at == found.at


@pytest.mark.parametrize(
    ("most", "least"), [(4, set()), (3, {"https://a.example"}), (1, {"https://a.example", "https://b.example"})]
)
def test_what_waits_for_one_subscriber_is_counted_whole_however_much_waits_for_others(shop, monkeypatch, most, least):
    shop.tell(*a_paid_order("7", 5))
    shop.do("""insert into subscriptions (id, url, secrets, collections, operations)
               select gen_random_uuid(), url, '{}', '{orders}', '{create}'
               from unnest(array['https://a.example', 'https://b.example', 'https://b.example', 'https://c.example']) url""")  # fmt: skip
    shop.do("""insert into deliveries (id, subscription_id, order_id, collection, operation, document, at)
               select gen_random_uuid(), s.id, o.id, 'orders', 'create', '{}', now() from subscriptions s, orders o,
               generate_series(1, case s.url when 'https://a.example' then 3 when 'https://b.example' then 1 else 0 end)""")  # fmt: skip
    monkeypatch.setattr(figures, "MOST", most)
    found = [fare for fare in Looks(shop.engine).now().providers if fare.kind == "webhooks"]
    assert {fare.name: fare.waiting for fare in found} == {
        "https://a.example": min(most, 3), "https://b.example": 2, "https://c.example": 0,
    }  # fmt: skip
    assert {fare.name for fare in found if fare.least} == least


def test_a_look_that_took_long_is_followed_by_a_pause_for_postgresql_that_answers_and_for_nobody_else(
    shop, database_url, redis_url, monkeypatch
):
    for name, value in {"FRESH_S": 0.0, "SHARE": 1e9, "LONGEST_S": 1e9}.items():
        monkeypatch.setattr(gauges, name, value)
    asked: list[str] = []
    for name in ("_of_postgresql", "_of_redis"):
        monkeypatch.setattr(gauges.Figures, name, noting(asked, name, getattr(gauges.Figures, name)))
    for url, known in ((database_url, 1), ("postgresql://127.0.0.1:1/none", 2)):
        asked.clear()
        looks = gauges.Figures(url, redis_url, SHARDS)
        try:
            assert [figure.name for figure, _ in looks.look()] == [figure.name for figure, _ in looks.look()]
        finally:
            looks.close()
        assert (asked.count("_of_postgresql"), asked.count("_of_redis")) == (known, 2)


def noting(asked: list[str], name: str, method: Callable):
    def noted(self):
        asked.append(name)
        return method(self)

    return noted


@pytest.mark.parametrize("slow", [figure.name for figure in gauges.FROM_POSTGRESQL])
def test_one_slow_figure_is_left_out_and_said_and_postgresql_is_up(shop, database_url, redis_url, monkeypatch, slow):
    # What PostgreSQL says after statement_timeout, without a wait in which a busy machine would be late with others too.
    shop.do("create function times_out() returns boolean language plpgsql as $$ begin raise sqlstate '57014'; end $$")
    sleeping = [
        replace(each, sql="select '1', times_out()") if each.name == slow else each for each in gauges.FROM_POSTGRESQL
    ]
    monkeypatch.setattr(gauges, "FROM_POSTGRESQL", sleeping)
    found = looked(database_url, redis_url)
    assert found["orders_postgresql_up"] == {(): 1.0}
    assert {each.name for each in gauges.FROM_POSTGRESQL} - set(found) == {slow}
    assert found["orders_figures_left_out"] == {(): 1.0}


def test_a_server_whose_every_figure_is_slow_is_left_after_a_while(shop, database_url, redis_url, monkeypatch):
    monkeypatch.setattr(gauges, "LOOK_S", 0.2)
    monkeypatch.setattr(gauges, "ALL_S", 0.5)
    sleeping = [replace(each, sql="select pg_sleep(60) is null") for each in gauges.FROM_POSTGRESQL]
    monkeypatch.setattr(gauges, "FROM_POSTGRESQL", sleeping)
    begun = clock()
    found = looked(database_url, redis_url)
    assert found["orders_postgresql_up"] == {(): 1.0}
    assert found["orders_figures_left_out"] == {(): float(len(sleeping))}
    assert (clock() - begun).total_seconds() < 60
