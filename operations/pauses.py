"""Pauses as people on call make and end them: each with a reason and a name, noted in the audit.

    PauseError
    ├── PauseRefused   nothing of that kind or name can be paused
    └── PauseAbsent    nothing of that name is paused

What a pause stops, and how it is obeyed, stands in `journal.pauses`; its end in `journal.pause_end`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from domain.ids import format_id, fresh, parse_id
from events.catalogue import CATALOGUE
from events.errors import OrdersError
from journal.pauses import EFFECTS
from operations import acts
from settings.fields import plain_name
from storage import audit
from storage.clock import clock
from storage.tables.operators import PAUSE_KINDS as KINDS

NAME = 255

# What rests under each, and what goes on, for help texts and answers.
SAYS = {
    "order": "its events wait in the journal, its timers rest, and nothing of it goes outward; requests about it are refused",
    "event_type": "events of that type wait in the journal, and timers rest meanwhile",
    "provider": "nothing is asked of that payment provider or tracking service",
    "carrier": "its parcels are not asked for",
    "effect": f"calls of that kind rest: {', '.join(EFFECTS)}",
    "subscription": "it is sent nothing",
    "outward": "nothing at all goes outward: no refund, look-up, comparison, poll or delivery",
}


class PauseError(OrdersError):
    """This cannot be paused or resumed; nothing was changed."""

    code = "pause"
    remedy = "See `orders pauses`, and `orders pause --help` for what can be paused."
    status = 400


class PauseRefused(PauseError):
    """Nothing of that kind or name can be paused."""

    code = "pause_refused"
    remedy = "Give a kind and a name as the message says."


class PauseAbsent(PauseError):
    """Nothing of that name is paused."""

    code = "pause_absent"
    remedy = "See `orders pauses` for what is paused."
    status = 404


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that stands, or one that was resumed and whose events are still being worked off."""

    id: str
    kind: str
    name: str  # as people say it
    reason: str
    by: str
    at: datetime
    until: datetime | None
    resumed_at: datetime | None  # or when its time was up
    resumed_by: str | None
    waiting: int  # events that it, or another pause, set aside

    @property
    def state(self) -> str:
        """paused, or resuming: what waited is being worked off."""
        return "paused" if self.resumed_at is None else "resuming"

    @property
    def what(self) -> str:
        """Its kind and name in a line, as `orders resume` takes them."""
        return f"{self.kind} {self.name}".rstrip()

    def as_document(self) -> dict[str, Any]:
        """The pause for scripts and the API."""
        return {
            "id": format_id("pauses", self.id),
            "kind": self.kind,
            "name": self.name or None,
            "state": self.state,
            "reason": self.reason,
            "by": self.by,
            "at": self.at,
            "until": self.until,
            "resumedAt": self.resumed_at,
            "resumedBy": self.resumed_by,
            "waitingEvents": self.waiting,
        }


_PUT = text("""
    insert into pauses as p (id, kind, name, reason, "by", until) values (:id, :kind, :name, :reason, :by, :until)
    on conflict (kind, name) where closed_at is null do update set reason = excluded.reason, "by" = excluded."by",
        until = excluded.until, resumed_at = null, resumed_by = null
    returning id
""")
_RESUME = text("""
    update pauses set resumed_at = clock_timestamp(), resumed_by = :by,
        closed_at = case when kind in ('order', 'event_type') then null else clock_timestamp() end
    where id = :id and closed_at is null and resumed_at is null
""")
_OPEN = """
    select p.id, p.kind, p.name, p.reason, p."by", p.at, p.until,
           case when p.resumed_at is not null then p.resumed_at when p.until <= clock_timestamp() then p.until end as resumed_at,
           p.resumed_by,
           case when p.kind in ('order', 'event_type') then (
               select count(*) from parked w join journal j using (seq) where w.reason = 'paused'
               and (p.kind = 'event_type' and j.type = p.name or p.kind = 'order' and coalesce(j.subject, p.name) = p.name)
           ) else 0 end as waiting
    from pauses p where p.closed_at is null
      and (p.kind in ('order', 'event_type') or coalesce(p.until > clock_timestamp(), true))
"""
_ALL = text(f"{_OPEN} order by p.at, p.id")
_ONE = text(f"{_OPEN} and p.kind = :kind and p.name = :name")
_OF_ID = text(f"{_OPEN} and p.id = cast(:id as uuid)")
_OF_ORDER = text(f"{_OPEN} and (p.kind = 'order' and p.name = :number or p.kind = 'outward') order by p.at")
_SUBSCRIPTION = text("select exists (select from subscriptions where id = cast(:id as uuid))")


