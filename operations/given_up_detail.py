"""One thing that was given up, with all there is to know: what came, why it died, every attempt, and what a replay would do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from domain.ids import format_id
from operations import edits, given_up
from operations.given_up import Thing
from operations.reasons import DELIVERY, EVENT, LOOKUP, REFUND
from operations.replays import FAILED, OUTCOMES


@dataclass(frozen=True, slots=True)
class Attempt:
    """One thing that was tried, or done, with what came of it."""

    at: datetime
    what: str  # "died", or what an operator did
    by: str | None  # None: by itself
    said: str | None


@dataclass(frozen=True, slots=True)
class End:
    """The end that a closed letter came to."""

    state: str  # replayed or discarded
    at: datetime
    outcome: str | None  # of the event, or the refund's state; None: it is undecided
    reason: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Detail:
    """The thing, what came, its versions where it was edited, and its attempts, the first one first."""

    thing: Thing
    came: dict[str, Any]
    versions: list[edits.Version]
    attempts: list[Attempt]
    end: End | None = None  # None: it waits for a person

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
        select o.order_number as order, e.payment_id as payment, e.currency, e.target, e.made, e.asked, e.state,
               e.attempted_at, e.reasons, e.last_error, coalesce((
                   select r.id from refunds r where r.transaction_id = e.transaction_id and r.attention = 'open' order by r.id desc limit 1
               ), e.refund_id) as refund from effects e join orders o on o.id = e.order_id where e.id = :id
    """),
    DELIVERY: text("""
        select s.url, d.collection, d.operation, d.document, d.last_status, d.last_error
        from deliveries d join subscriptions s on s.id = d.subscription_id where d.id = :id
    """),
}
_DEATHS = text("""
    select created_at, updated_at, reason, detail, deaths, history from dead_letters
    where id = :id or effect_id = :id
""")
_ACTS = text("""
    select at, actor, action, reason, after ->> 'outcome' as outcome from audit
    where target = any(cast(:targets as text[])) order by id limit 1000
""")
_END = text("""
    select d.state, d.updated_at as at, coalesce(r.outcome, e.state) as outcome, r.reason, coalesce(r.detail, e.last_error) as detail
    from dead_letters d left join results r on r.seq = d.seq left join effects e on e.id = d.effect_id
    where (d.id = :id or d.effect_id = :id) and d.state <> 'open'
""")


def detail(conn: Connection, ref: str) -> Detail:
    """All there is to know of the thing of that name, which waits for a person. Errors: as `given_up.find`."""
    [thing] = given_up.find(conn, [ref])
    return _detail(conn, thing)


def detail_of_any(conn: Connection, ref: str) -> Detail:
    """The same, also of an event or a refund whose letter was replayed or discarded: that with its end. Errors: as `detail`."""
    thing, is_closed = given_up.find_any(conn, ref)
    found = _detail(conn, thing)
    if is_closed:
        return replace(found, end=End(**conn.execute(_END, {"id": thing.id}).mappings().one()))
    return found


def _detail(conn: Connection, thing: Thing) -> Detail:
    came = dict(conn.execute(_CAME[thing.kind], {"id": thing.id, "seq": thing.seq}).mappings().one())
    if came.get("refund") is not None:
        came["refund"] = format_id("refunds", came["refund"])
    versions = edits.versions(conn, thing.seq) if thing.kind == EVENT and thing.seq is not None else []
    return Detail(thing, came, versions, _attempts(conn, thing))


def _attempts(conn: Connection, thing: Thing) -> list[Attempt]:
    """Deaths and acts by time. Of many deaths the first and the last fifty are known."""
    deaths = _deaths(conn, thing)
    found = list(deaths)
    older = f"inbox/{thing.seq}" if thing.kind == LOOKUP else f"dead-letters/{thing.id}"  # as older rows name it
    for row in conn.execute(_ACTS, {"targets": [thing.ref, older]}):
        said = (
            row.reason
            if row.outcome is None
            else f"{row.reason or ''} → {OUTCOMES.get(row.outcome, row.outcome)}".strip()
        )
        act = Attempt(row.at, row.action, row.actor, said)
        before = max((at for at, each in enumerate(found) if each.at <= row.at), default=-1) + 1
        # The audit's row is written after the death that a replay caused: it stands before that all the same.
        caused = row.outcome in FAILED and before > 0 and found[before - 1] in deaths
        found.insert(before - 1 if caused else before, act)
    return found


def _deaths(conn: Connection, thing: Thing) -> list[Attempt]:
    """The deaths of a thing by time. Of a look-up or a delivery its own loop counts them: what it said last."""
    letter = conn.execute(_DEATHS, {"id": thing.id}).one_or_none()
    if letter is None:
        said = f"{thing.attempts} attempts; {thing.detail or ''}".rstrip("; ")
        return [Attempt(thing.died_at, "given up", None, said)]
    if not letter.history:
        return [_death(letter.created_at, letter.reason, letter.detail)]
    return [_death(datetime.fromisoformat(each["at"]), each["reason"], each["detail"]) for each in letter.history]


def _death(at: datetime, reason: str, said: str | None) -> Attempt:
    return Attempt(at, "died", None, f"{reason}: {said}" if said else reason)
