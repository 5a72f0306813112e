"""Dead letters that are there when they are migrated are named by what their events name, and so are those of older workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import Engine, text

from storage.engine import connect
from storage.migrate import config, upgrade

BEFORE = "0030_audit_times"
# The number is the order's, or there is none; the letters' ids are in no order.
EVENTS = (
    ("7", "{}", "7"),
    ("7", '{"paymentId": "p"}', "7"),
    (None, '{"paymentId": "p"}', "payment:p"),
    (None, "{}", None),
    (None, "[]", None),
    ("9" * 300, "{}", "9" * 255),
)
_EVENT = """insert into journal (source, event_id, type, time, subject, shard, data, digest)
    values ('s', gen_random_uuid(), 'PaymentSucceeded', now(), :subject, 0, cast(:data as jsonb), '') returning seq"""
MANY = 5_001  # more than one portion
_MANY = """with appended as (
        insert into journal (source, event_id, type, time, subject, shard, data, digest)
        select 'many', cast(n as text), 'PaymentSucceeded', now(), 'many', 0, '{}', '' from generate_series(1, :many) n
        returning seq
    ) insert into dead_letters (id, seq, reason) select gen_random_uuid(), seq, 'bad_data' from appended"""
_LETTER = "insert into dead_letters (id, seq, reason) values (gen_random_uuid(), :seq, 'bad_data')"


@pytest.fixture
def engine(empty_database_url: str) -> Iterator[Engine]:
    engine = connect(empty_database_url)
    yield engine
    engine.dispose()


def bury(engine: Engine) -> None:
    with engine.begin() as conn:
        for subject, data, _ in EVENTS:
            seq = conn.execute(text(_EVENT), {"subject": subject, "data": data}).scalar_one()
            conn.execute(text(_LETTER), {"seq": seq})


def test_letters_are_named_by_the_migration_and_after_it(engine, empty_database_url):
    with engine.connect() as conn:
        command.upgrade(config(conn, 3), BEFORE)
        conn.commit()
    bury(engine)
    with engine.begin() as conn:
        conn.execute(text(_MANY), {"many": MANY})
    upgrade(empty_database_url, 3)
    bury(engine)
    with engine.connect() as conn:
        found = list(conn.execute(text("select names from dead_letters order by seq")).scalars())
    named = [names for _, _, names in EVENTS]
    assert found == [*named, *["many"] * MANY, *named]
