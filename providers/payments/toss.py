"""Toss Payments: its webhooks; the API that they are checked against is `toss_api`.

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
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from events.envelope import EnvelopeError
from providers.base import Ability, BadSignature, Provider, ReceivedWebhook, with_secrets
from providers.payments.toss_api import DEPOSIT, KST, SOURCE, Toss, digest
from providers.payments.toss_rules import RULES
from providers.webhook_verification import a_name, any_matches, check_time, document, envelope
from settings import fields
from settings.fields import Setting, Values

if TYPE_CHECKING:
    pass

SECRETS = Setting(
    "ORDERS_TOSS_SECRETS", "", "Toss Payments' security keys, for the webhooks that it signs", fields.secrets,
    secret=True, example="security_key_of_the_shop",
)  # fmt: skip
API_KEY = Setting(
    "ORDERS_TOSS_API_KEY", None, "Toss Payments' secret key; its webhooks are asked for with it, and refunds are made", fields.text,
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
STATUS_CHANGED = "PAYMENT_STATUS_CHANGED"


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
        data["secretDigest"] = digest(str(about.get("secret")))
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


def _api(values: Values) -> Toss:
    return Toss(values[API_URL], values[API_KEY])


PROVIDER = Provider(
    name=SOURCE,
    kind="payments",
    title="Toss Payments",
    settings=(API_KEY, API_URL, SECRETS),
    receives=Ability(with_secrets(receive, SECRETS), needs=(API_KEY,)),
    looks_up=Ability(_api, needs=(API_KEY,)),
    refunds=Ability(_api, needs=(API_KEY,)),
    refund_rules=RULES,
    lists=Ability(_api, needs=(API_KEY,)),
    note="unsigned, and says only where to look",
)
