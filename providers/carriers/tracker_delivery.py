"""tracker.delivery: parcels of some forty carriers, most of them Korean. The provider, and what its callbacks mean.

Its callback (tracker.delivery/docs/tracking-webhook-api) is a POST of {"carrierId", "trackingNumber"} and nothing else:
it says that something changed, and is not signed. So it is taken on a path that holds a secret,
/webhooks/carriers/tracker_delivery/SECRET, and makes the parcel's next poll due at once. A callback is repeated until it
is answered 2xx. Whoever polls also registers the callback, and renews it: see `tracker_delivery_api`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from events.envelope import EnvelopeError
from providers.base import PATH_SECRET, Ability, Aggregator, BadSignature, Provider, ReceivedWebhook, with_secrets
from providers.carriers.limits import Limits, Rate
from providers.carriers.tracker_delivery_api import SOURCE, TrackerDelivery
from providers.webhook_verification import a_name, any_matches, document, envelope
from settings import fields
from settings.fields import Setting, Values

CLIENT_ID = Setting(
    "ORDERS_TRACKER_DELIVERY_CLIENT_ID", None, "tracker.delivery's client id; parcels are polled with it", fields.text,
    example="client-of-your-own",
)  # fmt: skip
CLIENT_SECRET = Setting(
    "ORDERS_TRACKER_DELIVERY_CLIENT_SECRET", None, "the client's secret", fields.text,
    secret=True, example="its-secret",
)  # fmt: skip
API_URL = Setting(
    "ORDERS_TRACKER_DELIVERY_API_URL", "https://apis.tracker.delivery", "where tracker.delivery is asked",
    fields.http_url, url=True,
)  # fmt: skip
AUTH_URL = Setting(
    "ORDERS_TRACKER_DELIVERY_AUTH_URL", "https://auth.tracker.delivery", "where its access tokens come from",
    fields.http_url, url=True,
)  # fmt: skip
SECRETS = Setting(
    "ORDERS_TRACKER_DELIVERY_SECRETS", "",
    "secrets that end the path of its callbacks, comma-separated; the first is the one that is registered", fields.secrets,
    secret=True, example="a-long-word-of-your-own",
)  # fmt: skip
CALLBACK_URL = Setting(
    "ORDERS_TRACKER_DELIVERY_CALLBACK_URL", None,
    "this API as tracker.delivery reaches it, without the path; callbacks are registered with it", fields.http_url,
    url=True, example="https://shop.example",
)  # fmt: skip


def receive(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> ReceivedWebhook:
    """A callback, verified by the secret in its path; raises BadSignature or EnvelopeError."""
    sent = headers.get(PATH_SECRET, "")
    if not any_matches([secret.encode() for secret in secrets], [sent.encode()]):
        raise BadSignature(f"{SOURCE}: the path must end with a secret of {SECRETS.name}")
    note = document(body)
    carrier_id, number = a_name(note.get("carrierId")), a_name(note.get("trackingNumber"))
    if carrier_id is None or number is None:
        raise EnvelopeError("carrierId", "and trackingNumber must be texts of at most 255 characters")
    kept = {"carrierId": carrier_id, "trackingNumber": number}
    own_id = f"{now.isoformat()}:{number[:200]}"  # it has no id, and each one counts
    return ReceivedWebhook(envelope(SOURCE, own_id, f"{SOURCE}.changed", now, kept), parcel=(carrier_id, number))


def _client(values: Values) -> Aggregator:
    secrets, url = values[SECRETS], values.get(CALLBACK_URL)
    callback = f"{url}/webhooks/carriers/{SOURCE}" if url and secrets else None
    return TrackerDelivery(
        values[API_URL], values[AUTH_URL], values[CLIENT_ID], values[CLIENT_SECRET], callback, secrets[:1]
    )


PROVIDER = Provider(
    name=SOURCE,
    kind="carrier",
    title="tracker.delivery",
    settings=(CLIENT_ID, CLIENT_SECRET, API_URL, AUTH_URL, SECRETS, CALLBACK_URL),
    receives=Ability(with_secrets(receive, SECRETS), needs=(SECRETS,)),
    tracks=Ability(_client, needs=(CLIENT_ID, CLIENT_SECRET)),
    aggregates=True,
    # Ten questions per second are reported to be answered; the first poll of each parcel and day registers its callback, too.
    limits=Limits(rate=Rate(5, timedelta(seconds=1)), zone="Asia/Seoul"),
    note="many carriers; not signed, on a path with a secret, and polled at once",
)
