"""Every provider that there is: ours, then those of the entry-point group `orders.providers`.

An entry point names a `Provider` in an installed package. One that cannot be loaded, or is no sound provider, is
told (`Registry.broken`: a warning at the start, a line of `orders doctor`) and takes nothing else down.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any
from weakref import WeakKeyDictionary

from providers.base import (
    ABILITIES,
    AbilityByName,
    Aggregator,
    Kind,
    Offer,
    PaymentListing,
    PaymentLookup,
    Port,
    Provider,
    RefundClient,
    TrackingClient,
    WebhookReceiver,
)
from providers.by_carrier import AbilityByAccount, service_of
from providers.carriers import easypost, karrio, manual, tracker_delivery
from providers.carriers import simulated as simulated_carrier
from providers.carriers.limits import Limits, limits_of
from providers.carriers.names import NAMES
from providers.carriers.routes import Routes
from providers.payments import portone, standard, stripe, toss
from settings.fields import Setting, Values

GROUP = "orders.providers"
OURS: tuple[Provider, ...] = (
    stripe.PROVIDER,
    portone.PROVIDER,
    toss.PROVIDER,
    standard.PROVIDER,
    karrio.PROVIDER,
    easypost.PROVIDER,
    tracker_delivery.PROVIDER,
    simulated_carrier.PROVIDER,
    manual.PROVIDER,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Broken:
    """An entry point that gives no provider, and why."""

    name: str
    value: str  # MODULE:NAME, as its package wrote it
    why: str


@dataclass(frozen=True, slots=True)
class Registry:
    """The providers of this process, and the entry points that gave none."""

    providers: tuple[Provider, ...]
    broken: tuple[Broken, ...] = ()

    def of_kind(self, kind: Kind) -> list[Provider]:
        """Payment providers, or carriers."""
        return [each for each in self.providers if each.kind == kind]

    def settings(self) -> list[Setting[Any]]:
        """The settings that they declare."""
        return [setting for each in self.providers for setting in each.settings]

    def may_belong_to_broken(self, name: str) -> bool:
        """True for the name of a setting that a broken entry point may have declared."""
        return any(name.startswith(_prefix(each.name)) for each in self.broken)

    def receivers(self, kind: Kind, values: Values) -> dict[str, WebhookReceiver]:
        """Receivers of those who may send webhooks, by name."""
        return _connected("receives", [(each.name, each.receives) for each in self.of_kind(kind)], values)

    def lookups(self, values: Values) -> dict[str, PaymentLookup]:
        """Clients that are asked how a payment stands, by name."""
        return _connected("looks_up", [(each.name, each.looks_up) for each in self.providers], values)

    def refund_clients(self, values: Values) -> dict[str, RefundClient]:
        """Clients that give money back, by the name that transactions carry."""
        return _connected("refunds", [(each.name, each.refunds) for each in self.providers], values)

    def listings(self, values: Values) -> dict[str, PaymentListing]:
        """Clients that tell what happened at a provider in a time, by name."""
        return _connected("lists", [(each.name, each.lists) for each in self.providers], values)

    def tracking_clients(self, values: Values) -> dict[str, TrackingClient | Aggregator]:
        """Clients that are polled for parcels, by the name that `routes` gives."""
        offers: list[tuple[str, Offer[Any] | None]] = [(each.name, each.tracks) for each in self.providers]
        return _connected("tracks", offers, values)

    def limits(self, name: str, values: Values) -> Limits:
        """The limits of one who is polled, by the name that `routes` gives."""
        own = next((each.limits for each in self.providers if each.name == service_of(name)), None)
        return limits_of(name, own, values)

    def routes(self, values: Values) -> Routes:
        """The table that says who is polled for a parcel, by the name that people gave its carrier."""
        own: set[str] = set()
        aggregators: dict[str, Collection[str] | None] = {}
        for each in self.providers:
            if each.tracks is None:
                continue
            if isinstance(each.tracks, AbilityByAccount):
                aggregators[each.name] = each.tracks.carriers(values)
            elif not each.aggregates:
                own.update(each.tracks.configured(each.name, values))
            elif each.tracks.configured(each.name, values):
                aggregators[each.name] = None
        added = values.get(NAMES)
        return Routes(own, aggregators, added or {})

    def ready(self, ability: str, values: Values) -> list[str]:
        """The names under which an ability (a field of Provider) is configured."""
        return sorted(
            {
                name
                for each in self.providers
                if (offer := each.abilities().get(ability)) is not None
                for name in offer.configured(each.name, values)
            }
        )

    def unusable(self, values: Values) -> list[tuple[str, str]]:
        """(name, ability) of what is configured, and could not be made."""
        found = []
        for word in ABILITIES:
            made = _connected(word, [(each.name, each.abilities().get(word)) for each in self.providers], values)
            found += [(name, word) for name in self.ready(word, values) if name not in made]
        return found

    def missing(self, ability: str, values: Values, kind: Kind | None = None) -> dict[str, str]:
        """Provider → the settings for want of which it does not do what it could."""
        return {
            each.name: " and ".join(need.name for need in offer.needs if not values.has(need))
            for each in (self.providers if kind is None else self.of_kind(kind))
            if (offer := each.abilities().get(ability)) is not None and not offer.configured(each.name, values)
        }


@cache
def registry() -> Registry:
    """The providers of this process, found once."""
    found = gather(OURS, entry_points(group=GROUP))
    for each in found.broken:
        log.warning("provider %s (%s) is left out: %s", each.name, each.value, each.why)
    return found


def gather(ours: Iterable[Provider], points: Iterable[EntryPoint]) -> Registry:
    """`ours`, and what entry points give; of two with one name, or one setting, the first counts."""
    providers = list(ours)
    broken = []
    for point in sorted(points, key=lambda each: (each.name, each.value)):
        try:
            provider = point.load()
        except (Exception, SystemExit) as error:  # whatever a foreign module does when it is imported
            broken.append(Broken(point.name, point.value, f"{type(error).__name__}: {error}"))
            continue
        if why := _unsound(provider, providers):
            broken.append(Broken(point.name, point.value, why))
        else:
            providers.append(provider)
    return Registry(tuple(providers), tuple(broken))


def _unsound(provider: object, known: Iterable[Provider]) -> str | None:
    """Why an entry point's object cannot be taken, None where it can."""
    if not isinstance(provider, Provider):
        return f"it is {type(provider).__name__}, and must be providers.base.Provider"
    for other in known:
        if (other.name, other.kind) == (provider.name, provider.kind):
            return f"there is a provider {other.name} of kind {other.kind} already"
        taken = {each.name for each in other.settings} & {each.name for each in provider.settings}
        if taken:
            return f"{min(taken)} is a setting of {other.name} already"
    foreign = [each.name for each in provider.settings if not each.name.startswith(_prefix(provider.name))]
    return f"its setting {foreign[0]} must begin with {_prefix(provider.name)}" if foreign else None


def _prefix(name: str) -> str:
    return f"ORDERS_{name.upper().replace('-', '_')}_"


# What was made of which values, None where that failed: a client keeps its connections, and is made once.
_made: WeakKeyDictionary[Values, dict[tuple[str, str, str], Any]] = WeakKeyDictionary()


def _connected(word: str, offers: Sequence[tuple[str, Offer[Port] | None]], values: Values) -> dict[str, Port]:
    """What is configured of an ability, by name. Whom a setting names with a URL of its own is asked there."""
    found: dict[str, Port] = {}
    for own_name, offer in sorted(offers, key=lambda each: not isinstance(each[1], AbilityByName)):
        if offer is None:
            continue
        for name in offer.configured(own_name, values):
            made = _once((word, own_name, name), offer, values)
            if made is not None:
                found.setdefault(name, made)
    return found


def _once(key: tuple[str, str, str], offer: Offer[Port], values: Values) -> Port | None:
    clients = _made.setdefault(values, {})
    if key not in clients:
        try:
            clients[key] = offer.connect(key[2], values)
        except Exception:  # a provider of others: it must not keep the rest from working
            log.exception("provider %s cannot be used: %s failed with these settings", key[1], key[0])
            clients[key] = None
    found: Port | None = clients[key]
    return found
