"""An examination of the whole system: every look of `operations/health` and at the workers, within a deadline.

It starts no server and changes nothing: what it examines must be what was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from operations.health import broker, events, outside, postgres, sessions
from operations.health.check import ASKED_S, OK, PROBLEM, WARNING, Check, Look, Place, first_line
from operations.health.deadline import Answer, Late, Round
from operations.health.reach import Door
from workers import signs_of_life

SERVER = 0.6  # of the time, for PostgreSQL to let us in and to say what it is
AT_ONCE = 3  # looks at the database side by side, each on a connection
STATES: tuple[Look, ...] = (*sessions.LOOKS, *signs_of_life.LOOKS)  # of what runs
COUNTS: tuple[Look, ...] = (*events.LOOKS, *outside.LOOKS)  # of what waits: what they take grows with the shop


@dataclass(frozen=True, slots=True)
class Examination:
    """The lines of one examination; of them, those of COUNTS where it counted, and the seconds that these took together."""

    checks: list[Check]
    counted: list[Check] | None  # None: it did not count, or could not count all of it
    counting_s: float


class Refused(Check):
    """The line of a look that PostgreSQL refused."""


def examine(place: Place, seconds: float, counted: Sequence[Check] | None = None) -> Examination:
    """All lines; what could not be looked at in `seconds` has one that says so.

    `counted`: those of COUNTS of an examination before, which are not looked at again.
    """
    round_ = Round(seconds, AT_ONCE)
    settings = place.settings
    doors = [
        Door("PostgreSQL", settings.database_url or "", "DATABASE_URL", _start(place, "postgres.log")),
        Door("Redis", settings.redis_url or "", "REDIS_URL", _start(place, "valkey.log")),
    ]
    try:
        engine = postgres.engine_of(place, AT_ONCE)
        client = broker.client_of(place)
    except (ArgumentError, ValueError) as error:
        remedy = "correct DATABASE_URL (postgresql://USER:PASSWORD@HOST/DATABASE) or REDIS_URL (redis://HOST:6379/0)"
        return Examination(
            [Check("settings", PROBLEM, f"a URL cannot be read: {first_line(error)}", remedy)], None, 0.0
        )

    def unheard(_: Answer) -> Late:  # the beat and the workers: where Redis answers, it is not what holds them up
        return round_.slow() if server.well() else doors[1].late()

    database = round_.start(postgres.NAMES, lambda: postgres.look(engine, place, doors[0]), lambda _: doors[0].late())
    server = round_.start(broker.NAMES, lambda: broker.look(client, place, doors[1]), lambda _: doors[1].late())
    round_.start(
        signs_of_life.SIGNS, lambda: signs_of_life.signs(client, place, lambda: _sound(round_, server)), unheard
    )

    def begin(looks: Iterable[Look]) -> list[Answer]:
        return [round_.start(names, partial(_look, engine, place, names, look), in_turn=True) for names, look in looks]

    counts: list[Answer] = []
    if round_.wait(database, SERVER * round_.seconds) and _usable(database):
        begin(STATES)
        if counted is None:
            counts = begin(COUNTS)
        else:
            round_.put(counted)
    elif not database.done.is_set():
        round_.give_up(database)
    found = round_.gather()
    round_.end(engine.dispose, client.close)
    checks = _of_the_beat(found) if _answers(found) else [_excused(check) for check in found]
    made = [check for each in counts for check in each.checks]
    whole = all(each.done.is_set() for each in counts) and not any(isinstance(check, Refused) for check in made)
    return Examination(checks, made if counts and whole else None, sum(each.took_s for each in counts))


def _start(place: Place, log: str) -> str:
    if place.embedded:
        return f"`orders up` starts it again by itself and says on its stderr why it ended; so does {place.settings.data / log}"
    return "start it"


def _answers(found: Iterable[Check]) -> bool:
    return all(check.level != PROBLEM for check in found if check.name == "PostgreSQL")


def _excused(check: Check) -> Check:
    """A worker that takes nothing waits for PostgreSQL, where that is away: another cure than the worker's own."""
    if check.level != PROBLEM or not check.name.startswith("worker: "):
        return check
    return replace(
        check, says=f"{check.says}; it waits for PostgreSQL", remedy="mend PostgreSQL first; then it goes on by itself"
    )


def _of_the_beat(found: list[Check]) -> list[Check]:
    """Where the beat is dead and a worker takes chores, no timer fires for want of the beat alone: one fault, and one cure."""
    levels = {check.name: check.level for check in found}
    if levels.get("beat") != PROBLEM or levels.get("worker: chores") != OK:
        return found
    return [
        replace(
            check,
            says=f"{check.says}; it follows from the beat",
            remedy="mend the beat first; then it goes on by itself",
        )
        if check.name == "workers" and check.level == PROBLEM
        else check
        for check in found
    ]


def _sound(round_: Round, server: Answer) -> bool:
    return round_.wait(server) and server.well()


def _usable(database: Answer) -> bool:
    return all(check.level != PROBLEM for check in database.checks if check.name in ("PostgreSQL", "schema"))


def _look(
    engine: Engine,
    place: Place,
    names: tuple[str, ...],
    look: Callable[..., Iterator[Check]],
) -> Iterable[Check]:
    """One look at the database, on a connection of its own; what PostgreSQL says against it is its line."""
    try:
        with engine.connect() as conn:
            postgres.bound(conn)
            return list(look(conn, place))
    except SQLAlchemyError as error:
        return [_refused(names[0], error)]


def _refused(name: str, error: SQLAlchemyError) -> Refused:
    states = {
        "55P03": f"its tables are locked by somebody, for over {postgres.LOCKED_S} s",
        "57014": f"PostgreSQL gave no answer within {ASKED_S} s",
    }
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None))
    says = f"could not be looked at: {states.get(state, first_line(error))}"
    remedy = "see the lines `locks`, `database transactions` and `connections`: mend those, and look again"
    return Refused(name, WARNING if state == "57014" else PROBLEM, says, remedy)  # slow is not broken
