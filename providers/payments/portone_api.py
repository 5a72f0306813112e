"""PortOne's V2 API: how payments stand, cancellations, which are its refunds, and what happened in a time.

By httpx, and not by PortOne's own package (`portone-server-sdk`): that one sends no Idempotency-Key with a cancellation,
so that a request whose answer was lost could not be repeated. A cancellation names what can still be canceled
(`currentCancellableAmount`), so that one which does not know of another is refused and not added to it.

Amounts are int64 in units (`portone_rules`); `amount.total` counts what card companies and PortOne add as discounts,
which the shop is paid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

import orjson
from pydantic import BaseModel, Field

from events.field_types import Currency, Text
from events.money import Money, MoneyError
from providers.base import DisputeNotice, NoAnswer, NotTold, Page, Payment, PendingKind, RefundUnknown
from providers.http_client import HttpClient, Time, payment_not_found
from providers.movements import Dispute, RefundMovement, RefundRequest, reference_in
from providers.payments.portone_rules import RULES, STATUSES, UNITS
from providers.refund_rules import RefundRules

if TYPE_CHECKING:
    import httpx

SOURCE = "portone"
PAGE = 100  # payments of one answer
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # where PortOne says no time
PARTIAL = "Transaction.PartialCancelled"
# What the API may still say of a payment while its webhook is here already. That one is signed, so the API is asked
# again until it knows. What contradicts the webhook instead (FAILED, for a Paid), or came after it, is the API's to say.
_OPEN = ("READY", "PAY_PENDING", "VIRTUAL_ACCOUNT_ISSUED")
_PENDING: dict[str, PendingKind] = {"PAY_PENDING": "processing", "VIRTUAL_ACCOUNT_ISSUED": "awaiting_deposit"}
DISPUTES = {"Transaction.DisputeCreated": False, "Transaction.DisputeResolved": True}  # whether it is resolved
BEHIND = {
    **dict.fromkeys(DISPUTES, _OPEN),
    "Transaction.PayPending": ("READY",),
    "Transaction.VirtualAccountIssued": ("READY",),
    "Transaction.Paid": _OPEN,
    "Transaction.Failed": _OPEN,
    PARTIAL: (*_OPEN, "PAID"),
    "Transaction.Cancelled": (*_OPEN, "PAID", "PARTIAL_CANCELLED"),
}


Units = Annotated[int, Field(ge=0, le=10**15)]


class _Amount(BaseModel):
    total: Units
    cancelled: Units = 0


class _Failure(BaseModel):
    reason: Text | None = None
    pgCode: Text | None = None  # noqa: N815 -- as on the wire
    pgMessage: Text | None = None  # noqa: N815


class _Method(BaseModel):
    type: Annotated[str, Field(max_length=100)]
    expiredAt: Time | None = None  # noqa: N815 -- of a virtual account: until when it takes a deposit


class _Cancellation(BaseModel):
    id: str | None = None
    status: str | None = None
    totalAmount: Units | None = None  # noqa: N815
    taxFreeAmount: Units | None = None  # noqa: N815
    vatAmount: Units | None = None  # noqa: N815
    reason: str | None = None
    requestedAt: Time | None = None  # noqa: N815
    cancelledAt: Time | None = None  # noqa: N815


class _Dispute(BaseModel):
    status: Literal["UNRESOLVED", "RESOLVED"]
    reason: Text | None = None
    createdAt: Time  # noqa: N815
    resolvedAt: Time | None = None  # noqa: N815
    pgDisputeId: Annotated[str, Field(min_length=1, max_length=255)] | None = None  # noqa: N815


class _Payment(BaseModel):
    id: str
    status: str
    amount: _Amount
    currency: Currency
    statusChangedAt: Time | None = None  # noqa: N815
    requestedAt: Time | None = None  # noqa: N815
    paidAt: Time | None = None  # noqa: N815
    failedAt: Time | None = None  # noqa: N815
    cancelledAt: Time | None = None  # noqa: N815
    failure: _Failure | None = None
    method: _Method | None = None
    receiptUrl: Annotated[str, Field(max_length=2000)] | None = None  # noqa: N815
    cancellations: list[_Cancellation] = []
    disputes: list[_Dispute] = []  # told of a payment that is PAID alone


class _Canceled(BaseModel):
    cancellation: _Cancellation


class _Page(BaseModel):
    items: list[_Payment]


class PortOne:
    """A `PaymentLookup`, `RefundClient` and `PaymentListing`. May be shared by threads."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        timeout: float | None = None,
        *,
        rules: RefundRules = RULES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.rules = rules
        self._http = HttpClient(
            SOURCE, base_url, {"Authorization": f"PortOne {api_key}"}, timeout, transport, unknown=payment_not_found
        )

    def ask(self, kind: str, time: datetime, data: Mapping[str, Any]) -> Payment:
        """The state of the payment now, whatever the webhook said; NoAnswer while the API does not know of that yet."""
        payment_id, told = data["paymentId"], kind.removeprefix(f"{SOURCE}.")
        try:
            found = self._http.get(f"/payments/{quote(payment_id, safe='')}", _Payment)
        except NotTold as error:
            if told not in BEHIND:  # no webhook: we ask of ourselves
                raise
            # the webhook was signed, so it is the API that is late, or another shop's
            raise NoAnswer(
                f"{SOURCE}: its API does not know payment {payment_id}, whose webhook said {told}; where that lasts, "
                "ORDERS_PORTONE_API_KEY is not that of the shop which signs with ORDERS_PORTONE_SECRETS"
            ) from error
        if found.id != payment_id:
            raise NoAnswer(f"{SOURCE}: an answer about another payment than {payment_id}")
        if found.status in BEHIND.get(told, ()) and (found.statusChangedAt or time) <= time:
            raise NoAnswer(
                f"{SOURCE}: its API still says {found.status} of payment {payment_id}, whose webhook said {told}; "
                "where that lasts, see PortOne's console"
            )
        if told == PARTIAL and _lacks(found, data.get("cancellationId")):
            raise NoAnswer(
                f"{SOURCE}: its API does not show cancellation {data['cancellationId']} of payment {payment_id} yet, "
                f"whose webhook said {told}; where that lasts, see PortOne's console"
            )
        standing = _standing(found, time)
        # The API tells of disputes while a payment is PAID, and no longer once a part of it went back.
        return standing if standing.disputes else replace(standing, disputes=dispute_notices(told, time))

    # -- refunds

    def refund(self, request: RefundRequest) -> RefundMovement:
        """Cancel a part of a payment, once per id; the reason ends in the id. Raises RefundError only."""
        currency = request.amount.currency
        body: dict[str, Any] = {"reason": request.reason_with_id, "amount": UNITS.units(request.amount)}
        for name, part in (
            ("taxFreeAmount", request.tax_free),
            ("vatAmount", request.vat),
            ("currentCancellableAmount", request.refundable),
        ):
            if part is not None:
                body[name] = UNITS.units(Money(part, currency))
        if account := request.account:
            body["refundAccount"] = {"bank": account.bank, "number": account.number, "holderName": account.holder_name}
            if account.holder_phone:
                body["refundAccount"]["holderPhoneNumber"] = account.holder_phone
        path = f"/payments/{quote(request.payment_id, safe='')}/cancel"
        made = self._http.refund(path, body, _Canceled, {"Idempotency-Key": request.id}, self.rules)
        return _movement(request.payment_id, currency, made.cancellation)

    def refunds(self, payment_id: str) -> Sequence[RefundMovement]:
        """All cancellations of a payment. Raises RefundUnknown only."""
        found = self._http.known(f"/payments/{quote(payment_id, safe='')}", _Payment)
        if found is None:
            return []
        if found.id != payment_id:
            raise RefundUnknown(f"portone: an answer about another payment than {payment_id}")
        return [_movement(payment_id, found.currency, each) for each in found.cancellations]

    # -- listing

    def page(self, since: datetime, until: datetime, after: str | None) -> Page:
        """A page of payments whose state changed in that time, with their cancellations and disputes.

        By `GET /payments`; its body stands in the query (“GET 요청 시 body 대신 query 사용하기”). Numbered pages would lose a
        payment for each that changes meanwhile, and so leaves the time in question. So the next page begins at the last
        state's time (`after`: TIME NUMBER); only where a whole page has one time the number goes on.
        """
        begin, _, number = (after or f"{since.astimezone(UTC).isoformat()} 0").partition(" ")
        asked = {
            "page": {"number": int(number), "size": PAGE},
            "filter": {
                "from": begin,
                "until": until.astimezone(UTC).isoformat(),
                "timestampType": "STATUS_CHANGED_AT",
                "sortBy": "STATUS_CHANGED_AT",
                "sortOrder": "ASC",
            },
        }
        found = self._http.get("/payments", _Page, {"requestBody": orjson.dumps(asked).decode()}).items
        told = _page(found, since)
        if len(found) < PAGE:
            return told
        last = found[-1].statusChangedAt
        if last is None or last <= datetime.fromisoformat(begin):
            return replace(told, after=f"{begin} {int(number) + 1}")
        return replace(told, after=f"{last.astimezone(UTC).isoformat()} 0")

    def about(self, payment_id: str) -> Page | None:
        """A payment with its cancellations and disputes; None where the store has none of that name."""
        try:
            found = self._http.get(f"/payments/{quote(payment_id, safe='')}", _Payment)
        except NotTold:
            return None
        if found.id != payment_id:
            raise NoAnswer(f"{SOURCE}: an answer about another payment than {payment_id}")
        page = _page([found], found.statusChangedAt or found.requestedAt or EPOCH)
        # Of a payment that is not PAID, no dispute is told: that is no word that there was none.
        return page if found.status == "PAID" else replace(page, disputes=None)


