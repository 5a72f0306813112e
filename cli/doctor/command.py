"""The command: where the servers are, all looks within a deadline, and the exit code.

It starts no server and changes nothing: what it examines must be what was there before.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic

import typer
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

import embedded
from cli import BEGAN
from cli.doctor import broker, events, postgres, providers, sessions, workers
from cli.doctor.check import OK, PROBLEM, WARNING, Check, Look, Place, first_line
from cli.doctor.deadline import Answer, Round
from cli.doctor.reach import Door, unreached
from cli.doctor.report import print_document, print_tables
from cli.options import Data, Json, both_or_neither, stop_at_sigterm
from embedded import ServerError
from settings.environment import Settings, SettingsError, read

ENDS_S = 4.5  # since the command began: then it answers, whatever has been looked at
LEAST_S = 2.0  # … and this long it looks in any case, on a machine that is slow to start it
SERVER = 0.6  # of the time, for PostgreSQL to let us in and to say what it is
LITTLE_MB, FULL_MB = 1024, 128  # free on the disk of embedded servers: a warning, a problem
AT_ONCE = 3  # looks at the database side by side, each on a connection
LOOKS: tuple[Look, ...] = (*sessions.LOOKS, *workers.LOOKS, *events.LOOKS, *providers.LOOKS)


def doctor(data: Data = None, json: Json = False) -> None:
    """Print the settings with their sources, and what is wrong, with the way to mend it. Answers within 5 seconds.

    A problem keeps events from being accepted, applied or kept, or waits for a person: dead letters, refunds that do not
    go out. A warning may become one. It starts nothing: what does not run is a problem.

    Exit codes: 0 no problem (there may be warnings), 1 at least one problem, 2 wrong use. With --json: healthy, servers,
    settings, and checks with name, level (ok, warning, problem), says and remedy.
    """
    stop_at_sigterm()
    settings: Settings | None = None
    whose: str | None = None
    try:
        settings = _read(data)
        both_or_neither(settings)
        settings, whose = _placed(settings)
        checks = _checks(settings, whose)
    except SettingsError as error:
        checks = [Check("settings", PROBLEM, str(error), "correct it in the environment or in .env")]
    except ServerError as error:
        checks = [Check("embedded servers", PROBLEM, str(error), "run it as the user who started `orders up`")]
    (print_document if json else print_tables)(settings, whose, checks)
    if any(check.level == PROBLEM for check in checks):
        raise typer.Exit(1)


def _read(data: Path | None) -> Settings:
    settings = read()
    if data is None:
        return settings
    values = {**settings.values, "ORDERS_DATA": str(data)}
    return replace(settings, data=data, values=values, sources={**settings.sources, "ORDERS_DATA": "--data"})


def _placed(settings: Settings) -> tuple[Settings, str]:
    """With the servers' addresses, also where they do not run; whose they are: yours, found or stopped."""
    if settings.database_url is not None:
        return settings, "yours"
    at = embedded.kept(settings.data)
    whose = "found" if embedded.owned(settings.data) else "stopped"
    if at is None:
        return settings, whose
    secret = settings.token_secret or _text(settings.data / "token.secret")
    return replace(settings, database_url=at.database_url, redis_url=at.redis_url, token_secret=secret), whose


def _text(file: Path) -> str | None:
    return file.read_text().strip() if file.exists() else None


def _checks(settings: Settings, whose: str) -> list[Check]:
    if whose == "yours":
        return examine(Place(settings, embedded=False))
    if whose == "found" and settings.database_url is None:
        says = f"`orders up` begins in {settings.data}: its servers have no address yet"
        return [Check("embedded servers", PROBLEM, says, "wait, and look again")]
    found = [_owner(settings, whose)]
    if settings.database_url is not None:
        found.append(_disk(settings.data))
    if whose == "stopped" and (settings.database_url is None or _silent(settings)):
        return found
    return [*found, *examine(Place(settings, embedded=True))]


def _disk(data: Path) -> Check:
    """PostgreSQL ends where it finds no room for its log; Valkey refuses writes."""
    free_mb = shutil.disk_usage(data).free // 2**20
    says = f"{free_mb:,} MB are free in {data}"
    if free_mb < LITTLE_MB:
        return Check(
            "disk",
            PROBLEM if free_mb < FULL_MB else WARNING,
            says,
            "free some there; what ended for want of it starts by itself",
        )
    return Check("disk", OK, says)


def _owner(settings: Settings, whose: str) -> Check:
    if whose == "found":
        return Check("embedded servers", OK, f"`orders up` keeps them, in {settings.data}")
    says = f"no `orders up` runs in {settings.data}: nothing is accepted or applied"
    return Check("embedded servers", PROBLEM, says, "start `orders up`, or set DATABASE_URL and REDIS_URL to yours")


def _silent(settings: Settings) -> bool:
    """Whether neither server of a killed owner is left."""
    urls = (settings.database_url or "", settings.redis_url or "")
    return all(unreached(url, "", "") is not None for url in urls)


def examine(place: Place, seconds: float | None = None) -> list[Check]:
    """All lines; what could not be looked at in `seconds` (else before ENDS_S is over) has one that says so."""
    round_ = Round(seconds or max(LEAST_S, BEGAN + ENDS_S - monotonic()))
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
        return [Check("settings", PROBLEM, f"a URL cannot be read: {first_line(error)}", remedy)]
    database = round_.start(postgres.NAMES, lambda: postgres.look(engine, place, doors[0]), doors[0].late)
    server = round_.start(broker.NAMES, lambda: broker.look(client, place, doors[1]), doors[1].late)
    round_.start(workers.SIGNS, lambda: workers.signs(client, place, lambda: _sound(round_, server)), doors[1].late)
    if round_.wait(database, SERVER * round_.seconds) and _usable(database):
        slots = threading.Semaphore(AT_ONCE)
        for names, look in LOOKS:
            round_.start(names, partial(_look, engine, place, slots, names, look))
    elif not database.done.is_set():
        round_.give_up(database)
    found = round_.gather()
    if round_.all_ended():  # else what hangs would hold us up here, too
        engine.dispose()
        client.close()
    return found if _answers(found) else [_excused(check) for check in found]


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


def _sound(round_: Round, server: Answer) -> bool:
    return round_.wait(server) and server.well()


def _usable(database: Answer) -> bool:
    return all(check.level != PROBLEM for check in database.checks if check.name in ("PostgreSQL", "schema"))


def _look(
    engine: Engine,
    place: Place,
    slots: threading.Semaphore,
    names: tuple[str, ...],
    look: Callable[..., Iterator[Check]],
) -> Iterable[Check]:
    """One look at the database, on a connection of its own; what PostgreSQL says against it is its line."""
    try:
        with slots, engine.connect() as conn:
            postgres.bound(conn)
            return list(look(conn, place))
    except SQLAlchemyError as error:
        return [_refused(names[0], error)]


def _refused(name: str, error: SQLAlchemyError) -> Check:
    states = {
        "55P03": f"its tables are locked by somebody, for over {postgres.LOCKED_S} s",
        "57014": f"PostgreSQL gave no answer within {postgres.ASKED_S} s",
    }
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None))
    says = f"could not be looked at: {states.get(state, first_line(error))}"
    remedy = "see the lines `locks`, `database transactions` and `connections`: mend those, and look again"
    return Check(name, WARNING if state == "57014" else PROBLEM, says, remedy)  # slow is not broken
