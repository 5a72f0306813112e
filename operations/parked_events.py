"""Parked events as an operator sees them: each with what it waits for, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from domain.outcome import REASONS

SHOWN = 100  # the length of a list, unless told otherwise

_PARKED = text("""
    select p.seq, j.source, j.event_id, j.type, j.subject, o.order_number, p.key, p.reason, r.decided_at as since, p.until
    from parked p join results r using (seq) join journal j using (seq) left join orders o on o.id = p.order_id
    order by p.seq limit :most
""")


@dataclass(frozen=True, slots=True)
class Parked:
    """An event that came too early, and what it waits for."""

    seq: int
    source: str
    event_id: str
    type: str
    subject: str | None
    order_number: str | None
    key: str | None  # the payment or parcel, where no order is known
    reason: str
    since: datetime
    until: datetime | None  # then it goes to the dead letters; None: never

    @property
    def text(self) -> str:
        """The reason of its wait in words."""
        return REASONS.get(self.reason, self.reason)


def list_parked(conn: Connection, limit: int = SHOWN) -> list[Parked]:
    """Events that wait, the first accepted first."""
    return [Parked(**row) for row in conn.execute(_PARKED, {"most": limit}).mappings()]
