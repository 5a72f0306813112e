"""PortOne V2: its webhooks; the API that they point to is `portone_api`.

Webhooks are developers.portone.io/opi/ko/integration/webhook/readme-v2, version 2024-04-25: signed as Standard
Webhooks, and thin: a type, a time, and ids. They are kept as `portone.<type>`; amounts come from
`GET /payments/{paymentId}` (developers.portone.io/api/rest-v2/payment).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from events.envelope import EnvelopeError
from providers.base import (
    Ability,
    NotTold,
    Payment,
    PaymentLookup,
    PendingKind,
    Provider,
    ReceivedWebhook,
    with_secrets,
)
from providers.payments import standard_webhooks
from providers.payments.portone_api import BEHIND, SOURCE, PortOne, dispute_notices
from providers.payments.portone_rules import RULES
from providers.webhook_verification import a_name, an_object, document, envelope
from settings.fields import Setting, Values, base64_secrets, http_url, text

SECRETS = Setting(
    "ORDERS_PORTONE_SECRETS", "", "PortOne's webhook secrets (whsec_…), comma-separated", base64_secrets,
    secret=True, example="whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
)  # fmt: skip
API_KEY = Setting(
    "ORDERS_PORTONE_API_KEY", None, "PortOne's V2 API secret; without it amounts are the orders' own, and nothing is refunded", text,
    secret=True, example="test_secret",
)  # fmt: skip
API_URL = Setting(
    "ORDERS_PORTONE_API_URL", "https://api.portone.io", "where PortOne's API is asked", http_url, url=True
)
# Types that may move an order, and so are asked for. The others (Ready, CancelPending, billing keys …) are kept and
# ignored.
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


class PortOneUnasked:
    """The webhook's bare word, without amounts, where no API key is set. A `PaymentLookup`."""

    def ask(self, kind: str, time: datetime, data: Mapping[str, Any]) -> Payment:
        """The state that the webhook alone tells; NotTold of a partial cancellation, whose amount nobody knows."""
        payment_id = data["paymentId"]
        if kind.endswith(".Paid"):
            return Payment(payment_id, captured_at=time)
        if notices := dispute_notices(kind.removeprefix(f"{SOURCE}."), time):
            return Payment(payment_id, disputes=notices)
        if kind.endswith((".VirtualAccountIssued", ".PayPending")):
            waits: PendingKind = "awaiting_deposit" if kind.endswith("Issued") else "processing"
            return Payment(payment_id, pending=waits, pending_at=time, ended_at=time)
        if kind.endswith(".Failed"):
            return Payment(payment_id, ended="PaymentFailed", ended_at=time)
        if kind.endswith(".Cancelled"):
            return Payment(payment_id, refunded_at=time, ended="PaymentCanceled", ended_at=time)
        raise NotTold("portone tells no amount of a partial cancellation; set ORDERS_PORTONE_API_KEY, then ask again")


def _lookup(values: Values) -> PaymentLookup:
    return _api(values) if values.has(API_KEY) else PortOneUnasked()


def _api(values: Values) -> PortOne:
    return PortOne(values[API_URL], values[API_KEY])


PROVIDER = Provider(
    name=SOURCE,
    kind="payments",
    title="PortOne V2",
    settings=(SECRETS, API_KEY, API_URL),
    receives=Ability(with_secrets(receive, SECRETS), needs=(SECRETS,)),
    looks_up=Ability(_lookup, needs=(SECRETS,)),
    refunds=Ability(_api, needs=(API_KEY,)),
    refund_rules=RULES,
    lists=Ability(_api, needs=(API_KEY,)),
    note="signed, and says only where to look",
)