def pause(conn: Connection, kind: str, name: str | None, reason: str, by: str, until: datetime | None = None) -> Pause:
    """Pause what `kind` and `name` say, from this transaction's commit on. One that stands has its reason and end replaced.

    Errors: PauseRefused, WrongKind, ReasonAbsent.
    """
    kept = _named(conn, kind, name)
    why = acts.checked_reason(reason)
    if until is not None and until <= clock():
        raise PauseRefused(f"until: {until.isoformat()} is not ahead; give a later time, or none")
    before = conn.execute(_ONE, {"kind": kind, "name": kept}).one_or_none()
    conn.execute(_PUT, {"id": fresh(clock()), "kind": kind, "name": kept, "reason": why, "by": by, "until": until})
    made = _made(conn.execute(_ONE, {"kind": kind, "name": kept}).one())
    _note(conn, "pause", made, by, why, None if before is None else _made(before), made)
    return made


def resume(conn: Connection, kind: str, name: str | None, by: str, reason: str | None = None) -> Pause:
    """Resume what was paused: what goes outward at once, events within a second, in their order.

    Errors: PauseAbsent, PauseRefused, WrongKind, ReasonAbsent.
    """
    why = acts.reason_if_said(reason)
    kept = _named(conn, kind, name, known=False)
    row = conn.execute(_ONE, {"kind": kind, "name": kept}).one_or_none()
    if row is None:
        raise PauseAbsent(f"{kind} {name or ''}".rstrip() + " is not paused; `orders pauses` lists what is")
    return _resumed(conn, _made(row), by, why)


def resume_by_id(conn: Connection, name: str, by: str) -> Pause:
    """Resume the pause of that id (`pau_…`). Errors: PauseAbsent, WrongKind."""
    own_id = parse_id("pauses", name)
    row = conn.execute(_OF_ID, {"id": own_id}).one_or_none() if own_id else None
    if row is None:
        raise PauseAbsent(f"no pause has the id {name}, or it has ended; `orders pauses` lists what is paused")
    return _resumed(conn, _made(row), by, None)


def listed(conn: Connection) -> list[Pause]:
    """All pauses that stand or are being worked off, the oldest first."""
    return [_made(row) for row in conn.execute(_ALL)]


def of_order(conn: Connection, number: str) -> list[Pause]:
    """The pauses that an order is under: its own, and the kill switch."""
    return [_made(row) for row in conn.execute(_OF_ORDER, {"number": number})]


def _resumed(conn: Connection, before: Pause, by: str, reason: str | None) -> Pause:
    if conn.execute(_RESUME, {"id": before.id, "by": by}).rowcount:
        _note(conn, "resume", before, by, reason, before, None)
    row = conn.execute(_OF_ID, {"id": before.id}).one_or_none()
    if row is not None:
        return _made(row)
    return Pause(before.id, before.kind, before.name, before.reason, before.by, before.at, before.until, clock(), by, 0)


def _named(conn: Connection, kind: str, name: str | None, *, known: bool = True) -> str:
    """The name as it is kept. Errors: PauseRefused; WrongKind. Unless `known`, it need not be there any more."""
    if kind not in KINDS:
        raise PauseRefused(f"{kind} cannot be paused; these can: {', '.join(KINDS)}")
    if kind == "outward":
        if name:
            raise PauseRefused(f"outward takes no name, and {name!r} was given: it stops all that goes outward")
        return ""
    if not name or len(name) > NAME or not name.isprintable():
        raise PauseRefused(f"{kind}: say which, in 1 to {NAME} characters that can be printed")
    if kind == "event_type" and known and name not in CATALOGUE:
        raise PauseRefused(f"{name} is no type of event; see `orders schema asyncapi` for those there are")
    if kind == "effect" and name not in EFFECTS:
        raise PauseRefused(f"{name} is no kind of calls; these are: {', '.join(EFFECTS)}")
    if kind == "carrier":
        return plain_name(name)
    if kind == "provider":
        return name.lower()
    if kind == "subscription":
        own_id = parse_id("subscriptions", name)
        if own_id is None or (known and not conn.execute(_SUBSCRIPTION, {"id": own_id}).scalar_one()):
            raise PauseRefused(f"there is no subscription {name}; `orders webhooks list` shows those there are")
        return own_id
    return name


def _made(row: Row[Any]) -> Pause:
    shown = format_id("subscriptions", row.name) if row.kind == "subscription" else row.name
    return Pause(**{**row._mapping, "name": shown})


def _note(
    conn: Connection, act: str, about: Pause, by: str, reason: str | None, before: Pause | None, after: Pause | None
) -> None:
    audit.record(
        conn,
        by,
        act,
        about.what,
        reason,
        None if before is None else {"state": before.state, "reason": before.reason, "until": before.until},
        None if after is None else {"state": after.state, "reason": after.reason, "until": after.until},
        order=about.name if about.kind == "order" else None,
    )
