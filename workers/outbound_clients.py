"""Carriers and payment providers, from the settings: adapters, in the words that the journal understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from random import random
from typing import Any

from events.money import Money
from outbound import payment_lookups, refunds, tracking
from outbound.webhooks import dispatcher
from outbound.webhooks.sender import Sender
from providers import carriers as parcels
from providers import payments
from providers.carriers import poll_schedule as paces
from providers.carriers.simulated import SimulatedCarrier
from providers.payments.portone import PortOne, PortOneUnasked
from providers.payments.simulated import SimulatedProvider
from providers.payments.toss import Toss
from settings.environment import Settings
from storage.clock import clock


def carriers(settings: Settings) -> dict[str, tracking.Carrier]:
    """The carriers that `ORDERS_CARRIERS` names, by normalized name."""
    return {name: _carrier(name, url) for name, url in settings.carriers.items()}


def refund_provider(settings: Settings) -> refunds.Provider | None:
    """The provider that gives money back, None if `ORDERS_REFUND_URL` names nobody."""
    return None if settings.refund_url is None else _provider(settings.refund_url)


def payment_sources(settings: Settings) -> dict[str, payment_lookups.Provider]:
    """The providers whom thin webhooks may come from, by name, ready to be asked."""
    found: dict[str, payment_lookups.Provider] = {}
    if settings.webhook_secrets["portone"]:
        found["portone"] = _portone(settings.portone_api_url, settings.portone_api_key)
    if settings.toss_api_key is not None:
        found["toss"] = _toss(settings.toss_api_url, settings.toss_api_key)
    return found


def webhooks(settings: Settings) -> dispatcher.Sender:
    """The sender of webhooks to subscribers."""
    return _sender(settings.webhooks_allow_private)


class Source:
    """A payment provider, as the inbox asks it."""

    def __init__(self, source: payments.PaymentSource) -> None:
        self._source = source

    def ask(self, kind: str, time: datetime, data: Mapping[str, Any]) -> payment_lookups.Payment:
        """The payment of a thin webhook, as its provider tells it; raises inbox.NoAnswer or inbox.NotTold."""
        try:
            return self._source.ask(kind, time, data)
        except payments.NoAnswer as error:
            raise payment_lookups.NoAnswer(str(error), error.retry_after) from error
        except payments.NotTold as error:
            raise payment_lookups.NotTold(str(error)) from error


class Polled:
    """A carrier, as the journal polls it."""

    def __init__(self, carrier: parcels.Carrier) -> None:
        self._carrier = carrier

    def track(self, number: str) -> Sequence[tracking.Scan]:
        """All scans known of a parcel, or tracking.NoAnswer."""
        try:
            return self._carrier.track(number)
        except parcels.CarrierError as error:
            unknown = isinstance(error, parcels.ParcelUnknown)
            raise tracking.NoAnswer(str(error), error.retry_after, unknown=unknown) from error

    def ended(self, status: str) -> bool:
        """True if nothing more is to be expected after this status."""
        return paces.watch_ends(status)

    def wait(self, failures: int, status: str | None, pace: timedelta, retry_after: float | None) -> timedelta:
        """The time until the next poll."""
        return paces.next_poll(failures, status, pace, retry_after=retry_after, chance=random())


class Refunds:
    """A refund provider, as the journal calls it."""

    def __init__(self, provider: payments.RefundProvider) -> None:
        self._provider = provider

    @property
    def name(self) -> str:
        """The name of the provider."""
        return self._provider.name

    def refund(self, payment_id: str, amount: Money, idempotency_key: str) -> refunds.Made:
        """Give `amount` back, once per key; raises effects.Refused, NotMade or Unknown."""
        try:
            return self._provider.refund(payment_id, amount, idempotency_key)
        except payments.RefundRefused as error:
            raise refunds.Refused(str(error)) from error
        except payments.RefundNotMade as error:
            raise refunds.NotMade(str(error)) from error
        except payments.RefundError as error:
            raise refunds.Unknown(str(error)) from error

    def refunded(self, payment_id: str) -> refunds.Made | None:
        """The sum that went back so far; raises effects.Unknown."""
        try:
            return self._provider.refunded(payment_id)
        except payments.RefundError as error:
            raise refunds.Unknown(str(error)) from error


@cache
def _carrier(name: str, url: str) -> Polled:
    """One client a process, whose connections are used again."""
    return Polled(SimulatedCarrier(url, name=name))


@cache
def _provider(url: str) -> Refunds:
    return Refunds(SimulatedProvider(url))


@cache
def _sender(allow_private: bool) -> Sender:
    return Sender(allow_private, clock=clock)


@cache
def _portone(url: str, api_key: str | None) -> Source:
    return Source(PortOneUnasked() if api_key is None else PortOne(url, api_key))


@cache
def _toss(url: str, api_key: str) -> Source:
    return Source(Toss(url, api_key))
