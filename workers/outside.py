"""Carriers and the refund provider, from the settings: adapters, in the words that the journal understands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from random import random

from adapters import carriers as parcels
from adapters import payments
from adapters.carriers import pace as paces
from adapters.carriers.simulated import SimulatedCarrier
from adapters.payments.simulated import SimulatedProvider
from events.money import Money
from journal import effects, tracking
from storage.settings import Settings


def carriers(settings: Settings) -> dict[str, tracking.Carrier]:
    """Whom `ORDERS_CARRIERS` names, by normalized name."""
    return {name: _carrier(name, url) for name, url in settings.carriers.items()}


def refund_provider(settings: Settings) -> effects.Provider | None:
    """Who gives money back, None where `ORDERS_REFUND_URL` names nobody."""
    return None if settings.refund_url is None else _provider(settings.refund_url)


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
        """Whether nothing more is to be expected after this status."""
        return paces.watch_ends(status)

    def wait(self, failures: int, status: str | None, pace: timedelta, retry_after: float | None) -> timedelta:
        """How long until the next poll."""
        return paces.next_poll(failures, status, pace, retry_after=retry_after, chance=random())


class Refunds:
    """A refund provider, as the journal calls it."""

    def __init__(self, provider: payments.RefundProvider) -> None:
        self._provider = provider

    @property
    def name(self) -> str:
        """The provider's."""
        return self._provider.name

    def refund(self, payment_id: str, amount: Money, idempotency_key: str) -> effects.Made:
        """Give `amount` back, once a key; raises effects.Refused, NotMade or Unknown."""
        try:
            return self._provider.refund(payment_id, amount, idempotency_key)
        except payments.RefundRefused as error:
            raise effects.Refused(str(error)) from error
        except payments.RefundNotMade as error:
            raise effects.NotMade(str(error)) from error
        except payments.RefundError as error:
            raise effects.Unknown(str(error)) from error

    def refunded(self, payment_id: str) -> effects.Made | None:
        """What went back so far; raises effects.Unknown."""
        try:
            return self._provider.refunded(payment_id)
        except payments.RefundError as error:
            raise effects.Unknown(str(error)) from error


@cache
def _carrier(name: str, url: str) -> Polled:
    """One client a process, whose connections are used again."""
    return Polled(SimulatedCarrier(url, name=name))


@cache
def _provider(url: str) -> Refunds:
    return Refunds(SimulatedProvider(url))
