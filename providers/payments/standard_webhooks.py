"""Standard Webhooks (standardwebhooks.com, "Verifying signatures"), and the door for providers of one's own.

`verify` is how PortOne signs, too; `sign` is how we ask a service of the shop's own. Its arithmetic is the `standardwebhooks` library's; the clock is the caller's
and several secrets may match, which the library's own `verify` does not know.

A body at this door is one of our payment events, a CloudEvent as `docs/` describes them. Its source is put behind
`standard/`, so that nobody can pose as another door.
"""

from __future__ import annotations

import binascii
import re
import time
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from standardwebhooks import Webhook

from events.body import PaymentBody
from events.catalogue import CATALOGUE
from events.envelope import Envelope, EnvelopeError
from providers.base import BadSignature, ReceivedWebhook
from providers.webhook_verification import any_matches, check_time, document, keepable
from settings.fields import Setting, base64_secrets

SOURCE = "standard"
SECRETS = Setting(
    "ORDERS_STANDARD_SECRETS", "", "secrets (whsec_…) of providers that send our own events, signed", base64_secrets,
    secret=True, example="whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
)  # fmt: skip
# All that can become of a payment, one under way and a refund that fails later among them.
PAYMENTS = tuple(kind for kind, body in CATALOGUE.items() if issubclass(body, PaymentBody))


def receive(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> ReceivedWebhook:
    """One of our payment events; raises BadSignature or EnvelopeError."""
    verify(body, headers, secrets, now, SOURCE)
    told = Envelope.parse(document(body))
    if told.type not in PAYMENTS:
        raise EnvelopeError("type", f"{told.type!r} is not for this door; it takes {', '.join(PAYMENTS)}")
    made = replace(told, source=f"{SOURCE}/{told.source}")
    keepable(made)
    return ReceivedWebhook(made)


def sign(content: bytes, own_id: str, secrets: Sequence[str]) -> dict[str, str]:
    """The three headers of Standard Webhooks, signed now with each of `secrets`."""
    now = datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 -- by whoever verifies it, this host's clock is ours
    signatures = [Webhook(secret).sign(own_id, now, content.decode()) for secret in secrets]
    return {
        "webhook-id": own_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime, who: str) -> str:
    """The `webhook-id` of a raw body that any of several v1 signs under any of `secrets`, or BadSignature."""
    own_id, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not own_id or not re.fullmatch("[0-9]{1,11}", sent):
        raise BadSignature(f"{who}: webhook-id and webhook-timestamp are missing; it follows Standard Webhooks")
    sent_at = datetime.fromtimestamp(int(sent), UTC)
    check_time(sent_at, now, who)
    theirs = []
    for signature in headers.get("webhook-signature", "").split():
        version, comma, value = signature.partition(",")
        if version == "v1" and comma:
            try:
                theirs.append(b64decode(value))
            except (binascii.Error, ValueError):
                continue  # no signature, so no match
    try:
        text = body.decode()
        ours = [b64decode(Webhook(secret).sign(own_id, sent_at, text).partition(",")[2]) for secret in secrets]
    except UnicodeError:
        raise BadSignature(f"{who}: the body or webhook-id is no UTF-8") from None
    if not any_matches(ours, theirs):
        raise BadSignature(f"{who}: no v1 matches; compare the endpoint's secret with ORDERS_{who.upper()}_SECRETS")
    return own_id
