"""karrio: parcels followed by a shop's own accounts at FedEx, UPS, USPS, DHL, Canada Post, DPD and some forty others.

An optional extra, `order-lifecycle-workers[karrio]`: see docs/decisions/0040-carriers-by-their-own-accounts.md. A carrier
is asked by it where the setting has a connection of that carrier; any other one is left to the services that follow many.
"""

from __future__ import annotations

import json
import re
from typing import Any

from providers.base import Provider, TrackingClient
from providers.by_carrier import AbilityByAccount
from providers.carriers.karrio_api import SOURCE, KarrioCarrier
from settings.fields import Setting, Values, http_url

_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")


def _connections(value: str) -> dict[str, dict[str, Any]]:
    """A JSON object: karrio's name of a carrier → the fields of an account there. Nothing of it is repeated: it is secret."""
    if not value.strip():
        return {}
    shape = 'must be JSON, {"fedex": {"track_api_key": "…", "track_secret_key": "…"}}'
    try:
        found = json.loads(value)
    except ValueError:
        raise ValueError(f"{shape}; it is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError(f"{shape}; it is no object")
    for place, (name, account) in enumerate(found.items(), 1):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{shape}; the name of entry {place} is none of karrio's (small letters, digits, _)")
        if not isinstance(account, dict) or not account:
            raise ValueError(f"{shape}; {name} must be an object with the fields of its account")
        for field, told in account.items():
            if not isinstance(told, str | int | bool) or told == "":
                raise ValueError(f"{shape}; the field {field!r} of {name} must be a text, a number, true or false")
        if "server_url" in account:
            try:
                account["server_url"] = http_url(str(account["server_url"]))
            except ValueError as error:
                raise ValueError(f"{shape}; server_url of {name} {error}") from None
    return found


CONNECTIONS = Setting(
    "ORDERS_KARRIO_CONNECTIONS", "",
    "your accounts at carriers, a JSON object by karrio's name of each (docs/howto/follow-parcels.md)", _connections,
    secret=True, example='{"usps": {"client_id": "client-of-your-own", "client_secret": "its-secret"}}',
)  # fmt: skip


def _client(carrier: str, values: Values) -> TrackingClient:
    return KarrioCarrier(carrier, values[CONNECTIONS][carrier])


PROVIDER = Provider(
    name=SOURCE,
    kind="carrier",
    title="karrio",
    settings=(CONNECTIONS,),
    tracks=AbilityByAccount(_client, CONNECTIONS),
    aggregates=True,
    note="carriers by your own accounts there; needs the extra `karrio`",
)
