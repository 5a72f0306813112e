"""An event as it travels: a CloudEvent 1.0 whose `source` and `id` are its idempotency key.

`Envelope.parse` is the door for everything from outside. It checks what the journal must be able to
keep (identity, time, a JSON object of bounded size) and no more: a body that its type does not
allow is accepted and ends in the dead letters, where a person can mend it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import orjson

from events.errors import OrdersError

MAX_BODY_BYTES = 1_048_576
OWN_SOURCE = "order-lifecycle"  # of follow-up events; ours with a suffix are other events that we make
CARRIER_SOURCE = "carrier:"  # begins the source of scans, whoever told them
MAX_DEPTH = 100  # of objects and arrays within each other: answers wrap a body, and orjson writes 254 levels
MAX_YEAR = 9000  # so that a period can be added to any time
MAX_NAME = 255  # characters of id, source, type and subject
SCHEMA_ROOT = "https://orders.example/events"  # `dataschema` ends in /TYPE/VERSION

_VERSION = re.compile(r"/([0-9]{1,6})\Z")


class EnvelopeError(OrdersError, ValueError):
    """This is no event that can be kept; the message names the field at fault."""

    code = "event_refused"
    remedy = "Correct the field that the message names, and send the event again."
    status = 400

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(f"{field_name}: {message}")
        self.field = field_name


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event with its identity and times (UTC); `data` is JSON as Python objects."""

    id: str
    source: str
    type: str
    time: datetime
    subject: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    version: int = 1

    @classmethod
    def parse(cls, document: Any) -> Envelope:
        """An envelope from a CloudEvent's JSON object; EnvelopeError names the field at fault."""
        if not isinstance(document, dict):
            raise EnvelopeError("event", "must be a JSON object (a CloudEvent 1.0)")
        if document.get("specversion", "1.0") != "1.0":
            raise EnvelopeError("specversion", f"{_shown(document['specversion'])} is unknown; send '1.0'")
        own_id, source, kind = (_name(document, name) for name in ("id", "source", "type"))
        if source == OWN_SOURCE or source.startswith(f"{OWN_SOURCE}/"):
            raise EnvelopeError(
                "source", f"{OWN_SOURCE!r} is for events of our own; give your sender a name of its own"
            )
        subject = None if document.get("subject") in (None, "") else _name(document, "subject")
        data = document.get("data", {})
        if not isinstance(data, dict):
            raise EnvelopeError("data", "must be a JSON object")
        envelope = cls(own_id, source, kind, _time(document.get("time")), subject, data, _version(document))
        envelope.body()
        return envelope

    def body(self) -> bytes:
        """`data` as JSON; EnvelopeError where PostgreSQL could not keep it."""
        try:
            body = orjson.dumps(self.data)
        except (TypeError, ValueError) as error:
            raise EnvelopeError("data", f"is no JSON that can be kept: {error}") from error
        if len(body) > MAX_BODY_BYTES:
            raise EnvelopeError("data", f"{len(body)} bytes; at most {MAX_BODY_BYTES} are accepted")
        if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _is_deep(self.data):
            raise EnvelopeError("data", f"nests over {MAX_DEPTH} levels deep; flatten it")
        if b"\\u0000" in body and _has_nul(self.data):
            raise EnvelopeError("data", "holds a NUL character (\\u0000); remove it")
        if b"null" in body and _has_nan(self.data):  # orjson writes null for them
            raise EnvelopeError("data", "holds NaN or an infinity, which JSON cannot tell; send null or a text")
        return body

    def digest(self) -> bytes:
        """Sixteen bytes that tell a repeated delivery from another body under the same id."""
        return digest_of(self.source, self.type, self.version, self.time, self.subject, self.data)

    def as_document(self) -> dict[str, Any]:
        """The CloudEvent's JSON object; `parse` reads it back."""
        document: dict[str, Any] = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": self.time.isoformat().replace("+00:00", "Z"),
            "dataschema": f"{SCHEMA_ROOT}/{self.type}/{self.version}",
            "data": self.data,
        }
        if self.subject is not None:
            document["subject"] = self.subject
        return document


def digest_of(source: str, kind: str, version: int, time: datetime, subject: str | None, data: dict[str, Any]) -> bytes:
    """The digest of an envelope of these parts.

    The id of a carrier's scan says what happened, so its words are whoever's told it first.
    """
    facts: list[Any] = [kind, version, time, subject, data]
    if source.startswith(CARRIER_SOURCE):
        facts = [kind, version, subject, data.get("status")]
    return hashlib.blake2b(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _name(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value.strip():
        raise EnvelopeError(name, "is missing; it must be a text that is not empty")
    if len(value) > MAX_NAME:
        raise EnvelopeError(name, f"has {len(value)} characters; at most {MAX_NAME} are accepted")
    if "\x00" in value or not value.isprintable():
        raise EnvelopeError(name, "holds control characters; remove them")
    return value


def _time(value: Any) -> datetime:
    try:
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            raise EnvelopeError("time", f"{_shown(value)} has no offset; end it with Z or +09:00")
        if time.year > MAX_YEAR:
            raise EnvelopeError("time", f"{_shown(value)} lies after the year {MAX_YEAR}; correct it")
        return time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, EnvelopeError):
            raise
        raise EnvelopeError("time", f"{_shown(value)} is no RFC 3339 time such as 2026-11-01T09:30:00Z") from None


def _version(document: dict[str, Any]) -> int:
    schema = document.get("dataschema")
    if schema is None:
        return 1
    found = _VERSION.search(schema) if isinstance(schema, str) else None
    if not found:
        raise EnvelopeError("dataschema", f"{_shown(schema)} must end in /TYPE/VERSION, such as /OrderCreated/1")
    return int(found.group(1))


def _shown(value: Any) -> str:
    """What was sent, for a message: texts cut short, all else by its kind, since its repr may be endless."""
    return repr(value[:MAX_NAME])[:MAX_NAME] if isinstance(value, str) else f"a value of type {type(value).__name__}"


def _is_deep(value: Any, left: int = MAX_DEPTH) -> bool:
    if isinstance(value, dict):
        return left == 0 or any(_is_deep(inner, left - 1) for inner in value.values())
    return isinstance(value, list) and (left == 0 or any(_is_deep(inner, left - 1) for inner in value))


def _has_nan(value: Any) -> bool:
    if isinstance(value, float):
        return not isfinite(value)
    if isinstance(value, dict):
        return any(map(_has_nan, value.values()))
    return isinstance(value, list) and any(map(_has_nan, value))


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or _has_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))
