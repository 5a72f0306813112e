"""Toss Payments' API: how payments stand, cancellations, which are its refunds, and what happened in a time.

“결제 조회” and “결제 취소” of docs.tosspayments.com/reference. A cancellation names what can still be canceled
(`refundableAmount`, which its errors know as NOT_MATCHES_REFUNDABLE_AMOUNT), so that one which does not know of another is
refused and not added to it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, Field, RootModel

from events.field_types import Amount, Currency, Text
from providers.base import NoAnswer, NotTold, Page, Payment, RefundUnknown
from providers.http_client import HttpClient, Time, payment_not_found
from providers.movements import RefundMovement, RefundRequest, reference_in
from providers.payments.toss_rules import RULES, STATUSES
from providers.refund_rules import RefundRules
from providers.webhook_verification import a_name

if TYPE_CHECKING:
    import httpx

SOURCE = "toss"
DEPOSIT = "DEPOSIT_CALLBACK"
PAGE = 100  # transactions of one answer
REMARK = "its API tells of no disputes: look at them on its own pages"
KST = timezone(timedelta(hours=9))
STEP = Decimal("0.01")  # of an amount there: cents of USD; KRW and JPY have none
NOISE = Decimal("0.000001")  # of a binary float that was written out; no step is as small
MOST = Decimal(10**14)  # beyond what an amount may be

ENDS: dict[str, Literal["PaymentFailed", "PaymentCanceled"]] = {
    "ABORTED": "PaymentFailed",
    "CANCELED": "PaymentCanceled",
    "EXPIRED": "PaymentCanceled",  # nobody paid within the half hour
}


def _korean(value: Any) -> Any:
    """A time without a zone is Korean."""
    return f"{value}+09:00" if isinstance(value, str) and re.fullmatch(r"[0-9-]{10}T[0-9:.]+", value) else value


def _to_the_step(value: Any) -> Any:
    """An amount without the noise of a float: 10.299999999999999 is 10.30, and 10.305 stays what it is."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return value
    near = value.quantize(STEP) if abs(value) < MOST else value
    return near if abs(value - near) <= NOISE else value


_Amount = Annotated[Amount, BeforeValidator(_to_the_step)]
_KoreanTime = Annotated[Time, BeforeValidator(_korean)]


class _Cancel(BaseModel):
    canceledAt: Time | None = None  # noqa: N815 -- as on the wire
    cancelAmount: _Amount | None = None  # noqa: N815
    taxFreeAmount: _Amount | None = None  # noqa: N815
    cancelReason: str | None = None  # noqa: N815
    cancelStatus: str | None = None  # noqa: N815
    transactionKey: str | None = None  # noqa: N815


class _Failure(BaseModel):
    code: Text | None = None
    message: Text | None = None


class _VirtualAccount(BaseModel):
    dueDate: _KoreanTime | None = None  # noqa: N815


class _Receipt(BaseModel):
    url: Annotated[str, Field(max_length=2000)] | None = None


class _Payment(BaseModel):
    paymentKey: Annotated[str, Field(min_length=1, max_length=255)]  # noqa: N815
    orderId: str  # noqa: N815
    status: str
    currency: Currency
    totalAmount: _Amount  # noqa: N815
    balanceAmount: _Amount  # noqa: N815
    requestedAt: Time  # noqa: N815
    approvedAt: Time | None = None  # noqa: N815
    cancels: list[_Cancel] | None = None
    failure: _Failure | None = None
    receipt: _Receipt | None = None
    method: Annotated[str, Field(max_length=255)] | None = None
    secret: str | None = None
    virtualAccount: _VirtualAccount | None = None  # noqa: N815


class _Transaction(BaseModel):
    transactionKey: Annotated[str, Field(min_length=1, max_length=64)]  # noqa: N815
    paymentKey: Annotated[str, Field(min_length=1, max_length=255)]  # noqa: N815
    orderId: str  # noqa: N815
    status: str
    amount: _Amount
    currency: Currency
    transactionAt: Time  # noqa: N815
    method: Annotated[str, Field(max_length=255)] | None = None


