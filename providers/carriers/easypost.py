"""EasyPost's tracker webhooks → TrackingUpdated, and the provider. Pure: bytes, headers, secrets and a time in, a notice out.

Signatures are those of support.easypost.com, "Webhook HMAC Validation", and of EasyPost's client libraries
(`validate_webhook`): `X-Hmac-Signature` over the raw body, the secret NFKD-normalised; or, where they are sent,
`X-Hmac-Signature-V2` over `X-Timestamp`, the method, `X-Path` and the body, which also tells stale from fresh.
Fields and statuses: docs.easypost.com, "Trackers" and "Events".

Each webhook repeats the whole history of its parcel. The newest scan is what was delivered; the earlier ones come
along and are taken where they are new. A scan is one event, as when a carrier is polled (outbound/tracking.py): its id
follows from the parcel and what was scanned when, so that it is the same in every webhook. With an API key its trackers
are polled, too, and made: `easypost_api`.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from events.catalogue import TrackingUpdated
from events.envelope import Envelope, EnvelopeError
from providers.base import Ability, Aggregator, BadSignature, Provider, ReceivedWebhook, Scan, with_secrets
from providers.carriers.easypost_api import MAX_SCANS, STATUSES, EasyPost, detail_of, estimate_of, place_of, time_of
from providers.carriers.scans import scan_id
from providers.webhook_verification import (
    a_name,
    an_object,
    any_matches,
    check_time,
    document,
    envelope,
)
from settings import fields
from settings.fields import Setting, Values

SOURCE = "easypost"
SECRETS = Setting(
    "ORDERS_EASYPOST_SECRETS", "", "EasyPost's webhook secrets, comma-separated", fields.secrets,
    secret=True, example="a-secret-of-your-own",
)  # fmt: skip
API_KEY = Setting(
    "ORDERS_EASYPOST_API_KEY", None, "EasyPost's API key; trackers are made and polled with it", fields.text,
    secret=True, example="EZTKtest",
)  # fmt: skip
API_URL = Setting(
    "ORDERS_EASYPOST_API_URL", "https://api.easypost.com", "where EasyPost is asked", fields.http_url, url=True
)
USED = ("tracker.created", "tracker.updated")


def receive(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> ReceivedWebhook:
    """A webhook, verified and translated; raises BadSignature or EnvelopeError."""
    _verify(body, headers, secrets, now)
    note = document(body)
    kind, own_id = note.get("description"), note.get("id")
    if not isinstance(kind, str) or a_name(own_id) is None:
        raise EnvelopeError("description", "and id must be texts; this is no event of EasyPost's")
    about = an_object(note, "result")
    told_at = _time(note.get("updated_at") or note.get("created_at"), "created_at")
    if kind not in USED:
        kept = {name: value for name in ("id", "object", "mode", "status") if (value := a_name(about.get(name)))}
        return ReceivedWebhook(envelope(SOURCE, own_id, f"{SOURCE}.{kind}", told_at, kept))
    carrier, number = a_name(about.get("carrier")), a_name(about.get("tracking_code"))
    if carrier is None or number is None:
        raise EnvelopeError("result", "must name carrier and tracking_code, texts of at most 255 characters")
    *earlier, newest = _scans(about, carrier, number, told_at)
    return ReceivedWebhook(newest, tuple(scan for scan in earlier if scan.id != newest.id))


def _client(values: Values) -> Aggregator:
    return EasyPost(values[API_URL], values[API_KEY])


PROVIDER = Provider(
    name=SOURCE,
    kind="carrier",
    title="EasyPost",
    settings=(SECRETS, API_KEY, API_URL),
    receives=Ability(with_secrets(receive, SECRETS), needs=(SECRETS,)),
    tracks=Ability(_client, needs=(API_KEY,)),
    aggregates=True,
    note="many carriers; signed, and each webhook tells the parcel's whole history",
)


def _verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> None:
    second = headers.get("x-hmac-signature-v2")
    header = second if second is not None else headers.get("x-hmac-signature", "")
    signed = body
    if second is not None:
        sent = headers.get("x-timestamp", "")
        try:
            time = parsedate_to_datetime(sent)
        except (ValueError, OverflowError):  # an offset may be too large for any calendar
            raise BadSignature("easypost: X-Timestamp is missing or no RFC 2822 time") from None
        check_time(time if time.tzinfo else time.replace(tzinfo=UTC), now, SOURCE)
        signed = f"{sent}POST{headers.get('x-path', '')}".encode() + body
    keys = [unicodedata.normalize("NFKD", secret).encode() for secret in secrets]
    ours = [b"hmac-sha256-hex=" + hmac.digest(key, signed, "sha256").hex().encode() for key in keys]
    if not any_matches(ours, [header.encode()]):
        raise BadSignature("easypost: the signature is missing or wrong; compare with ORDERS_EASYPOST_SECRETS")


def _scans(about: dict[str, Any], carrier: str, number: str, told_at: datetime) -> list[Envelope]:
    """The parcel's scans as EasyPost lists them; where none tells the tracker's own status, that one behind them."""
    details = about.get("tracking_details")
    found = details[-MAX_SCANS:] if isinstance(details, list) else []
    # A detail without a time is none that could be told from others; carriers send such ones.
    timed = [each for each in found if isinstance(each, dict) and each.get("datetime")]
    scans = [_scan(carrier, number, each, _time(each["datetime"], "tracking_details.datetime")) for each in timed]
    now = STATUSES.get(str(about.get("status")), "unknown")
    if not scans or (scans[-1].data["status"] != now and now != "unknown"):
        scans.append(_scan(carrier, number, {"status": about.get("status")}, told_at))
    expected = estimate_of(about, None)
    return scans if expected is None else [_estimate(carrier, number, expected, told_at), *scans]


def _estimate(carrier: str, number: str, expected: Scan, told_at: datetime) -> Envelope:
    """An estimate alone. It comes with each webhook, and is one event per day on which it was told."""
    time = expected.time or told_at
    data = {"carrier": carrier, "trackingNumber": number, "status": "unknown"}
    if expected.estimated is not None:
        data["estimatedDelivery"] = expected.estimated.isoformat()
    own_id = f"{number[:200]}:{scan_id(expected.id, carrier, number, time.date().isoformat())}"
    return envelope(SOURCE, own_id, TrackingUpdated.__name__, time, data)


def _scan(carrier: str, number: str, detail: dict[str, Any], time: datetime) -> Envelope:
    data: dict[str, Any] = {
        "carrier": carrier,
        "trackingNumber": number,
        "status": STATUSES.get(str(detail.get("status")), "unknown"),
    }
    location = place_of(detail)
    message = detail.get("message")
    if isinstance(message, str) and message:
        data["description"] = message
    if location:
        data["location"] = location
    what = hashlib.sha256(orjson.dumps([carrier, number, time, data])).hexdigest()[:32]
    if own_word := detail_of(detail):
        data["detail"] = own_word  # no part of the id: scans that were told without it are the same
    return envelope(SOURCE, f"{number[:200]}:{what}", TrackingUpdated.__name__, time, data)


def _time(value: Any, path: str) -> datetime:
    try:
        return time_of(value)
    except ValueError:
        raise EnvelopeError(path, "must be a time such as 2026-11-01T09:30:00Z") from None
