"""The providers and carriers that may call, and their secrets: the table of adapters. One line adds one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from providers.carriers import easypost
from providers.payments import portone, standard_webhooks, stripe, toss
from providers.webhook_verification import Notice, Receive
from settings.environment import Settings

PAYMENTS: dict[str, Receive] = {
    "stripe": stripe.receive,
    "portone": portone.receive,
    "toss": toss.receive,
    "standard": standard_webhooks.receive,
}
CARRIERS: dict[str, Receive] = {"easypost": easypost.receive}


@dataclass(frozen=True, slots=True)
class Door:
    """One provider's or carrier's: its adapter, and the secrets that open it."""

    name: str
    adapter: Receive
    secrets: tuple[str, ...]

    def receive(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Notice:
        """A webhook, verified and translated; raises BadSignature or EnvelopeError."""
        return self.adapter(body, headers, self.secrets, now)


def payments(settings: Settings) -> dict[str, Door]:
    """The payment providers that are configured."""
    return _configured(PAYMENTS, settings)


def carriers(settings: Settings) -> dict[str, Door]:
    """The carriers that are configured."""
    return _configured(CARRIERS, settings)


def what_opens(name: str) -> str:
    """The setting that a door waits for."""
    return "ORDERS_TOSS_API_KEY" if name == "toss" else f"ORDERS_{name.upper()}_SECRETS"


def _configured(adapters: Mapping[str, Receive], settings: Settings) -> dict[str, Door]:
    """Toss signs no payment webhooks, so what opens its door is the key that each payment is asked for with."""
    opened = {name: bool(settings.webhook_secrets[name]) for name in adapters}
    if "toss" in opened:
        opened["toss"] = settings.toss_api_key is not None
    return {
        name: Door(name, adapters[name], settings.webhook_secrets[name]) for name, is_open in opened.items() if is_open
    }
