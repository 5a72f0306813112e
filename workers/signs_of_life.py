"""Checks of the beat and the workers. Each is asked for a sign of its own, so that each has its own line.

beat              a key in Redis that it sets anew every second
worker: QUEUE     a message that asks for nothing, put before all others: somebody takes it, or nobody does
workers           the heartbeat in PostgreSQL: the timers' chore, for which the beat and a worker are needed
API               its processes that were asked something in the last two minutes
hosts' clocks     how far each process's host is off, as it last said
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from secrets import token_hex
from time import monotonic, sleep

import redis
from sqlalchemy import Connection, text

from journal.streams import DRAIN
from operations.beat import ALIVE_S, BEAT_KEY, BEAT_S
from operations.health.check import OK, PROBLEM, WARNING, Check, Look, Place, ago, first_line, some
from operations.health.postgres import SKEW_S
from storage.clock import skews
from workers import liveness
from workers.app import message
from workers.chores import CHORES, LOOKUPS, REFUNDS, TRACKING, WEBHOOKS

STILL_S = 5  # the beat, every second
TAKEN_S = 1.5  # in which a worker takes a message that stands before all others
POLL_S = 0.02
# Queue as `orders worker --queues` names it → its key, and what stands still without a worker for it.
QUEUES = {
    "drain": (DRAIN, "no event is applied"),
    "chores": (CHORES, "no timer fires, and what the streams lack is not found"),
    "refunds": (REFUNDS, "no refund goes out"),
    "lookups": (LOOKUPS, "no payment is asked for at its provider"),
    "tracking": (TRACKING, "no carrier is asked for parcels"),
    "webhooks": (WEBHOOKS, "no webhook goes out"),
}
SIGNS = ("beat", *(f"worker: {name}" for name in QUEUES))


def signs(client: redis.Redis, place: Place, sound: Callable[[], bool]) -> Iterator[Check]:
    """The lines SIGNS; none where Redis is not `sound`, since nothing could be asked."""
    if not sound():
        return
    try:
        yield from _heard(client, place)
    except (redis.RedisError, OSError) as error:
        says = f"could not be looked at: {first_line(error)}"
        yield Check("beat and workers", PROBLEM, says, "see the lines of Redis")


def _heard(client: redis.Redis, place: Place) -> Iterator[Check]:
    """All of them are waited for side by side: together they take no longer than one."""
    asked = {}
    for name, (queue, _) in QUEUES.items():
        asked[name] = message(f"sign-{token_hex(8)}", "orders.sign", (), queue).decode()
        client.rpush(queue, asked[name])  # workers take from this end
    until = monotonic() + TAKEN_S
    waits = dict(asked)
    try:
        while True:
            waits = {name: sent for name, sent in waits.items() if client.lpos(QUEUES[name][0], sent) is not None}
            left = client.pttl(BEAT_KEY) / 1000  # after a flush its key comes with its next beat
            if monotonic() > until or not (waits or _is_dead(left)):
                break
            sleep(POLL_S)
    finally:
        for name, sent in waits.items():
            client.lrem(QUEUES[name][0], 0, sent)
    yield _beat(left, place)
    for name, (queue, stands) in QUEUES.items():
        if name not in waits:
            yield Check(f"worker: {name}", OK, "alive: it takes what is there")
            continue
        waiting = client.llen(queue)
        says = f"nobody takes what is in {queue} ({waiting:,} wait): {stands}"
        remedy = f"{_start(f'worker --queues {name}', place)}; where one runs, it is frozen or all of it is at work: its log says on what"
        yield Check(f"worker: {name}", PROBLEM, says, remedy)


def _is_dead(left_s: float) -> bool:
    return left_s < 0 or BEAT_S - left_s > STILL_S


def _beat(left_s: float, place: Place) -> Check:
    """The check of the beat, whose key in Redis has this long to live."""
    age = BEAT_S - left_s
    if not _is_dead(left_s):
        return Check("beat", OK, f"alive: {age:.0f} s ago")
    since = f"for {ago(age)}" if left_s >= 0 else f"for {BEAT_S} s or more, or it never was here"
    return Check("beat", PROBLEM, f"it is dead {since}: no chore is sent", _cure_of_beat(place))


def _cure_of_beat(place: Place) -> str:
    """What to do about a dead beat, the cheapest cure first: its process is looked for by the file that it leaves here."""
    start = _start("beat", place)
    found = liveness.running(place.settings.data, "beat")
    if not found:
        return f"{start}; where it runs elsewhere, its log says why it does not reach this Redis, or it is frozen: `kill -9` it"
    pid, still = max(found, key=lambda each: -each[1])
    if still <= STILL_S:
        return f"see its log: it runs here as pid {pid}, and does not reach this Redis"
    again = (
        "`orders up` starts it again by itself"
        if place.embedded
        else "its supervisor, or `orders beat`, starts it again"
    )
    return f"`kill -9 {pid}`: it is frozen, and {again}; only where that does not help, {start}"


def _start(what: str, place: Place) -> str:
    if place.embedded:
        return f"restart `orders up`, which runs it (its logs are in {place.settings.data / 'logs'})"
    return f"start `orders {what}`"


_HEARTBEAT = text("""
    select extract(epoch from clock_timestamp() - at), gap_end + make_interval(secs => :grace)
    from heartbeats where name = 'timers'
