"""One order recomputed from the journal, after a bug was mended that had made it otherwise; no effect is repeated.

What differs is found first, by the same fold that `orders verify` uses; then the order is written over under its lock
(`journal.refold`), and the audit has its row in the same transaction. Nothing is sent: no refund, timer or message follows from it.
"""

from __future__ import annotations

from sqlalchemy import Engine

from journal.refold import refold
from journal.verify import Difference, verify
from operations import acts
from storage import audit

TOLD = 100  # differences that the audit keeps


def differences(engine: Engine, order_number: str) -> list[Difference]:
    """The fields of the order that are stored otherwise than the journal tells; nothing is changed."""
    return verify(engine, order_number).differences


def rebuild(engine: Engine, order_number: str, *, by: str, reason: str) -> list[Difference]:
    """Write the order over as the journal tells it; what was stored otherwise, none where nothing was.

    Errors: ReasonAbsent; what our own code raises on an event of it: then the order is untouched.
    """
    why = acts.checked_reason(reason)
    with engine.begin() as conn:
        found = refold(conn, order_number)
        if found:
            was = {each.path: str(each.stored) for each in found[:TOLD]}
            now = {each.path: str(each.folded) for each in found[:TOLD]}
            subject, detail = f"orders/{order_number}", {"differences": len(found)}
            audit.record(conn, by, "order rebuild", subject, why, was, now, order=order_number, detail=detail)
    return found
