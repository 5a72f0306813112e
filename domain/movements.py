"""Refunds and disputes of one payment as its provider tells them: facts of its transaction.

    refunds   id → {at, status, amount?, requested?, failed?, why?}    at: the place of the latest status (place_of)
    reports   [[time, cumulative amount] …], sorted
    disputes  id → {at, status, amount?}                         status: inquiry, open, won, lost, or what else was told

Of two statuses of one refund or dispute the later stands. Times are ISO 8601 texts in UTC, amounts decimal texts in
major units; an `amount`, or the words `why` one failed, is the place that it was told at and itself, the latest stands.
All of it is the same in any order of arrival.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.words import Worded

Facts = dict[str, Any]
REFUNDS, REPORTS, DISPUTES = "refunds", "reports", "disputes"
_NOTHING = Decimal(0)
_FIRST: list[Any] = []  # before every place


class RefundStatus(Worded):
    """Stages of a refund at its provider, in their order; of two at one time the further stands."""

    PENDING = "pending", "made, and on its way"
    REQUIRES_ACTION = "requires_action", "made; the payer has something to do before it arrives"
    SUCCEEDED = "succeeded", "went back"
    CANCELED = "canceled", "taken back before it arrived: that money is owed again"
    FAILED = "failed", "did not arrive: that money is owed again"


UNDER_WAY = frozenset((RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION))
REFUND_RANK = {status: rank for rank, status in enumerate(RefundStatus)}
CAME_TO_NOTHING = frozenset((RefundStatus.CANCELED, RefundStatus.FAILED))
INQUIRY, OPEN, LOST, WON = "inquiry", "open", "lost", "won"
_DISPUTE_RANK = {INQUIRY: -1, LOST: 1, WON: 2}  # whatever else is told leaves it open
_WEIGHT = {LOST: 1, INQUIRY: 2, WON: 3}  # of one that is open: 0


def dispute_rank(outcome: str) -> int:
    """The rank of a dispute of this outcome: an inquiry, open, lost, won."""
    return _DISPUTE_RANK.get(outcome, 0)


def moment(time: datetime) -> str:
    """A time as facts keep it: texts that sort as the times do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def plain(amount: Decimal) -> str:
    """An amount as facts and events keep it: the same text for 10000, 10000.0 and 1E+4."""
    return f"{amount.normalize():f}"


# -- what is told --------------------------------------------------------------------------------------------


def note_refund(
    facts: Facts, name: str, place: list[Any], status: str, amount: Decimal | None, requested: datetime | None
) -> bool:
    """Note what was told of one refund. → whether anything of it stands otherwise than before."""
    refund = facts.setdefault(REFUNDS, {}).setdefault(name, {"at": _FIRST})
    moved = _note_amount(refund, place, amount)
    if requested is not None and moment(requested) < refund.get("requested", "~"):
        refund["requested"] = moment(requested)
        moved = True
    if status in CAME_TO_NOTHING and place[0] < refund.get("failed", "~"):
        refund["failed"] = place[0]
        moved = True
    if refund["at"] < place:
        refund["at"], refund["status"] = place, str(status)
        moved = True
    return moved


def note_why(facts: Facts, name: str, place: list[Any], why: str) -> None:
    """Note in which words the provider told that a refund came to nothing; the latest stand."""
    refund = facts[REFUNDS][name]
    refund["why"] = max(refund.get("why", _FIRST), [*place, why])


def note_report(facts: Facts, time: datetime, total: Decimal) -> bool:
    """Note a cumulative figure of what went back. → whether it is news."""
    reports, report = facts.setdefault(REPORTS, []), [moment(time), plain(total)]
    at = bisect_left(reports, report)
    if reports[at : at + 1] == [report]:
        return False
    reports.insert(at, report)
    return True


def note_dispute(facts: Facts, name: str, place: list[Any], outcome: str, amount: Decimal | None) -> bool:
    """Note a dispute, or how it ended. → whether anything of it stands otherwise than before."""
    dispute = facts.setdefault(DISPUTES, {}).setdefault(name, {"at": _FIRST})
    moved = _note_amount(dispute, place, amount)
    if dispute["at"] < place:
        moved = moved or dispute.get("status") != outcome
        dispute["at"], dispute["status"] = place, outcome
    return moved


def _note_amount(thing: Facts, place: list[Any], amount: Decimal | None) -> bool:
    if amount is None or thing.get("amount", _FIRST) >= [*place, plain(amount)]:
        return False
    thing["amount"] = [*place, plain(amount)]
    return True


# -- what follows --------------------------------------------------------------------------------------------


def refunded(facts: Facts) -> Decimal:
    """The sum that went back: refunds known by id that did not come to nothing, and what no id explains.

    No id explains what a cumulative report exceeds the refunds by that were made by its time and had not failed by
    then; of several reports, the largest such rest.
    """
    refunds = facts.get(REFUNDS)
    reports = facts.get(REPORTS, ())
    if not refunds:
        return max((Decimal(total) for _, total in reports), default=_NOTHING)
    each = list(refunds.values())
    rest = _NOTHING
    for time, total in reports:
        explained = sum((amount_of(one) for one in each if _is_in(one, time)), _NOTHING)
        rest = max(rest, Decimal(total) - explained)
    return rest + sum((amount_of(one) for one in each if goes_back(one)), _NOTHING)


def amount_of(thing: Facts) -> Decimal:
    """The amount of a refund or a dispute, 0 where nobody told it."""
    return Decimal(thing["amount"][-1]) if "amount" in thing else _NOTHING


def goes_back(refund: Facts) -> bool:
    """False once it came to nothing: that money is owed again."""
    return refund["status"] not in CAME_TO_NOTHING


def _is_in(refund: Facts, time: str) -> bool:
    """True where a report of that time has the refund in its sum: made by then, and not failed before."""
    if refund.get("requested", "") > time:
        return False
    failed: str | None = refund.get("failed")
    if failed is None or failed >= time:
        return True
    return goes_back(refund) and bool(refund["at"][0] <= time)


def untried(facts: Facts, settled: Container[str] = ()) -> Decimal:
    """The amount of refunds that came to nothing, but the settled ones, as far as none was made at that time or afterwards."""
    steps = []
    for name, refund in facts.get(REFUNDS, {}).items():
        if not goes_back(refund):
            if name in settled:
                continue
            steps.append((refund["failed"], False, amount_of(refund)))
        elif "requested" in refund:
            steps.append((refund["requested"], True, amount_of(refund)))
    left = _NOTHING
    for _, made, amount in sorted(steps):
        left = max(left - amount, _NOTHING) if made else left + amount
    return left


def in_dispute(facts: Facts, captured: Decimal) -> tuple[Decimal, Decimal]:
    """(lost, contested) of what was captured; a dispute without an amount is about all of it."""
    lost = contested = _NOTHING
    for dispute in facts.get(DISPUTES, {}).values():
        amount = amount_of(dispute) if "amount" in dispute else captured
        rank = dispute_rank(dispute["status"])
        if rank == 1:
            lost += amount
        elif rank == 0:
            contested += amount
    lost = min(lost, captured)
    return lost, min(contested, captured - lost)


def standing(facts: Facts) -> str | None:
    """The dispute that weighs most, as one word: one that is open, else one that was lost, else an inquiry, else won."""
    statuses = [dispute["status"] for dispute in facts.get(DISPUTES, {}).values()]
    return min(statuses, key=lambda status: (_WEIGHT.get(status, 0), status), default=None)
