"""A pool after its server went away: whoever comes next notices nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

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
