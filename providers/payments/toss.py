"""Toss Payments: its webhooks, and the API that they are checked against.

Webhooks are docs.tosspayments.com/guides/webhook and /reference/using-api/webhook-events. Those of payments
(PAYMENT_STATUS_CHANGED, DEPOSIT_CALLBACK) are not signed, so that anybody may send one: they are kept as
`toss.<type>` with ids and amounts only, and count nothing before `GET /v1/payments/{paymentKey}`
(docs.tosspayments.com/reference#paymentkey로-결제-조회) has told how the payment stands. So an ABORTED that comes
45 ms behind its DONE, as seen in production, changes nothing in either order of arrival. A signature that is there
(`tosspayments-webhook-signature`, of payouts and sellers) must be right where ORDERS_TOSS_SECRETS are set.
A paymentKey is our paymentId, an orderId our orderNumber. Times without a zone are Korean.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from events.envelope import EnvelopeError
from events.field_types import Amount, Currency, Text
from providers.base import Ability, BadSignature, NotTold, Payment, Provider, ReceivedWebhook, with_secrets
from providers.http_client import HttpClient, Time, payment_not_found
from providers.webhook_verification import a_name, any_matches, check_time, document, envelope
from settings import fields
from settings.fields import Setting

if TYPE_CHECKING:
    import httpx

SOURCE = "toss"
SECRETS = Setting(
    "ORDERS_TOSS_SECRETS", "", "Toss Payments' security keys, for the webhooks that it signs", fields.secrets,
    secret=True, example="security_key_of_the_shop",
)  # fmt: skip
API_KEY = Setting(
    "ORDERS_TOSS_API_KEY", None, "Toss Payments' secret key; its webhooks are asked for with it", fields.text,
    secret=True, example="test_sk",
    about=("Toss signs no payment webhooks: its door opens with the API key, with which each payment is asked for.",),
)  # fmt: skip
API_URL = Setting(
    "ORDERS_TOSS_API_URL",
    "https://api.tosspayments.com",
    "where Toss Payments' API is asked",
    fields.http_url,
    url=True,
)
STATUS_CHANGED, DEPOSIT = "PAYMENT_STATUS_CHANGED", "DEPOSIT_CALLBACK"
KST = timezone(timedelta(hours=9))


def receive(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> ReceivedWebhook:
    """A webhook under its own name, to be asked for where it is about a payment.

    Raises BadSignature where it is signed and wrong, or EnvelopeError where it is none of Toss Payments'.
    """
    _verify(body, headers, secrets, now)
    note = document(body)
    about = note.get("data")
    if "eventType" in note:
        kind = note["eventType"]
        if not isinstance(kind, str) or not isinstance(about, dict):
            raise EnvelopeError("eventType", "must be a text, with a JSON object in data")
    elif {"status", "orderId", "secret"} <= note.keys():
        kind, about = DEPOSIT, note  # the one type that has no eventType
    else:
        raise EnvelopeError("eventType", "is missing; this is no webhook of Toss Payments'")
    number = a_name(about.get("orderId"))
    names = {"paymentId": "paymentKey", "orderId": "orderId", "status": "status", "transactionKey": "transactionKey"}
    data: dict[str, Any] = {ours: value for ours, theirs in names.items() if (value := a_name(about.get(theirs)))}
    for amount in ("totalAmount", "balanceAmount"):
        if isinstance(about.get(amount), int | float):
            data[amount] = about[amount]
    if kind == DEPOSIT:
        data["secretDigest"] = _digest(str(about.get("secret")))
    thin = kind in (STATUS_CHANGED, DEPOSIT)
    if thin and "paymentId" not in data and number is None:
        raise EnvelopeError("data.paymentKey", "is missing, and so is orderId; nothing tells which payment it is")
    # Toss has no id for these: the same transmission, or the same body, is the same webhook.
    own_id = a_name(headers.get("tosspayments-webhook-transmission-id")) or f"sha256:{hashlib.sha256(body).hexdigest()}"
    made = envelope(SOURCE, own_id, f"{SOURCE}.{kind}", _time(note.get("createdAt")), data, number)
    unsigned = headers.get("tosspayments-webhook-signature") is None or not secrets
    payment = (
        data.get("paymentId", number) if kind == STATUS_CHANGED else None
    )  # a deposit's callback tells its own time
    return ReceivedWebhook(made, thin=thin, unsigned=unsigned, payment=payment)


def _verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> None:
    header = headers.get("tosspayments-webhook-signature")
    if header is None or not secrets:
        return
    sent = headers.get("tosspayments-webhook-transmission-time", "")
    try:
        time = datetime.fromisoformat(sent)
    except ValueError:
        raise BadSignature("toss: signed, but without tosspayments-webhook-transmission-time") from None
    check_time(time if time.tzinfo else time.replace(tzinfo=KST), now, SOURCE)
    signed = body + b":" + sent.encode()
    theirs = []
    for value in header.removeprefix("v1:").split(","):
        try:
            theirs.append(b64decode(value.strip().removeprefix("v1:")))
        except (binascii.Error, ValueError):
            continue  # no signature, so no match
    if not any_matches([hmac.digest(secret.encode(), signed, "sha256") for secret in secrets], theirs):
        raise BadSignature("toss: no v1 matches; compare the security key with ORDERS_TOSS_SECRETS")


def _time(value: Any) -> datetime:
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=KST)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise EnvelopeError("createdAt", "must be a time such as 2026-01-02T14:46:59.653270") from None


def _digest(secret: str) -> str:
    """What is kept of a payment's secret: enough to know it again, never the secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


