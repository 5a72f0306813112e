"""The projection of refunds against the fold: what `refunds` says of those that providers told of by their ids.

A row of ours is written with the answer to its attempt too, a moment before the event of that answer is applied: of such a
row only what that settles is compared, and not within its first minute. What never came to be at a provider has no id
there, and is no part of the fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text

from domain.movements import REFUNDS, moment
from domain.order import Order
from journal.refund_rows import told_of
from storage.pg_arrays import array

_STORED = text("""
    select id, order_id, transaction_id, reference, amount, status, settled_method, requested_at, ended_at, origin,
           updated_at < now() - interval '1 minute' as is_settled
    from refunds where order_id = any(cast(:ids as uuid[])) and reference is not null
""")

Stored = Mapping[str, Mapping[tuple[str, str], Row[Any]]]  # order → (transaction, the provider's id) → its row


class RefundDifference(NamedTuple):
    """One field of a refund that is stored otherwise than folded; `path` as verify's."""

    path: str
    stored: object
    folded: object


def stored_refunds(conn: Connection, order_ids: Sequence[str]) -> Stored:
    """The rows of these orders' refunds; one statement."""
    found: dict[str, dict[tuple[str, str], Row[Any]]] = {}
    for row in conn.execute(_STORED, {"ids": array(order_ids, "uuid")}):
        found.setdefault(row.order_id, {})[row.transaction_id, row.reference] = row
    return found


def refund_differences(folded: Order, stored: Mapping[tuple[str, str], Row[Any]]) -> Iterator[RefundDifference]:
    """The differences between an order's refunds as folded and their rows."""
    rows = dict(stored)
    for payment in folded.transactions:
        for name in (payment.facts or {}).get(REFUNDS, {}):
            row, path = rows.pop((payment.id, name), None), f"refunds[{name}]"
            if row is None:
                yield RefundDifference(path, None, "told of")
                continue
            told = told_of(folded, payment, name)._asdict()
            if row.origin == "ours":
                told = (
                    {field: told[field] for field in ("amount", "status", "settled_method")} if row.is_settled else {}
                )
            for field, value in told.items():
                if (one := _plain(field, getattr(row, field))) != value:
                    yield RefundDifference(f"{path}.{field}", one, value)
    for (_, name), row in rows.items():
        if row.origin == "provider":
            yield RefundDifference(f"refunds[{name}]", row.status, None)


def strays(folded: Order, stored: Mapping[tuple[str, str], Row[Any]]) -> list[str]:
    """The ids of rows of which no provider told: what is not folded is none of theirs."""
    told = {(payment.id, name) for payment in folded.transactions for name in (payment.facts or {}).get(REFUNDS, ())}
    return sorted(row.id for key, row in stored.items() if key not in told and row.origin == "provider")


def _plain(field: str, value: Any) -> Any:
    """A column's value as facts keep it."""
    return moment(value.astimezone(UTC)) if value is not None and field.endswith("_at") else value
