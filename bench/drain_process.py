"""A process of its own that drains, or replays, at a word: `python -m bench.drain_process`, JSON lines in and out.

Each order is answered twice: `ready` once its connections are open, and, after `go`, with what it did.
It opens and collects as a Celery worker's process does.
"""

from __future__ import annotations

import gc
import mmap
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TextIO

import orjson
import psutil

from bench.paused_worker import start
from bench.servers import BenchError

SLOT = struct.Struct("=q")  # of a replaying hand: how many of its batches are committed
WAIT_S = 0.0002
PATIENCE_S = 30.0  # of one that replays with another, which may have died


@dataclass(slots=True)
class Batch:
    """One recorded transaction: its statements with their parameters, its shards, and when it ran."""

    began: float  # when it had its shards' locks
    ended: float = 0.0  # when it let go of them, at the earliest
    shards: tuple[int, ...] = ()
    statements: list[tuple[str, Any]] = field(default_factory=list)
    entries: int = 0
    after: tuple[int, ...] = ()  # replaying: each hand must have committed so many batches before


class Hand:
    """The parent's end of the pipe to such a process."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self._log = folder / f"hand{number}.log"
        self._process = start([sys.executable, "-m", "bench.drain_process"], self._log, folder, {}, talks=True)
        self.psutil = psutil.Process(self._process.pid)

    def tell(self, **command: Any) -> None:
        """One line to it."""
        assert self._process.stdin is not None  # noqa: S101 -- for mypy
        self._process.stdin.write(orjson.dumps(command) + b"\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """One line from it. Errors: BenchError where it died."""
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise BenchError(f"hand {self.number} died:\n{self._log.read_text(errors='replace')[-3000:]}")
        answer: dict[str, Any] = orjson.loads(line)
        return answer

    def close(self) -> None:
        """End the process, and wait for it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


# -- the child's end -------------------------------------------------------------------------------------------


def main() -> None:
    """Obey until stdin ends."""
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        command = orjson.loads(line)
        work = {"drain": _drain, "replay": _replay}[command["do"]]
        work(command, answers)


def _say(answers: TextIO, **answer: Any) -> None:
    answers.write(orjson.dumps(answer).decode() + "\n")
    answers.flush()


def _ready(answers: TextIO) -> float:
    _say(answers, ready=True)
    sys.stdin.readline()  # go
    return monotonic()


def _drain(command: Mapping[str, Any], answers: TextIO) -> None:
    from bench.samples import sampled
    from domain.policy import Policy
    from journal.batch import Shop
    from journal.drain import Drain
    from journal.policy_store import policy_id
    from journal.streams import Streams, connect
    from storage import engine as engines

    engine = engines.connect(command["database_url"], pinned=True)
    shards = int(command["shards"])
    with engine.begin() as conn:
        policy = Policy()
        shop = Shop(policy_id(conn, policy), shards)
    streams = Streams(connect(command["redis_url"]), shards, lambda shard: None)
    recorder = _Recorder(engine, streams) if command.get("record") else None
    drain = Drain(engine, streams, policy, shop, batch=int(command["batch"]))
    first = int(command["first"])
    outcomes: dict[str, int] = {}
    gc.collect()
    gc.freeze()  # as in workers.tasks
    gc.set_threshold(50_000)
    began = _ready(answers)
    profile = command.get("profile")
    with sampled(Path(profile)) if profile else nullcontext():
        while True:
            waiting = sorted(streams.look().waiting(), key=lambda shard: (shard - first) % shards)
            if not waiting:
                break
            for shard in waiting:
                report = drain.answer(shard)
                for outcome, count in report.outcomes.items():
                    outcomes[outcome] = outcomes.get(outcome, 0) + count
                if report.outcomes:
                    break
            else:
                sleep(WAIT_S)  # the other hand has the rest
    ended = monotonic()
    if recorder is not None:
        Path(command["record"]).write_bytes(pickle.dumps(recorder.batches))
    gc.unfreeze()
    engine.dispose()
    streams.client.close()
    _say(answers, began=began, ended=ended, outcomes=outcomes)


class _Recorder:
    """Notes each transaction that committed and took entries out of the streams."""

    def __init__(self, engine: Any, streams: Any) -> None:
        from sqlalchemy import event

        self.batches: list[Batch] = []
        self._now = Batch(0.0)
        finish: Callable[..., Any] = streams.finish

        # Who got a shard's lock (the first statement) before another's commit cannot have followed it.
        def begin(conn: Any) -> None:
            self._now = Batch(0.0)

        def note(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
            self._now.statements.append((statement, tuple(parameters)))

        def answered(*_: Any) -> None:
            self._now.began = self._now.began or monotonic()

        def commit(conn: Any) -> None:
            self._now.ended = monotonic()

        def finished(done: Mapping[int, list[bytes]], passed: Mapping[int, tuple[int, int]]) -> Any:  # after the commit
            self._now.shards = tuple(done)
            self._now.entries = sum(map(len, done.values()))
            self.batches.append(self._now)
            return finish(done, passed)

        event.listen(engine, "begin", begin)
        event.listen(engine, "before_cursor_execute", note)
        event.listen(engine, "after_cursor_execute", answered)
        event.listen(engine, "commit", commit)
        streams.finish = finished


def _replay(command: Mapping[str, Any], answers: TextIO) -> None:
    import psycopg

    from storage.engine import PINNED

    number = int(command["number"])
    batches: list[Batch] = pickle.loads(Path(command["plan"]).read_bytes())  # noqa: S301 -- our own
    # Results stay as the server sent them; nothing is decoded.
    with (
        psycopg.connect(command["database_url"], options=PINNED) as conn,
        Path(command["progress"]).open("r+b") as file,
        mmap.mmap(file.fileno(), 0) as progress,
    ):
        raw = psycopg.RawCursor(conn)
        gc.collect()
        gc.freeze()
        began = _ready(answers)
        for done, batch in enumerate(batches, 1):
            for other, wanted in enumerate(batch.after):
                _wait_for(progress, other, wanted)
            for statement, parameters in batch.statements:
                raw.execute(statement, parameters)
            conn.commit()
            SLOT.pack_into(progress, number * SLOT.size, done)
        ended = monotonic()
        gc.unfreeze()
    _say(answers, began=began, ended=ended)


def _wait_for(progress: mmap.mmap, other: int, wanted: int) -> None:
    until = monotonic() + PATIENCE_S
    while SLOT.unpack_from(progress, other * SLOT.size)[0] < wanted:
        if monotonic() > until:
            raise BenchError(f"hand {other} does not come to its batch {wanted}")
        sleep(WAIT_S)


if __name__ == "__main__":
    # Unpickling looks for bench.drain_process.Batch, and this module is __main__.
    from bench import drain_process

    drain_process.main()
