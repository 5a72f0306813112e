"""The schedule: SIGKILLs and FLUSHALLs, drawn from a seed, that fall while events wait.

A blow falls after a part of the input was published, once the workers are seen at work on it, a random
moment later. A FLUSHALL that found nothing waiting proves nothing: it is not counted, and falls again
after the next part; where the input has ended, more of it is asked for. The last blow of all is a
SIGKILL of the whole worker after the last event: from then on nobody helps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import ceil
from random import Random
from time import monotonic, sleep

import psutil

from events.envelope import Envelope
from tests.chaos.harness import Shop, Workers

DRAIN, WORKER, BEAT, FLUSH = "kill a drain process", "kill the worker", "kill the beat", "FLUSHALL"
KINDS = (DRAIN, DRAIN, DRAIN, WORKER, BEAT, FLUSH, FLUSH)  # and a last WORKER
FLUSHES = KINDS.count(FLUSH)
PARTS = 16  # that an input is published in
LATEST_S = 0.05  # from seeing the workers at work to a blow; a part takes them about 0.2 s
PATIENCE_S = 20  # for the workers to start on what waits; after a flush the relay is first

Waves = Iterator[list[Envelope]]  # the input, then the same kind again with new ids


@dataclass(slots=True)
class Struck:
    """A blow that fell."""

    kind: str
    at_s: float  # since the first delivery
    waiting: int  # events without a result at that moment; for a FLUSHALL, the fewer of before and after
    streamed: int  # entries in the streams just before
    pid: int | None = None

    def __str__(self) -> str:
        whom = f" {self.pid}" if self.pid else ""
        return f"{self.at_s:7.2f} s  {self.kind + whom:<30} {self.waiting:>7,} waiting, {self.streamed:,} in Redis"


@dataclass(slots=True)
class Run:
    """The deliveries and failures of a run, under one seed."""

    seed: int
    struck: list[Struck] = field(default_factory=list)
    delivered: list[list[Envelope]] = field(default_factory=list)
    missed: int = 0  # FLUSHALLs that found nothing waiting
    last_at: float = 0.0  # monotonic, of the last blow

    @property
    def kills(self) -> int:
        return sum(1 for blow in self.struck if blow.kind != FLUSH)

    @property
    def flushes(self) -> list[Struck]:
        return [blow for blow in self.struck if blow.kind == FLUSH]

    def table(self) -> str:
        """A line a blow."""
        missed = [f"{self.missed} FLUSHALLs found nothing waiting, and are not counted"] if self.missed else []
        return "\n".join([f"seed {self.seed}", *map(str, self.struck), *missed])


def disturb(shop: Shop, workers: Workers, waves: Waves, seed: int, *, held: bool = False, pace_s: float = 0.1) -> Run:
    """Deliver the input in parts while blows fall by the schedule of `seed`."""
    random, run = Random(seed), Run(seed)
    begun = monotonic()
    plan: dict[int, list[str]] = {}
    number = count()
    for wave in waves:
        delivered = _parts(wave, PARTS)
        if not plan:
            plan = _schedule(random, len(delivered))
        for part in delivered:
            due = plan.pop(here := next(number), [])
            if due:  # what is to be disturbed must be there
                workers.ready()
            shop.deliver(part, held=held)
            run.delivered.append(part)
            for kind in due:
                if not _strike(shop, workers, run, kind, random, begun):
                    run.missed += 1
                    plan.setdefault(here + 1, []).append(kind)
            sleep(pace_s * random.random())
        if len(run.flushes) >= FLUSHES:
            break
    _strike(shop, workers, run, WORKER, random, begun)
    return run


def _schedule(random: Random, parts: int) -> dict[int, list[str]]:
    """Part → what falls after it; none of them after the first or the last."""
    kinds = list(KINDS)
    random.shuffle(kinds)
    return {place: [kind] for place, kind in zip(random.sample(range(1, parts - 1), len(kinds)), kinds, strict=True)}


def _parts(events: Sequence[Envelope], parts: int) -> list[list[Envelope]]:
    size = ceil(len(events) / parts)
    return [list(events[start : start + size]) for start in range(0, len(events), size)]


def _strike(shop: Shop, workers: Workers, run: Run, kind: str, random: Random, begun: float) -> bool:
    """One blow; false for a FLUSHALL that found nothing waiting."""
    _at_work(shop)
    sleep(LATEST_S * random.random())
    waiting, streamed = shop.waiting(), shop.streamed()
    pid = None
    if kind == FLUSH:
        shop.parts.streams.client.flushall()
        run.last_at = monotonic()
        waiting = min(waiting, shop.waiting())
        if not waiting:
            return False
    else:
        if kind == DRAIN:
            pid = random.choice(workers.pids())
            psutil.Process(pid).kill()
        else:
            pid = workers.processes.kill("worker" if kind == WORKER else "beat")
        run.last_at = monotonic()
    run.struck.append(Struck(kind, run.last_at - begun, waiting, streamed, pid))
    return True


def _at_work(shop: Shop) -> None:
    """Returns once events are seen to be decided, or nothing is left to wait for."""
    most, until = 0, monotonic() + PATIENCE_S
    while (now := shop.waiting()) >= most and now and monotonic() < until:
        most = max(most, now)
        sleep(0.01)
