"""`orders refund`, `orders refunds …`, `orders accept`: money that goes back, and what a person decides about it.

What is decided about sums is an event, in one transaction with the order's row locked, as by the Server API; what goes
out again leaves a row of `audit`. Both name the actor `cli:USER`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from sqlalchemy import Connection

from cli.bootstrap import open_shop
from cli.inspect import Order, named
from cli.options import MOST_LISTED, MOST_PAGE, Data, Json, Problem, actor, out, print_json
from cli.order_decision import decided, of_order
from cli.refund_output import print_refund, print_refunds, tell_asked, tell_changed
from cli.terminal import safe
from cli.typed_values import amount_of
from domain.ids import format_id
from domain.movements import RefundStatus
from domain.order import Order as FoldedOrder
from domain.transaction import Transaction
from events.field_types import Allocation, GrantReason
from journal.commands import Request
from operations import refund_decisions

refunds = typer.Typer(help="Refunds: what went back, what is to, what failed, and the way on.", no_args_is_help=True)

Ref = Annotated[
    str,
    typer.Argument(metavar="REF", help="The refund's id (rfd_…), or the provider's id of it, as `refunds list` shows."),
]
Note = Annotated[str | None, typer.Option("--note", help="For those who read it later; kept as personal data.")]


def refund(
    order: Order,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="How much, in the order's currency, such as 5.00.")],
    reason: Annotated[str, typer.Option("--reason", help=f"What it is for: {', '.join(get_args(GrantReason))}.")],
    payment: Annotated[
        str | None, typer.Option("--payment", metavar="ID", help="Of this payment; else of the one captured last.")
    ] = None,
    note: Note = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Give money back without a return; it goes out by itself, and what was given back before is said.

    At most what was captured and neither lost nor contested in disputes, less the larger of what is due and what went
    back. Example: orders refund 261101123456 5.00 --reason goodwill
    """
    money = amount_of(amount, "AMOUNT")
    _one_of("--reason", reason, get_args(GrantReason))

    def work(request: Request, found: FoldedOrder) -> tuple[refund_decisions.Asked, list[dict[str, Any]]]:
        asked = refund_decisions.ask(
            request, found, money, reason, by=actor(), payment=_payment(found, payment), note=note
        )
        return asked, [_document(request.conn, each) for each in asked.refund_ids]

    with open_shop(data) as (opened, _):
        asked, docs = of_order(opened, order, work)
    if json:
        covered = {"givenBackBefore": asked.given_back_before, "covered": asked.covered}
        print_json({"refunds": docs, **covered})
    else:
        tell_asked(money, docs, asked)


