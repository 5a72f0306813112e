"""Judgement of a page: what differs, what heals by an event, and what waits for a person. Nothing is written here.

A page is one of the provider's list, or one of ours: then each payment that was not seen in that list is asked for by
itself, since a list may lag, or have it in another window. So few are left that this is no question per payment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection

from domain.movements import DISPUTES, LOST, REFUNDS, UNDER_WAY, WON, moment
from outbound.reconciliation import findings, our_side
from outbound.reconciliation.comparison import (
    Difference,
    Ours,
    differences_of_one,
    dispute_difference,
    payment_difference,
    refund_differences,
)
from outbound.reconciliation.kinds import NEXT_STEP, Kind
from outbound.reconciliation.our_side import ARRIVING, DISPUTE, PAYMENT, REFUND
from outbound.reconciliation.remedies import Judged, paid_before, remedies
from providers.base import Page, PaymentListing
from providers.movements import Dispute, RefundMovement

Stage = Literal["theirs", "ours"]
_ZERO = Decimal(0)
NONE_OF = 20  # payments of ours that are unknown there, of a provider that lists none: its account is another


@dataclass(frozen=True, slots=True)
class Position:
    """The place of a comparison in its window: whose list, where in it, and what was counted so far."""

    run_id: str
    provider: str
    since: datetime
    until: datetime
    stage: Stage = "theirs"
    cursor: str | None = None
    counts: Counter[str] = field(default_factory=Counter)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """One page of either list, as it was fetched. `asked`: payments of ours, each with what the provider knows of it."""

    page: Page | None = None
    asked: Sequence[tuple[Ours, Page | None]] = ()
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The end of a page: findings, what was seen and compared, and the place behind it; None: that was the last."""

    judged: Sequence[Judged]
    seen: Sequence[tuple[str, str]]
    compared: Sequence[str]
    after: Position | None
    counts: Counter[str]
    remarks: tuple[str, ...]


def fetch(conn: Connection, client: PaymentListing, at: Position) -> Batch:
    """The next page; `conn` is used before the provider is asked, and left without a transaction. Raises NoAnswer."""
    if at.stage == "theirs":
        conn.rollback()
        page = client.page(at.since, at.until, at.cursor)
        return Batch(page, after=page.after)
    mine, after = our_side.of_time(conn, at.provider, at.since, at.until, at.cursor)
    names = {each.payment_id: _names(each, at) for each in mine}
    seen = our_side.seen_of(conn, at.run_id, [name for found in names.values() for name in found])
    conn.rollback()
    unseen = [each for each in mine if not names[each.payment_id] <= seen]
    return Batch(asked=[(each, client.about(each.payment_id)) for each in unseen], after=after)


def _names(ours: Ours, at: Position) -> set[tuple[str, str]]:
    """All of a payment of ours that the provider must have listed in this time, and what may have come of what was open."""
    since, until = moment(at.since), moment(at.until)

    def within(time: str | None) -> bool:
        return time is not None and since <= time < until

    paid = ours.paid_at is not None and ours.amount > 0 and within(moment(ours.paid_at))
    refunds, disputes = ours.facts.get(REFUNDS, {}), ours.facts.get(DISPUTES, {})
    found = {(PAYMENT, ours.payment_id)} if paid or ours.is_open else set()
    found |= {
        (REFUND, name)
        for name, each in refunds.items()
        if each["status"] in UNDER_WAY or within(each.get("requested") or each["at"][0])
    }
    return found | {
        (DISPUTE, name) for name, each in disputes.items() if each["status"] not in (WON, LOST) or within(each["at"][0])
    }


def judge(conn: Connection, at: Position, batch: Batch, now: datetime) -> Judgement:
    """Judge a page that was fetched, by what our side says now."""
    counts: Counter[str] = Counter()
    seen: list[tuple[str, str]] = []
    if batch.page is not None:
        differences = _of_their_page(conn, at, batch.page, now)
        page, movements, disputes = batch.page, batch.page.movements, batch.page.disputes or ()
        seen = [(PAYMENT, each.payment_id) for each in page.payments]
        seen += [(REFUND, each.refund_id) for each in movements] + [(DISPUTE, each.dispute_id) for each in disputes]
        compared = [name for _, name in seen] + ([at.provider] if page.payments else [])
        counts.update(payments=len(page.payments), refunds=len(movements), disputes=len(disputes))
    else:
        differences = [found for ours, page in batch.asked for found in differences_of_one(ours, page, now)]
        compared = [name for ours, _ in batch.asked for _, name in {(PAYMENT, ours.payment_id), *_names(ours, at)}]
        counts.update(
            asked=len(batch.asked), missing=sum(page is None and not ours.is_open for ours, page in batch.asked)
        )
    judged = findings.unresolved(conn, at.provider, _judged(conn, at.provider, differences))
    counts.update(("healed" if each.state == "healed" else "waiting") for each in judged)
    seen += [(ARRIVING, each.payment_id) for each in differences if each.kind is Kind.PAYMENT_THERE]
    totals = at.counts + counts
    remark = batch.page.remark if batch.page is not None else None
    remarks = at.remarks if remark is None or remark in at.remarks else (*at.remarks, remark)
    after = _behind(at, batch)
    if at.stage == "ours" and not totals["payments"] and totals["missing"] >= NONE_OF and after is not None:
        none = findings.unresolved(conn, at.provider, [_nothing_listed(at, totals)])
        judged, after = [*judged, *none], None
        counts["waiting"] += len(none)
        totals = at.counts + counts
    moved = replace(after, counts=totals, remarks=remarks) if after is not None else None
    return Judgement(judged, seen, compared, moved, totals, remarks)


