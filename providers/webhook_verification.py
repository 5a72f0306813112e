"""Verification and reading of webhooks, as every provider's receiver needs them.

A receiver is pure: it checks the signature over the raw bytes first, and only then reads them. Headers are looked up
in lower case.

    BadSignature     (providers.base) not from whom it says, or too old to believe: nothing of it was read
    EnvelopeError    (events.envelope) genuine, but no event that can be kept; names the field
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from events.catalogue import NEWEST
from events.envelope import MAX_NAME, Envelope, EnvelopeError
from providers.base import BadSignature

NO_JSON = "is no JSON"
TOLERANCE = timedelta(minutes=5)  # either way, between the sender's clock and ours


def check_time(sent: datetime, now: datetime, who: str) -> None:
    """BadSignature unless `sent` is within five minutes of `now`: an old request may be somebody's recording."""
    if abs(now - sent) > TOLERANCE:
        raise BadSignature(
            f"{who}: signed {sent.isoformat()}, over 5 minutes from now by PostgreSQL's clock; check its host's"
        )


def any_matches(ours: Iterable[bytes], theirs: Sequence[bytes]) -> bool:
    """True where one of ours is one of theirs; each pair is compared in constant time."""
    return any(hmac.compare_digest(one, other) for one in ours for other in theirs)


def document(body: bytes) -> dict[str, Any]:
    """The body as a JSON object, or EnvelopeError."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise EnvelopeError("body", f"{NO_JSON}: {error}") from None
    if not isinstance(found, dict):
        raise EnvelopeError("body", "must be a JSON object")
    return found


def an_object(holder: Mapping[str, Any], name: str, path: str = "") -> dict[str, Any]:
    """The JSON object under `name`, or EnvelopeError."""
    found = holder.get(name)
    if not isinstance(found, dict):
        raise EnvelopeError(f"{path}{name}", "must be a JSON object")
    return found


def a_name(value: Any) -> str | None:
    """A text that may name an order or a payment (1 to 255 printable characters), else None."""
    fits = isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable() and not value.isspace()
    return value if fits else None


def envelope(
    source: str, own_id: Any, kind: Any, time: datetime, data: dict[str, Any], subject: str | None = None
) -> Envelope:
    """An envelope that the journal can keep, or EnvelopeError with the field at fault."""
    made = Envelope.parse(
        {"id": own_id, "source": source, "type": kind, "time": time.isoformat(), "subject": subject, "data": data}
    )
    made = replace(made, version=NEWEST.get(made.type, 1))
    keepable(made)
    return made


def keepable(made: Envelope) -> None:
    """EnvelopeError where the body cannot be compared with a later delivery's: it nests too deeply."""
    try:
        made.digest()
    except (TypeError, ValueError) as error:
        raise EnvelopeError("data", f"is no JSON that can be kept: {error}") from error
