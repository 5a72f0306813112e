"""`orders simulate easypost`, `tracker-delivery`, `carrier`: a tracking service or carrier in its wire format."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from cli.options import Problem, err, out, program
from cli.terminal import safe
from providers.simulators.examples import PARCEL_EXAMPLES
from providers.simulators.limits import Limits

SHOP = "http://127.0.0.1:8000"  # as `orders up` serves it


def simulate_parcels(
    service: str,
    port: int | None,
    seed: int,
    mishaps: Sequence[str],
    pace: float,
    webhook: str | None,
    limits: Limits,
    json: bool,
) -> None:
    """Answer as `service` until a signal ends it; first print the settings of a shop that uses it.

    Errors: Problem, which names the option.
    """
    from providers.simulators import carrier, easypost, tracker_delivery
    from providers.simulators.parcels import Dialect, Hub, a_mishap, application
    from providers.simulators.process import serve

    try:
        shares = dict(map(a_mishap, mishaps))
    except ArgumentTypeError as error:
        raise Problem(f"--mishap: {error}", 2) from None
    if pace <= 0:
        raise Problem("--pace: a parcel's life takes some time; write 1 for seven seconds", 2)
    if webhook is not None and service == "carrier":
        raise Problem("--webhook: this carrier sends none, it is asked; leave it out", 2)
    if webhook is not None and service != "easypost":
        raise Problem(
            "--webhook: each parcel's callback is registered by the shop; it is told where by its settings", 2
        )
    if webhook is not None and urlsplit(webhook).scheme not in ("http", "https"):
        raise Problem(f"--webhook: {webhook} is no URL; write {SHOP}/webhooks/carriers/easypost", 2)
    dialects: dict[str, Callable[[], Dialect]] = {
        "easypost": lambda: easypost.EasyPost(webhook=webhook),
        "tracker_delivery": tracker_delivery.TrackerDelivery,
        "carrier": carrier.Carrier,
    }
    hub = Hub(dialects[service](), seed, pace, shares=shares, limits=limits)

    def announce(url: str) -> None:
        told = _told(service, url, shares)
        if json:
            sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
            sys.stdout.flush()
        else:
            _tell(told, webhook)

    example = PARCEL_EXAMPLES[service]
    serve(application(hub), example.port if port is None else port, lifespan="on", announce=announce)


def _told(service: str, url: str, shares: dict[str, float]) -> dict[str, Any]:
    """What a script, or a person, needs to use it."""
    from providers.carriers import easypost, simulated, tracker_delivery

    settings: dict[str, str | None]
    if service == "carrier":
        settings = {simulated.CARRIERS.name: f"simulated={url}"}
    elif service == "easypost":
        settings = {
            easypost.API_URL.name: url,
            easypost.API_KEY.name: easypost.API_KEY.example,
            easypost.SECRETS.name: easypost.SECRETS.example,
        }
    else:
        own = (tracker_delivery.CLIENT_ID, tracker_delivery.CLIENT_SECRET, tracker_delivery.SECRETS)
        settings = {
            tracker_delivery.API_URL.name: url,
            tracker_delivery.AUTH_URL.name: url,
            **{each.name: each.example for each in own},
            tracker_delivery.CALLBACK_URL.name: SHOP,
        }
    example = PARCEL_EXAMPLES[service]
    return {
        "provider": service,
        "url": url,
        "settings": settings,
        "mishaps": shares,
        "carrier": example.carrier,
        "carrierId": example.carrier_id,
        "trackingNumber": example.number,
        "parcels": f"{url}/_simulator/parcels",
        "limits": f"{url}/_simulator/limits",
    }


def _tell(told: dict[str, Any], webhook: str | None) -> None:
    out.print(f"{told['provider']} is simulated on [bold]{safe(told['url'])}[/], until Ctrl-C", soft_wrap=True)
    out.print("\nSettings of the shop, for API and workers alike:")
    for name, value in told["settings"].items():
        out.print(f"  export {name}={safe(value)}", soft_wrap=True)
    out.print("\nShip a parcel with any number; one that begins with UNKNOWN stays unknown:")
    out.print(f"  carrier {safe(told['carrier'])}, trackingNumber {told['trackingNumber']}", soft_wrap=True)
    out.print("\nWhat it tells of every parcel so far:")
    out.print(f"  curl {told['parcels']}", soft_wrap=True)
    out.print("\nHow it was asked; PUT changes its limits, and whether it is away (503) or mute (no answer at all):")
    out.print(f"  curl {told['limits']}", soft_wrap=True)
    out.print(f"  curl -X PUT {told['limits']} -d '{{\"away\": true}}'", soft_wrap=True)
    if webhook is None and told["provider"] == "easypost":
        command = f"{program()} simulate easypost --webhook {SHOP}/webhooks/carriers/easypost"
        err.print(f"it sends no webhooks; to have them sent: {safe(command)}", soft_wrap=True)