# -- asking --------------------------------------------------------------------------------------------------


ENDS: dict[str, Literal["PaymentFailed", "PaymentCanceled"]] = {
    "ABORTED": "PaymentFailed",
    "CANCELED": "PaymentCanceled",
    "EXPIRED": "PaymentCanceled",  # nobody paid within the half hour
}


class _Cancel(BaseModel):
    canceledAt: Time | None = None  # noqa: N815 -- as on the wire


class _Failure(BaseModel):
    code: Text | None = None
    message: Text | None = None


class _Receipt(BaseModel):
    url: Annotated[str, Field(max_length=2000)] | None = None


class _Payment(BaseModel):
    paymentKey: Annotated[str, Field(min_length=1, max_length=255)]  # noqa: N815
    orderId: str  # noqa: N815
    status: str
    currency: Currency
    totalAmount: Amount  # noqa: N815
    balanceAmount: Amount  # noqa: N815
    requestedAt: Time  # noqa: N815
    approvedAt: Time | None = None  # noqa: N815
    cancels: list[_Cancel] | None = None
    failure: _Failure | None = None
    receipt: _Receipt | None = None
    method: Annotated[str, Field(max_length=255)] | None = None
    secret: str | None = None


class Toss:
    """Toss Payments' API: a `PaymentLookup`. May be shared by threads."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        timeout: float | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
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
        if kind.endswith(DEPOSIT) and not hmac.compare_digest(_digest(found.secret or ""), data["secretDigest"]):
            raise NotTold(f"the secret that came with it is not that of payment {found.paymentKey}: it was made up")
        return _standing(found, time)


PROVIDER = Provider(
    name=SOURCE,
    kind="payments",
    title="Toss Payments",
    settings=(API_KEY, API_URL, SECRETS),
    receives=Ability(with_secrets(receive, SECRETS), needs=(API_KEY,)),
    looks_up=Ability(lambda values: Toss(values[API_URL], values[API_KEY]), needs=(API_KEY,)),
    note="unsigned, and says only where to look",
)


def _standing(found: _Payment, told_at: datetime) -> Payment:
    """Money came where it was approved and is DONE or was canceled since: `approvedAt` tells those from before."""
    came = found.approvedAt if found.status in ("DONE", "CANCELED", "PARTIAL_CANCELED") else None
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
        awaits_deposit=found.status == "WAITING_FOR_DEPOSIT",
    )
