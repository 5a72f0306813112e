"""The rows of `refunds` that a batch writes: what providers told of refunds by their ids, as the outside sees it.

Only refunds of which something was told in the batch are written, so an order without any costs one look at its
payments. A row of ours, which the outbound room made with the answer to its attempt, is found by the provider's id and
keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from domain.dues import allocation_of, method_of
from domain.fold import Fold
from domain.ids import derived
from domain.movements import REFUNDS, UNDER_WAY, amount_of, goes_back, plain
from domain.order import Order
from domain.purposes import Purpose, RefundReason
from domain.transaction import Transaction
from storage.pg_arrays import cast, unnest
from storage.raw_sql import Write, Writes

_NAMES = (
    "id", "order_id", "transaction_id", "reference", "amount", "currency", "reasons", "origin", "status", "attention",
    "failure", "settled_method", "requested_at", "ended_at",
)  # fmt: skip
_KINDS = (
    "uuid", "uuid", "uuid", "text", "numeric", "text", "jsonb", "text", "text", "text",
    "text", "text", "timestamptz", "timestamptz",
)  # fmt: skip
_FAILED = "('failed', 'canceled')"
# One of ours keeps the reasons that it was asked for. What came to nothing just now is to be weighed, once; what was
# settled by hand waits for nobody.
_WRITE = Write(
    "new_refunds",
    _NAMES,
    _KINDS,
    f"insert into refunds ({', '.join(_NAMES)}) "
    f"select {', '.join(cast(name, kind) for name, kind in zip(_NAMES, _KINDS, strict=True))} "
    f"from {unnest(_NAMES, _KINDS)} on conflict (transaction_id, reference) do update set amount = excluded.amount, "
    "reasons = case when refunds.origin = 'ours' then refunds.reasons else excluded.reasons end, "
    "status = excluded.status, failure = coalesce(excluded.failure, refunds.failure), "
    "settled_method = excluded.settled_method, requested_at = excluded.requested_at, ended_at = excluded.ended_at, "
    "attention = case when excluded.attention is null then null "
    f"when refunds.status in {_FAILED} then refunds.attention else 'new' end, updated_at = now()",
)


def refunds(writes: Writes, folds: Iterable[Fold], now: datetime) -> None:
    """Add the rows of the refunds of which the batch was told something."""
    rows = []
    for fold in folds:
        payments = fold.order.payments_kept
        if payments is not None and payments.told:
            rows += [_row(fold.order, payment, name, now) for (_, name), payment in payments.told.items()]
    writes.add(_WRITE, rows)


def all_refunds(writes: Writes, order: Order, now: datetime) -> None:
    """Add the rows of every refund that an order's facts tell of, as after folding it anew."""
    rows = [
        _row(order, payment, name, now)
        for payment in order.transactions
        if payment.facts is not None
        for name in payment.facts.get(REFUNDS, ())
    ]
    writes.add(_WRITE, rows)


def reasons_of(purposes: Iterable[Purpose]) -> str:
    """The purposes of a refund as the JSON that `reasons` holds; those of one reason are one."""
    found: dict[str, Any] = {}
    for each in purposes:
        found[each.reason] = found.get(each.reason, 0) + each.amount
    listed = [{"reason": str(reason), "amount": plain(amount)} for reason, amount in found.items()]
    return orjson.dumps(listed).decode()


class Told(NamedTuple):
    """The part of a refund's row that the fold alone says, whoever made the refund; times as facts keep them."""

    amount: Decimal
    status: str
    settled_method: str | None
    requested_at: str | None
    ended_at: str | None


def told_of(order: Order, payment: Transaction, name: str) -> Told:
    """The part that was told of the refund of that name at its provider."""
    refund = (payment.facts or {})[REFUNDS][name]
    ended_at = None if refund["status"] in UNDER_WAY else refund["at"][0]
    return Told(amount_of(refund), refund["status"], method_of(order, name), refund.get("requested"), ended_at)


def _row(order: Order, payment: Transaction, name: str, now: datetime) -> tuple[Any, ...]:
    refund, told = (payment.facts or {})[REFUNDS][name], told_of(order, payment, name)
    purpose = allocation_of(order, name)
    failed = not goes_back(refund)
    reasons = reasons_of([] if purpose is None else [Purpose(RefundReason(purpose), told.amount)])
    return (
        derived(now, "refund", payment.id, name), order.id, payment.id, name, told.amount, payment.currency, reasons,
        "provider", told.status, "new" if failed and told.settled_method is None else None,
        refund["why"][-1] if failed and "why" in refund else None, told.settled_method, told.requested_at,
        told.ended_at,
    )  # fmt: skip
