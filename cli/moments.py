"""Times as people type them: so long ago, or a time, in UTC where it says nothing else."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from cli.options import Problem
from events import times
from storage.clock import clock

_AGO = re.compile(r"([0-9]+)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def ahead_of(told: str, option: str) -> datetime:
    """`2h` from now, or a time. Errors: Problem, which names the option."""
    if ahead := _AGO.fullmatch(told.strip()):
        try:
            return clock() + timedelta(**{_UNITS[ahead[2]]: int(ahead[1])})
        except OverflowError:
            raise Problem(f"{option} {told} is too far ahead", 2) from None
    return moment_of(told, option)


def moment_of(told: str, option: str) -> datetime:
    """`2h` ago, or a time. Errors: Problem, which names the option."""
    try:
        if ago := _AGO.fullmatch(told.strip()):
            return clock() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return times.moment_of(told)
    except (ValueError, OverflowError):
        raise Problem(f"{option} {told} is no time; write 2h, 3d, 2026-11-01T12:00Z or 2026-11-01 (UTC)", 2) from None
