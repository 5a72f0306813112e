"""Years of orders in a database: those of one play, already drained, copied in SQL.

A copy is like its original but for ids, numbers and names, so what hangs together goes on doing so. Copies
come one after another in every key, as years would; nothing of them is verified, only grown past.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine, text

BLOCK = 20  # copies a statement
SHIFT_MS = 86_400_000  # between the ids of a copy and of the next: a day

# A UUIDv7 made so many days earlier: its first 48 bits are milliseconds.
_ID = (
    "cast(lpad(to_hex(cast(cast('x' || substr(replace(cast({0} as text), '-', ''), 1, 12) as bit(48)) as bigint) "
    f"- cast(k as bigint) * {SHIFT_MS}), 12, '0') || substr(replace(cast({{0}} as text), '-', ''), 13) as uuid)"
)
_NAME = "cast(k as text) || '-' || {0}"
_SEQ = "{0} + k * cast(:span as bigint)"
# table → the columns that a copy changes, and how; the order is that of foreign keys.
_CHANGED = {
    "journal": {"seq": _SEQ, "event_id": _NAME, "subject": _NAME},
    "results": {"seq": _SEQ, "order_id": _ID},
    "orders": {"id": _ID, "order_number": _NAME},
    "order_items": {"id": _ID, "order_id": _ID},
    "transactions": {"id": _ID, "order_id": _ID, "payment_id": _NAME},
    "fulfillments": {"id": _ID, "order_id": _ID},
    "fulfillment_items": {"id": _ID, "order_id": _ID, "fulfillment_id": _ID, "order_item_id": _ID},
    "returns": {"id": _ID, "order_id": _ID},
    "return_items": {"id": _ID, "order_id": _ID, "return_id": _ID, "order_item_id": _ID},
    "correlations": {"key": _NAME, "order_id": _ID},
    "timers": {"order_id": _ID},
    "effects": {
        "id": _ID,
        "order_id": _ID,
        "transaction_id": _ID,
        "payment_id": _NAME,
        "refund_id": _ID,
        "return_id": _ID,
    },
}


def grow(engine: Engine, events: int, say: Callable[[str], None]) -> int:
    """Copy what the database holds until it has about `events` events in its journal; how many it has then."""
    with engine.connect() as conn:
        have = int(conn.execute(text("select count(*) from journal")).scalar_one())
        span = int(conn.execute(text("select max(seq) from journal")).scalar_one())
        columns = {
            table: _columns(table, list(conn.execute(text(_OF), {"table": table}).scalars())) for table in _CHANGED
        }
        conn.rollback()
        copies = max(0, round(events / have) - 1)
        for name in columns:  # what is copied must not grow meanwhile
            conn.execute(text(f"create temp table original_{name} as table {name}"))
        conn.execute(text("set session_replication_role = replica"))  # copies need no foreign keys checked
        conn.execute(text("set synchronous_commit = off"))
        conn.commit()
        for first in range(1, copies + 1, BLOCK):
            last = min(copies, first + BLOCK - 1)
            for table, (names, picked) in columns.items():
                conn.execute(
                    text(
                        f"insert into {table} ({names}) select {picked} from generate_series(cast(:first as integer), cast(:last as integer)) k "
                        f"cross join original_{table} order by k"
                    ),
                    {"first": first, "last": last} | ({"span": span} if ":span" in picked else {}),
                )
            conn.commit()
            if first % (BLOCK * 10) == 1 and copies > BLOCK:
                say(f"{have * (last + 1):,} of {events:,} events")
        conn.execute(text("select setval('journal_seq', (select max(seq) from journal))"))
        conn.execute(text("update relay_marks set seq = (select max(seq) from journal)"))
        conn.execute(text("update relay_horizon set safe_seq = (select max(seq) from journal)"))
        conn.commit()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("vacuum (analyze)"))
        conn.execute(text("checkpoint"))
    return have * (copies + 1)


_OF = (
    "select column_name from information_schema.columns where table_schema = 'public' and table_name = :table "
    "order by ordinal_position"
)


def _columns(table: str, names: list[str]) -> tuple[str, str]:
    changed = _CHANGED[table]
    quoted = {name: f'"{name}"' for name in names}
    picked = [changed[name].format(quoted[name]) if name in changed else quoted[name] for name in names]
    return ", ".join(quoted.values()), ", ".join(picked)