def _page(found: Sequence[_Payment], told_at: datetime) -> Page:
    """Payments with their cancellations and disputes; one is told as it is told later."""
    try:
        return Page(
            [_standing(each, each.statusChangedAt or told_at) for each in found],
            [_movement(each.id, each.currency, made) for each in found for made in each.cancellations],
            [_dispute(each.id, told) for each in found for told in each.disputes],
        )
    except RefundUnknown as error:
        raise NoAnswer(str(error)) from error


def _dispute(payment_id: str, told: _Dispute) -> Dispute:
    """A dispute; PortOne tells that one has ended, and not how, nor its amount."""
    outcome: Literal["open"] | None = "open" if told.status == "UNRESOLVED" else None
    return Dispute(
        told.pgDisputeId or payment_id, payment_id, None, outcome, told.createdAt.astimezone(UTC), told.reason
    )


def dispute_notices(kind: str, time: datetime) -> tuple[DisputeNotice, ...]:
    """The notices of a dispute that a webhook of that kind is by itself."""
    return (DisputeNotice(time, DISPUTES[kind]),) if kind in DISPUTES else ()


def _disputes(found: _Payment) -> tuple[DisputeNotice, ...]:
    begun = [DisputeNotice(each.createdAt.astimezone(UTC), False, each.reason) for each in found.disputes]
    ended = [DisputeNotice(each.resolvedAt.astimezone(UTC), True) for each in found.disputes if each.resolvedAt]
    return (*begun, *ended)


