"""Examples of the simulated providers, as `orders simulate` shows them: a port, and a payment that somebody makes."""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """The port that it takes unless another is asked for, and a payment in the provider's own kind of name."""

    port: int
    payment: str
    amount: str  # in major units
    currency: str


EXAMPLES = {
    "stripe": Example(12111, "pi_1", "12.50", "USD"),
    "portone": Example(12112, "payment-1", "12000", "KRW"),
    "toss": Example(12113, "tgen_1", "12000", "KRW"),
}
