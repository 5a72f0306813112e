"""Webhooks of changes, received: verified as Standard Webhooks has it, and read as typed documents.

The specification (standardwebhooks.com): the signature is the HMAC-SHA256 of "id.timestamp.body" with the key that
`whsec_…` holds in base64, and `webhook-signature` lists one or several as `v1,…`, separated by spaces.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from order_lifecycle_client.codec import decode
from order_lifecycle_client.errors import BadSignature
from order_lifecycle_client.models import COLLECTIONS, Document, Model

TOLERANCE_S = 300  # either way, between the sender's clock and ours
PREFIX = "whsec_"


class Headers(Protocol):
    """A request's headers, of whatever framework: a dict will do."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Their names, in any case, and values."""
        ...


class Webhook(Model):
    """One change. `id` stays the same however often it comes: drop one that you have seen."""

    id: str
    collection: str  # "orders", "returns", …; "ping" of `orders webhooks test`
    operation: str  # "create" or "update"
    data: Document | dict[str, Any]  # the document as it was after the change; a dict where we do not know its kind
    timestamp: datetime  # of the change


def verify_webhook(body: bytes | str, headers: Headers, secret: str) -> Webhook:
    """The change that a request tells of, once it is known to be genuine.

    `body` is the raw body, before anything else read it; `headers` are the request's own; `secret` is the `whsec_…` that
    `orders webhooks add` showed. Errors: BadSignature; ValueError where `secret` is none.
    """
    raw = body.encode() if isinstance(body, str) else body
    told = {name.lower(): value for name, value in headers.items()}
    webhook_id, stamp = told.get("webhook-id", ""), told.get("webhook-timestamp", "")
    key = _key(secret)
    if not webhook_id or not (stamp.isascii() and stamp.isdigit()):
        raise BadSignature("webhook-id or webhook-timestamp is missing; hand over the request's own headers")
    ours = hmac.digest(key, f"{webhook_id}.{stamp}.".encode() + raw, hashlib.sha256)
    theirs = [_decoded(each[3:]) for each in told.get("webhook-signature", "").split() if each.startswith("v1,")]
    if not any(hmac.compare_digest(ours, each) for each in theirs):
        raise BadSignature("webhook-signature: none is ours; compare the secret, and hand over the body as it came")
    if abs(time.time() - int(stamp)) > TOLERANCE_S:
        raise BadSignature("webhook-timestamp is over 5 minutes off: an old request, or check this host's clock")
    found = decode(raw)
    model = COLLECTIONS.get(found["collection"])
    data = found["data"] if model is None else model.model_validate(found["data"])
    return Webhook.model_construct(
        id=webhook_id,
        collection=found["collection"],
        operation=found["operation"],
        data=data,
        timestamp=datetime.fromisoformat(found["timestamp"]),
    )


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("secret: give the whsec_… that `orders webhooks add` showed")
    return key


def _decoded(signature: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except ValueError:
        return b""
