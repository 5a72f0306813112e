"""Bodies of events that correct an order: items of it that are canceled, and holds that keep it from shipping."""

from __future__ import annotations

from events.body import Decision, Shares
from events.field_types import Amount, Moment, Name


class ItemsCanceled(Decision):
    """Somebody takes items out of an order; all of them or none, and possible while so many are in no parcel.

    Without `refundAmount` what they give back follows from the lines' prices. The same `cancellation` again changes nothing.
    """

    cancellation: Name
    items: Shares
    refundAmount: Amount | None = None


class OrderHeld(Decision):
    """Somebody holds the order: nothing more of it is to ship until that hold is released, by itself at `until`."""

    hold: Name
    until: Moment | None = None


class OrderReleased(Decision):
    """Somebody, or the timer, releases a hold by its name."""

    hold: Name
