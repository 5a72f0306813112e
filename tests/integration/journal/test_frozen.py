"""A worker that is frozen in the middle of a transaction loses its session, and with it its shard and its rows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

from storage import leases
from tests.builders import created

ROOT = Path(__file__).parents[3]
SOON_S = 30
FROZEN = """
import os, signal, sys
from sqlalchemy import event
from domain.policy import Policy
from journal.batch import Shop
from journal.drain import Drain
from journal.policy_store import policy_id
from journal.streams import Streams, connect
from storage import engine

database_url, redis_url = sys.argv[1:]
bounds = engine.WORKER | {"idle_in_transaction_session_timeout": "1s"}
made = engine.connect(database_url, pinned=True, bounds=bounds)
with made.begin() as conn:
    shop = Shop(policy_id(conn, Policy()), 64)
event.listen(made, "commit", lambda conn: os.kill(os.getpid(), signal.SIGSTOP), once=True)
drain = Drain(made, Streams(connect(redis_url), 64, lambda shard: None), Policy(), shop)
print(drain.answer(7).outcomes)
"""


def test_a_frozen_workers_shard_goes_on_once_its_session_is_over(rig, numbers, redis_url):
    order = created(subject=numbers(1)[0])
    rig.accept(order)
    worker = rig.drain()
    with subprocess.Popen(
        [sys.executable, "-c", FROZEN, rig.database_url, redis_url], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as frozen:
        try:
            os.waitid(os.P_PID, frozen.pid, os.WSTOPPED | os.WNOWAIT)
            until = monotonic() + SOON_S
            while rig.outcome(order) == "undecided":
                assert monotonic() < until
                worker.answer(7)
                sleep(0.02)
        finally:
            frozen.send_signal(signal.SIGCONT)
        try:
            said, _ = frozen.communicate(timeout=SOON_S)
        finally:
            frozen.kill()
    assert frozen.returncode == 0
    assert said.strip() == "{}", "when it thaws, it tries again, and finds that all is done"
    assert rig.account()["applied"] == 1


def test_a_lease_is_its_holders_until_it_ends_by_the_databases_clock(rig):
    with rig.engine.begin() as conn:
        assert leases.take(conn, "a", "one", 10)
        assert leases.take(conn, "b", "other", 10)
        assert not leases.take(conn, "a", "other", 10)
        assert leases.take(conn, "a", "one", 0), "renewed"
    with rig.engine.begin() as conn:
        assert leases.take(conn, "a", "other", 10)
        assert not leases.take(conn, "a", "one", 10), "lost"
        leases.end(conn, "a", "one")
        assert not leases.take(conn, "a", "one", 10), "nobody ends another's"
        leases.end(conn, "a", "other")
        assert leases.take(conn, "a", "one", 10)


def test_of_many_that_want_a_lease_one_has_it(rig):
    def take(name):
        with rig.own_engine().begin() as conn:
            return leases.take(conn, "a", name, 10)

    assert sorted(rig.at_once(*(lambda name=str(n): take(name) for n in range(4)))) == [False, False, False, True]
