"""Order numbers as the shop makes them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def generate_order_number() -> str:
    """A number for a new order: the date in UTC as YYMMDD, and six random digits.

    A million a day: with a thousand orders that day, one in a thousand meets a number that is taken. The API refuses
    it (`Conflict`, name "order_number_taken"); make another one then.
    """
    return f"{datetime.now(UTC):%y%m%d}{secrets.randbelow(1_000_000):06d}"
