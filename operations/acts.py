"""The reason that each act on what was given up must have, for whoever reads the audit later."""

from __future__ import annotations

from events.errors import OrdersError

MOST_REASON = 500  # characters


class ReasonAbsent(OrdersError):
    """An act on what was given up says no reason, or one that is too long; nothing was changed."""

    code = "act_reason_absent"
    remedy = "Say in a sentence why: `--why`, or `reason` over HTTP."
    status = 400

    def __init__(self) -> None:
        super().__init__(
            f"say why, in 1 to {MOST_REASON} characters; those who look later read it. Nothing was changed"
        )


def checked_reason(reason: str) -> str:
    """The reason of an act, without what surrounds it. Errors: ReasonAbsent."""
    said = reason.replace("\x00", "").strip()
    if not 0 < len(said) <= MOST_REASON:
        raise ReasonAbsent
    return said
