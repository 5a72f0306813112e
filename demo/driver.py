"""Plays the demo's lives through the doors, and lets the bad moments happen in the middle of it."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import psutil

from demo import progress_query, scenarios
from demo.environment import Stage
from demo.http_sender import Sender
from demo.progress_query import Figures
from demo.progress_view import Display
from demo.scenarios import Act, Cue, Life
from journal.append import append
from outbound.refunds import QUESTION_S
from providers.registry import registry
from workers.app import QUEUES

GRACE_S, GRACE_ORDER_S = 45.0, 0.03  # the deadline: so long, and so long an order
STILL_S = 20.0  # beyond it a slow machine is waited for, while something changes at least so often
# A worker that is killed with a refund in flight leaves its lease, and nothing of that refund changes until it is over.
LEASE_S = max(each.refund_rules.answer_s for each in registry().providers if each.refund_rules) + QUESTION_S + STILL_S
TICK_S, LOOK_S = 0.05, 0.4


@dataclass(slots=True)
class Player:
    """Sends what is due, answers cues, makes trouble, and looks how far the orders are."""

    stage: Stage
    display: Display
    seed: int
    sender: Sender
    check: Callable[[], None]  # raises KeyboardInterrupt after a Ctrl-C
    journaled: int = 0  # deliveries through the journal's own door
    _pushed: int = 0
    _arriving: list[tuple[float, int, Act]] = field(default_factory=list)  # a heap
    _uncued: dict[Cue, dict[str, Life]] = field(default_factory=dict)
    _trouble: list[tuple[float, Callable[[], bool]]] = field(default_factory=list)
    _trouble_after: float = 0.0

    def play(self) -> float:
        """Until every life stands where it ends, or the deadline is over and nothing changes; how many seconds that took."""
        stage = self.stage
        began = time.monotonic()
        deadline = GRACE_S + GRACE_ORDER_S * len(stage.played)
        for arrives, act in scenarios.deliveries(stage.played):
            self._push(arrives, act)
        for life in stage.played:
            for cue in life.cued:
                self._uncued.setdefault(cue, {})[life.number] = life
        span = stage.span
        self._trouble = [
            (0.20 * span, self._kill_the_api),
            (0.40 * span, self._kill_a_worker_process),
            (0.50 * span, self._flush_redis),
            (0.60 * span, self._kill_the_beat),
            (0.75 * span, self._kill_the_worker),
        ]
        self.display.say("playing: events come twice, late and garbled")
        next_look = 0.0
        seen: Figures | None = None
        while (now := time.monotonic() - began) < deadline:
            self.check()
            self._deliver(now)
            self._make_trouble(now)
            if now >= next_look:
                found = self.look()
                if found != seen:
                    seen, deadline = found, max(deadline, now + (LEASE_S if found.refunds_due else STILL_S))
                self._answer_cues(found, now)
                if not self.sender.under_way and not self._arriving and not self._trouble:
                    self.display.say("playing: parcels are polled, returns and refunds follow")
                    if self._ended(found):
                        break
                took = time.monotonic() - began - now
                next_look = now + max(LOOK_S, 5 * took)  # looking is not what the machine is for
            time.sleep(TICK_S)
        return time.monotonic() - began

    def look(self) -> Figures:
        """Look how far the play is, on the display too."""
        with self.stage.opened.engine.connect() as conn:
            found = progress_query.take(conn, self.stage.run)
        self.display.show(found)
        return found

    @property
    def sent(self) -> int:
        """Deliveries that the journal must know."""
        return self.journaled + self.sender.sent

    def _push(self, arrives: float, act: Act) -> None:
        self._pushed += 1
        heapq.heappush(self._arriving, (arrives, self._pushed, act))

    def _deliver(self, now: float) -> None:
        due: list[Act] = []
        early: list[Act] = []
        while self._arriving and self._arriving[0][0] <= now:
            act = heapq.heappop(self._arriving)[2]
            (due if self.sender.is_ready(act) else early).append(act)
        for act in early:
            self._push(now + TICK_S, act)
        for act in due:
            if act.door != "journal":
                self.sender.send(act)
        if queued := [self.sender.named(act) for act in due if act.door == "journal"]:
            self._append(queued)

    def _append(self, acts: Sequence[Act]) -> None:
        """What comes from a queue: no HTTP door is open to it."""
        stage = self.stage
        with stage.opened.engine.begin() as conn:
            envelopes = [act.envelope(stage.beginning) for act in acts]
            done = append(conn, envelopes, stage.opened.shop.shards)
        stage.opened.streams.publish(done.new)
        self.journaled += len(acts)
        self.sender.answered.update(act.id for act in acts)

    def _answer_cues(self, found: Figures, now: float) -> None:
        """The shop sends what is paid; some customers send back what has arrived, some confirm it; the shop ends returns."""
        for cue, waiting in self._uncued.items():
            for number in [n for n in waiting if found.statuses.get(n) == cue]:
                for act in waiting.pop(number).cued[cue]:
                    cued = replace(act, happens=now + act.happens)
                    chance = Random(f"again:{self.seed}:{act.type}:{number[-5:]}")
                    self._push(cued.happens, cued)
                    repeated = scenarios.again(cued, chance)
                    if repeated is not None:
                        self._push(cued.happens + chance.uniform(0.05, 2.0), repeated)

    def _ended(self, found: Figures) -> bool:
        nothing_waits = not (found.outcome("waiting") or found.outcome("parked") or found.own.get("waiting"))
        settled = not found.refunds_due and not found.on_their_way
        return nothing_waits and settled and all(stands(life, found) for life in self.stage.played)

    # -- trouble ---------------------------------------------------------------------------------------------

    def _make_trouble(self, now: float) -> None:
        """The next thing that goes wrong, once workers are at it."""
        if not self._trouble or now < max(self._trouble[0][0], self._trouble_after):
            return
        if not self.display.figures.outcome("applied"):
            return
        if self._trouble[0][1]():
            self._trouble.pop(0)
            self._trouble_after = now + 1.5

    def _kill_a_worker_process(self) -> bool:
        worker = self.stage.processes.children["worker"].process
        try:
            children = psutil.Process(worker.pid).children() if worker else []
            victim = children[0]
            victim.kill()
        except (psutil.Error, IndexError):
            return False
        self.display.tell(f"a worker's process killed in the middle of its work (SIGKILL, pid {victim.pid})")
        return True

    def _flush_redis(self) -> bool:
        streams = self.stage.opened.streams
        entries = sum(streams.look().lengths)
        if self.stage.servers.whose == "started":
            streams.client.flushall()
            self.display.tell(f"Redis emptied (FLUSHALL): {entries:,} entries and every doorbell are gone")
            return True
        # On a server of yours: what is ours, and nothing else.
        keys = [key for pattern in _OUR_KEYS for key in streams.client.scan_iter(pattern, count=1000)]
        if keys:
            streams.client.delete(*keys)
        self.display.tell(f"our {len(keys):,} keys in Redis deleted: {entries:,} entries and doorbells are gone")
        return True

    def _kill_the_api(self) -> bool:
        return self._kill("api", "the API killed (SIGKILL): whoever got no answer sends the same again")

    def _kill_the_beat(self) -> bool:
        return self._kill("beat", "the beat killed (SIGKILL)")

    def _kill_the_worker(self) -> bool:
        return self._kill("worker", "the whole worker killed (SIGKILL)")

    def _kill(self, name: str, what: str) -> bool:
        pid = self.stage.processes.kill(name)
        if pid is None:
            return False
        self.display.tell(what.replace("SIGKILL", f"SIGKILL, pid {pid}"))
        return True


_OUR_KEYS = ("orders:*", *QUEUES)


def stands(life: Life, found: Figures) -> bool:
    """True if an order stands where its life ends."""
    return found.statuses.get(life.number) == life.ends and found.refunded.get(life.number, 0) == life.refunded
