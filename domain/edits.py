"""Edits of an order, as facts of it: who ordered, where it goes, notes, and the customer's id.

    edited   {"placed": personal id of OrderCreated | null, field: [time, source, id, value] …}

Of two edits of one field the later stands, and any edit counts more than what the order was created with. The value of a
personal field is the id of the row that holds it, which only the journal's side table can read; of `customer` it is
itself. `personal_id` of the order names one row with all that stands of them: where that is of several events, one that
storage puts together under an id that follows from theirs (storage/personal_rows.py).
"""

from __future__ import annotations

from typing import Any

from domain.dirty_tracking import CLEAN, DIRTY, EDITED, QUIET
from domain.dues import facts_of
from domain.ids import derived
from domain.item_cancels import place
from domain.movements import moment
from domain.order import Order
from events.catalogue import Event
from events.corrections import OrderEdited

EDITS = "edited"
ADDRESS, CUSTOMER = "shippingAddress", "customer"
PERSONAL = ("customerSnapshot", ADDRESS, "notes")  # the fields that stand in a side row
_PLACED = "placed"


def note_edit(order: Order, event: Event[OrderEdited]) -> bool:
    """Note what an event edits. → whether any of it stands."""
    data, at = event.data, place(event)
    told = dict.fromkeys(data.personalFields, data.personal) | {CUSTOMER: data.customer}
    known: dict[str, Any] = facts_of(order).setdefault(EDITS, {_PLACED: order.personal_id})
    later = [name for name, value in told.items() if value is not None and known.get(name, [])[:3] < at]
    known.update({name: [*at, told[name]] for name in later})
    if not later:
        return False
    if CUSTOMER in later:
        order.customer = data.customer
    order.personal_id = _row(order)
    if order.change_state in (CLEAN, QUIET, DIRTY):
        order.change_state = EDITED
    return True


def sources(order: Order) -> dict[str, str | None] | None:
    """Personal field → the row that holds what stands of it; None where the order was never edited."""
    known = order.facts.get(EDITS) if order.facts is not None else None
    if known is None:
        return None
    return {name: known[name][3] if name in known else known[_PLACED] for name in PERSONAL}


def addressed_after_shipping(order: Order) -> bool:
    """True where the address was edited later than a parcel left, which goes to the one before."""
    known = order.facts.get(EDITS) if order.facts is not None else None
    if known is None or ADDRESS not in known or order.canceled_at is not None:
        return False
    left = (parcel.shipped_at or parcel.delivered_at for parcel in order.fulfillments if parcel.has_left())
    return any(at is not None and moment(at) < known[ADDRESS][0] for at in left)


def _row(order: Order) -> str | None:
    """The id of the row with all that stands: of one event alone its own."""
    rows = list((sources(order) or {}).values())
    if len(set(rows)) == 1:
        return rows[0]
    return derived(order.placed_at, order.id, "personal", *(row or "" for row in rows)) if order.placed_at else None