class _Transactions(RootModel[list[_Transaction]]):
    """One page of `GET /v1/transactions`."""


class Toss:
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
        basic = b64encode(f"{api_key}:".encode()).decode()
        self._http = HttpClient(
            SOURCE, base_url, {"Authorization": f"Basic {basic}"}, timeout, transport, unknown=payment_not_found
        )

    def ask(self, kind: str, time: datetime, data: Mapping[str, Any]) -> Payment:
        """The state of the payment now, whatever the webhook said; NotTold where a deposit's secret is another's."""
        key = data.get("paymentId")
        path = (
            f"/v1/payments/{quote(key, safe='')}" if key else f"/v1/payments/orders/{quote(data['orderId'], safe='')}"
        )
        found = self._http.get(path, _Payment)
        if key not in (None, found.paymentKey) or data.get("orderId") not in (None, found.orderId):
            raise NotTold(f"{SOURCE} answers about another payment than {path}: what told us of it was made up")
        if kind.endswith(DEPOSIT) and not hmac.compare_digest(digest(found.secret or ""), data["secretDigest"]):
            raise NotTold(f"the secret that came with it is not that of payment {found.paymentKey}: it was made up")
        return _standing(found, time)

    # -- refunds

    def refund(self, request: RefundRequest) -> RefundMovement:
        """Cancel a part of a payment, once per id; the reason ends in the id. Raises RefundError only."""
        money = request.amount
        body: dict[str, Any] = {"cancelReason": request.reason_with_id, "cancelAmount": _number(money.amount)}
        if money.currency != "KRW":
            body["currency"] = money.currency
        for name, part in (("taxFreeAmount", request.tax_free), ("refundableAmount", request.refundable)):
            if part is not None:
                body[name] = _number(part)
        if account := request.account:
            known = {"bank": account.bank, "accountNumber": account.number, "holderName": account.holder_name}
            body["refundReceiveAccount"] = known
        path = f"/v1/payments/{quote(request.payment_id, safe='')}/cancel"
        found = self._http.refund(path, body, _Payment, {"Idempotency-Key": request.id}, self.rules)
        for made in _movements(found):
            if made.reference == request.id:
                return made
        raise RefundUnknown(f"{SOURCE}: its answer does not show cancellation {request.id} of {request.payment_id}")

    def refunds(self, payment_id: str) -> Sequence[RefundMovement]:
        """All cancellations of a payment. Raises RefundUnknown only."""
        found = self._http.known(f"/v1/payments/{quote(payment_id, safe='')}", _Payment)
        if found is not None and found.paymentKey != payment_id:
            raise RefundUnknown(f"{SOURCE}: an answer about another payment than {payment_id}")
        return _movements(found) if found is not None else []

    # -- listing

    def page(self, since: datetime, until: datetime, after: str | None) -> Page:
        """A page of transactions of that time: payments, and what changed of them.

        `GET /v1/transactions` (“거래 조회”), whose `startingAfter` is the last key of the page before. A transaction that is
        DONE says all of a payment; any other is asked for, once a page, since it tells no balance.
        """
        dates = {
            name: time.astimezone(KST).strftime("%Y-%m-%dT%H:%M:%S")
            for name, time in (("startDate", since), ("endDate", until))
        }
        query = {**dates, "limit": str(PAGE), **({"startingAfter": after} if after else {})}
        listed = self._http.get("/v1/transactions", _Transactions, query).root
        whole = {each.paymentKey for each in listed if each.status == "DONE"}
        changed = dict.fromkeys(each.paymentKey for each in listed if each.status != "DONE")
        payments = [_approved(each) for each in listed if each.status == "DONE" and each.paymentKey not in changed]
        movements: list[RefundMovement] = []
        for key in changed:
            found = self.about(key)
            if found is None:
                raise NoAnswer(f"{SOURCE} lists a transaction of payment {key}, and does not know that payment")
            payments += found.payments
            movements += found.movements
        more = len(listed) == PAGE and bool(whole or changed)
        return Page(
            payments, movements, after=listed[-1].transactionKey if more else None, remark=None if more else REMARK
        )

    def about(self, payment_id: str) -> Page | None:
        """A payment with its cancellations; None where the shop has none of that key."""
        try:
            found = self._http.get(f"/v1/payments/{quote(payment_id, safe='')}", _Payment)
        except NotTold:
            return None
        if found.paymentKey != payment_id:
            raise NoAnswer(f"{SOURCE}: an answer about another payment than {payment_id}")
        try:
            return Page((_standing(found, found.requestedAt.astimezone(UTC)),), _movements(found))
        except RefundUnknown as error:
            raise NoAnswer(str(error)) from error


