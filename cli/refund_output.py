"""Refunds in a terminal: a list, one of them, and what became of a decision."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from cli.options import out
from cli.render import given_back_words, put, table, time_of
from cli.terminal import safe
from domain.purposes import RefundReason
from operations.refund_decisions import Asked

COLORS = {"succeeded": "green", "failed": "red", "canceled": "dim", "pending": "cyan", "requires_action": "yellow"}
WAITS = {
    "turn": "goes out next",
    "account": "waits for the customer's bank account: PUT /api/orders/ORDER/refund-account",
    "provider": "is on its way; its provider is asked until its end",
    "person": "waits for a person",
    "nobody": "its order came as history: nothing goes out",
}
_REASONS = {str(reason): reason.words for reason in RefundReason}


def print_refunds(found: dict[str, Any]) -> None:
    """A page of refunds, each with its next step where a person has to take one."""
    rows = table("refund", "order", "payment", ">amount", "status", "why", "what happens")
    for doc in found["docs"]:
        rows.add_row(
            f"[bold]{doc['id']}[/]",
            safe(_order_number(doc)),
            safe(doc["transaction"]["paymentId"]),
            _money(doc["amount"], doc["currency"]),
            _status(doc),
            safe(", ".join(each["reason"] for each in doc["reasons"])),
            safe(_happens(doc)),
        )
    put(rows)
    if not found["docs"]:
        page = f" on page {found['page']} of {found['totalPages']}" if found["totalDocs"] else ""
        out.print(f"no refunds{page}")
    elif found["totalPages"] > 1:
        more = f"; more: --page {found['nextPage']}" if found["hasNextPage"] else ""
        out.print(f"[dim]page {found['page']} of {found['totalPages']}, {found['totalDocs']:,} refunds{more}[/]")


def print_refund(doc: dict[str, Any], letter: str | None) -> None:
    """One refund, and the dead letter that tells what to do where it waits for a person."""
    amount = _money(doc["amount"], doc["currency"])
    out.print(f"[bold]refund {doc['id']}[/]  {_status(doc)}  {amount}")
    payment = doc["transaction"]
    made_by = "ours" if doc["origin"] == "ours" else "made at the provider"
    facts = [f"order {safe(_order_number(doc))}", f"payment {safe(payment['paymentId'])}", made_by]
    if doc["reference"]:
        facts.append(f"there {safe(doc['reference'])}")
    out.print("  " + "  ·  ".join(facts), soft_wrap=True)
    for each in doc["reasons"]:
        out.print(f"  {_money(each['amount'], doc['currency'])} {each['reason']}: {_REASONS.get(each['reason'], '')}")
    if doc["requestedAt"] or doc["endedAt"]:
        out.print(f"  asked for {time_of(doc['requestedAt'])} UTC, ended {time_of(doc['endedAt'])} UTC")
    if doc["note"]:
        out.print(f"  note: {safe(doc['note'])}", soft_wrap=True)
    if happens := _happens(doc):
        out.print(f"  {safe(happens)}", soft_wrap=True)
    if letter is not None:
        out.print(f"  [yellow]{safe(letter)}[/]", soft_wrap=True)


def tell_asked(amount: Decimal, docs: Sequence[dict[str, Any]], asked: Asked) -> None:
    """Print what goes out for an amount that was asked for, and what was given back before."""
    for doc in docs:
        parts = ", ".join(f"{_money(each['amount'], None)} {each['reason']}" for each in doc["reasons"])
        out.print(
            f"[bold]{doc['id']}[/]: {_money(doc['amount'], doc['currency'])} of payment "
            f"{safe(doc['transaction']['paymentId'])} ({parts}); {_happens(doc)}",
            soft_wrap=True,
        )
    if asked.given_back_before:
        covered = f"; they cover {asked.covered:,f} of the {amount:,f}" if asked.covered else ""
        out.print(f"{given_back_words(asked.given_back_before, asked.currency)}{covered}")
    if not docs:
        out.print("nothing more goes out")


def tell_changed(doc: dict[str, Any], what: str, before: Decimal) -> None:
    """Print a refund about which something was decided, and what was given back of its order before."""
    out.print(f"[bold]{doc['id']}[/] of {_money(doc['amount'], doc['currency'])} {safe(what)}", soft_wrap=True)
    if before:
        out.print(given_back_words(before, doc["currency"]))


def _happens(doc: dict[str, Any]) -> str:
    """What becomes of a refund by itself, or the commands by which a person goes on."""
    parts = [f"settled by hand: {doc['settledMethod']}"] if doc["settledMethod"] else []
    if doc["failure"]:
        parts.append(doc["failure"])
    if doc["waitsFor"] == "person":
        go_on = "release" if doc["status"] == "pending" else "retry"
        parts.append(f"orders refunds {go_on} {doc['id']}, or settle it by hand")
    elif doc["waitsFor"]:
        parts.append(WAITS[doc["waitsFor"]])
    return "; ".join(parts)


def _status(doc: dict[str, Any]) -> str:
    return f"[{COLORS.get(doc['status'], 'default')}]{doc['status']}[/]"


def _order_number(doc: dict[str, Any]) -> str:
    return str(doc["order"]["orderNumber"])


def _money(amount: Decimal, currency: str | None) -> str:
    return f"{amount:,f} {currency or ''}".rstrip()