""")


def heartbeat(conn: Connection, place: Place) -> Iterator[Check]:
    """The check of the timers' last run; where it is old, the lines SIGNS say for want of whom."""
    grace = place.settings.policy.grace.total_seconds()
    row = conn.execute(_HEARTBEAT, {"grace": grace}).one_or_none()
    if row is None:
        yield Check("workers", PROBLEM, "none was ever here", f"{_start('worker', place)}, and `orders beat`")
        return
    age, resting = float(row[0]), row[1]
    if age > ALIVE_S:
        says = f"the last heartbeat is {ago(age)} old: no timer fires"
        remedy = (
            "see the lines `beat` and `worker: chores`; where both are well, the log of `orders worker` says what fails"
        )
        yield Check("workers", PROBLEM, says, remedy)
    elif resting is not None and resting > datetime.now(UTC):
        says = f"alive; timers rest until {resting:%H:%M} UTC, a grace after our own silence"
        yield Check("workers", OK, says)
    else:
        yield Check("workers", OK, f"alive: heartbeat {age:.0f} s ago")


def clocks(conn: Connection, place: Place) -> Iterator[Check]:
    """Hosts whose clocks are off: nothing here goes by them, but their logs and certificates do."""
    found = skews(conn)
    off = [each for each in found if abs(each.seconds) > SKEW_S]
    if not off:
        yield Check(
            "hosts' clocks", OK, f"within {SKEW_S} s of PostgreSQL's, in {some(len(found), 'process', 'processes')}"
        )
        return
    worst = off[0]
    ahead = "ahead of" if worst.seconds > 0 else "behind"
    more = f", and {some(len(off) - 1, 'other process is', 'other processes are')} off" if len(off) > 1 else ""
    says = f"{worst.process} is {ago(abs(worst.seconds))} {ahead} PostgreSQL's clock{more}: its log tells other times"
    yield Check("hosts' clocks", WARNING, says, "set that host's clock: `timedatectl set-ntp true`, or chrony")


def api(conn: Connection, place: Place) -> Iterator[Check]:
    """The check of the HTTP API's processes. None is no fault: a shop may do without, and one that nobody asks is silent."""
    count = sum(each.process.startswith("api ") for each in skews(conn))
    if count:
        yield Check("API", OK, f"{some(count, 'process', 'processes')} at work")
    else:
        yield Check("API", OK, "nobody asked one lately", "`orders api` serves HTTP, where it is to be used")


LOOKS: tuple[Look, ...] = ((("workers",), heartbeat), (("API",), api), (("hosts' clocks",), clocks))
