"""Limits of a simulated carrier, and how it was asked: a rate, a quota, hours when it is away or answers nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WINDOW_S = 1.0  # that the rate counts in, wherever it begins


@dataclass(slots=True)
class Limits:
    """The limits of one service; None: it has none. `away`: all is answered 503; `mute`: nothing is ever answered."""

    rate: int | None = None  # questions per WINDOW_S
    quota: int | None = None  # questions in all
    away: bool = False
    mute: bool = False
    questions: int = 0
    over_rate: int = 0  # of the questions, those that broke it
    over_quota: int = 0
    most: int = 0  # questions in any window
    soonest_s: float = float("inf")  # between two questions about one parcel
    _recent: deque[float] = field(default_factory=deque)
    _asked: dict[str, float] = field(default_factory=dict)  # parcel → when, last

    def lets_through(self, parcel: str, now: float) -> bool:
        """True where a question about a parcel is to be answered; each is counted, also those that are not."""
        self.questions += 1
        self.soonest_s = min(self.soonest_s, now - self._asked.get(parcel, -float("inf")))
        self._asked[parcel] = now
        self._recent.append(now)
        while self._recent[0] <= now - WINDOW_S:
            self._recent.popleft()
        self.most = max(self.most, len(self._recent))
        over_rate = self.rate is not None and len(self._recent) > self.rate
        over_quota = self.quota is not None and self.questions > self.quota
        self.over_rate += over_rate
        self.over_quota += over_quota
        return not (over_rate or over_quota)

    def pause_s(self) -> int:
        """The pause that a refusal asks for: a second, or an hour where the quota is spent."""
        return 3600 if self.quota is not None and self.questions > self.quota else 1

    def change(self, told: Mapping[str, Any]) -> None:
        """Change what is named: rate, quota, away, mute."""
        for name in ("rate", "quota", "away", "mute"):
            if name in told:
                setattr(self, name, told[name])

    def told(self) -> dict[str, Any]:
        """The limits, and how it was asked so far, for whoever looks."""
        names = ("rate", "quota", "away", "mute", "questions", "over_rate", "over_quota", "most")
        soonest = round(self.soonest_s, 3) if self.soonest_s < float("inf") else None  # JSON knows no infinity
        return {**{name: getattr(self, name) for name in names}, "soonest_s": soonest}
