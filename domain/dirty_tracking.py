"""The change state that every stored part has: it tells storage what to write.

Parts are plain objects with slots, field for column. CLEAN is as loaded; FILLED is an order that was
hidden and is created now, EDITED one of which more changes than events usually do (all columns of both are written);
NEW, DIRTY and DELETED are inserted, updated and deleted in one statement per table.
QUIET is updated like DIRTY, and subscribers are not told of it.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

CLEAN, DIRTY, FILLED, NEW, DELETED, EDITED, QUIET = range(7)
_UNTOLD = frozenset((CLEAN, QUIET))

# Fields that are no columns: change states, and what is counted from other parts (domain/goods.py, domain/payments.py).
NOT_STORED = frozenset(
    ("change_state", "deleted", "created_at", "goods_kept", "payments_kept", "taken", "sent", "arrived", "claimed", "came_back",
     "brought", "counted", "shares", "worth", "highest", "ever", "stands", "was_delivered", "returned", "to_watch")
)  # fmt: skip


class Part(Protocol):
    """Anything with a change state."""

    change_state: int


P = TypeVar("P", bound=Part)


def touch(part: Part) -> None:
    """Note that a part changed."""
    if part.change_state in _UNTOLD:
        part.change_state = DIRTY


def touch_quietly(part: Part) -> None:
    """Note that a part changed in what subscribers are not told of: it is saved, and no more."""
    if part.change_state == CLEAN:
        part.change_state = QUIET


def drop(part: P, deleted: list[P]) -> None:
    """Note that `part` is no more; `deleted` keeps it for storage unless it was never stored."""
    if part.change_state != NEW:
        part.change_state = DELETED
        deleted.append(part)
