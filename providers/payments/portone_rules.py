"""PortOne's rules as data: minor units."""

from __future__ import annotations

from providers.minor_units import MinorUnits

UNITS = MinorUnits(
    "PortOne, REST API V2: amounts are int64, the real amount × 10 to the power of the currency's scale factor; the "
    "factors are those of ISO 4217, which its list of currencies follows"
)
