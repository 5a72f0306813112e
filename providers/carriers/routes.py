"""The way from the name that people gave a parcel's carrier to the one who is polled for it.

In this order: what the setting ORDERS_CARRIER_NAMES adds; a carrier that is polled under just this name; the table of
names, by which it is the carrier itself under another of its names, else of the services that follow its parcels the
first that is configured; a carrier that a service is configured for by its id there, where the table does not have it.
Nobody, where none of these knows the name: the parcel is followed by hand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import NamedTuple

from providers.by_carrier import account_name
from providers.carriers.names import CarrierNames, bare, table
from settings.fields import plain_name

KEPT = 4096  # names whose answers are kept; a shop's own are a handful


class Route(NamedTuple):
    """The one who is polled, and the carrier's id there; None: it is the carrier itself.

    Where each carrier is asked by an account of its own, each is one who is polled: SERVICE:ID.
    """

    provider: str
    carrier_id: str | None = None


class Routes:
    """The table of one shop: call it with a carrier's name. May be shared by threads."""

    def __init__(
        self,
        own: Collection[str],
        aggregators: Mapping[str, Collection[str] | None],
        added: Mapping[str, str],
        names: CarrierNames | None = None,
    ) -> None:
        """`own`: carriers polled under their names; `added`: by the setting.

        `aggregators`: services that follow many carriers, by one account: None; by an account each: with the ids of those that have one.
        """
        self._own, self._aggregators = frozenset(own), dict(aggregators)
        self._added = {plain_name(name): carrier for name, carrier in added.items()}
        self._names = names or table()
        self._find = lru_cache(KEPT)(self._look_up)

    def __call__(self, carrier: str) -> Route | None:
        """Who is polled for parcels of this carrier; None where nobody is, and a person follows them."""
        return self._find(carrier)

    def fingerprint(self) -> str:
        """A text that is the same for as long as all answers are: of the settings, and of the table of names."""
        services = {who: ids if ids is None else sorted(ids) for who, ids in self._aggregators.items()}
        told = (sorted(self._own), services, sorted(self._added.items()), self._names.carriers)
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def asks_nobody(self) -> bool:
        """True where nobody is polled for any carrier."""
        return not self.asked()

    def asked(self) -> frozenset[str]:
        """The names of all who are polled, as routes have them."""
        services = self._aggregators.items()
        return self._own.union(
            *([who] if ids is None else [account_name(who, each) for each in ids] for who, ids in services)
        )

    def in_vain(self) -> dict[str, str]:
        """Names that the setting adds, and nobody is polled for: name → what it means."""
        return {name: meant for name, meant in self._added.items() if self(name) is None}

    def near(self, name: str) -> str | None:
        """The carrier of the table whose name is spelt most alike, for a hint."""
        return self._names.near(name)

    def _look_up(self, carrier: str) -> Route | None:
        name = plain_name(carrier)
        if (meant := self._added.get(name)) is not None:
            service, colon, own_id = meant.partition(":")
            if colon:
                return self._route(service.strip(), own_id.strip())
            name = plain_name(meant)
        if name in self._own:
            return Route(name)
        known = self._names.find(name)
        if known is None:
            named = ((who, each) for who, ids in self._aggregators.items() for each in ids or ())
            return next((self._route(who, each) for who, each in named if bare(each) == bare(name)), None)
        own = next((plain for each in known.names() if (plain := plain_name(each)) in self._own), None)
        if own is not None:
            return Route(own)
        routes = (self._route(who, each) for who, ids in known.ids.items() for each in ids)
        return next(filter(None, routes), None)

    def _route(self, who: str, carrier_id: str) -> Route | None:
        """The route to a carrier at a service, None where the service is not configured, or not for this carrier."""
        accounts = self._aggregators.get(who, ())
        if accounts is None:
            return Route(who, carrier_id)
        return Route(account_name(who, carrier_id), carrier_id) if carrier_id in accounts else None
