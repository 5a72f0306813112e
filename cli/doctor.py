"""The command `orders doctor`: every setting with its source, and what is wrong, with the way to mend it.

It starts no server and changes nothing: what it examines must be what was there before.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from time import monotonic

import typer

import embedded
from cli import BEGAN
from cli.doctor_report import print_document, print_tables
from cli.options import Data, Json, both_or_neither, stop_at_sigterm
from embedded import ServerError
from operations.health.check import OK, PROBLEM, WARNING, Check, Place
from operations.health.reach import unreached
from settings.environment import Settings, SettingsError, read
from workers.examination import examine

ENDS_S = 4.5  # since the command began: then it answers, whatever has been looked at
LEAST_S = 2.0  # … and this long it looks in any case, on a machine that is slow to start it
LITTLE_MB, FULL_MB = 1024, 128  # free on the disk of embedded servers: a warning, a problem


def doctor(data: Data = None, json: Json = False) -> None:
    """Print the settings with their sources, and what is wrong, with the way to mend it. Answers within 5 seconds.

    A problem keeps events from being accepted, applied or kept, or waits for a person: dead letters, refunds that do not
    go out. A warning may become one. It starts nothing: what does not run is a problem.

    Exit codes: 0 no problem (there may be warnings), 1 at least one problem, 2 wrong use. With --json: healthy, servers,
    settings, and checks with id, name, level (ok, warning, problem), says, remedy, the alert rule that tells of the same, and its page in docs.
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
        return examine(Place(settings, embedded=False), _left()).checks
    if whose == "found" and settings.database_url is None:
        says = f"`orders up` begins in {settings.data}: its servers have no address yet"
        return [Check("embedded servers", PROBLEM, says, "wait, and look again")]
    found = [_owner(settings, whose)]
    if settings.database_url is not None:
        found.append(_disk(settings.data))
    if whose == "stopped" and (settings.database_url is None or _silent(settings)):
        return found
    return [*found, *examine(Place(settings, embedded=True), _left()).checks]


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


def _left() -> float:
    """Seconds that are left until the command answers."""
    return max(LEAST_S, BEGAN + ENDS_S - monotonic())
