"""Findings: what differs between a provider and us, kept until it heals, goes by itself, or a person resolves it.

    open ──── a person, with a note ──▶ resolved, for good: only what differs otherwise is another finding
     │ └───── compared again, and the same on both sides ──▶ gone
    healed ── its event did not settle it ──▶ open

One row per provider, kind, subject and both sides, however often it is found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, text

from domain.ids import format_id, fresh, parse_id
from events.errors import OrdersError
from outbound.reconciliation.comparison import Difference
from outbound.reconciliation.kinds import Kind
from outbound.reconciliation.remedies import Judged
from storage import audit
from storage.pg_arrays import array, cast, columns, unnest

NOTE = 2_000  # characters of a note
SHOWN = 100

_KEY = ("provider", "kind", "subject", "digest")
_NAMES = ("id", *_KEY, "payment_id", "order_number", "theirs", "ours", "state", "done", "events")
_KINDS = ("uuid", "text", "text", "text", "bytea", "text", "text", "jsonb", "jsonb", "text", "text", "text[]")
_RECORD = text(
    f"insert into findings ({', '.join(_NAMES)}) "
    f"select {', '.join(cast(n, k) for n, k in zip(_NAMES, _KINDS, strict=True))} from {unnest(_NAMES, _KINDS)} "
    "order by v.ordinal on conflict (provider, kind, subject, digest) do update set state = excluded.state, "
    "done = excluded.done, events = excluded.events, updated_at = now() where findings.state <> 'resolved' returning id"
)
_RESOLVED = text(
    f"select f.provider, f.kind, f.subject, f.digest from findings f join {unnest(_KEY, ('text', 'text', 'text', 'bytea'))} "
    "using (provider, kind, subject, digest) where f.state = 'resolved'"
)
_GONE = text("""
    update findings set state = 'gone', done = 'the same on both sides now', updated_at = now()
    where provider = :provider and state = 'open' and subject = any(cast(:subjects as text[]))
      and not (id = any(cast(:kept as uuid[])))
""")
_LIST = text("""
    select * from findings where (cast(:state as text) is null or state = :state)
      and (cast(:provider as text) is null or provider = :provider) and (cast(:kind as text) is null or kind = :kind)
    order by id desc limit :most
""")
_ONE = text("select * from findings where id = cast(:id as uuid)")
_RESOLVE = text("""
    update findings set state = 'resolved', note = :note, resolved_by = :actor, updated_at = now()
    where id = cast(:id as uuid) and state = 'open' returning kind, subject, order_number
""")


class FindingUnknown(OrdersError):
    """No finding has this id."""

    code = "finding_unknown"
    remedy = "See `orders findings list` for the ids."
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"no finding has the id {name!r}; see `orders findings list`")


class FindingClosed(OrdersError):
    """The finding does not wait for a person: it healed, went by itself, or was resolved before."""

    code = "finding_closed"
    remedy = "Nothing is to be done: `orders findings show ID` says what became of it."
    status = 409

    def __init__(self, found: Finding) -> None:
        by = f" by {found.resolved_by}" if found.resolved_by else ""
        super().__init__(
            f"{found.name} is {found.state}{by} and waits for nobody; see `orders findings show {found.name}`"
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; times in UTC."""

    name: str  # fnd_…
    provider: str
    kind: str
    means: str
    subject: str
    payment_id: str
    order_number: str | None
    theirs: dict[str, str]
    ours: dict[str, str]
    state: str
    done: str
    events: list[str]
    note: str | None
    resolved_by: str | None
    found_at: datetime
    updated_at: datetime

    def as_document(self) -> dict[str, Any]:
        """The finding as scripts and the API see it."""
        return {
            "id": self.name,
            "provider": self.provider,
            "kind": self.kind,
            "means": self.means,
            "subject": self.subject,
            "payment": self.payment_id,
            "orderNumber": self.order_number,
            "theirs": self.theirs,
            "ours": self.ours,
            "state": self.state,
            "done": self.done,
            "events": self.events,
            "note": self.note,
            "resolvedBy": self.resolved_by,
            "createdAt": self.found_at,
            "updatedAt": self.updated_at,
        }


