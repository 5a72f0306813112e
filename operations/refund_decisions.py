"""Decisions of people about money that goes back: asked for, settled by hand, allocated, tried again, released, accepted.

    RefundDecisionError
    ├── RefundAbsent      no refund has this name
    └── RefundConflict    the order or the refund does not stand so that it could be done; `figures` say how it stands

The API and the command line come through here, each within one request (`journal.commands`): the order's row is locked,
then the refund's effect, so that no attempt begins meanwhile. What is decided about sums is an event; what is decided
about attempts (try again, let go) is none, and leaves a row of `audit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, text

from domain.balance import balance
from domain.ids import format_id, fresh, uuid_of
from domain.movements import UNDER_WAY, RefundStatus, plain
from domain.order import BEFORE_PAYMENT, Order
from domain.transaction import BY_HAND, Transaction
from events.errors import OrdersError
from events.money import MoneyError, check
from journal.commands import Request, Step
from operations import acts, audit
from outbound import refunds
from outbound.refund_attempt import IN_DOUBT
from outbound.refund_routes import close_reported
from storage.aggregates import peek
from storage.pg_arrays import array

_NOTHING = Decimal(0)


class RefundDecisionError(OrdersError):
    """This cannot be decided about a refund; nothing was changed."""

    code = "refund_decision"
    remedy = "See `orders refunds list`."


class RefundAbsent(RefundDecisionError):
    """No refund has this name."""

    code = "refund_absent"
    remedy = "Give its id (rfd_…) or the provider's id of it, as `orders refunds list` shows them."
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name}: no refund has this id; `orders refunds list` shows those there are. Nothing was changed"
        )


class RefundConflict(RefundDecisionError):
    """The order or the refund does not stand so that it could be done."""

    code = "refund_conflict"
    remedy = "Do as the message says; it has the figures."
    status = 409

    def __init__(self, message: str, **figures: Any) -> None:
        super().__init__(f"{message}. Nothing was changed")
        self.figures = figures


@dataclass(frozen=True, slots=True)
class Asked:
    """The outcome of asking for a refund: the refunds that go out for it, and what had been given back before."""

    refund_ids: list[str]  # none where what was given back before covers it
    given_back_before: Decimal
    covered: Decimal  # by that, of what was asked for
    currency: str


# -- without a return --------------------------------------------------------------------------------------------

_NEXT_OF = text(
    "select refund_id from effects e where transaction_id = any(cast(:ids as uuid[])) and state <> 'done' order by id"
)


def refundable(order: Order, payment: Transaction | None = None) -> Decimal:
    """The most that may be given back without a return now: of one payment, or of all together.

    What was captured and neither lost nor asked about by a bank, less the larger of what is due back and what went back.
    """
    found = balance(order)
    most = found.captured - found.lost - found.contested - max(found.due, found.given_back)
    if payment is not None:
        lost, contested = payment.in_dispute()
        there = payment.amount if payment.paid_at is not None else _NOTHING
        most = min(most, there - lost - contested - max(payment.refund_target, payment.refunded_amount))
    return max(most, _NOTHING)


def given_back(conn: Connection, order_id: str) -> Decimal:
    """The sum of an order that was given back before, by a provider or by hand."""
    return sum((balance(order).given_back for order in peek(conn, [uuid_of(order_id) or ""]).values()), _NOTHING)


def ask(
    request: Request,
    order: Order,
    amount: Decimal,
    reason: str,
    *,
    by: str,
    payment: Transaction | None = None,
    note: str | None = None,
) -> Asked:
    """Give money back without a return; `order` is locked by the request, which is used up.

    Errors: RefundConflict with the figures where that is more than may go back; MoneyError for an amount that is none.
    """
    check(amount, order.currency or "")
    if amount <= 0:
        raise MoneyError("must be above 0")
    found, most = balance(order), refundable(order, payment)
    if amount > most:
        of = f" of payment {payment.payment_id}" if payment is not None else ""
        currency = order.currency
        raise RefundConflict(
            f"order {order.order_number}: {amount} {currency} is more than the {most} {currency}{of} that may go back: "
            f"{found.captured} were captured, {found.lost} of them lost and {found.contested} contested in disputes, "
            f"{found.due} are due back already, {found.given_back} were given back before",
            refundable=most,
            captured=found.captured,
            lost=found.lost,
            contested=found.contested,
            due=found.due,
            givenBackBefore=found.given_back,
        )
    data = {
        "refund": format_id("refunds", request.will_be("refund")),
        "amount": plain(amount),
        "reason": reason,
        "by": by,
        "paymentId": None if payment is None else payment.payment_id,
        "note": note,
    }
    before = {each.id: each.refund_target for each in order.transactions}
    told = {name: value for name, value in data.items() if value is not None}
    standing, step = audit.standing(order), Step("RefundRequested", order.order_number, told)
    after = request.append(step)[order.id]
    audit.note_event(request, step, standing, after, _actor(request, by))
    raised = [each.id for each in after.transactions if each.refund_target > before.get(each.id, _NOTHING)]
    ids = list(request.conn.execute(_NEXT_OF, {"ids": array(raised, "uuid")}).scalars()) if raised else []
    return Asked(ids, found.given_back, min(amount, max(found.given_back - found.due, _NOTHING)), order.currency or "")


def accept(request: Request, order: Order, amount: Decimal | None, reason: str | None, *, by: str) -> Order:
    """Take an underpayment as enough: `amount`, or what was captured. → the order after it.

    Errors: RefundConflict where nothing, or less than that, was captured, or nothing is missing.
    """
    captured, price = order.captured(), order.price()
    enough = captured if amount is None else amount
    if order.status not in BEFORE_PAYMENT or not 0 < enough <= captured < price:
        raise RefundConflict(
            f"order {order.order_number} is {order.status}: {captured} of {price} {order.currency} were captured, "
            f"and {enough} cannot be accepted as enough; it must be above 0, and no more than what was captured",
            captured=captured,
        )
    data = {"amount": plain(enough), "by": by, "reason": acts.reason_if_said(reason)}
    told = {name: value for name, value in data.items() if value is not None}
    standing, step = audit.standing(order), Step("OrderAccepted", order.order_number, told)
    after = request.append(step)[order.id]
    audit.note_event(request, step, standing, after, _actor(request, by))
    return after


# -- one refund --------------------------------------------------------------------------------------------------

_FIND = """
    select d.*, f.attention, o.order_number, t.payment_id, t.provider, e.id as effect, e.state, e.idempotency_key, e.last_error,
           l.reason as letter, l.detail
    from refund_documents d join orders o on o.id = d.order_id join transactions t on t.id = d.transaction_id
    left join refunds f on f.id = d.id
    left join effects e on e.transaction_id = d.transaction_id
    left join dead_letters l on l.effect_id = e.id and l.state = 'open'
