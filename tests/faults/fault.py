"""The model of a fault: how it begins and ends, whom it may hit, and what it must not cost."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from tests.faults import hosts
from tests.faults.rates import Series

if TYPE_CHECKING:
    from tests.faults.deployment import Deployment

WHOLE, ORDER, SHARD, PROVIDER, CALLER = "whole", "one order", "shard", "provider", "caller"
BOUND_S = 10.0
FROZEN_BOUND_S = 20.0  # dead connections and frozen hosts
OTHERS_SHARE = 0.85  # of the others' rate, during a fault that hits one order, shard, provider or caller


@dataclass(slots=True)
class Aim:
    """The target of a fault that has begun, and what is to be looked at besides the rates."""

    note: str = ""  # whom it hit, for the record
    began: float | None = None  # monotonic, where that was before it is known to have hit
    share: float = 0.0  # of the load that it hits; the others are the rest
    hold: Callable[[], None] | None = None  # instead of waiting for `hold_s`
    figures: dict[str, float] = field(default_factory=dict)  # for the record
    wrong: list[str] = field(default_factory=list)  # what must not be
    series: Series | None = None  # instead of what was decided
    baseline: float | None = None  # of that series
    quiet: dict[str, list[float]] = field(default_factory=dict)  # others' ms, where they are not those of the baseline


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table. `strike` is entered when it begins and left when it ends."""

    name: str
    title: str
    group: str
    strike: Callable[[Deployment, Random], AbstractContextManager[Aim]]
    hold_s: float
    scope: str = WHOLE
    bound_s: float = BOUND_S
    from_begin: bool = False  # recovery counts from the beginning: it does not end, or must be borne while it lasts
    needs: tuple[str, ...] = ()  # of "hosts", "small disk", "faketime"
    callers: bool = False  # other callers' p99 must stay within twice the quiet one
    memory_mb: float | None = None  # that the API may grow by
    until_back: bool = False  # it ends once the rate is back, after `hold_s` at the latest


@dataclass(frozen=True, slots=True)
class Trial:
    """A fault with a deployment of its own: `run` does all of a try and returns figures and what is wrong."""

    name: str
    title: str
    group: str
    run: Callable[[int, Random, Any, Callable[[str], None]], tuple[dict[str, float], list[str]]]
    scope: str = WHOLE
    bound_s: float = BOUND_S
    needs: tuple[str, ...] = ()


def missing(fault: Fault | Trial) -> str | None:
    """The reason why a fault cannot be provoked on this machine; None where it can."""
    if "hosts" in fault.needs and (why := hosts.why_not()):
        return why
    if "small disk" in fault.needs and os.geteuid() != 0:
        return "a small file system for the logs needs root"
    if "faketime" in fault.needs:
        from tests.faults.clocks import library

        if library() is None:
            return "libfaketime not found (Debian: apt install faketime)"
    return None
