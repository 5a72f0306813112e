"""The bases of all bodies, and the key by which an event leads to the order of its payment."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from events.field_types import Name, Quantity, Text


class Body(BaseModel):
    """The base of all bodies: fields that a type does not know are kept in the journal, unread."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    def correlation_keys(self) -> set[str]:
        """The payments and parcels that it names, as keys of `correlations`."""
        return set()


class Share(Body):
    """So many of one item."""

    item: Name
    quantity: Quantity


Shares = Annotated[list[Share], Field(min_length=1, max_length=1000)]


class PaymentBody(Body):
    """The base of bodies about one payment, by the provider's id of it."""

    paymentId: Name

    def correlation_keys(self) -> set[str]:
        """The key of its payment."""
        return {payment_key(self.paymentId)}


class Decision(Body):
    """The base of bodies about what somebody decided about an order."""

    by: Name | None = None
    reason: Text | None = None


def payment_key(payment_id: str) -> str:
    """The correlation key of a payment."""
    return f"payment:{payment_id}"


@lru_cache(4096)  # asked several times per event of a parcel
def tracking_key(carrier: str, number: str) -> str:
    """The correlation key of a parcel; carriers' names differ in case and blanks only by accident."""
    return f"tracking:{' '.join(carrier.casefold().split())}:{number.strip()}"