"""
_BY_ID = text(_FIND + " where d.id = cast(:name as uuid)")
_BY_REFERENCE = text(_FIND + " where d.reference = :name order by d.id")
_LOCK = text("select from effects where transaction_id = cast(:id as uuid) for update")
_RECORD = text("""
    insert into refunds (id, order_id, transaction_id, amount, currency, reasons, origin, status, return_id, personal_id,
        settled_method, ended_at)
    select d.id, d.order_id, d.transaction_id, d.amount, d.currency, d.reasons, d.origin, 'canceled', d.return_id,
           d.personal_id, :method, :now
    from refund_documents d where d.id = cast(:id as uuid) and d.effect_id is not null
""")
_AFTERWARDS = text("update effects set refund_id = :next where refund_id = cast(:id as uuid)")
_SETTLED = text(
    "update refunds set settled_method = :method, attention = null, updated_at = now() where id = cast(:id as uuid)"
)
_NEXT_ID = text(
    "select d.id from effects e join refund_documents d on d.id = e.refund_id where e.id = cast(:id as uuid)"
)


def find(conn: Connection, name: str) -> Row[Any]:
    """The refund of that id, ours (rfd_…) or the provider's, with where its payment stands.

    Errors: RefundAbsent; RefundConflict where several providers' refunds have that id.
    """
    rows = conn.execute(_BY_ID, {"name": uuid_of(name)}).all() if uuid_of(name) is not None else []
    rows = rows or list(conn.execute(_BY_REFERENCE, {"name": name}).all())
    if not rows:
        raise RefundAbsent(name)
    if len(rows) > 1:
        ids = ", ".join(format_id("refunds", row.id) for row in rows)
        raise RefundConflict(f"{name} is the id of {len(rows)} refunds: {ids}; give the one that you mean")
    return rows[0]


def settle(request: Request, name: str, method: str, *, by: str, note: str | None = None) -> str:
    """Note that a refund was paid back past the provider, by `method`. → the refund's id.

    Errors: RefundAbsent; RefundConflict while an attempt is in flight or in doubt, and where it went back.
    """
    row, order = _locked(request, name)
    shown = format_id("refunds", row.id)
    if row.settled_method is not None:
        raise RefundConflict(f"{shown} was settled before, by {row.settled_method}", status=row.status)
    if row.status == RefundStatus.SUCCEEDED:
        raise RefundConflict(f"{shown} went back through {row.provider}: there is nothing to settle", status=row.status)
    if row.status not in UNDER_WAY and row.effect_id is None and row.attention is None and _was_followed(row, order):
        raise RefundConflict(
            f"{shown} was tried again, or its money is owed no more: `orders refunds list` shows what is under way; settle that one",
            status=row.status,
        )
    if row.status in UNDER_WAY and (row.effect_id is None or row.idempotency_key is not None):
        raise RefundConflict(
            f"{shown} is on its way, or its end is not known: settle it once {row.provider or 'the provider'} says what "
            "became of it",
            status=row.status,
        )
    if row.letter == IN_DOUBT and row.state == "dead":
        raise RefundConflict(
            f"{shown} may be under way still: ask {row.provider or 'the provider'}; `orders refunds retry {shown}` asks, too",
            status=row.status,
        )
    by_reference = row.reference is not None
    data: dict[str, Any] = {"refund": row.reference if by_reference else shown, "method": method, "by": by}
    if not by_reference:
        data["amount"] = plain(row.amount)
    if note is not None:
        data["note"] = note
    if row.effect_id is not None:  # the refund that was to be made is this one, and ends here
        request.conn.execute(_RECORD, {"id": row.id, "method": method, "now": request.now})
        request.conn.execute(_AFTERWARDS, {"id": row.id, "next": fresh(request.now)})
    request.append(Step("RefundSettled", row.order_number, data))
    _note(request, row, by, "refunds settle", {"settled": method})
    request.conn.execute(_SETTLED, {"id": row.id, "method": method})
    if row.effect is not None:
        close_reported(request.conn, row.effect)
    return str(row.id)


def allocate(request: Request, name: str, reason: str, *, by: str) -> str:
    """Say what a refund was for that somebody made at the provider. → the refund's id.

    Errors: RefundAbsent; RefundConflict where it is ours, or did not go back.
    """
    row, _ = _locked(request, name)
    shown = format_id("refunds", row.id)
    if row.origin == "ours":
        raise RefundConflict(
            f"{shown} is one of ours, and has its reasons; only what was made at the provider is allocated",
            status=row.status,
        )
    if row.status not in (*UNDER_WAY, RefundStatus.SUCCEEDED):
        raise RefundConflict(f"{shown} is {row.status}: nothing went back that could be allocated", status=row.status)
    data = {"refund": row.reference, "reason": reason, "by": by}
    request.append(Step("RefundAllocated", row.order_number, data))
    _note(request, row, by, "refunds allocate", {"allocated": reason})
    return str(row.id)


def retry(request: Request, name: str, *, by: str) -> str:
    """Try a refund again that failed, as a new attempt. → the id of the refund that goes out next.

    Errors: RefundAbsent; RefundConflict where it did not fail, or was settled, or tried again already.
    """
    row, _ = _locked(request, name)
    shown = format_id("refunds", row.id)
    if row.waits_for != "person" or row.state == "staff":
        hint = f"; `orders refunds release {shown}` lets it go" if row.state == "staff" else ""
        raise RefundConflict(f"{shown} is {row.status} and waits for no retry{hint}", status=row.status)
    return _let_go(request, row, by, "refunds retry")


def release(request: Request, name: str, *, by: str) -> str:
    """Let a refund go that waits for a person, as under a dispute. → its id.

    Errors: RefundAbsent; RefundConflict where it does not wait, or the bank has asked for that very money.
    """
    row, order = _locked(request, name)
    shown = format_id("refunds", row.id)
    if row.waits_for != "person" or row.state != "staff":
        hint = f"; `orders refunds retry {shown}` tries it again" if row.waits_for == "person" else ""
        raise RefundConflict(f"{shown} is {row.status} and waits for nobody to release it{hint}", status=row.status)
    payment = next(each for each in order.transactions if each.id == row.transaction_id)
    lost, contested = payment.in_dispute()
    left = payment.amount - lost - contested - payment.refunded_amount
    if row.amount > left:
        raise RefundConflict(
            f"{shown}: {contested} {row.currency} of payment {row.payment_id} are contested and {lost} lost: the bank has that "
            f"money, and {max(left, _NOTHING)} are left. Wait for the dispute's end, or pay it back by hand and settle it",
            contested=contested,
            lost=lost,
        )
    if row.payment_id.startswith(BY_HAND):
        raise RefundConflict(
            f"{shown}: a person noted payment {row.payment_id}, and no provider took it; pay it back by hand, then "
            f"`orders refunds settle {shown} --method HOW`"
        )
    return _let_go(request, row, by, "refunds release")


def _was_followed(row: Row[Any], order: Order) -> bool:
    """True where a later attempt took over what this refund was to give back: it is under way, or nothing is owed."""
    payment = next(each for each in order.transactions if each.id == row.transaction_id)
    return row.idempotency_key is not None or payment.refund_target <= payment.refunded_amount


def _note(request: Request, row: Row[Any], by: str, act: str, after: dict[str, Any]) -> None:
    before = dict.fromkeys(after)
    audit.record(
        request.conn,
        _actor(request, by),
        act,
        format_id("refunds", row.id),
        before=before,
        after=after,
        order=row.order_number,
        detail={"amount": plain(row.amount), "payment": row.payment_id},
    )


def _actor(request: Request, by: str) -> str:
    """The one who did it, for the audit: events call every key `api`, and the request knows which."""
    return request.source if by == "api" else by


def _let_go(request: Request, row: Row[Any], by: str, act: str) -> str:
    if row.effect is None or not refunds.release(request.conn, row.effect, _actor(request, by), act):
        raise RefundConflict(f"{format_id('refunds', row.id)} is tried already", status=row.status)
    following = request.conn.execute(_NEXT_ID, {"id": row.effect}).scalar_one_or_none()
    return str(following or row.id)


def _locked(request: Request, name: str) -> tuple[Row[Any], Order]:
    """The refund as it stands under the locks of its order and of its effect, and the order."""
    row = find(request.conn, name)
    orders = request.lock([row.order_id])
    if row.order_id not in orders:
        raise RefundAbsent(name)
    request.conn.execute(_LOCK, {"id": row.transaction_id})
    return find(request.conn, format_id("refunds", row.id)), orders[row.order_id]
