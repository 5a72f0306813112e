"""Time zones of countries, as the tz database lists them in the `zone.tab` that the package `tzdata` brings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def zones() -> Mapping[str, tuple[str, ...]]:
    """The time zones of each country, by its ISO 3166 code, in the order of `zone.tab`; read once."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            found[country].append(zone)
    return {country: tuple(each) for country, each in found.items()}
