"""Books of what the simulated provider captured and refunded: an SQLite file, so no restart forgets it."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from events.money import Money

SCHEMA = """
    CREATE TABLE IF NOT EXISTS payments (
        payment_id TEXT PRIMARY KEY, amount TEXT NOT NULL, currency TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS refunds (
        number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, payment_id TEXT NOT NULL,
        amount TEXT NOT NULL, currency TEXT NOT NULL, refunded_amount TEXT NOT NULL,
        time TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS refunds_payment ON refunds (payment_id);
"""


class Refusal(Exception):
    """The provider's no: an HTTP status, a stable code, and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Ledger:
    """Payments and refunds; a refund is never taken back. One thread, one process."""

    def __init__(self, path: str = ":memory:") -> None:
        self._db = sqlite3.connect(path)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(SCHEMA)

    def register(self, payment_id: str, captured: Money) -> None:
        """Note what was captured: refunds stay within it. A second time replaces the first."""
        with self._db:
            row = (payment_id, format(captured.amount, "f"), captured.currency)
            self._db.execute("INSERT OR REPLACE INTO payments VALUES (?, ?, ?)", row)

    def refund(self, key: str, payment_id: str, money: Money) -> dict[str, Any]:
        """Make a refund, once a key; Refusal otherwise."""
        with self._db:
            again = self._rows("WHERE key = ?", key)
            if again:
                same = (payment_id, money.amount, money.currency)
                if same != (
                    again[0]["payment_id"],
                    Decimal(again[0]["amount"]),
                    again[0]["currency"],
                ):
                    raise Refusal(422, "idempotency_key_reused", f"{key} was used for another refund")
                return again[0]
            if payment_id.startswith("REFUSE"):
                raise Refusal(409, "refused", f"{payment_id} is never refunded")
            total = self._refunded(payment_id) + money.amount
            self._check(payment_id, total, money.currency)
            self._db.execute(
                "INSERT INTO refunds (key, payment_id, amount, currency, refunded_amount, time)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    key,
                    payment_id,
                    *money.as_data().values(),
                    format(total, "f"),
                    datetime.now(UTC).isoformat(),
                ),
            )
            return self._rows("WHERE key = ?", key)[0]

    def payment(self, payment_id: str) -> dict[str, Any] | None:
        """A payment with its refunds, None where it is neither registered nor refunded."""
        registered = self._captured(payment_id)
        refunds = self._rows("WHERE payment_id = ?", payment_id)
        if registered is None and not refunds:
            return None
        return {
            "payment_id": payment_id,
            "captured_amount": None if registered is None else format(registered.amount, "f"),
            "currency": refunds[0]["currency"] if registered is None else registered.currency,
            "refunded_amount": format(self._refunded(payment_id), "f"),
            "refunds": refunds,
        }

    def refunds(self) -> list[dict[str, Any]]:
        """Every refund, in the order in which they were made."""
        return self._rows("")

    def _check(self, payment_id: str, total: Decimal, currency: str) -> None:
        captured = self._captured(payment_id)
        before = self._rows("WHERE payment_id = ?", payment_id)
        known = captured.currency if captured else before[0]["currency"] if before else currency
        if currency != known:
            raise Refusal(409, "currency_mismatch", f"{payment_id} is in {known}, not in {currency}")
        if captured and total > captured.amount:
            message = f"{payment_id}: {total} refunded would exceed the {captured} captured"
            raise Refusal(409, "exceeds_captured", message)

    def _captured(self, payment_id: str) -> Money | None:
        sql = "SELECT amount, currency FROM payments WHERE payment_id = ?"
        row = self._db.execute(sql, (payment_id,)).fetchone()
        return None if row is None else Money(Decimal(row["amount"]), row["currency"])

    def _refunded(self, payment_id: str) -> Decimal:
        amounts = [Decimal(made["amount"]) for made in self._rows("WHERE payment_id = ?", payment_id)]
        return sum(amounts, Decimal(0))

    def _rows(self, where: str, *values: str) -> list[dict[str, Any]]:
        rows = self._db.execute(f"SELECT * FROM refunds {where} ORDER BY number", values)  # noqa: S608 -- ours
        return [{"refund_id": f"re_{row['number']:06d}", **row} for row in map(dict, rows)]
