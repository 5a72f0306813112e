"""Changes of refunds, for those who subscribed to them.

A refund changes in many places: with the events of a batch, with each answer of a provider, by a person's decision. So
triggers of `effects` and `refunds` note its payment in `refund_changes`, in the transaction of the change, as long as
somebody subscribes; here the documents of those payments are read, and what subscribers do not know yet is a delivery.
What changes several times within a second is told once, as it is then. History acts on nobody, and is not told.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

from journal import change_capture
from journal.change_capture import CREATE, REFUNDS, UPDATE
from queries import schema
from queries.documents import NONE, maker
from queries.json_encoder import encode
from storage.pg_arrays import array, columns, unnest

AT_ONCE = 500  # payments of one transaction

_TAKE = text("""
    delete from refund_changes where seq in (
        select seq from refund_changes order by seq limit :most for update skip locked
    ) returning transaction_id
""")
_DOCUMENTS = text("""
    select d.*, d.created_at >= s.since as is_news from refund_documents d join orders o on o.id = d.order_id,
        (select min(created_at) as since from subscriptions where state = 'active' and 'refunds' = any(collections)) s
    where d.transaction_id = any(cast(:ids as uuid[])) and o.placed_at is not null and not o.held
    order by d.created_at, d.id
""")
_NAMES = ("refund_id", "digest"), ("uuid", "bytea")
_NOTE = text(
    f"insert into refund_tellings as t (refund_id, digest) select v.refund_id, v.digest from {unnest(*_NAMES)} "
    "order by v.refund_id on conflict (refund_id) do update set digest = excluded.digest where t.digest <> excluded.digest "
    "returning refund_id, xmax = 0 as is_first"
)


def record_due(engine: Engine, now: datetime) -> int:
    """Record deliveries of all refunds that changed; how many refunds that were.

    May be doubled or killed at any line. Errors: OperationalError when PostgreSQL is away.
    """
    told = 0
    while True:
        with engine.begin() as conn:
            taken = list(conn.execute(_TAKE, {"most": AT_ONCE}).scalars())
            if taken:
                told += _record(conn, sorted(set(taken)), now)
        if len(taken) < AT_ONCE:
            return told


def _record(conn: Connection, payments: list[str], now: datetime) -> int:
    make = maker(schema.COLLECTIONS[REFUNDS])
    rows = {row.id: row for row in conn.execute(_DOCUMENTS, {"ids": array(payments, "uuid")})}
    if not rows:
        return 0
    documents = {own_id: make(row, row, NONE, NONE) for own_id, row in rows.items()}
    digests = [(own_id, _digest(each)) for own_id, each in documents.items()]
    firsts = {row.refund_id: row.is_first for row in conn.execute(_NOTE, columns(*_NAMES, digests))}
    changes = [
        (
            row.order_id,
            REFUNDS,
            CREATE if firsts[own_id] and row.is_news else UPDATE,
            encode(documents[own_id]).decode(),
            row.personal_id,
        )
        for own_id, row in rows.items()
        if own_id in firsts
    ]
    change_capture.deliver(conn, changes, now)
    return len(changes)


def _digest(document: dict[str, Any]) -> bytes:
    """What a document says, but for the time of its last writing."""
    said = {name: value for name, value in document.items() if name != "updatedAt"}
    return hashlib.blake2b(encode(said), digest_size=16).digest()