def _behind(at: Position, batch: Batch) -> Position | None:
    if batch.after is not None:
        return replace(at, cursor=batch.after)
    return replace(at, stage="ours", cursor=None) if at.stage == "theirs" else None


def _of_their_page(conn: Connection, at: Position, page: Page, now: datetime) -> list[Difference]:
    moved: list[RefundMovement | Dispute] = [*page.movements, *(page.disputes or ())]
    mine = our_side.by_name(conn, {each.payment_id for each in (*page.payments, *moved)})
    unknown = [each for each in page.payments if each.payment_id not in mine and each.order_number]
    orders = our_side.orders(conn, {each.order_number for each in unknown if each.order_number})
    payments = [
        payment_difference(each, mine.get(each.payment_id), orders.get(each.order_number or ""), now)
        for each in page.payments
    ]
    found = [each for each in payments if each is not None]
    for payment_id in dict.fromkeys(each.payment_id for each in page.movements if each.payment_id in mine):
        of_one = [each for each in page.movements if each.payment_id == payment_id]
        found += refund_differences(of_one, mine[payment_id], now)
    for dispute in page.disputes or ():
        if dispute.payment_id in mine:
            difference = dispute_difference(dispute, mine[dispute.payment_id], now)
            found += [difference] if difference is not None else []
    strangers = [each for each in moved if each.payment_id not in mine]
    return found + _of_strangers(conn, at, strangers, found, now)


def _of_strangers(
    conn: Connection,
    at: Position,
    moved: Sequence[RefundMovement | Dispute],
    found: Sequence[Difference],
    now: datetime,
) -> list[Difference]:
    """Refunds and disputes of payments that we do not know: of some an event is on its way, the rest is nobody's."""
    if not moved:
        return []
    ids = sorted({each.payment_id for each in moved})
    numbers = {each.payment_id: each.order_number for each in found if each.kind is Kind.PAYMENT_THERE}
    arriving = set(numbers) | paid_before(conn, at.provider, ids)
    arriving |= {name for _, name in our_side.seen_of(conn, at.run_id, [(ARRIVING, each) for each in ids])}
    made: list[Difference | None] = []
    for payment_id in ids:
        of_one = [each for each in moved if each.payment_id == payment_id]
        refunds = [each for each in of_one if isinstance(each, RefundMovement)]
        disputes = [each for each in of_one if isinstance(each, Dispute)]
        nobody = Ours(payment_id, numbers.get(payment_id) or "", at.provider, "", "", _ZERO, None)
        differences = [*refund_differences(refunds, nobody, now)]
        differences += [each for told in disputes if (each := dispute_difference(told, nobody, now)) is not None]
        if payment_id not in arriving:
            differences = [replace(each, kind=Kind.ORDER_UNKNOWN, ours={}, heal=None) for each in differences]
        made += [replace(each, order_number=numbers.get(payment_id)) for each in differences]
    return [each for each in made if each is not None]


def _judged(conn: Connection, provider: str, differences: Sequence[Difference]) -> list[Judged]:
    """Each difference with what is done about it; what was told and is still to be decided is left out."""
    healable = [each for each in differences if each.heal is not None]
    found = dict(zip(map(id, healable), remedies(conn, provider, healable), strict=True))
    judged = []
    for each in differences:
        remedy = found.get(id(each))
        if remedy is None:
            judged.append(Judged(each, "open", next_step(each)))
        elif remedy.problem is not None:
            judged.append(Judged(each, "open", f"{remedy.problem}; look at the provider's own pages"))
        elif (vain := remedy.did_not_help) is not None:
            judged.append(Judged(each, "open", f"{vain}; see `orders given-up list` and `orders parked list`"))
        elif remedy.event is not None and not remedy.is_on_its_way:
            judged.append(Judged(each, "healed", f"{remedy.event.type}, told as {remedy.name}", remedy.event))
    return judged


def next_step(difference: Difference) -> str:
    """The next step of a person, about a difference that no event heals."""
    order = difference.order_number or "ORDER"
    return NEXT_STEP[difference.kind].format(order=order, payment=difference.payment_id)


def _nothing_listed(at: Position, totals: Counter[str]) -> Judged:
    theirs = {"payments": "0"}
    ours = {
        "payments": f"{totals['missing']} and more",
        "since": f"{at.since:%Y-%m-%d}",
        "until": f"{at.until:%Y-%m-%d}",
    }
    difference = Difference(Kind.NOTHING_LISTED, at.provider, at.provider, None, theirs, ours)
    return Judged(difference, "open", next_step(difference))
