"""What every stored part shares: a mark that tells storage what to write.

Parts are plain objects with slots, field for column. CLEAN is as loaded; FILLED is an order that was
hidden and is created now (all its columns change); NEW, DIRTY and GONE are
inserted, updated and deleted in one statement a table.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

CLEAN, DIRTY, FILLED, NEW, GONE = range(5)

# Fields that are no columns: marks, and what is counted from other parts (domain/goods.py, domain/payments.py).
NOT_STORED = frozenset(
    ("mark", "gone", "created_at", "goods_kept", "payments_kept", "taken", "sent", "arrived", "claimed", "came_back",
     "brought", "counted", "shares", "worth", "highest")
)  # fmt: skip


class Part(Protocol):
    """Anything with a mark."""

    mark: int


P = TypeVar("P", bound=Part)


def touch(part: Part) -> None:
    """Note that a part changed."""
    if part.mark == CLEAN:
        part.mark = DIRTY


def drop(part: P, gone: list[P]) -> None:
    """Note that `part` is no more; `gone` keeps it for storage unless it was never stored."""
    if part.mark != NEW:
        part.mark = GONE
        gone.append(part)
