"""Webhooks as providers sign them, written here by their documents and not by our adapters; and the real bodies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import os
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

STRIPE = "whsec_stripe_one"
STANDARD = "whsec_" + base64.b64encode(b"a key of twenty-four byte").decode()
EASYPOST = "p\u00e4ssword"  # one letter here, two in its NFKD form
_ids = itertools.count(1)


def an_id(prefix: str = "evt") -> str:
    return f"{prefix}_{next(_ids):06d}"


def now() -> int:
    return int(time.time())


def packed(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def stripe_signature(body: bytes, *secrets: str, at: int | None = None, scheme: str = "v1") -> str:
    at = now() if at is None else at
    parts = [f"t={at}"]
    for secret in secrets or (STRIPE,):
        parts.append(f"{scheme}={hmac.new(secret.encode(), f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}")
    return ",".join(parts)


def as_stripe(document: Any, *secrets: str, at: int | None = None) -> tuple[bytes, dict[str, str]]:
    body = packed(document)
    return body, {"Stripe-Signature": stripe_signature(body, *secrets, at=at)}


def as_standard(
    document: Any, *secrets: str, at: int | None = None, own_id: str | None = None
) -> tuple[bytes, dict[str, str]]:
    body, at, own_id = packed(document), now() if at is None else at, own_id or an_id("msg")
    signatures = []
    for secret in secrets or (STANDARD,):
        key = base64.b64decode(secret.removeprefix("whsec_"))
        made = hmac.new(key, f"{own_id}.{at}.".encode() + body, hashlib.sha256).digest()
        signatures.append(f"v1,{base64.b64encode(made).decode()}")
    headers = {"webhook-id": own_id, "webhook-timestamp": str(at), "webhook-signature": " ".join(signatures)}
    return body, headers


def as_easypost(document: Any, secret: str = EASYPOST) -> tuple[bytes, dict[str, str]]:
    body = packed(document)
    return body, {"X-Hmac-Signature": f"hmac-sha256-hex={_easypost(secret, body)}"}


def as_easypost_v2(document: Any, secret: str = EASYPOST, at: int | None = None) -> tuple[bytes, dict[str, str]]:
    body = packed(document)
    sent = formatdate(now() if at is None else at)
    path = "/webhooks/carriers/easypost"
    made = _easypost(secret, f"{sent}POST{path}".encode() + body)
    return body, {"X-Hmac-Signature-V2": f"hmac-sha256-hex={made}", "X-Timestamp": sent, "X-Path": path}


def _easypost(secret: str, signed: bytes) -> str:
    import unicodedata

    return hmac.new(unicodedata.normalize("NFKD", secret).encode(), signed, hashlib.sha256).hexdigest()


# -- bodies --------------------------------------------------------------------------------------------------


def stripe_event(kind: str, about: dict[str, Any], own_id: str | None = None, created: int | None = None) -> dict:
    return {
        "id": own_id or an_id(),
        "object": "event",
        "type": kind,
        "created": created or now(),
        "data": {"object": about},
    }


def stripe_paid(payment: str, amount: int, currency: str = "krw", **more: Any) -> dict:
    about = {"id": payment, "object": "payment_intent", "amount_received": amount, "currency": currency, **more}
    return stripe_event("payment_intent.succeeded", about)


def portone_event(kind: str, payment: str) -> dict:
    about = {"paymentId": payment, "storeId": "store-1", "transactionId": f"tx-{payment}"}
    return {"type": f"Transaction.{kind}", "timestamp": "2026-11-20T10:00:00.000Z", "data": about}


def toss_event(payment: str, order: str, status: str, amount: int, created: str = "2026-11-20T10:00:00.12345") -> dict:
    about = {"paymentKey": payment, "orderId": order, "status": status, "totalAmount": amount, "balanceAmount": amount}
    about |= {"customerName": "Kim", "secret": "ps_x"}
    return {"eventType": "PAYMENT_STATUS_CHANGED", "createdAt": created, "data": about}


def shared(*parts: str) -> Path:
    """A file of the real inputs; the test skips, visibly, where it is missing."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    found = Path(os.environ.get("ORDERS_SHARED_DATA") or beside).joinpath(*parts)
    if not found.exists():
        pytest.skip(f"no real inputs at {found}; set ORDERS_SHARED_DATA")
    return found


def real_stripe() -> dict[str, dict]:
    """Every real body of Stripe's, by file name, each with an id of its own."""
    bodies = {path.stem: json.loads(path.read_bytes()) for path in sorted(shared("stripe-events").glob("*.json"))}
    return {name: {**body, "id": an_id()} for name, body in bodies.items()}
