"""`orders balance`: the money of one order, or of all by currency, added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated

import typer

from cli.bootstrap import open_shop
from cli.inspect import named
from cli.options import Data, Json, Problem, out, print_json
from cli.render import given_back, given_back_words, put, table
from cli.terminal import safe
from domain.balance import balance as added_up
from operations.balances import balances
from queries.order_lookup import id_of
from storage.aggregates import peek

WORDS = {
    "captured": "came, and no bank took it back",
    "reversed": "came once, and a bank took it back",
    "lost": "of what came is gone by disputes",
    "contested": "of what came open disputes are about",
    "payable": "is the price of what the payers keep",
    "due": "is due back in all, whether it has gone back or not",
    "refunded": "went back, whoever made it",
    "refunding": "is on its way back",
    "settled": "was paid back by hand, past the providers",
    "failed": "of what is owed was tried in vain: orders refunds list --waiting",
    "owed": "is due and has yet to go back",
}


def balance(
    order: Annotated[str | None, typer.Argument(help="An order's number or id; without it, all of them.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Add up the money of an order, or of all orders by currency: what came, what went back, what is still owed.

    Examples: orders balance   ·   orders balance 261101123456 --json
    """
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        if order is not None:
            number = named(conn, order)
            for found in peek(conn, [id_of(conn, number) or ""]).values():
                if found.placed_at is None:
                    raise Problem(
                        f"events name order {number}, but its OrderCreated has not come; see `orders parked list`"
                    )
                sums = asdict(added_up(found))
                if json:
                    print_json({"orderNumber": number, "currency": found.currency, **sums})
                else:
                    print_balance(sums, found.currency, f"order {safe(number)}")
            return
        found_all = balances(conn)
    if json:
        print_json({"balances": [{"currency": currency, **each} for currency, each in found_all.items()]})
        return
    for currency, each in found_all.items():
        print_balance(each, currency, f"{int(each['orders']):,} orders in {currency}")
    if not found_all:
        out.print("there are no orders")


def print_balance(sums: Mapping[str, Decimal], currency: str | None, title: str) -> None:
    """The sums that are not 0, each with its words; what was given back is said where there is any."""
    rows = table("sum", f">{currency}", "which", title=title)
    for name, words in WORDS.items():
        if sums[name] or name in ("captured", "payable", "owed"):
            rows.add_row(name, f"{sums[name]:,f}", words)
    put(rows)
    if given := given_back(sums):
        out.print(given_back_words(given, currency))