def document(provider: str, judged: Judged) -> dict[str, Any]:
    """One thing that a comparison has found, as scripts see it."""
    found = judged.difference
    return {
        "provider": provider,
        "kind": str(found.kind),
        "means": found.kind.words,
        "subject": found.subject,
        "payment": found.payment_id,
        "orderNumber": found.order_number,
        "theirs": found.theirs,
        "ours": found.ours,
        "state": judged.state,
        "done": judged.done,
    }


def unresolved(conn: Connection, provider: str, judged: Sequence[Judged]) -> list[Judged]:
    """Those that no person has resolved as they are."""
    if not judged:
        return []
    keys = [(provider, str(each.difference.kind), each.difference.subject, _digest(each.difference)) for each in judged]
    found = conn.execute(_RESOLVED, columns(_KEY, ("text", "text", "text", "bytea"), keys))
    resolved = {(row.provider, row.kind, row.subject, bytes(row.digest)) for row in found}
    return [each for each, key in zip(judged, keys, strict=True) if key not in resolved]


def record(conn: Connection, provider: str, judged: Sequence[Judged], compared: Sequence[str], now: datetime) -> None:
    """Note what was found of a page, and close what was open of its subjects and is no more."""
    once: dict[tuple[str, str, bytes], tuple[object, ...]] = {}
    for each in judged:
        found, digest = each.difference, _digest(each.difference)
        event = each.event
        once[str(found.kind), found.subject, digest] = (
            fresh(now), provider, str(found.kind), found.subject, digest, found.payment_id, found.order_number,
            found.theirs, found.ours, each.state, each.done, [f"{event.source}/{event.id}"] if event else [],
        )  # fmt: skip
    kept = []
    if once:
        kept = list(conn.execute(_RECORD, columns(_NAMES, _KINDS, list(once.values()))).scalars())
    if compared:
        values = {"provider": provider, "subjects": array(sorted(set(compared)), "text"), "kept": array(kept, "uuid")}
        conn.execute(_GONE, values)


def listed(
    conn: Connection,
    *,
    state: str | None = "open",
    provider: str | None = None,
    kind: str | None = None,
    limit: int = SHOWN,
) -> list[Finding]:
    """Findings, the newest first; None: of any state, provider or kind."""
    asked = {"state": state, "provider": provider, "kind": kind, "most": limit}
    return [_finding(row) for row in conn.execute(_LIST, asked)]


def one(conn: Connection, name: str) -> Finding:
    """A finding by its id. Errors: FindingUnknown, WrongKind."""
    own_id = parse_id("findings", name)
    row = conn.execute(_ONE, {"id": own_id}).one_or_none() if own_id else None
    if row is None:
        raise FindingUnknown(name)
    return _finding(row)


def resolve(conn: Connection, name: str, note: str, actor: str) -> Finding:
    """Close a finding that waits for a person, with a note, and leave a row of `audit`.

    Errors: FindingUnknown, WrongKind; FindingClosed where it does not wait.
    """
    found = one(conn, name)
    values = {"id": parse_id("findings", name), "note": note[:NOTE], "actor": actor}
    row = conn.execute(_RESOLVE, values).one_or_none()
    if row is None:
        raise FindingClosed(one(conn, name))
    audit.record(
        conn,
        actor,
        "findings resolve",
        found.name,
        note[:NOTE],
        before={"state": "open"},
        after={"state": "resolved"},
        order=row.order_number,
        detail={"kind": row.kind, "subject": row.subject},
    )
    return one(conn, name)


def _digest(found: Difference) -> bytes:
    """What a finding is known again by: both sides, but for what may be told otherwise each time."""
    return hashlib.blake2b(
        orjson.dumps([found.theirs, found.ours], option=orjson.OPT_SORT_KEYS), digest_size=16
    ).digest()


def _finding(row: Row[Any]) -> Finding:
    means = Kind(row.kind).words if row.kind in list(Kind) else "of another release"
    return Finding(
        format_id("findings", row.id),
        row.provider,
        row.kind,
        means,
        row.subject,
        row.payment_id,
        row.order_number,
        row.theirs,
        row.ours,
        row.state,
        row.done,
        list(row.events),
        row.note,
        row.resolved_by,
        row.created_at,
        row.updated_at,
    )
