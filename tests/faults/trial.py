"""One fault, tried several times: a quiet baseline, the fault, the recovery, the ledger; a JSON line per try."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from time import monotonic, sleep

from tests.chaos.harness import verify_faults
from tests.faults import ledger
from tests.faults.deployment import Deployment
from tests.faults.fault import OTHERS_SHARE, WHOLE, Aim, Fault, Trial
from tests.faults.rates import WINDOW_S, median, percentile

BASELINE_S, AGAIN_S = 6.0, 2.0  # before the first try; before the others, the end of one is the rest of the next
PATIENCE_S = 25.0  # beyond the bound: then it has not recovered
DECIDED_S = 30.0  # for what was acknowledged to have its result, once the rate is back
STEADY = 0.9  # of what is offered: a baseline below it is no baseline
CHANCES = 8  # for that; in the middle of them the deployment is started anew
P99_TIMES, P99_FLOOR_MS = 2.0, 40.0  # below the floor differences are the scheduler's
SHOWN = 3  # of the same kind, in a message

Say = Callable[[str], None]


@dataclass(slots=True)
class Try:
    """The result of one try: a line of the results."""

    fault: str
    title: str
    group: str
    scope: str
    seed: int
    number: int
    bound_s: float
    from_begin: bool = False
    baseline: float = 0.0  # decided per second
    during: float = 0.0  # of the baseline, all
    others: float | None = None  # of the baseline, those that it does not aim at
    lowest: float = 0.0  # of the baseline, over any three seconds of it
    recovery_s: float | None = None
    lag_s: float = 0.0  # the longest that anything waited
    acknowledged: int = 0
    lost: int = 0
    undecided: int = 0
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    latencies: dict[str, list[float]] = field(
        default_factory=dict
    )  # ms over all tries, with the last: 50th, 99th; quiet
    statuses: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    died: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # what must not be


def run(deployment: Deployment, fault: Fault, tries: Sequence[int], seed: int, out: Path | None, say: Say) -> list[Try]:
    """All tries of one fault on a deployment, and what must hold of everything after the last."""
    done = []
    quiet: dict[str, list[float]] = {}
    during: dict[str, list[float]] = {}
    alike: dict[str, list[float]] = {}  # quiet, of a fault that says what is to be compared with it
    baselines: list[float] = []
    for number in tries:
        random = Random(f"{seed}:{fault.name}:{number}")
        rate, steady = _baseline(deployment, quiet, BASELINE_S if number == tries[0] or fault.callers else AGAIN_S, say)
        tried = Try(fault.name, fault.title, fault.group, fault.scope, seed, number, fault.bound_s, fault.from_begin)
        baselines.append(rate)
        tried.baseline = round(median(baselines), 1)
        _strike(deployment, fault, random, tried, during, alike)
        if not steady:
            tried.wrong.append(f"no baseline: {rate:.0f}/s of {deployment.load.events:.0f}/s with nothing amiss")
        _look(deployment, tried)
        if number == tries[-1]:
            _compare(fault, tried, during, alike or quiet)
            _settle(deployment, tried)
        done.append(tried)
        say(line(tried))
        if out is not None:
            write(out, tried)
        if tried.recovery_s is None:
            healed = deployment.heal()
            say(f"    workers and API started anew by hand: {'well' if healed else 'of no use'}")
    return done


def write(out: Path, tried: Try) -> None:
    """Add a try to its fault's results."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / f"{tried.fault}.jsonl").open("a") as file:
        file.write(json.dumps(asdict(tried), sort_keys=True) + "\n")


def line(tried: Try) -> str:
    """A try as it is shown while all of it runs."""
    back = "never" if tried.recovery_s is None else f"{tried.recovery_s:.1f} s"
    others = "" if tried.others is None else f", others {tried.others:.0%}"
    told = "; ".join(tried.wrong) or "as it must"
    return (
        f"  {tried.fault} {tried.number}: during {tried.during:.0%}{others} of {tried.baseline:.0f}/s, "
        f"back after {back}, {tried.lost} of {tried.acknowledged} lost: {told}"
    )