def accept(
    order: Order,
    amount: Annotated[
        str | None, typer.Option("--amount", metavar="AMOUNT", help="What is enough; else what was captured.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for those who read the timeline.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Take an underpayment as enough: the order is paid, and what is missing is written off.

    More money fills the difference first. Example: orders accept 261101123456 --reason "a cent short"
    """
    money = None if amount is None else amount_of(amount, "--amount")

    def work(request: Request, found: FoldedOrder) -> dict[str, Any]:
        after = refund_decisions.accept(request, found, money, reason, by=actor())
        return {"orderNumber": after.order_number, "status": after.status, "flags": list(after.flags),
                "accepted": after.price(), "captured": after.captured(), "currency": after.currency}  # fmt: skip

    with open_shop(data) as (opened, _):
        found = of_order(opened, order, work)
    if json:
        print_json(found)
    else:
        out.print(
            f"order {safe(found['orderNumber'])} is {found['status']}: {found['captured']:f} {found['currency']} were captured, "
            f"and {found['accepted']:f} are enough"
        )


# -- looking -----------------------------------------------------------------------------------------------------


@refunds.command("list")
def list_(
    status: Annotated[
        str | None, typer.Option("--status", metavar="S", help=f"Only these: {', '.join(map(str, RefundStatus))}.")
    ] = None,
    order: Annotated[
        str | None, typer.Option("--order", metavar="ORDER", help="Only this order's: number or id.")
    ] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that wait for a person.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="Refunds per page.")] = 20,
    page: Annotated[int, typer.Option("--page", min=1, max=MOST_PAGE, help="Which page.")] = 1,
    data: Data = None,
    json: Json = False,
) -> None:
    """List refunds, newest first: those that went back, those that are to, and those that failed, with the next step.

    Examples: orders refunds list --waiting   ·   orders refunds list --status failed   ·   orders refunds list --order 261101123456
    """
    from queries.filters import where_of
    from queries.parser import Query
    from queries.repository import find

    if status is not None:
        _one_of("--status", status, list(map(str, RefundStatus)))
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        conditions: dict[str, Any] = {"status": {"equals": status}} if status else {}
        if waiting:
            conditions["waitsFor"] = {"equals": "person"}
        if order is not None:
            conditions["order.orderNumber"] = {"equals": named(conn, order)}
        found = find(
            conn, "refunds", Query(where=where_of(conditions or None), limit=limit, page=page, depth=1), most=None
        )
    if json:
        print_json(found)
    else:
        print_refunds(found)


@refunds.command()
def show(ref: Ref, data: Data = None, json: Json = False) -> None:
    """Show a refund: how much goes back, why, where it stands, and what to do where it waits for a person."""
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        row = refund_decisions.find(conn, ref)
        doc = _document(conn, row.id)
    letter = row.detail if doc["waitsFor"] == "person" else None
    if json:
        print_json({**doc, "state": row.state, "deadLetter": letter})
    else:
        print_refund(doc, letter)


# -- changing ----------------------------------------------------------------------------------------------------


@refunds.command()
def retry(ref: Ref, data: Data = None, json: Json = False) -> None:
    """Try a refund again that failed, as a new attempt; the provider is asked first what went back."""
    _decide(data, json, ref, "goes out again", lambda request: refund_decisions.retry(request, ref, by=actor()))


@refunds.command()
def settle(
    ref: Ref,
    method: Annotated[
        str, typer.Option("--method", metavar="HOW", help="How it was paid back, such as 'bank transfer'.")
    ],
    note: Note = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Note that you paid a refund back by hand, past the provider; what was to go out for it does not any more.

    Refused while an attempt is under way or in doubt. Example: orders refunds settle rfd_… --method "bank transfer"
    """
    _decide(
        data, json, ref, "is settled by hand",
        lambda request: refund_decisions.settle(request, ref, method, by=actor(), note=note),
    )  # fmt: skip


@refunds.command()
def allocate(
    ref: Ref,
    reason: Annotated[str, typer.Option("--reason", help=f"What it was for: {', '.join(get_args(Allocation))}.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Say what a refund was for that somebody made at the provider; until then it counts toward what is due."""
    _one_of("--reason", reason, get_args(Allocation))
    _decide(
        data, json, ref, f"is allocated: {reason}",
        lambda request: refund_decisions.allocate(request, ref, reason, by=actor()),
    )  # fmt: skip


@refunds.command()
def release(ref: Ref, data: Data = None, json: Json = False) -> None:
    """Let a refund go that waits for a person, as under a dispute, or say why it cannot."""
    _decide(
        data,
        json,
        ref,
        "is released: it goes out next",
        lambda request: refund_decisions.release(request, ref, by=actor()),
    )


# -- steps -------------------------------------------------------------------------------------------------------


def _decide(data: Path | None, json: bool, ref: str, what: str, decide: Callable[[Request], str]) -> None:
    """Do one decision about a refund, and print the refund as it stands then with what was given back before."""

    def work(request: Request) -> dict[str, Any]:
        return _document(request.conn, decide(request))

    with open_shop(data) as (opened, _):
        doc = decided(opened, work)
        with opened.engine.connect() as conn:
            before = refund_decisions.given_back(conn, doc["order"]["id"])
    if json:
        print_json({**doc, "givenBackBefore": before})
    else:
        tell_changed(doc, what, before)


def _document(conn: Connection, refund_id: str) -> dict[str, Any]:
    from queries.repository import document  # imported late: it takes a third of a second

    found = document(conn, "refunds", refund_id, depth=1)
    if found is None:
        raise Problem(f"{format_id('refunds', refund_id)}: nothing of it is left to go back; see `orders refunds list`")
    return found


def _one_of(option: str, told: str, known: Any) -> None:
    if told not in known:
        raise Problem(f"{option} {told} is none; give one of {', '.join(known)}", 2)


def _payment(order: FoldedOrder, name: str | None) -> Transaction | None:
    """The order's payment of that id, ours or the provider's. Errors: Problem that lists those there are."""
    if name is None:
        return None
    for payment in order.transactions:
        if name in (payment.payment_id, format_id("transactions", payment.id)):
            return payment
    known = ", ".join(each.payment_id for each in order.transactions) or "none"
    raise Problem(f"--payment {name} is no payment of order {order.order_number}; it has {known}", 2)
