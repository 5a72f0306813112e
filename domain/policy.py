"""The settings that decide an outcome. Each result records which policy it was reached under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from events.body import Share

# Of the fold: 2 since refunds and disputes have ids, and what is due is derived; 3 since a delivery settles no decision;
# 4 since what is told of parcels is kept as facts.
RULES = 4


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that a shop decides about its orders by; a period of None is switched off."""

    currency: str = "KRW"  # where an event or order names none
    returns: str = "auto"  # or "staff": each request waits for a person
    refunds: str = "auto"  # or "staff"
    unpaid_after: timedelta | None = timedelta(hours=24)
    confirm_after: timedelta | None = timedelta(days=7)
    return_window: timedelta | None = timedelta(days=30)
    parked_for: timedelta | None = timedelta(hours=72)
    grace: timedelta = timedelta(hours=1)
    rules: int = RULES  # the release's, not the shop's: outcomes of other rules are not compared with these

    def as_document(self) -> dict[str, Any]:
        """JSON; periods in seconds."""
        return {k: v.total_seconds() if isinstance(v, timedelta) else v for k, v in asdict(self).items()}

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Policy:
        """The policy that `as_document` wrote; fields that did not exist then take their defaults."""
        known: dict[str, Any] = {f.name: document[f.name] for f in fields(cls) if f.name in document}
        for name, value in known.items():
            if isinstance(value, int | float) and name != "rules":
                known[name] = timedelta(seconds=value)
        return cls(**{"rules": 1, **known})  # the first ones were not written


CameBack = Mapping[str, Sequence[Share]]  # a return's name → what really came back


@dataclass(frozen=True, slots=True)
class Context:
    """The clock (UTC) and the policy that one event is applied with."""

    now: datetime
    policy: Policy
    overdue: bool = False  # it has waited for so long that it is given up, or settled by what stands against it
    came_back: CameBack | None = None  # of returns whose completions wait for the event: what they list