def _baseline(deployment: Deployment, quiet: dict[str, list[float]], seconds: float, say: Say) -> tuple[float, bool]:
    """Decided per second, once the deployment is at rest, and whether that is what is offered.

    Latencies are gathered over a fault's tries.
    """
    deployment.gauge.aim()
    for chance in range(CHANCES):
        deployment.calm(10)
        begin = monotonic()
        sleep(seconds)
        rate = deployment.gauge.decided.rate(begin, monotonic() - 0.3)
        offered = deployment.load.events
        steady = STEADY * offered <= rate <= offered / STEADY  # above it a backlog is worked off
        if steady:
            break
        say(f"    a baseline of {rate:.0f}/s where {offered:.0f}/s are offered: once more")
        if chance == CHANCES // 2:
            say(f"    the deployment is started anew: {'well' if deployment.heal() else 'it does not come to rest'}")
    for kind, values in deployment.load.latencies(begin, monotonic() - 0.5).items():
        quiet.setdefault(kind, []).extend(values)
    return min(rate, offered), steady


def _strike(
    deployment: Deployment,
    fault: Fault,
    random: Random,
    tried: Try,
    latencies: dict[str, list[float]],
    alike: dict[str, list[float]],
) -> None:
    """The fault and its recovery; others' latencies while it lasts are added to `latencies`, its own quiet ones to `alike`."""
    memory, most = deployment.api_mb(), 0.0
    died, wrong = len(deployment.died), len(deployment.load.wrong)
    with fault.strike(deployment, random) as aim:
        begin = aim.began or monotonic()
        if aim.hold is not None:
            aim.hold()
        series, baseline = aim.series or deployment.gauge.decided, aim.baseline or tried.baseline
        while monotonic() < begin + fault.hold_s:
            sleep(0.2)
            most = max(most, deployment.api_mb())
            if fault.until_back and series.recovery(begin, baseline) is not None:
                break
        held = monotonic()
    end = monotonic()
    start = begin if fault.from_begin else end
    until = start + fault.bound_s + PATIENCE_S
    while (back := series.recovery(start, baseline)) is None and monotonic() < until and aim.series is None:
        sleep(0.2)
    tried.recovery_s = None if back is None else round(back, 2)
    over = monotonic()
    decided = deployment.gauge.decided
    if held - begin > 1:
        tried.during = round(decided.rate(begin, held) / max(tried.baseline, 1), 3)
        tried.lowest = round(decided.lowest_rate(begin, held) / max(tried.baseline, 1), 3)
        if fault.scope != WHOLE:
            first = next((s.at for s in decided.between(begin, held)), begin)  # the first since it was aimed
            due = max(tried.baseline * (1 - aim.share), 1)
            tried.others = round(decided.rate(first, held, others=True) / due, 3)
    else:
        tried.during = round(decided.lowest_rate(begin - WINDOW_S, over) / max(tried.baseline, 1), 3)
    tried.lag_s = round(decided.longest_lag(begin, over), 1)
    tried.note, tried.figures, tried.wrong = aim.note, aim.figures, list(aim.wrong)
    tried.statuses = deployment.load.statuses(begin, over)
    for at, what in list(deployment.load.refused):
        if begin <= at < over:
            kind = what[:60]
            tried.refused[kind] = tried.refused.get(kind, 0) + 1
    tried.died = deployment.died[died:]
    for kept, found in ((latencies, deployment.load.latencies(begin, max(held, begin + 1))), (alike, aim.quiet)):
        for kind, values in found.items():
            kept.setdefault(kind, []).extend(values)
    tried.figures |= {"api MB before": round(memory, 1), "api MB at most": round(max(most, memory), 1)}
    _judge(fault, tried, aim, deployment.load.wrong[wrong:])


def _judge(fault: Fault, tried: Try, aim: Aim, answers: list[str]) -> None:
    if tried.recovery_s is None:
        tried.wrong.append("the rate has not come back")
    elif tried.recovery_s > fault.bound_s:
        tried.wrong.append(f"back after {tried.recovery_s} s, must be within {fault.bound_s:.0f} s")
    if tried.others is not None and tried.others < OTHERS_SHARE:
        tried.wrong.append(f"others at {tried.others:.0%}, must be {OTHERS_SHARE:.0%}")
    if fault.memory_mb is not None:
        grown = tried.figures["api MB at most"] - tried.figures["api MB before"]
        if grown > fault.memory_mb:
            tried.wrong.append(f"the API grew by {grown:.0f} MB, must stay within {fault.memory_mb:.0f} MB")
    tried.wrong += answers[:SHOWN]


