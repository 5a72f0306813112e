"""Events that are not decided, wait for others, or were given up."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from operations import pauses, waiting_rows
from operations.health.check import OK, PROBLEM, WARNING, Check, Look, Place, ago, some
from storage.clock import clock

SLOW_S, STUCK_S = 60, 300  # the oldest undecided event: a warning, a problem
LATE_S = 300  # a parked event that is so much past its time
LONG = 0.5  # of ORDERS_PARKED_FOR: a parked event that waits so long waits for a person
LONG_S = 86_400  # … where nothing is ever given up
COUNTED = 100_000  # undecided events, at most

_OPEN = text(waiting_rows.undecided(COUNTED + 1))  # no more are counted than say enough
_PARKED = text(f"""
    select count(*) as n, count(*) filter (where p.until < clock_timestamp() - make_interval(secs => :late)) as late,
           min(p.until) as until,
           count(*) filter (where r.decided_at < clock_timestamp() - make_interval(secs => :long)) as long,
           extract(epoch from clock_timestamp() - min(r.decided_at)) as age
    from {waiting_rows.EARLY}
""")
_DEAD = text(waiting_rows.DEAD_BY_REASON)


def undecided(conn: Connection, place: Place) -> Iterator[Check]:
    """The check of accepted events without a result: how many, and since when."""
    row = conn.execute(_OPEN).one()
    count, age = int(row.n), float(row.age_s)
    many = f"over {COUNTED:,}" if count > COUNTED else f"{count:,}"
    says = f"{many} undecided, the oldest {ago(age)} old"
    if not count:
        yield Check("events", OK, "every one is decided")
    elif age < SLOW_S:
        yield Check("events", OK, says)
    else:
        remedy = (
            "see the lines of the workers, `locks` and Redis; where all are well it is a backlog: add worker processes"
        )
        yield Check("events", PROBLEM if age >= STUCK_S else WARNING, says, remedy)


def parked(conn: Connection, place: Place) -> Iterator[Check]:
    """The check of what came too early. It waits for hours, not for days: then what it names did not come, and will not."""
    patience = place.settings.policy.parked_for
    long_s = LONG * patience.total_seconds() if patience is not None else LONG_S
    row = conn.execute(_PARKED, {"late": LATE_S, "long": long_s}).one()
    if not row.n:
        yield Check("parked", OK, "none")
    elif row.late:
        says = f"{row.n:,} wait, {row.late:,} of them past their time"
        yield Check(
            "parked",
            PROBLEM,
            says,
            "the sweep gives them up: see the lines `beat` and `worker: chores`, and ORDERS_SWEEP",
        )
    elif row.long:
        ends = f"; the first is given up {row.until:%Y-%m-%d %H:%M} UTC" if row.until else ""
        says = f"{row.long:,} of {row.n:,} wait for long, the oldest {ago(float(row.age))}{ends}"
        remedy = (
            "`orders parked list` says what each waits for: have its sender send that, and they apply by themselves"
        )
        yield Check("parked", PROBLEM, says, remedy)
    else:
        first = f", the first until {row.until:%Y-%m-%d %H:%M} UTC" if row.until else ""
        yield Check("parked", OK, f"{row.n:,} wait{first}; see `orders parked list`")


def dead_letters(conn: Connection, place: Place) -> Iterator[Check]:
    """The check of what was given up, and waits for a person."""
    rows = conn.execute(_DEAD).all()
    if not rows:
        yield Check("dead letters", OK, "none")
        return
    says = f"{sum(row[1] for row in rows):,} open: {', '.join(f'{row[1]:,} {row[0]}' for row in rows[:5])}"
    yield Check(
        "dead letters",
        PROBLEM,
        says,
        "`orders given-up causes` says why; then `orders given-up edit`, `replay` or `discard`, each or all that match",
    )


def paused(conn: Connection, place: Place) -> Iterator[Check]:
    """The check of pauses: each that stands is a warning, so that nobody forgets it."""
    found = pauses.listed(conn)
    for each in found:
        end = f", until {each.until:%Y-%m-%d %H:%M} UTC" if each.until else ""
        waiting = f"; {some(each.waiting, 'event')} waiting" if each.waiting else ""
        since = ago((clock() - each.at).total_seconds())
        says = f"{each.what} is {each.state}, by {each.by} since {since}{end}: {each.reason}{waiting}"
        remedy = f"`orders resume {each.what}` once its reason is gone"
        if each.state == "resuming":
            remedy = "wait: the chores' worker works off what waited; see the line `worker: chores`"
        yield Check("pauses", WARNING, says, remedy)
    if not found:
        yield Check("pauses", OK, "nothing is paused")


LOOKS: tuple[Look, ...] = (
    (("events",), undecided),
    (("parked",), parked),
    (("dead letters",), dead_letters),
    (("pauses",), paused),
)