def digest(secret: str) -> str:
    """The part of a payment's secret that is kept: enough to know it again, never the secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _number(amount: Decimal) -> int | float:
    """An amount as Toss writes it, in major units; a float of two decimals says what it should."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _movements(found: _Payment) -> list[RefundMovement]:
    made = []
    for each in found.cancels or ():
        status = STATUSES.get(each.cancelStatus or "DONE")  # absent in versions before 2022-11-16
        if status is None or each.cancelAmount is None or each.transactionKey is None:
            raise RefundUnknown(
                f"{SOURCE}: a cancellation of {found.paymentKey} in another shape: {each.cancelStatus!r}"
            )
        time = (each.canceledAt or found.requestedAt).astimezone(UTC)
        made.append(
            RefundMovement(
                each.transactionKey,
                found.paymentKey,
                each.cancelAmount,
                status,
                time,
                reference_in(each.cancelReason),
                tax_free=each.taxFreeAmount,
            )
        )
    return made


def _listed(found: _Payment) -> tuple[RefundMovement, ...] | None:
    """All cancellations of a payment; None where it has a sum of them and no list, or one without keys."""
    keys = [each.transactionKey for each in found.cancels or ()]
    if None in keys or (found.totalAmount != found.balanceAmount and not keys):
        return None
    try:
        return tuple(_movements(found))
    except RefundUnknown as error:
        raise NoAnswer(str(error)) from error


def _approved(told: _Transaction) -> Payment:
    """A payment of which the approval is all that happened."""
    return Payment(
        told.paymentKey,
        order_number=a_name(told.orderId),
        currency=told.currency,
        captured_at=told.transactionAt.astimezone(UTC),
        captured=told.amount,
        method=told.method or None,
    )


def _standing(found: _Payment, told_at: datetime) -> Payment:
    """Money came where it was approved and is DONE or was canceled since: `approvedAt` tells those from before."""
    came = found.approvedAt if found.status in ("DONE", "CANCELED", "PARTIAL_CANCELED") else None
    waits = found.status == "WAITING_FOR_DEPOSIT"
    until = found.virtualAccount.dueDate if found.virtualAccount else None
    back = found.totalAmount - found.balanceAmount if came and found.status != "DONE" else Decimal(0)
    canceled_at = max((c.canceledAt for c in found.cancels or () if c.canceledAt), default=told_at)
    failure = found.failure or _Failure()
    return Payment(
        found.paymentKey,
        order_number=a_name(found.orderId),
        currency=found.currency,
        captured_at=came.astimezone(UTC) if came else None,
        captured=found.totalAmount if came else None,
        refunded_at=canceled_at.astimezone(UTC) if back > 0 else None,
        refunded=back if back > 0 else None,
        ended=ENDS.get(found.status),
        ended_at=canceled_at.astimezone(UTC) if found.status == "CANCELED" else told_at,
        code=failure.code or (found.status if found.status in ("ABORTED", "EXPIRED") else None),
        message=failure.message,
        method=found.method or None,
        receipt_url=found.receipt.url if found.receipt else None,
        pending="awaiting_deposit" if waits else None,
        pending_at=found.requestedAt.astimezone(UTC) if waits else None,
        pending_until=until.astimezone(UTC) if waits and until else None,
        expected=found.totalAmount if waits else None,
        movements=_listed(found) if came else None,
    )
