"""Everything in alternating rounds: one after the other on the same servers, whoever has no turn stands still.

Each round plays the same lives anew: the drain and the ceiling in a fresh copy of one database, the others under
new order numbers. Rivals play fewer of them (they would take minutes): rates do not depend on it. After every
play each order's state is compared with the one that its life must end in; one that differs ends the bench.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import redis

from bench import latency, measure, paused_worker, peers, product, replay_ceiling, workload
from bench.contestants import RIVALS, PeerAtWork, Rival, applied, open_peer, open_rival, rival_states
from bench.drain_process import Hand
from bench.measure import Meter
from bench.servers import BenchError, Servers
from bench.workload import Play, State
from events.envelope import Envelope
from storage import engine as engines
from storage.migrate import upgrade

SYSTEMS = ("naive", "psycopg", "noop", "drain", "full", "ceiling")
RATES = {50: 1, 500: 2}  # events per second → how many times the samples
PROCESSES = 2
PATIENCE_S = 120.0
QUIET = 10  # looks in a row at an empty queue
WARM_ORDERS = 40
OTHER_BATCHES = (16, 1024)  # whose statements are counted too, where there is time

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The amounts of a run: rounds, lives, rates."""

    rounds: int = 5
    orders: int = 4000  # the drain's, the full path's and the ceiling's
    batch: int = 256
    samples: int = 1000  # of latency, at the lowest rate
    other_batches: tuple[int, ...] = OTHER_BATCHES
    peers: bool = True  # play too, those that are installed
    profile: Path | None = None

    @property
    def rival_orders(self) -> int:
        """The rivals': a twentieth, since they would take minutes."""
        return max(20, self.orders // 20)

    @property
    def playing_peers(self) -> tuple[str, ...]:
        """The peers that play."""
        return peers.installed() if self.peers else ()

    def peer_orders(self, name: str) -> int:
        """A peer's: as the rivals' rate is to its own, about."""
        return self.rival_orders * peers.PEERS[name].times

    @property
    def command(self) -> str:
        """The command that has it done so."""
        base = Plan() if self.other_batches else QUICK
        told = [
            f"--{name} {mine}"
            for name in ("rounds", "orders", "samples", "batch")
            if (mine := getattr(self, name)) != getattr(base, name)
        ]
        return " ".join(["orders bench", *(["--quick"] if base is QUICK else []), *told])


QUICK = Plan(rounds=2, orders=1000, samples=300, other_batches=(), peers=False)


@dataclass(slots=True)
class Measured:
    """The measurements of a run, system by system."""

    peers: tuple[str, ...] = ()  # that play besides
    rates: dict[str, list[float]] = field(default_factory=dict)
    costs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    latencies: dict[str, dict[str, Any]] = field(default_factory=dict)
    memory: dict[str, float | None] = field(default_factory=dict)
    batches: dict[str, Any] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)  # orders whose state was compared
    deliveries: dict[str, int] = field(default_factory=dict)  # a round
    follow_ups: int = 0  # of ours, a round: not counted as events

    @property
    def systems(self) -> tuple[str, ...]:
        """All that play, in the order in which they are shown."""
        return SYSTEMS + self.peers

    def note(self, name: str, deliveries: int, cost: measure.Cost) -> None:
        """One round of one of them."""
        self.rates.setdefault(name, []).append(deliveries / cost.seconds)
        self.costs.setdefault(name, []).append(cost.per_event(deliveries))
        self.deliveries[name] = deliveries


def run(servers: Servers, plan: Plan, say: Say) -> Measured:
    """Run all of it, in alternating rounds."""
    with ExitStack() as stack:
        stage = _Stage(servers, plan, say, stack)
        stage.warm_up()
        stage.record()
        for number in range(plan.rounds):
            systems = stage.measured.systems
            turn = number % len(systems)
            for name in systems[turn:] + systems[:turn]:
                stage.round(name, number)
        if servers.setting("track_commit_timestamp") == "on":
            for rate, times in RATES.items():
                stage.latency(rate, plan.samples * times)
        else:
            say("latency: left out, since PostgreSQL runs without track_commit_timestamp")
        stage.remember_memory()
        return stage.measured