def _compare(fault: Fault, tried: Try, during: dict[str, list[float]], quiet: dict[str, list[float]]) -> None:
    """Other callers' latencies over all tries, beside the quiet ones: of one try they are too few for a 99th percentile."""
    for kind in sorted(quiet):
        shares = [percentile(each, share) for each in (during.get(kind, []), quiet[kind]) for share in (0.5, 0.99)]
        tried.latencies[kind] = [round(share, 1) for share in shares]
        p99, before = shares[1], shares[3]
        if fault.callers and p99 > max(P99_TIMES * before, P99_FLOOR_MS):
            tried.wrong.append(f"p99 of {kind} {p99:.0f} ms over {len(during[kind])} requests, quiet {before:.0f} ms")


def _look(deployment: Deployment, tried: Try) -> None:
    """Every acknowledged event is in the journal, and has one result; what has none yet is given time."""
    checked = deployment.ledger.check(deployment.shop.engine)
    until = monotonic() + DECIDED_S
    lost, doubled, acknowledged = list(checked.lost), list(checked.doubled), checked.acknowledged
    while checked.undecided and monotonic() < until and tried.recovery_s is not None:
        sleep(0.5)
        again = deployment.ledger.check(deployment.shop.engine)
        acknowledged += again.acknowledged - len(checked.undecided)
        lost, doubled = lost + again.lost, doubled + again.doubled
        waiting = set(checked.undecided)
        checked.undecided = [key for key in again.undecided if key in waiting]
    tried.acknowledged, tried.lost, tried.undecided = acknowledged, len(lost), len(checked.undecided)
    if lost:
        tried.wrong.append(f"{len(lost)} acknowledged events are lost: {lost[:SHOWN]}")
    if doubled:
        tried.wrong.append(f"{len(doubled)} events are doubled: {doubled[:SHOWN]}")
    if checked.undecided and tried.recovery_s is not None:
        tried.wrong.append(
            f"{len(checked.undecided)} events have no result after {DECIDED_S:.0f} s: {checked.undecided[:SHOWN]}"
        )


def _settle(deployment: Deployment, tried: Try) -> None:
    """With the load at rest: the account adds up, and every order is what the journal tells."""
    deployment.load.rest()
    try:
        if tried.recovery_s is None:
            deployment.heal()
        until = monotonic() + DECIDED_S
        while True:  # what is settled now may have appended events of our own: refunds, timers
            left = ledger.undecided(deployment.shop.engine)
            faults = [] if left else ledger.untrue(deployment.shop)
            if monotonic() > until or not (left or faults):
                break
            sleep(0.3)
        if left:
            tried.wrong.append(f"{left} events have no result with the load at rest")
        tried.wrong += faults[:SHOWN]
        begun = monotonic()
        tried.wrong += verify_faults(deployment.shop.engine)[:SHOWN]
        tried.figures["verify s"] = round(monotonic() - begun, 1)
    finally:
        deployment.load.paused.clear()


def run_trial(trial: Trial, tries: Sequence[int], seed: int, options: object, out: Path | None, say: Say) -> list[Try]:
    """All tries of a fault that has a deployment of its own."""
    done = []
    for number in tries:
        tried = Try(trial.name, trial.title, trial.group, trial.scope, seed, number, trial.bound_s)
        figures, tried.wrong = trial.run(seed, Random(f"{seed}:{trial.name}:{number}"), options, say)
        for name in ("baseline", "during", "recovery_s", "lost", "acknowledged", "lag_s"):
            if name in figures:
                value = figures.pop(name)
                setattr(tried, name, int(value) if name in ("lost", "acknowledged") else value)
        tried.figures = figures
        done.append(tried)
        say(line(tried))
        if out is not None:
            write(out, tried)
    return done
