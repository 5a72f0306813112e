"""Looks side by side, each in a thread of its own, and one deadline for all of them.

A look may hang wherever it asks: in a connection that nobody answers, or behind a lock. Then its lines say so. Its
thread is left behind: it is a daemon, and ends with the process. One that had no turn before the deadline, or only just, hangs
nowhere: those whose turn it was hang, or this host is slow, and so its lines say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from time import monotonic

from operations.health.check import ASKED_S, PROBLEM, WARNING, Check


@dataclass(frozen=True, slots=True)
class Late:
    """The words for a look that has not ended in time."""

    says: str
    remedy: str
    level: str = PROBLEM


@dataclass(slots=True)
class Answer:
    """The checks that a look has found so far."""

    names: tuple[str, ...]
    late: Callable[[Answer], Late]
    checks: list[Check] = field(default_factory=list)
    in_turn: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    failed: BaseException | None = None
    began: float | None = None  # when its turn came
    took_s: float = 0.0  # from then to its end
    over: bool = False  # nobody waits for it any more

    def hangs(self) -> bool:
        """True if it waits longer than any answer may take."""
        return self.began is not None and not self.done.is_set() and monotonic() - self.began >= ASKED_S

    def well(self) -> bool:
        """True if it has ended, and found no problem."""
        return self.done.is_set() and all(check.level != PROBLEM for check in self.checks)


class Round:
    """One examination: starts looks, and gathers what they found until the deadline."""

    def __init__(self, seconds: float, at_once: int) -> None:
        """`at_once`: looks of those that take turns."""
        self.seconds = seconds
        self._slots = threading.Semaphore(at_once)
        self._until = monotonic() + seconds
        self._answers: list[Answer] = []

    def start(
        self,
        names: tuple[str, ...],
        look: Callable[[], Iterable[Check]],
        late: Callable[[Answer], Late] | None = None,
        *,
        in_turn: bool = False,
    ) -> Answer:
        """Begin a look that makes the lines `names`, at once or `in_turn`; `late` is of those that it does not make in time."""
        answer = Answer(names, late or self.late, in_turn=in_turn)
        self._answers.append(answer)

        def run() -> None:
            try:
                with self._slots if in_turn else nullcontext():
                    answer.began = monotonic()
                    for check in look():
                        answer.checks.append(check)
            except BaseException as error:  # told by `gather`, in the thread that can tell it
                answer.failed = error
            finally:
                answer.took_s = monotonic() - (answer.began or monotonic())
                answer.done.set()

        threading.Thread(target=run, name=f"doctor: {names[0]}", daemon=True).start()
        return answer

    def put(self, checks: Sequence[Check]) -> None:
        """The lines of a look that was made before."""
        answer = Answer((), self.late, list(checks))
        answer.done.set()
        self._answers.append(answer)

    def wait(self, answer: Answer, seconds: float | None = None) -> bool:
        """True if the look ends before the deadline, and within `seconds`."""
        left = max(0.0, self._until - monotonic())
        return answer.done.wait(left if seconds is None else min(left, seconds))

    def give_up(self, answer: Answer) -> None:
        """Wait for this look no longer: what it has not made by now is late."""
        answer.over = True

    def end(self, *closes: Callable[[], None]) -> None:
        """Call what ends the looks' connections once none of them needs it; nobody waits for looks that hang."""

        def run() -> None:
            for answer in self._answers:
                answer.done.wait()
            for close in closes:
                close()

        if all(answer.done.is_set() for answer in self._answers):
            run()
        else:
            threading.Thread(target=run, name="doctor: closing", daemon=True).start()

    def gather(self) -> list[Check]:
        """Every line, in the order in which the looks began; a bug in a look is raised here."""
        found: list[Check] = []
        for answer in self._answers:
            ended = answer.done.is_set() if answer.over else self.wait(answer)
            if answer.failed is not None:
                raise answer.failed
            made = list(answer.checks)
            found += made
            if not ended:
                found += _missing(answer, {check.name for check in made})
        return found

    def slow(self) -> Late:
        """The words for a look that this host was too slow for: slow is not broken."""
        says = f"could not be looked at within {self.seconds:.1f} s: this host is slow, or has much to do just now"
        return Late(says, "look again, by `orders doctor`", WARNING)

    def late(self, answer: Answer) -> Late:
        """The words for a look that hangs, or had no time to be answered."""
        if answer.hangs():
            return Late(
                f"gave no answer within {monotonic() - (answer.began or 0.0):.1f} s",
                "something holds it up: see the lines `locks` and `database transactions`, mend those, and look again",
            )
        if answer.in_turn and answer.began is None and any(each.in_turn and each.hangs() for each in self._answers):
            return Late("had no turn: other looks hang", "mend what those say first; then look again", WARNING)
        return self.slow()


def _missing(answer: Answer, made: set[str]) -> list[Check]:
    """A line for the first thing that a look did not come to: it hangs there, and the rest is not known."""
    late = answer.late(answer)
    missing = [name for name in answer.names if name not in made] or [answer.names[-1]]
    rest = f"; not looked at: {', '.join(missing[1:])}" if missing[1:] else ""
    return [Check(missing[0], late.level, f"{late.says}{rest}", late.remedy)]