class _Stage:
    """Servers, databases, workers and hands, and one method a thing to measure."""

    def __init__(self, servers: Servers, plan: Plan, say: Say, stack: ExitStack) -> None:
        self.servers, self.plan, self.say = servers, plan, say
        self.measured = Measured(plan.playing_peers)
        say("databases and workers")
        self.queue_url, self.drain_redis, full_redis = (servers.redis_database() for _ in range(3))
        self.queue = stack.enter_context(redis.Redis.from_url(self.queue_url))
        self.template = servers.database("template")
        upgrade(self.template, product.SHARDS)
        full_url = servers.database("full", self.template)
        self.rivals: dict[str, Rival | PeerAtWork] = {}
        for name in RIVALS:
            opened = self.rivals[name] = open_rival(servers, self.queue_url, name)
            stack.enter_context(opened.worker)
            if name == "naive":
                self.naive = opened  # whose latency is measured, too
        for name in self.measured.peers:
            self.rivals[name] = open_peer(servers, self.queue_url, name)
            stack.enter_context(self.rivals[name].worker)
        told = {"DATABASE_URL": full_url, "REDIS_URL": full_redis, "ORDERS_SHARDS": str(product.SHARDS)}
        self.full_worker = stack.enter_context(
            paused_worker.celery("full", *product.WORKER[:1], servers.folder, told, *product.WORKER[1:], beat=True)
        )
        self.full = product.FullPath(full_url, full_redis)
        stack.callback(self.full.close)
        self.hands = [Hand(number, servers.folder) for number in range(PROCESSES)]
        for hand in self.hands:
            stack.callback(hand.close)
        self.play = workload.play(plan.orders, "d")
        self.filled = servers.database("filled", self.template)
        self.entries = product.filled(self.filled, self.play)
        self.recording = replay_ceiling.Recording(servers.folder, PROCESSES)

    # -- rounds ------------------------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Everyone plays a few lives unmeasured: imports, caches and prepared statements are there."""
        for name in self.rivals:
            self._rival_round(name, workload.play(WARM_ORDERS, f"{name}-w"), measured=False)
        self._full_round(workload.play(WARM_ORDERS * 5, "w"), measured=False)

    def round(self, name: str, number: int) -> None:
        """One system, one round."""
        if name == "drain":
            self._drain_round()
        elif name == "ceiling":
            self._ceiling_round()
        elif name == "full":
            self._full_round(workload.play(self.plan.orders, f"f{number}"))
        else:
            orders = self.plan.peer_orders(name) if name in self.measured.peers else self.plan.rival_orders
            self._rival_round(name, workload.play(orders, f"{name}-{number}"))
        self.say(f"round {number + 1}/{self.plan.rounds}  {name:10} {self.measured.rates[name][-1]:>9,.0f} events/s")

    def _rival_round(self, name: str, play: Play, *, measured: bool = True) -> None:
        """(a) and (b) find their queue filled, as the drain does; (c) is what our full path is held against."""
        rival = self.rivals[name]
        if rival.states:
            rival.publish(play.deliveries)
        meter = Meter(self.servers, rival.database_url, rival.worker.tree())
        with rival.worker.moving():
            began = time.monotonic()
            if not rival.states:
                rival.publish(play.deliveries)
            seconds = self._wait_for(rival, _tag(play), play.events) - began
            cost = meter.cost(seconds)
        if rival.states:
            self._compare(name, play.states, rival_states(rival.database_url, _tag(play)))
        if measured:
            self.measured.note(name, len(play.deliveries), cost)

    def _wait_for(self, rival: Rival | PeerAtWork, play_tag: str, events: int) -> float:
        """Until the queue is empty and all is done; when that was. A message on its way is in no list for a moment."""
        until = time.monotonic() + PATIENCE_S
        quiet, since = 0, 0.0
        while time.monotonic() < until:
            now = time.monotonic()
            if rival.is_waiting(self.queue):
                quiet = 0
            else:
                since = now if not quiet else since
                quiet += 1
                if rival.states and applied(rival.database_url, play_tag) == events:
                    return now
                if not rival.states and quiet == QUIET:
                    return since
            rival.worker.check()
            time.sleep(rival.poll_s)
        raise BenchError(f"{rival.name} is not done after {PATIENCE_S:.0f} s; see {rival.worker.log}")

    def _full_round(self, play: Play, *, measured: bool = True) -> None:
        meter = Meter(self.servers, self.full.database_url, self.full_worker.tree())
        with self.full_worker.moving():
            seconds = self.full.run(play)
            cost = meter.cost(seconds)
        self.full_worker.check()
        self._check_ours("full", self.full.database_url, play)
        if measured:
            self.measured.note("full", len(play.deliveries), cost)

    def _drain_round(self) -> None:
        url = self._fresh_for_drain()
        commands = product.drain_commands(self.hands, url, self.drain_redis, self.plan.batch)
        cost = self._work(url, commands)
        self._check_ours("drain", url, self.play)
        self.measured.note("drain", len(self.play.deliveries), cost)

    def _ceiling_round(self) -> None:
        url = self.servers.database("drained", self.filled)
        cost = self._work(url, self.recording.commands(self.hands, url))
        self._check_ours("ceiling", url, self.play)
        self.measured.note("ceiling", len(self.play.deliveries), cost)

    def _work(self, url: str, commands: Sequence[dict[str, Any]]) -> measure.Cost:
        meter = Meter(self.servers, url, [hand.psutil for hand in self.hands])
        seconds, _ = product.work(self.hands, commands)
        return meter.cost(seconds)

    def _fresh_for_drain(self) -> str:
        url = self.servers.database("drained", self.filled)
        product.pour(self.drain_redis, self.entries)
        return url

    # -- recordings --------------------------------------------------------------------------------------------

    def record(self) -> None:
        """Drain with every statement noted: for the ceiling, and to count statements per batch; then to profile."""
        for batch in (*self.plan.other_batches, self.plan.batch):  # the plan's last: the ceiling replays it
            url = self._fresh_for_drain()
            record: dict[str, Any] = {"record": self.recording.pattern}
            product.work(self.hands, product.drain_commands(self.hands, url, self.drain_redis, batch, **record))
            self.measured.batches[str(batch)] = replay_ceiling.summary(self.recording.plan())
            self.say(
                f"recorded at batch {batch}: {self.measured.batches[str(batch)]['statements']} statements per batch"
            )
        if self.plan.profile is not None:
            url = self._fresh_for_drain()
            one = self.hands[:1]  # alone, so that it is seen waiting for the servers and not for its rival
            told: dict[str, Any] = {"profile": str(self.plan.profile.resolve())}
            product.work(one, product.drain_commands(one, url, self.drain_redis, self.plan.batch, **told))
            self.say(f"profile: {self.plan.profile}")

    # -- latency -----------------------------------------------------------------------------------------------

    def latency(self, rate: int, samples: int) -> None:
        """(a) and ours at a steady rate."""
        found = self.measured.latencies.setdefault(str(rate), {})
        for name, measure_one in (("naive", self._naive_latency), ("ours", self._our_latency)):
            tag = f"{name[0]}{rate}"
            play = workload.play(samples // 5 + 1, tag, duplicates=0)
            cut = list(islice(play.deliveries, samples))
            found[name] = measure_one(rate, cut, tag)
            shown = "saturated" if found[name].get("saturated") else f"{found[name]['p50']} / {found[name]['p99']} ms"
            self.say(f"latency at {rate} events/s  {name:6} {shown}")

    def _naive_latency(self, rate: int, envelopes: list[Envelope], tag: str) -> dict[str, Any]:
        rival = self.naive
        with rival.worker.moving():
            sent = latency.hand_in_steadily(envelopes, rate, rival.hand_in)
            self._wait_for(rival, tag, len(envelopes))
        return latency.figures(sent, latency.applied(rival.database_url, latency.NAIVE, tag), rate)

    def _our_latency(self, rate: int, envelopes: list[Envelope], tag: str) -> dict[str, Any]:
        with self.full_worker.moving():
            sent = latency.hand_in_steadily(envelopes, rate, lambda e: self.full.hand_in([e]))
            self.full.wait()
        return latency.figures(sent, latency.applied(self.full.database_url, latency.OURS, tag), rate)

    def remember_memory(self) -> None:
        """What a process that applies events holds by now."""
        for name, rival in self.rivals.items():
            self.measured.memory[name] = measure.memory_mb(rival.worker.tree(), pool=rival.pool)
        self.measured.memory["full"] = measure.memory_mb(self.full_worker.tree()[:1], pool=True)
        self.measured.memory["drain"] = measure.memory_mb([hand.psutil for hand in self.hands], pool=False)

    # -- checks ------------------------------------------------------------------------------------------------

    def _check_ours(self, name: str, url: str, play: Play) -> None:
        engine = engines.connect(url, pool=1)
        with engine.connect() as conn:
            found, outcomes = product.states(conn, _tag(play)), product.outcomes(conn)
        engine.dispose()
        self._compare(name, play.states, found)
        if odd := {k: v for k, v in outcomes.items() if k != "applied"}:
            raise BenchError(f"{name}: every event of these lives applies, but some ended as {odd}")
        if name == "drain":
            self.measured.follow_ups = outcomes["applied"] - play.events

    def _compare(self, name: str, expected: dict[str, State], found: dict[str, State]) -> None:
        wrong = list(islice(workload.differences(expected, found), 3))
        if wrong:
            raise BenchError(f"{name}: orders do not stand where their lives end:\n  " + "\n  ".join(wrong))
        self.measured.checked[name] = self.measured.checked.get(name, 0) + len(expected)


def _tag(play: Play) -> str:
    """What begins every order number of a play."""
    return next(iter(play.states)).rpartition("-")[0]


def typical(costs: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians of several rounds' costs an event."""

    def middle(values: list[Any]) -> Any:
        told = [value for value in values if value is not None]
        return round(median(told), 3) if told else None

    return {
        "statements": middle([c["statements"] for c in costs]),
        "wal_bytes": middle([c["wal_bytes"] for c in costs]),
        "cpu_us": {whose: middle([c["cpu_us"][whose] for c in costs]) for whose in ("server", "workers")},
    }


def machine(servers: Servers) -> dict[str, Any]:
    """The machine that it ran on, in a line."""
    import platform
    from importlib.metadata import version

    return {
        "cpu": _cpu_name(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **servers.versions(),
        **{name: version(name) for name in ("celery", "SQLAlchemy", "psycopg", "redis")},
        "synchronous_commit": servers.setting("synchronous_commit"),
        "fsync": servers.setting("fsync"),
        "embedded": servers.embedded,
        "load_before": round(psutil.getloadavg()[0], 1),
    }


def _cpu_name() -> str:
    import platform

    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
