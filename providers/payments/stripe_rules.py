"""Stripe's rules as data: minor units."""

from __future__ import annotations

from providers.minor_units import MinorUnits

UNITS = MinorUnits(
    "Stripe, “Supported currencies” (docs.stripe.com/currencies): zero-decimal, three-decimal, special cases",
    decimals=dict.fromkeys("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split(), 0)
    | dict.fromkeys("ISK UGX".split(), 2)  # special cases: no decimals, and sent with two
    | dict.fromkeys("BHD JOD KWD OMR TND".split(), 3),
    steps=dict.fromkeys("BHD JOD KWD OMR TND".split(), 10) | dict.fromkeys("ISK UGX".split(), 100),
    default=2,
)
