"""Rates and recovery out of samples. Pure: no clock, no database."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

WINDOW_S = 3.0  # that a rate is judged over
SHARE = 0.95  # of the baseline's rate: then it is back
LAG_S = 1.5  # older than this, the oldest undecided event is a backlog


@dataclass(frozen=True, slots=True)
class Sample:
    """The counts since the beginning at one moment (`at`, monotonic), and the oldest that waits."""

    at: float
    done: int  # of all
    others: int  # of those that the fault does not aim at
    lag_s: float  # age of the oldest that waits


@dataclass(slots=True)
class Series:
    """Samples in the order of time."""

    samples: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Add the newest sample."""
        self.samples.append(sample)

    def count(self, at: float, others: bool = False) -> float:
        """The number that were done at a moment, on the line between the samples beside it."""
        samples = self.samples
        place = bisect_left(samples, at, key=_at)
        if place == len(samples):
            return float(_done(samples[-1], others)) if samples else 0.0
        after = samples[place]
        if place == 0 or after.at == at:
            return float(_done(after, others))
        before = samples[place - 1]
        share = (at - before.at) / (after.at - before.at)
        return _done(before, others) + share * (_done(after, others) - _done(before, others))

    def rate(self, begin: float, end: float, others: bool = False) -> float:
        """The number per second between two moments."""
        return (self.count(end, others) - self.count(begin, others)) / (end - begin) if end > begin else 0.0

    def between(self, begin: float, end: float) -> Sequence[Sample]:
        """The samples of a span."""
        return self.samples[bisect_left(self.samples, begin, key=_at) : bisect_left(self.samples, end, key=_at)]

    def recovery(self, begin: float, baseline: float, until: float | None = None) -> float | None:
        """Seconds from `begin` until the rate is back for a window and nothing old waits; None: not so far.

        Windows begin at `begin` at the earliest and end at `until` at the latest. A burst that works off a backlog
        counts; what it worked off has to be gone too.
        """
        last = min(self.samples[-1].at, until if until is not None else self.samples[-1].at) if self.samples else begin
        starts = [begin, *(sample.at for sample in self.between(begin, last))]
        back = next(
            (at for at in starts if at + WINDOW_S <= last and self.rate(at, at + WINDOW_S) >= SHARE * baseline), None
        )
        if back is None:
            return None
        calm = next((s.at for s in self.between(back, last) if s.lag_s <= LAG_S), None)
        return None if calm is None else calm - begin

    def longest_lag(self, begin: float, end: float) -> float:
        """The greatest age that anything undecided reached in a span."""
        return max((sample.lag_s for sample in self.between(begin, end)), default=0.0)

    def longest_silence(self, begin: float, end: float) -> float:
        """The longest part of a span in which nothing was done."""
        longest, since = 0.0, begin
        done = self.count(begin)
        for sample in self.between(begin, end):
            if sample.done > done:
                done, since = sample.done, sample.at
            longest = max(longest, sample.at - since)
        return longest

    def lowest_rate(self, begin: float, end: float, others: bool = False) -> float:
        """The lowest rate over any window of a span; over the whole span where it is shorter than one."""
        if end - begin <= WINDOW_S:
            return self.rate(begin, end, others)
        starts = [sample.at for sample in self.between(begin, end - WINDOW_S)] or [begin]
        return min(self.rate(at, at + WINDOW_S, others) for at in starts)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of all does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def median(values: Sequence[float]) -> float:
    """The middle one, or the mean of the two in the middle; 0 of none."""
    ordered, half = sorted(values), len(values) // 2
    if not ordered:
        return 0.0
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _at(sample: Sample) -> float:
    return sample.at


def _done(sample: Sample, others: bool) -> int:
    return sample.others if others else sample.done
