"""Parcels that people follow: what staff, a courier or a warehouse report of them. Nobody is polled.

`reported` makes the event of one report; `orders scan` is how staff make it. A courier's or warehouse's own system may post
the same event to /webhooks/carriers/manual, a CloudEvent of the type TrackingUpdated, signed as Standard Webhooks has it
(standardwebhooks.com, "Verifying signatures"). Its source is put behind `manual/`, so that nobody can pose as another
sender.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from events.catalogue import TrackingUpdated
from events.envelope import Envelope, EnvelopeError
from providers.base import Ability, Provider, ReceivedWebhook, Scan, with_secrets
from providers.carriers.scans import scan_id
from providers.payments.standard_webhooks import verify
from providers.webhook_verification import document, keepable
from settings.fields import Setting, base64_secrets

SOURCE = "manual"
SECRETS = Setting(
    "ORDERS_MANUAL_SECRETS", "", "secrets (whsec_…) of couriers and warehouses that report scans of their own, signed",
    base64_secrets, secret=True, example="whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
)  # fmt: skip


def reported(carrier: str, number: str, scan: Scan, now: datetime) -> Envelope:
    """The event of what somebody reports of a parcel. Reported twice with one time it is one event."""
    time = scan.time or now
    estimated = scan.estimated.isoformat() if scan.estimated else None
    words = {"description": scan.description, "location": scan.location, "estimatedDelivery": estimated}
    told = {name: value for name, value in words.items() if value is not None}
    data = {"carrier": carrier, "trackingNumber": number, "status": scan.status, **told}
    own_id = scan_id(carrier, number, time, scan.status, *words.values())
    return Envelope(own_id, SOURCE, TrackingUpdated.__name__, time, data=data)


def receive(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> ReceivedWebhook:
    """One scan, as our own event; raises BadSignature or EnvelopeError."""
    verify(body, headers, secrets, now, SOURCE)
    told = Envelope.parse(document(body))
    if told.type != TrackingUpdated.__name__:
        raise EnvelopeError("type", f"{told.type!r} is not for this door; it takes {TrackingUpdated.__name__}")
    made = replace(told, source=f"{SOURCE}/{told.source}")
    keepable(made)
    return ReceivedWebhook(made)


PROVIDER = Provider(
    name=SOURCE,
    kind="carrier",
    title="By hand",
    settings=(SECRETS,),
    receives=Ability(with_secrets(receive, SECRETS), needs=(SECRETS,)),
    note="what staff report by `orders scan`, and couriers of your own by signed webhooks; nobody is polled",
)
