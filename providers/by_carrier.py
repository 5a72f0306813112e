"""Carriers that a service asks one by one: each by an account of one's own, or all by the service's one client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from settings.fields import Setting, Values

if TYPE_CHECKING:
    from providers.base import Scan

Port = TypeVar("Port")


@dataclass(frozen=True, slots=True)
class AbilityByAccount(Generic[Port]):
    """An ability (`providers.base`) of a service that asks many carriers by one's own accounts: each is one that is asked, as SERVICE:ID."""

    make: Callable[[str, Values], Port]  # of a carrier's id there, and all settings
    accounts: Setting[dict[str, dict[str, Any]]]  # by that id

    @property
    def needs(self) -> tuple[Setting[Any], ...]:
        """The one setting that has the accounts."""
        return (self.accounts,)

    def configured(self, own_name: str, values: Values) -> tuple[str, ...]:
        """The names under which it is ready: one per account."""
        return tuple(account_name(own_name, each) for each in self.carriers(values))

    def carriers(self, values: Values) -> tuple[str, ...]:
        """The ids of the carriers that there is an account of."""
        accounts = values[self.accounts]
        return tuple(accounts)

    def connect(self, name: str, values: Values) -> Port:
        """The port for one of the names that are ready."""
        return self.make(name.partition(":")[2], values)


def account_name(service: str, carrier_id: str) -> str:
    """The name of a carrier that a service asks by an account of one's own, as one that is asked."""
    return f"{service}:{carrier_id}"


def service_of(name: str) -> str:
    """The provider by which somebody is asked of that name.

    >>> service_of("karrio:fedex"), service_of("easypost")
    ('karrio', 'easypost')
    """
    return name.partition(":")[0]


class OneCarrier(NamedTuple):
    """A `TrackingClient` for one of the carriers of a service that has one `ask(carrier's id, number)` for all."""

    ask: Callable[[str, str], Sequence[Scan]]
    carrier_id: str

    def track(self, number: str) -> Sequence[Scan]:
        """All scans known of a parcel, by when they happened; raises NoAnswer only."""
        return self.ask(self.carrier_id, number)