def _lacks(found: _Payment, cancellation_id: str | None) -> bool:
    """Whether the amounts are of before this partial cancellation: the status alone says so of the first one only."""
    if found.status != "PARTIAL_CANCELLED" or cancellation_id is None:
        return False
    listed = [each for each in found.cancellations if each.id is not None]
    return bool(listed) and not any(each.id == cancellation_id and each.status != "REQUESTED" for each in listed)


def _standing(found: _Payment, told_at: datetime) -> Payment:
    changed = found.statusChangedAt or told_at
    captured = refunded = None
    refunded_at = None
    ended: Literal["PaymentFailed", "PaymentCanceled"] | None = None
    ended_at = changed
    captured_at = found.paidAt
    if found.status == "PAID":
        captured_at = captured_at or changed
    elif found.status == "FAILED":
        ended, ended_at, captured_at = "PaymentFailed", found.failedAt or changed, None
    elif found.status == "CANCELLED":
        ended, ended_at = "PaymentCanceled", found.cancelledAt or changed
    if captured_at is not None:
        captured = _major(found.amount.total, found.currency)
        if found.status in ("CANCELLED", "PARTIAL_CANCELLED") and found.amount.cancelled:
            refunded = _major(found.amount.cancelled, found.currency)
            refunded_at = max((c.cancelledAt for c in found.cancellations if c.cancelledAt), default=ended_at)
    failure = found.failure or _Failure()
    return Payment(
        found.id,
        currency=found.currency,
        captured_at=_utc(captured_at),
        captured=captured,
        refunded_at=_utc(refunded_at),
        refunded=refunded,
        ended=ended,
        ended_at=_utc(ended_at),
        code=failure.pgCode,
        message=failure.pgMessage or failure.reason,
        method=found.method.type.removeprefix("PaymentMethod") if found.method else None,
        receipt_url=found.receiptUrl,
        movements=_movements(found) if captured_at is not None else None,
        disputes=_disputes(found),
        **_under_way(found, changed),
    )


def _under_way(found: _Payment, changed: datetime) -> dict[str, Any]:
    """The fields of a payment whose account was issued, or whose end its gateway does not know yet."""
    kind = _PENDING.get(found.status)
    if kind is None:
        return {}
    until = found.method.expiredAt if found.method else None
    expected = _major(found.amount.total, found.currency)
    return {"pending": kind, "pending_at": _utc(changed), "pending_until": _utc(until), "expected": expected}


def _movements(found: _Payment) -> tuple[RefundMovement, ...] | None:
    """All cancellations of a payment; None where it has a sum of them and no list, or one without ids."""
    listed = [each.id for each in found.cancellations]
    if None in listed or (found.amount.cancelled and not listed):
        return None
    try:
        return tuple(_movement(found.id, found.currency, each) for each in found.cancellations)
    except RefundUnknown as error:
        raise NoAnswer(str(error)) from error


def _major(units: int, currency: str) -> Decimal:
    try:
        return UNITS.money(units, currency).amount
    except MoneyError as error:
        raise NoAnswer(f"{SOURCE}: {error}") from error


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)


def _movement(payment_id: str, currency: str, told: _Cancellation) -> RefundMovement:
    """A cancellation as a movement. Raises RefundUnknown where it cannot be read."""
    time = told.requestedAt or told.cancelledAt
    try:
        amount, tax_free, vat = (
            UNITS.money(units or 0, currency).amount for units in (told.totalAmount, told.taxFreeAmount, told.vatAmount)
        )
    except MoneyError as error:
        raise RefundUnknown(f"portone: {error}") from error
    if told.id is None or told.status not in STATUSES or time is None or told.totalAmount is None:
        raise RefundUnknown(f"portone: a cancellation of {payment_id} in another shape, with status {told.status!r}")
    return RefundMovement(
        told.id,
        payment_id,
        amount,
        STATUSES[told.status],
        time.astimezone(UTC),
        reference_in(told.reason),
        tax_free=tax_free,
        vat=vat,
    )
