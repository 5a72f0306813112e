"""Carriers by the names that people give them: `names.json` beside this module, and what a setting adds.

A row of the table is one carrier: its title, other names (`aliases`), words that follow any of them and change nothing
of whom to ask (`services`: FedEx Ground is FedEx), and its id at each service that follows its parcels (`ids`), the one
to be preferred first; several, where a service knows it by several. An id is a name, too: `kr.cjlogistics` means CJ
Logistics; of several the first.

The ids are those of tracker.delivery's public carrier registry, of EasyPost's documentation (docs.easypost.com,
"Trackers": carrier strings) and of karrio's connectors.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from settings.fields import Setting, plain_name, quoted

FILE = Path(__file__).with_name("names.json")


@dataclass(frozen=True, slots=True)
class Carrier:
    """One carrier of the table."""

    title: str
    ids: Mapping[str, tuple[str, ...]]  # the service that follows its parcels → its ids there, the preferred ones first
    aliases: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def names(self) -> Iterator[str]:
        """Every name that it goes by."""
        for name in (self.title, *self.aliases):
            yield name
            yield from (f"{name} {service}" for service in self.services)
        yield from (ids[0] for ids in self.ids.values())


@dataclass(frozen=True, slots=True)
class CarrierNames:
    """The table, ready to be asked. ValueError where one name would mean two carriers."""

    carriers: tuple[Carrier, ...]
    _by_name: dict[str, Carrier] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for carrier in self.carriers:
            for name in carrier.names():
                known = self._by_name.setdefault(bare(name), carrier)
                if known is not carrier:
                    raise ValueError(f"{FILE.name}: {name!r} means {known.title} and {carrier.title}; keep one")

    def find(self, name: str) -> Carrier | None:
        """The carrier that goes by this name, None where the table has none."""
        return self._by_name.get(bare(name))

    def services(self) -> set[str]:
        """The names of those that follow parcels of carriers in the table."""
        return {service for carrier in self.carriers for service in carrier.ids}

    def near(self, name: str) -> str | None:
        """The title of the carrier whose name is spelt most alike, for a hint; None where none is."""
        found = get_close_matches(bare(name), self._by_name, 1, 0.7)
        return self._by_name[found[0]].title if found else None


@cache
def table() -> CarrierNames:
    """The table that comes along, read once."""
    rows = json.loads(FILE.read_text(encoding="utf-8"))
    return CarrierNames(
        tuple(
            Carrier(row["title"], _ids(row["ids"]), tuple(row.get("aliases", ())), tuple(row.get("services", ())))
            for row in rows
        )
    )


def _ids(told: Mapping[str, str | list[str]]) -> dict[str, tuple[str, ...]]:
    return {service: (ids,) if isinstance(ids, str) else tuple(ids) for service, ids in told.items()}


def bare(name: str) -> str:
    """A name as it is looked up: letters and digits only, in one width and case.

    >>> bare("UPS®"), bare("CJ 대한통운"), bare("D.H.L."), bare("ＣＪ-Logistics")
    ('ups', 'cj대한통운', 'dhl', 'cjlogistics')
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


def _added(value: str) -> dict[str, str]:
    """NAME=CARRIER, comma-separated: names as parcels carry them, normalized, and what they mean.

    Whether somebody is polled for that carrier depends on other settings; the doctor says where nobody is.
    """
    found: dict[str, str] = {}
    for place, pair in enumerate(filter(None, map(str.strip, value.split(","))), 1):
        name, equals, carrier = map(str.strip, pair.partition("="))
        if not equals or not bare(name) or not carrier:
            raise ValueError(f"must be NAME=CARRIER, comma-separated: entry {place} is not")
        plain = plain_name(name)
        if plain in found:
            raise ValueError(f"names {quoted(name)} twice; one carrier per name")
        found[plain] = carrier
    return found


NAMES = Setting(
    "ORDERS_CARRIER_NAMES", "",
    "further names of carriers, NAME=CARRIER comma-separated; SERVICE:ID is a carrier, too (docs/howto/follow-parcels.md)",
    _added, example="Our Courier=CJ Logistics, Night Van=tracker_delivery:kr.todaypickup",
)  # fmt: skip
