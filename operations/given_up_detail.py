"""One thing that was given up, with all there is to know: what came, why it died, every attempt, and what a replay would do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from operations import edits, given_up
from operations.given_up import Thing
from operations.reasons import DELIVERY, EVENT, LOOKUP, REFUND


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that was tried, or done, with what came of it."""

    at: datetime | str
    what: str  # "died", or what an operator did
    by: str | None  # None: by itself
    said: str | None


@dataclass(frozen=True, slots=True)
class Detail:
    """The thing, what came, its versions where it was edited, and its attempts, the first one first."""

    thing: Thing
    came: dict[str, Any]
    versions: list[edits.Version]
    attempts: list[Attempt]

    def as_document(self) -> dict[str, Any]:
        """The detail as JSON."""
        return {
            **self.thing.as_document(),
            "came": self.came,
            "versions": [{name: getattr(each, name) for name in each.__slots__} for each in self.versions],
            "history": [{name: getattr(each, name) for name in each.__slots__} for each in self.attempts],
        }


_CAME = {
    EVENT: text("select subject, data, time, accepted_at from journal where seq = :seq"),
    LOOKUP: text("select j.subject, j.data, j.time, j.accepted_at from journal j where j.seq = :seq"),
    REFUND: text("""
        select o.order_number as order, e.payment_id as payment, e.currency, e.target, e.made, e.asked, e.state, e.attempts,
               e.attempted_at, e.reasons, e.last_error from effects e join orders o on o.id = e.order_id where e.id = :id
    """),
    DELIVERY: text("""
        select s.url, d.collection, d.operation, d.document, d.attempts, d.last_status, d.last_error
        from deliveries d join subscriptions s on s.id = d.subscription_id where d.id = :id
    """),
}
_DEATHS = text("""
    select created_at, updated_at, reason, detail, deaths, history from dead_letters
    where id = :id or effect_id = :id
""")
_ACTS = text(
    "select at, actor, action, reason from audit where target = any(cast(:targets as text[])) order by id limit 1000"
)


def detail(conn: Connection, ref: str) -> Detail:
    """All there is to know of the thing of that name. Errors: as `given_up.find`."""
    [thing] = given_up.find(conn, [ref])
    row = conn.execute(_CAME[thing.kind], {"id": thing.id, "seq": thing.seq}).mappings().one()
    versions = edits.versions(conn, thing.seq) if thing.kind == EVENT and thing.seq is not None else []
    return Detail(thing, dict(row), versions, _attempts(conn, thing))


def _attempts(conn: Connection, thing: Thing) -> list[Attempt]:
    """Deaths and acts by time. Of many deaths the first and the last fifty are known."""
    found: list[tuple[datetime, Attempt]] = []
    letter = conn.execute(_DEATHS, {"id": thing.id}).one_or_none()
    if letter is None:  # a look-up or delivery: its own loop counts its attempts
        said = f"{thing.attempts} attempts; {thing.detail or ''}".rstrip("; ")
        found.append((thing.died_at, Attempt(thing.died_at, "given up", None, said)))
    elif not letter.history:
        found.append((letter.created_at, _death(letter.created_at, letter.reason, letter.detail)))
    else:
        for each in letter.history:
            at = datetime.fromisoformat(each["at"])
            found.append((at, _death(at, each["reason"], each["detail"])))
    older = f"inbox/{thing.seq}" if thing.kind == LOOKUP else f"dead-letters/{thing.id}"  # as older rows name it
    targets = [thing.ref, older]
    for row in conn.execute(_ACTS, {"targets": targets}):
        found.append((row.at, Attempt(row.at, row.action, row.actor, row.reason)))
    return [each for _, each in sorted(found, key=lambda each: each[0])]


def _death(at: datetime, reason: str, said: str | None) -> Attempt:
    return Attempt(at, "died", None, f"{reason}: {said}" if said else reason)
