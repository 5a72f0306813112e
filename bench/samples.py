"""A sampler of the drain's time: a thread looks at the drain's stack every millisecond, and sorts what it sees.

A sample belongs to the step of the innermost function that is named below, and is either Python's or one of
the servers' (waiting for it, or sending to it). No tracing: the drain runs nearly as fast as without.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep, thread_time
from types import FrameType

EVERY_S = 0.001
LINES = 40

# (end of the file's path, qualified name of a function) → step; the first that a stack has, from the innermost out.
STEPS = {
    ("journal/streams.py", "Streams.read"): "read the streams",
    ("journal/streams.py", "Streams.finish"): "finish the streams",
    ("journal/streams.py", "Streams.look"): "look at the streams",
    ("journal/streams.py", "Streams.answer"): "read the streams",
    ("journal/streams.py", "Streams.ring"): "look at the streams",
    ("journal/entries.py", "decode"): "decode entries",
    ("journal/drain.py", "Drain._read"): "decode entries",
    ("journal/correlation.py", "decode_entries"): "validate events",
    ("events/catalogue.py", "decode"): "validate events",
    ("journal/correlation.py", "claim"): "claim correlations",
    ("journal/correlation.py", "look_up"): "look up orders and keys",
    ("journal/order_loader.py", "_with_what_waits"): "look up results",
    ("journal/order_loader.py", "_waiting"): "look up what waits",
    ("storage/aggregates.py", "lock"): "load orders",
    ("domain/reactions.py", "react"): "react",
    ("domain/fold.py", "Fold._take_up"): "react",
    ("domain/handler_table.py", "apply"): "fold",
    ("domain/fold.py", "Fold.take"): "fold",
    ("domain/fold.py", "Fold.say_why_parked"): "fold",
    ("journal/results.py", "follow_ups"): "write follow-ups",
    ("journal/results.py", "timers"): "write timers and effects",
    ("journal/results.py", "effects"): "write timers and effects",
    ("journal/results.py", "trackers"): "write timers and effects",
    ("journal/results.py", "results"): "write results",
    ("journal/results.py", "record"): "write results",
    ("storage/aggregates.py", "save"): "write orders",
    ("storage/raw_sql.py", "Writes.run"): "send the writes",
    ("journal/order_loader.py", "load"): "the batch's own",
    ("journal/batch_fold.py", "fold_batch"): "the batch's own",
    ("journal/batch.py", "_write"): "the batch's own",
    ("sqlalchemy/engine/base.py", "Transaction.commit"): "commit",
    ("sqlalchemy/engine/base.py", "Connection._commit_impl"): "commit",
}
# innermost frame's file → what is waited for, or sent to
WAITS = (("psycopg/", "PostgreSQL"), ("psycopg_binary/", "PostgreSQL"), ("redis/", "Redis"))
_WAITING = frozenset(
    ("wait", "_send_query_prepared", "read_from_socket", "_socket_can_read", "read_response", "send_packed_command")
)


@dataclass(slots=True)
class Samples:
    """The samples of a drain, sorted."""

    steps: Counter[tuple[str, str]] = field(default_factory=Counter)  # step, whose
    functions: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu_s: float = 0.0

    def add(self, frame: FrameType) -> None:
        """One look at a stack."""
        inner = frame.f_code
        whose = "Python"
        if inner.co_name in _WAITING:
            whose = next((name for part, name in WAITS if part in inner.co_filename), "Python")
        step = "else"
        at: FrameType | None = frame
        ours: FrameType | None = None
        while at is not None:
            name = at.f_code.co_filename
            if ours is None and "site-packages" not in name and "/lib/python" not in name:
                ours = at
            function = at.f_code.co_qualname
            found = STEPS.get((_short(name), function)) or STEPS.get(("/".join(name.rsplit("/", 3)[1:]), function))
            if found is not None:
                step = found
                break
            at = at.f_back
        self.steps[step, whose] += 1
        if whose == "Python":
            self.functions[f"{_short(inner.co_filename)}:{inner.co_qualname}"] += 1
        if ours is not None:
            self.lines[f"{_short(ours.f_code.co_filename)}:{ours.f_lineno} {ours.f_code.co_qualname}"] += 1

    def text(self) -> str:
        """A page to read."""
        total = sum(self.steps.values()) or 1
        rows = [
            f"{self.seconds:.2f} s, of which {self.cpu_s:.2f} s CPU of the drain's own; {total} samples, "
            f"one every {EVERY_S * 1000:.0f} ms at best; shares of the drain's time",
            "",
        ]
        whose = ("Python", "PostgreSQL", "Redis")
        rows.append(f"{'step':28}{'all':>8}{'Python':>10}{'PostgreSQL':>12}{'Redis':>8}")
        sums: Counter[str] = Counter()
        for (step, _), count in self.steps.items():
            sums[step] += count
        for step, count in sums.most_common():
            parts = [f"{100 * self.steps[step, each] / total:.1f} %" for each in whose]
            rows.append(f"{step:28}{100 * count / total:>6.1f} %{parts[0]:>10}{parts[1]:>12}{parts[2]:>8}")
        parts = [f"{100 * sum(n for (_, w), n in self.steps.items() if w == each) / total:.1f} %" for each in whose]
        rows.append(f"{'sum':28}{'100.0 %':>8}{parts[0]:>10}{parts[1]:>12}{parts[2]:>8}")
        for title, counted in (("function (its own time)", self.functions), ("our line", self.lines)):
            rows += ["", title]
            rows += [f"{100 * n / total:>6.1f} %  {name}" for name, n in counted.most_common(LINES)]
        return "\n".join(rows) + "\n"


@contextmanager
def sampled(file: Path) -> Iterator[None]:
    """Sample the calling thread until the block ends, and write the page."""
    me, samples, done = threading.get_ident(), Samples(), threading.Event()
    before = sys.getswitchinterval()

    def look() -> None:
        while not done.is_set():
            frame = sys._current_frames().get(me)
            if frame is not None:
                samples.add(frame)
            del frame
            sleep(EVERY_S)

    thread = threading.Thread(target=look, daemon=True)
    sys.setswitchinterval(EVERY_S / 4)
    thread.start()
    began, worked = monotonic(), thread_time()
    try:
        yield
    finally:
        samples.seconds, samples.cpu_s = monotonic() - began, thread_time() - worked
        done.set()
        thread.join()
        sys.setswitchinterval(before)
        file.write_text(samples.text())


def _short(name: str) -> str:
    """The last two parts of a path."""
    return "/".join(name.rsplit("/", 2)[1:])
