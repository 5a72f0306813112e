"""Examples of the simulated providers, as `orders simulate` shows them: a port, and a payment or a parcel."""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """The port that it takes unless another is asked for, and a payment in the provider's own kind of name."""

    port: int
    payment: str
    amount: str  # in major units
    currency: str


class ParcelExample(NamedTuple):
    """The port of a tracking service, and a parcel of a carrier that it follows."""

    port: int
    carrier: str  # as people write it
    carrier_id: str  # its id there
    number: str


EXAMPLES = {
    "stripe": Example(12111, "pi_1", "12.50", "USD"),
    "portone": Example(12112, "payment-1", "12000", "KRW"),
    "toss": Example(12113, "tgen_1", "12000", "KRW"),
    "standard": Example(12117, "pay-1", "12.50", "USD"),
}
PARCEL_EXAMPLES = {
    "carrier": ParcelExample(12116, "Simulated", "", "parcel-1"),
    "easypost": ParcelExample(12114, "UPS", "UPS", "1Z999AA10123456784"),
    "tracker_delivery": ParcelExample(12115, "CJ대한통운", "kr.cjlogistics", "640001234567"),
}
