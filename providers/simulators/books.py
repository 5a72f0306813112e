"""A simulated provider's books: payments, refunds, disputes, answers by idempotency key, webhooks that wait; in SQLite.

In a file nothing is forgotten, whenever the process is killed: what belongs together is written in one transaction.
Amounts are in major units. A refund may have an end to come: at `ends_at` it becomes `ends_as`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal

SCHEMA = """
    CREATE TABLE IF NOT EXISTS payments (
        payment_id TEXT PRIMARY KEY, order_number TEXT, amount TEXT NOT NULL, currency TEXT NOT NULL,
        method TEXT NOT NULL, state TEXT NOT NULL, captured TEXT NOT NULL, at REAL NOT NULL, changed REAL NOT NULL,
        tax_free TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS refunds (
        number INTEGER PRIMARY KEY, refund_id TEXT NOT NULL UNIQUE, payment_id TEXT NOT NULL, amount TEXT NOT NULL,
        reason TEXT NOT NULL, reference TEXT, key TEXT, status TEXT NOT NULL, at REAL NOT NULL, ends_at REAL, ends_as TEXT,
        tax_free TEXT NOT NULL, vat TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS payments_changed ON payments (changed, payment_id);
    CREATE INDEX IF NOT EXISTS refunds_payment ON refunds (payment_id);
    CREATE INDEX IF NOT EXISTS refunds_end ON refunds (ends_at) WHERE ends_at IS NOT NULL;
    CREATE TABLE IF NOT EXISTS disputes (
        dispute_id TEXT PRIMARY KEY, payment_id TEXT NOT NULL, amount TEXT NOT NULL, state TEXT NOT NULL, at REAL NOT NULL);
    CREATE INDEX IF NOT EXISTS disputes_payment ON disputes (payment_id);
    CREATE TABLE IF NOT EXISTS answers (
        key TEXT PRIMARY KEY, digest TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS webhooks (
        number INTEGER PRIMARY KEY, own_id TEXT NOT NULL, body TEXT NOT NULL, due REAL NOT NULL, sent INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS webhooks_due ON webhooks (due) WHERE sent = 0;
"""
NOTHING = ("failed", "canceled")


@dataclass(slots=True)
class Payment:
    """One payment; `state` is paid, authorized, canceled or failed."""

    payment_id: str
    order_number: str | None
    amount: Decimal
    currency: str
    method: str
    state: str
    captured: Decimal
    at: float
    changed: float
    tax_free: Decimal = Decimal(0)


@dataclass(slots=True)
class Refund:
    """One refund: pending, succeeded, failed or canceled."""

    refund_id: str
    payment_id: str
    amount: Decimal
    reason: str
    reference: str | None
    key: str | None
    status: str
    at: float
    ends_at: float | None = None
    ends_as: str | None = None
    tax_free: Decimal = Decimal(0)
    vat: Decimal = Decimal(0)


@dataclass(slots=True)
class Dispute:
    """One dispute: open, won or lost."""

    dispute_id: str
    payment_id: str
    amount: Decimal
    state: str
    at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was given under a key, or is to be: a status and a JSON document."""

    status: int
    document: Any
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook that waits for its sending."""

    number: int
    own_id: str
    body: str
    tries: int


class Books:
    """The books of one provider. One thread, one process."""

    def __init__(self, path: str = ":memory:") -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing; a lost machine may
        self._db.executescript(SCHEMA)

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block that is written as a whole, or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def put(self, payment: Payment) -> None:
        """Note a payment; one of the same id is replaced."""
        row = _texts(asdict(payment))
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        self._db.execute(f"INSERT OR REPLACE INTO payments ({names}) VALUES ({marks})", row)  # noqa: S608 -- our fields

    def payment(self, payment_id: str) -> Payment | None:
        """A payment, None where there is none."""
        found = self._db.execute("SELECT * FROM payments WHERE payment_id = ?", (payment_id,)).fetchone()
        return None if found is None else _payment(found)

    def known(self, payment_id: str) -> Payment:
        """A payment that is there: one that a refund, a dispute or a list names. KeyError where it is not."""
        found = self.payment(payment_id)
        if found is None:
            raise KeyError(payment_id)
        return found

    def payments(self) -> list[Payment]:
        """All payments, in the order in which they came."""
        return [_payment(row) for row in self._db.execute("SELECT * FROM payments ORDER BY at, rowid")]

    def between(self, since: float, until: float, by: Literal["at", "changed"] = "at") -> list[tuple[float, str]]:
        """(time, id) of the payments of a time, oldest first: by when they were begun, or last changed."""
        rows = self._db.execute(
            f"SELECT {by}, payment_id FROM payments WHERE {by} >= ? AND {by} < ? ORDER BY {by}, payment_id",  # noqa: S608
            (since, until),
        )
        return [(row[0], row[1]) for row in rows]

    def refunds_between(self, since: float, until: float) -> list[tuple[float, str, str]]:
        """(time, id, payment's id) of the refunds of a time, in the order in which they were asked for."""
        rows = self._db.execute(
            "SELECT at, refund_id, payment_id FROM refunds WHERE at >= ? AND at < ? ORDER BY number", (since, until)
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def dispute(self, dispute: Dispute) -> None:
        """Note a dispute, or how it stands now."""
        row = {**asdict(dispute), "amount": format(dispute.amount, "f")}
        self._db.execute("INSERT OR REPLACE INTO disputes VALUES (:dispute_id, :payment_id, :amount, :state, :at)", row)

    def disputes(self, payment_id: str | None = None) -> list[Dispute]:
        """The disputes of a payment, or all, in the order in which they were opened."""
        sql = "SELECT * FROM disputes WHERE ? IS NULL OR payment_id = ? ORDER BY at, dispute_id"
        rows = self._db.execute(sql, (payment_id, payment_id))
        return [Dispute(**{**dict(row), "amount": Decimal(row["amount"])}) for row in rows]

    def add(self, refund: Refund) -> None:
        """Note a refund; its payment has changed."""
        row = _texts(asdict(refund))
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        self._db.execute(f"INSERT INTO refunds ({names}) VALUES ({marks})", row)  # noqa: S608 -- our fields
        self._db.execute("UPDATE payments SET changed = ? WHERE payment_id = ?", (refund.at, refund.payment_id))

    def next_number(self) -> int:
        """The number that the next refund will have, from 1."""
        return int(self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM refunds").fetchone()[0])

    def refunds(self, payment_id: str | None = None) -> list[Refund]:
        """The refunds of a payment, or all, in the order in which they were asked for."""
        if payment_id is None:
            rows = self._db.execute("SELECT * FROM refunds ORDER BY number")
        else:
            rows = self._db.execute("SELECT * FROM refunds WHERE payment_id = ? ORDER BY number", (payment_id,))
        return [_refund(row) for row in rows]

    def gone(self, payment_id: str) -> Decimal:
        """The sum that went back of a payment, or is on its way."""
        return sum((r.amount for r in self.refunds(payment_id) if r.status not in NOTHING), Decimal(0))

    def gone_tax_free(self, payment_id: str) -> Decimal:
        """The tax-free part of what went back of a payment, or is on its way."""
        return sum((r.tax_free for r in self.refunds(payment_id) if r.status not in NOTHING), Decimal(0))

    def end_due(self, now: float) -> list[Refund]:
        """Refunds whose end has come: they have it now."""
        rows = self._db.execute("SELECT * FROM refunds WHERE ends_at <= ? ORDER BY ends_at, number", (now,)).fetchall()
        for row in rows:
            self._db.execute(
                "UPDATE refunds SET status = ends_as, ends_at = NULL, ends_as = NULL WHERE number = ?", (row["number"],)
            )
            self._db.execute("UPDATE payments SET changed = ? WHERE payment_id = ?", (now, row["payment_id"]))
        ended = [_refund(row) for row in rows]
        for each in ended:
            each.status, each.ends_at, each.ends_as = each.ends_as or each.status, None, None
        return ended

    def answer(self, key: str) -> Answer | None:
        """The answer that was given under this key, None where there was none."""
        row = self._db.execute("SELECT * FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else Answer(row["status"], json.loads(row["body"]), row["digest"])

    def keep(self, key: str, answer: Answer) -> None:
        """Keep what is answered under this key."""
        row = (key, answer.digest, answer.status, json.dumps(answer.document))
        self._db.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", row)

    def queue(self, own_id: str, document: Mapping[str, Any], due: float) -> None:
        """Have a webhook sent."""
        row = (own_id, json.dumps(document, ensure_ascii=False), due)
        self._db.execute("INSERT INTO webhooks (own_id, body, due, sent) VALUES (?, ?, ?, 0)", row)

    def webhooks_due(self, now: float, most: int) -> list[Webhook]:
        """Webhooks to be sent now."""
        sql = "SELECT * FROM webhooks WHERE sent = 0 AND due <= ? ORDER BY due, number LIMIT ?"
        return [Webhook(r["number"], r["own_id"], r["body"], 0) for r in self._db.execute(sql, (now, most))]

    def webhook_sent(self, number: int) -> None:
        """Note that a webhook was taken."""
        self._db.execute("UPDATE webhooks SET sent = 1 WHERE number = ?", (number,))

    def webhook_later(self, number: int, due: float) -> None:
        """Send a webhook again later: nobody took it."""
        self._db.execute("UPDATE webhooks SET due = ? WHERE number = ?", (due, number))

    def webhooks_waiting(self) -> int:
        """The number of webhooks that nobody took yet."""
        return int(self._db.execute("SELECT count(*) FROM webhooks WHERE sent = 0").fetchone()[0])

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _payment(row: sqlite3.Row) -> Payment:
    told = dict(row)
    return Payment(**told | {name: Decimal(told[name]) for name in ("amount", "captured", "tax_free")})


def _refund(row: sqlite3.Row) -> Refund:
    told = {name: value for name, value in dict(row).items() if name != "number"}
    return Refund(**told | {name: Decimal(told[name]) for name in ("amount", "tax_free", "vat")})


def _texts(row: dict[str, Any]) -> dict[str, Any]:
    return {name: format(value, "f") if isinstance(value, Decimal) else value for name, value in row.items()}
