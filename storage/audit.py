"""The audit: who did what, when, why, how it was before and after; and who looked at personal data.

One row for each act, written in the transaction of the act itself: so an act without its row never was. Rows are
never changed (a trigger refuses it). No personal field stands in one: fields of that kind are told by their names alone.
What a person makes an event of is noted here, too: the journal says what happened to the order, the audit who had it happen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection, text

from events.catalogue import PERSONAL_NAMES
from storage.pg_arrays import columns, unnest

ERASED = "(personal)"  # stands for the value of a personal field
LOOKED = "look at personal data"  # the act of who sees names, addresses, notes
_NAMES = ("actor", "action", "target", "reason", "before", "after", "detail", "order_number")
_KINDS = ("text", "text", "text", "text", "jsonb", "jsonb", "jsonb", "text")
_RECORD = text(
    f"insert into audit ({', '.join(_NAMES)}) select v.actor, v.action, v.target, v.reason, cast(v.before as jsonb), "
    f"cast(v.after as jsonb), cast(v.detail as jsonb), v.order_number from {unnest(_NAMES, _KINDS)} order by v.ordinal"
)


@dataclass(frozen=True, slots=True)
class Act:
    """One act, or one look: `act` in a few words ("hold", "given-up replay"), `subject` what it was done to."""

    actor: str  # cli:USER, api/key_…, console:NAME; orders: by itself
    act: str
    subject: str
    reason: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    order: str | None = None  # its number, where it is about one
    detail: Mapping[str, Any] = field(default_factory=dict)


def record(
    conn: Connection,
    actor: str,
    act: str,
    subject: str,
    reason: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    *,
    order: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note one act, in the caller's transaction: `before` and `after` are what it changed, by the field's name."""
    record_all(conn, [Act(actor, act, subject, reason, before, after, order, detail or {})])


def record_all(conn: Connection, acts: Sequence[Act]) -> None:
    """Note any number of acts in one statement, in their order."""
    if acts:
        rows = [
            (a.actor, a.act, a.subject, a.reason, _json(a.before), _json(a.after), _json(a.detail), a.order)
            for a in acts
        ]
        conn.execute(_RECORD, columns(_NAMES, _KINDS, rows))


def looked(conn: Connection, actor: str, subject: str, reason: str | None = None, *, order: str | None = None) -> None:
    """Note that a person was shown names, addresses, notes or the like."""
    record(conn, actor, LOOKED, subject, reason, order=order)


def _json(told: Mapping[str, Any] | None) -> str | None:
    return None if told is None else orjson.dumps(_without_personal(told), default=_plain).decode()


def _without_personal(told: Any) -> Any:
    """The same with every personal field's value left out, however deep it stands."""
    if isinstance(told, Mapping):
        return {
            str(name): ERASED if name in PERSONAL_NAMES and value is not None else _without_personal(value)
            for name, value in told.items()
        }
    if isinstance(told, list | tuple):
        return [_without_personal(each) for each in told]
    return told


def _plain(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
