"""Orders that the rules of a new release make otherwise: folded anew from the journal, and written over.

Their recorded outcomes stay what they were, since those were reached under the rules of their time. Nothing is sent:
no refund, no timer and no webhook follows from it.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine

from domain.dirty_tracking import DIRTY, NEW
from domain.order import Order
from journal.policy_store import all_policies
from journal.refund_rows import all_refunds
from journal.verify import Difference, compare, fold_order, history_of
from journal.waits import waits_of
from storage.aggregates import lock, save
from storage.clock import clock
from storage.raw_sql import Writes

_PARTS = ("items", "transactions", "fulfillments", "fulfillment_items", "returns", "return_items")


def refold(engine: Engine, order_number: str) -> list[Difference]:
    """Write an order over as the journal tells it; what was stored otherwise, [] where nothing was.

    Locks:  the order's row, so that workers wait for it; all of its events are read meanwhile.
    Errors: what our own code raises on an event of it: nothing is written then.
    """
    with engine.begin() as conn:
        for stored in lock(conn, [order_number], by="number").values():
            events = history_of(conn, stored.id)
            folded = fold_order(stored, events, all_policies(conn), waits_of(conn, [stored.id]))
            folded.version = stored.version
            found = compare(stored, folded)
            if found:
                _overwrite(conn, stored, folded)
            return found
    return []


def _overwrite(conn: Connection, stored: Order, folded: Order) -> None:
    folded.change_state = DIRTY
    for part in _PARTS:
        before = {each.id: each for each in getattr(stored, part)}
        for each in getattr(folded, part):
            each.change_state = NEW if before.pop(each.id, None) is None else DIRTY
        folded.deleted += before.values()
    writes = Writes()
    save(conn, [folded], writes)
    all_refunds(writes, folded, clock())
    writes.run(conn)
