"""Acts of operators on what was given up, noted in the audit: who did what to which thing, and for what reason.

The one place of this subject that writes to the audit, in the transaction of the act itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, text

from events.errors import OrdersError
from storage.pg_arrays import columns, unnest

MOST_REASON = 500  # characters

_NAMES, _KINDS = ("actor", "action", "target", "detail"), ("text", "text", "text", "jsonb")
_AUDIT = text(
    f"insert into audit ({', '.join(_NAMES)}) select v.actor, v.action, v.target, cast(v.detail as jsonb) "
    f"from {unnest(_NAMES, _KINDS)} order by v.ordinal"
)


class ReasonAbsent(OrdersError):
    """An act on what was given up says no reason, or one that is too long; nothing was changed."""

    code = "act_reason_absent"
    remedy = "Say in a sentence why: `--why`, or `reason` over HTTP."
    status = 400
    exit_code = 2

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


def note(conn: Connection, by: str, action: str, acts: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Note one act on each of these targets, with what there is to say of it; in one statement."""
    if acts:
        rows = [(by, action, target, orjson.dumps(detail, default=str).decode()) for target, detail in acts]
        conn.execute(_AUDIT, columns(_NAMES, _KINDS, rows))
