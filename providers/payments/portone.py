"""PortOne V2: its webhooks, and the API that they point to.

Webhooks are developers.portone.io/opi/ko/integration/webhook/readme-v2, version 2024-04-25: signed as Standard
Webhooks, and thin: a type, a time, and ids. They are kept as `portone.<type>`; amounts come from
`GET /payments/{paymentId}` (developers.portone.io/api/rest-v2/payment), where they are int64 in the currency's
minor units (`portone_rules`) and `amount.total` counts what card companies and PortOne add as discounts, which the shop is paid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from events.envelope import EnvelopeError
from events.field_types import Currency, Text
from events.money import MoneyError
from providers.base import Ability, NoAnswer, NotTold, Payment, PaymentLookup, Provider, ReceivedWebhook, with_secrets
from providers.http_client import HttpClient, Time, payment_not_found
from providers.payments import standard_webhooks
from providers.payments.portone_rules import UNITS
from providers.webhook_verification import a_name, an_object, document, envelope
from settings.fields import Setting, Values, base64_secrets, http_url, text

if TYPE_CHECKING:
    import httpx

SOURCE = "portone"
SECRETS = Setting(
    "ORDERS_PORTONE_SECRETS", "", "PortOne's webhook secrets (whsec_…), comma-separated", base64_secrets,
    secret=True, example="whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
)  # fmt: skip
API_KEY = Setting(
    "ORDERS_PORTONE_API_KEY", None, "PortOne's V2 API secret; without it amounts are the orders' own", text,
    secret=True, example="test_secret",
)  # fmt: skip
API_URL = Setting(
    "ORDERS_PORTONE_API_URL", "https://api.portone.io", "where PortOne's API is asked", http_url, url=True
)
PARTIAL = "Transaction.PartialCancelled"
# What the API may still say of a payment while its webhook is here already. That one is signed, so the API is asked
# again until it knows. What contradicts the webhook instead (FAILED, for a Paid), or came after it, is the API's to say.
_OPEN = ("READY", "PAY_PENDING", "VIRTUAL_ACCOUNT_ISSUED")
BEHIND = {
    "Transaction.Paid": _OPEN,
    "Transaction.Failed": _OPEN,
    PARTIAL: (*_OPEN, "PAID"),
    "Transaction.Cancelled": (*_OPEN, "PAID", "PARTIAL_CANCELLED"),
}
# Types that may move an order, and so are asked for. The others (Ready, VirtualAccountIssued, PayPending,
# CancelPending, disputes, billing keys …) are kept and ignored.
ASKED = tuple(BEHIND)
KEPT = ("storeId", "paymentId", "transactionId", "cancellationId", "billingKey")  # ids; never whom they belong to


def receive(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> ReceivedWebhook:
    """A webhook under its own name, to be asked for where it may move an order.

    Raises BadSignature, or EnvelopeError where it is none of PortOne's.
    """
    own_id = standard_webhooks.verify(body, headers, secrets, now, SOURCE)
    note = document(body)
    kind = note.get("type")
    if not isinstance(kind, str):
        raise EnvelopeError("type", "is missing; choose the webhook version 2024-04-25 in PortOne's console")
    about = an_object(note, "data")
    data = {name: value for name in KEPT if (value := a_name(about.get(name)))}
    if kind in ASKED and "paymentId" not in data:
        raise EnvelopeError("data.paymentId", "is missing; it must be a text of at most 255 characters")
    return ReceivedWebhook(
        envelope(SOURCE, own_id, f"{SOURCE}.{kind}", _time(note.get("timestamp")), data), thin=kind in ASKED
    )


def _time(value: Any) -> datetime:
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            raise ValueError
        return time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise EnvelopeError("timestamp", "must be an RFC 3339 time such as 2026-11-01T09:30:00.000Z") from None


# -- asking --------------------------------------------------------------------------------------------------

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


class _Cancellation(BaseModel):
    id: str | None = None
    status: str | None = None
    cancelledAt: Time | None = None  # noqa: N815


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


class PortOne:
    """PortOne's API: a `PaymentLookup`. May be shared by threads."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        timeout: float | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = HttpClient(
            SOURCE, base_url, {"Authorization": f"PortOne {api_key}"}, timeout, transport, unknown=payment_not_found
        )

    def ask(self, kind: str, time: datetime, data: Mapping[str, Any]) -> Payment:
        """The state of the payment now, whatever the webhook said; NoAnswer while the API does not know of that yet."""
        payment_id, told = data["paymentId"], kind.removeprefix(f"{SOURCE}.")
        try:
            found = self._http.get(f"/payments/{quote(payment_id, safe='')}", _Payment)
        except NotTold as error:  # the webhook was signed, so it is the API that is late, or another shop's
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
        return _standing(found, time)


class PortOneUnasked:
    """The webhook's bare word, without amounts, where no API key is set. A `PaymentLookup`."""

    def ask(self, kind: str, time: datetime, data: Mapping[str, Any]) -> Payment:
        """The state that the webhook alone tells; NotTold of a partial cancellation, whose amount nobody knows."""
        payment_id = data["paymentId"]
        if kind.endswith(".Paid"):
            return Payment(payment_id, captured_at=time)
        if kind.endswith(".Failed"):
            return Payment(payment_id, ended="PaymentFailed", ended_at=time)
        if kind.endswith(".Cancelled"):
            return Payment(payment_id, refunded_at=time, ended="PaymentCanceled", ended_at=time)
        raise NotTold("portone tells no amount of a partial cancellation; set ORDERS_PORTONE_API_KEY, then ask again")


def _lookup(values: Values) -> PaymentLookup:
    return PortOne(values[API_URL], values[API_KEY]) if values.has(API_KEY) else PortOneUnasked()


PROVIDER = Provider(
    name=SOURCE,
    kind="payments",
    title="PortOne V2",
    settings=(SECRETS, API_KEY, API_URL),
    receives=Ability(with_secrets(receive, SECRETS), needs=(SECRETS,)),
    looks_up=Ability(_lookup, needs=(SECRETS,)),
    note="signed, and says only where to look",
)


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
        awaits_deposit=found.status == "VIRTUAL_ACCOUNT_ISSUED",
    )


def _major(units: int, currency: str) -> Decimal:
    try:
        return UNITS.money(units, currency).amount
    except MoneyError as error:
        raise NoAnswer(f"{SOURCE}: {error}") from error


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)
