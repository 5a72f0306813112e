"""Bodies of events about a return on its way: what carries it back, and that it was received."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from events.body import Body, tracking_key
from events.field_types import Name


class ReturnStep(Body):
    """A step of a return that somebody took."""

    return_: Annotated[Name, Field(alias="return")]
    by: Name | None = None


class ReturnReceived(ReturnStep):
    """The warehouse has what was sent back; a customer does not withdraw the return any more."""


class ReturnTrackingChanged(ReturnStep):
    """Another carrier and number of a return, told after it was asked for: its earlier numbers move nothing any more."""

    carrier: Name
    trackingNumber: Name

    def correlation_keys(self) -> set[str]:
        """The key of its parcel."""
        return {tracking_key(self.carrier, self.trackingNumber)}
