"""Each process' own heartbeat, and the command that health checks run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import time

from settings.environment import known
from workers.liveness import DATA, STILL_S, Heartbeat, stands_still


def ask(data: Path, role: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workers.liveness", role],
        env={**os.environ, "ORDERS_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_who_beats_lives_and_who_ended_does_not(tmp_path: Path):
    heart = Heartbeat(tmp_path, "drain")
    assert stands_still(tmp_path, "drain") is None
    assert ask(tmp_path, "drain").returncode == 0
    heart.end()
    told = ask(tmp_path, "drain")
    assert told.returncode == 1
    assert "no drain runs" in told.stdout


def test_who_stands_still_is_named_with_the_cure(tmp_path: Path):
    Heartbeat(tmp_path, "beat")
    (file,) = (tmp_path / "run").iterdir()
    before = time() - STILL_S - 60
    os.utime(file, (before, before))
    why = stands_still(tmp_path, "beat")
    assert why is not None
    assert f"kill -9 {os.getpid()}" in why


def test_one_role_says_nothing_of_another(tmp_path: Path):
    Heartbeat(tmp_path, "outside")
    assert stands_still(tmp_path, "outside") is None
    assert stands_still(tmp_path, "drain") is not None


def test_the_file_of_a_killed_process_counts_for_nobody(tmp_path: Path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f"drain-{dead.pid}.alive").touch()
    assert "no drain runs" in (stands_still(tmp_path, "drain") or "")
    Heartbeat(tmp_path, "drain")
    assert [file.name for file in (tmp_path / "run").iterdir()] == [f"drain-{os.getpid()}.alive"]


def test_the_check_imports_no_package_but_its_own(tmp_path: Path):
    Heartbeat(tmp_path, "drain")
    code = (
        "import sys, runpy; sys.argv = ['', 'drain']\n"
        "try: runpy.run_module('workers.liveness', run_name='__main__')\n"
        "finally: print(*sorted(sys.modules))"
    )
    env = {**os.environ, "ORDERS_DATA": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert told.returncode == 0
    assert not {"celery", "redis", "sqlalchemy", "psycopg", "logging"} & set(told.stdout.split())


def test_it_looks_where_the_settings_say_by_default():
    assert next(each.default for each in known() if each.name == "ORDERS_DATA") == DATA
