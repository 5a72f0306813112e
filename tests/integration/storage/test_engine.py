"""A pool after its server went away: whoever comes next notices nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from journal.batch import is_of_the_moment
from storage import engine as engines

POOL = 3
_PID = text("select pg_backend_pid()")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = engines.connect(database_url, pool=POOL)
    yield made
    made.dispose()


def _filled(engine: Engine) -> set[int]:
    """Every place of the pool taken once: the server's processes behind them."""
    open_ones = [engine.connect() for _ in range(POOL)]
    pids = {conn.execute(_PID).scalar_one() for conn in open_ones}
    for conn in open_ones:
        conn.close()
    return pids


def _hang_up(database_url: str, pids: set[int]) -> None:
    other = engines.connect(database_url)
    with other.begin() as conn:
        for pid in pids:
            assert conn.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid}).scalar_one()
    other.dispose()


def test_connections_that_the_server_closed_are_not_handed_out(engine: Engine, database_url: str) -> None:
    pids = _filled(engine)
    assert len(pids) == POOL
    _hang_up(database_url, pids)
    assert _filled(engine).isdisjoint(pids)


def test_a_connection_that_was_closed_on_our_side_is_not_handed_out(engine: Engine) -> None:
    with engine.connect() as conn:
        pid = conn.execute(_PID).scalar_one()
        conn.rollback()
        conn.connection.driver_connection.close()  # type: ignore[union-attr]
    with engine.connect() as conn:
        assert conn.execute(_PID).scalar_one() != pid


def test_what_lives_is_used_again(engine: Engine) -> None:
    assert _filled(engine) == _filled(engine)


def test_a_server_that_hangs_up_within_a_transaction_is_an_error(engine: Engine, database_url: str) -> None:
    with engine.connect() as conn:
        _hang_up(database_url, {conn.execute(_PID).scalar_one()})
        with pytest.raises(OperationalError):
            conn.execute(_PID)
    with engine.begin() as conn:
        assert conn.execute(_PID).scalar_one()


@pytest.mark.parametrize("bounds", [engines.TOOL, engines.WORKER], ids=["tool", "worker"])
def test_every_session_gives_up_what_is_dead_or_frozen(database_url: str, bounds: dict[str, str]) -> None:
    made = engines.connect(database_url, bounds=bounds)
    with made.connect() as conn:
        shown = {name: conn.execute(text(f"show {name}")).scalar_one() for name in (*bounds, "tcp_keepalives_idle")}
        unanswered = conn.execute(text("select setting from pg_settings where name = 'tcp_user_timeout'")).scalar_one()
        info = conn.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    made.dispose()
    assert shown == {
        name: "1min" if value == "60s" else value for name, value in {**bounds, "tcp_keepalives_idle": "5"}.items()
    }
    assert int(unanswered) <= 15_000  # ms
    assert int(info["tcp_user_timeout"]) <= 15_000
    assert int(info["keepalives_idle"]) + int(info["keepalives_interval"]) * int(info["keepalives_count"]) <= 15


def test_the_urls_own_options_stand(database_url: str) -> None:
    made = engines.connect(f"{database_url}?options=-c%20lock_timeout%3D7s")
    with made.connect() as conn:
        assert conn.execute(text("show lock_timeout")).scalar_one() == "7s"
        assert conn.execute(text("show timezone")).scalar_one() == "UTC"
    made.dispose()


def test_a_session_that_is_frozen_in_a_transaction_loses_its_locks(database_url: str) -> None:
    frozen = engines.connect(database_url, bounds={**engines.WORKER, "idle_in_transaction_session_timeout": "200ms"})
    other = engines.connect(database_url, bounds={"lock_timeout": "30s"})
    with frozen.connect() as conn:
        conn.execute(text("select pg_advisory_xact_lock(1)"))
        with other.begin() as rival:
            rival.execute(text("select pg_advisory_xact_lock(1)"))
        with pytest.raises(DBAPIError) as ended:
            conn.execute(text("select 1"))
    assert is_of_the_moment(ended.value)
    frozen.dispose()
    other.dispose()
