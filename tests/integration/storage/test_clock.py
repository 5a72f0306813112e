"""PostgreSQL's clock on a host whose own is off, or steps; and timers of two hosts that disagree.

The last tests run whole processes under libfaketime (Debian: `apt-get install libfaketime`), and are skipped without.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from storage import clock as module
from storage.clock import _better, _Measure, clock, epoch, forget, skew, skews
from storage.engine import connect

OFF_S = 600
CLOSE = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """Put back at the end what this process knows of the clock; it has not recorded itself lately, here."""
    for name in ("_measure", "_asked_at"):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(module, "_recorded_at", float("-inf"))


@pytest.fixture(params=[OFF_S, -OFF_S], ids=["fast", "slow"])
def off(request, monkeypatch):
    """This host is ten minutes off, and knows nothing else yet."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + request.param)
    monkeypatch.setattr(module, "_measure", module._of_the_host())
    monkeypatch.setattr(module, "_recorded_at", float("-inf"))
    return request.param


@pytest.fixture
def engine(database_url):
    made = connect(database_url, pool=2, process="worker")
    yield made
    made.dispose()


def theirs(engine):
    with engine.connect() as conn:
        return conn.execute(text("select clock_timestamp()")).scalar_one()


def apart(engine):
    found = theirs(engine)
    return abs(clock() - found)


def test_the_first_connection_tells_the_time(engine, off):
    assert skew() == pytest.approx(0, abs=0.1), "nobody knows better yet"
    assert apart(engine) < CLOSE
    assert skew() == pytest.approx(off, abs=1)
    assert clock().tzinfo is UTC
    assert clock().timestamp() == pytest.approx(epoch(), abs=0.1)


def test_a_host_whose_clock_steps_does_not_step_with_it(engine, monkeypatch):
    theirs(engine)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - OFF_S)
    assert apart(engine) < CLOSE
    assert skew() == pytest.approx(-OFF_S, abs=1)


def test_it_is_measured_anew_at_once_where_the_machine_slept(engine, monkeypatch):
    """Its monotonic clock stood still meanwhile."""
    theirs(engine)
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() - OFF_S)
    assert abs(clock() - datetime.now(UTC)) > CLOSE, "until a connection is used"
    assert apart(engine) < CLOSE


def test_it_costs_no_statement_between_two_measures(engine):
    from sqlalchemy import event

    with engine.connect() as conn:
        conn.execute(text("select 1"))
    before, sent = module._measure, []
    event.listen(engine, "before_cursor_execute", lambda *arguments: sent.append(arguments[2]))
    for _ in range(5):
        with engine.connect() as conn:
            conn.execute(text("select 1"))
    assert (module._measure, len(sent)) == (before, 5)


def test_how_far_a_process_is_off_is_recorded(engine, off):
    theirs(engine)
    with engine.connect() as conn:
        [found] = skews(conn)
    assert found.process.startswith(f"worker {os.getpid()} on ")
    assert found.seconds == pytest.approx(off, abs=1)


def test_a_process_whose_row_somebody_holds_goes_on(engine, monkeypatch):
    theirs(engine)
    monkeypatch.setattr(module, "_recorded_at", float("-inf"))
    with engine.connect() as conn:
        conn.execute(text("select from heartbeats for update"))
        monkeypatch.setattr(module, "_recorded_at", float("-inf"))
        theirs(engine)
        conn.rollback()


def test_processes_that_are_long_gone_are_forgotten_and_the_timers_heartbeat_is_not(engine):
    theirs(engine)
    with engine.begin() as conn:
        conn.execute(text("insert into heartbeats (name, at) values ('timers', now() - interval '3 days')"))
        conn.execute(text("insert into heartbeats (name, at, skew) values ('old', now() - interval '2 days', 1)"))
        assert forget(conn) == 1
        assert len(skews(conn)) == 1


# -- which of two measures ------------------------------------------------------------------------------


def measure(offset, error, at):
    return _Measure(offset, error, at, apart=0)


def test_a_slow_answer_does_not_spoil_what_was_measured_well():
    good = measure(100, 0.001, at=0)
    found = _better(good, measure(100.4, 0.5, at=10))
    assert found.offset == 100
    assert found.error == pytest.approx(0.001 + 10 * module.DRIFT)


def test_what_was_measured_well_long_ago_gives_way():
    assert _better(measure(100, 0.001, at=0), measure(100.1, 0.2, at=3600)).offset == 100.1


def test_a_clock_that_was_stepped_is_followed_even_by_a_slow_answer():
    assert _better(measure(100, 0.001, at=0), measure(160, 2, at=10)).offset == 160


# -- whole processes on hosts that are off ---------------------------------------------------------------

LIBRARY = next(
    (found for at in ("/usr/lib", "/usr/local/lib") for found in Path(at).glob("**/faketime/libfaketime.so.1")), None
)
TIMERS = """
import sys
from domain.policy import Policy
from journal.batch import Shop
from journal.policy_store import policy_id
from journal.timers import run_due
from storage.engine import connect
engine = connect(sys.argv[1], pinned=True, process="worker")
with engine.begin() as conn:
    shop = Shop(policy_id(conn, Policy()), 64)
print(run_due(engine, Policy(), shop))
"""


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")
@pytest.mark.parametrize("off_s", [OFF_S, -OFF_S])
def test_timers_fire_when_they_are_due_on_hosts_ten_minutes_apart(database_url, engine, off_s):
    from domain.policy import Context, Policy
    from journal.append import append
    from journal.batch import Shop, settle
    from journal.policy_store import policy_id
    from journal.timers import run_due
    from tests.builders import created

    def elsewhere():
        environment = {**os.environ, "LD_PRELOAD": str(LIBRARY), "FAKETIME": f"{off_s:+d}s"}
        done = subprocess.run(
            [sys.executable, "-c", TIMERS, database_url], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    def due(when):
        with engine.begin() as conn:
            conn.execute(text(f"update timers set due = clock_timestamp() + interval '{when}'"))

    with engine.begin() as conn:
        shop = Shop(policy_id(conn, Policy()), 64)
        new = append(conn, [created(subject=f"N{n}", payments=()) for n in range(2)], 64).new
        settle(conn, new, Context(clock(), Policy()), shop)
    due("5 minutes")
    assert [run_due(engine, Policy(), shop), elsewhere(), run_due(engine, Policy(), shop)] == [0, 0, 0]
    due("-1 second")
    assert elsewhere() == 2
    with engine.connect() as conn:
        assert conn.execute(text("select gap_end from heartbeats where name = 'timers'")).scalar_one() is None
        late = conn.execute(text("select max(abs(extract(epoch from decided_at - clock_timestamp()))) from results"))
        assert late.scalar_one() < 60, "what became of an event is dated by the same clock"
        assert round(max((each.seconds for each in skews(conn)), key=abs) / off_s) == 1
