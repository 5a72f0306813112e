"""PostgreSQL dies while drains' commits are still on their way to its disk: what was accepted is applied all the same.

A drain does not wait for the disk (decision 0012), the journal's door does. So a crash may take results and
state back, both together, and never an event.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from time import monotonic, sleep

import psutil
from sqlalchemy import create_engine, text

from bench import workload
from embedded import servers
from journal.append import append
from journal.relay import relay
from journal.streams import Streams
from journal.totals import account
from journal.verify import verify
from settings.environment import read
from storage import migrate
from tests.chaos.harness import settings
from workers.resources import parts

SHARDS = 64


def test_a_crash_takes_back_what_was_drained_last_and_loses_no_event(tmp_path: Path):
    play = workload.play(60, "c")
    with servers(tmp_path) as at, settings(DATABASE_URL=at.database_url, REDIS_URL=at.redis_url):
        migrate.upgrade(at.database_url, SHARDS)
        _write_late(at.database_url)
        with parts(read(), lambda shard: None) as open_:
            with open_.engine.begin() as conn:
                new = append(conn, play.deliveries, SHARDS).new
            open_.streams.publish(new)
            _drain(open_.drain(), open_.streams)
            with open_.engine.connect() as conn:
                before = conn.execute(text("select count(*) from results")).scalar_one()
                postgres = psutil.Process(conn.execute(text("select pg_backend_pid()")).scalar_one()).parent()
            assert postgres is not None
            _crash(postgres)
    with (
        servers(tmp_path) as at,
        settings(DATABASE_URL=at.database_url, REDIS_URL=at.redis_url),
        parts(read(), lambda shard: None) as open_,
    ):
        with open_.engine.connect() as conn:
            assert conn.execute(
                text("select count(*) from journal where source <> 'order-lifecycle'")
            ).scalar_one() == len(new)
            after = conn.execute(text("select count(*) from results")).scalar_one()
        assert after < before, "the crash came before the disk had it"
        open_.streams.client.flushdb()  # what it held of them was deleted after the commit, anyway
        until = monotonic() + 60
        while monotonic() < until:
            relay(open_.engine, open_.streams)
            _drain(open_.drain(), open_.streams)
            with open_.engine.connect() as conn:
                counted = account(conn)
            if not counted["waiting"]:
                break
            sleep(0.1)
        assert counted["applied"] == len(new)
        assert counted["waiting"] == counted["parked"] == counted["dead"] == 0
        with open_.engine.connect() as conn:
            stages: dict[str, str] = dict(conn.execute(text("select order_number, status from orders")).all())
        assert verify(open_.engine).differences == []
        assert stages == {number: state.status for number, state in play.states.items()}


def _write_late(url: str) -> None:
    """Let the writer of the log rest as long as it may."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(text("alter system set wal_writer_delay = '10s'"))
        conn.execute(text("alter system set wal_writer_flush_after = '1GB'"))
        conn.execute(text("select pg_reload_conf()"))
    engine.dispose()


def _drain(drain, streams: Streams) -> None:
    while waiting := streams.look().waiting():
        drain.answer(waiting[0])


def _crash(postgres: psutil.Process) -> None:
    """All of it at once, as when a machine goes dark."""
    family = [postgres, *postgres.children(recursive=True)]
    for process in family:
        os.kill(process.pid, signal.SIGSTOP)
    for process in family:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=10)
