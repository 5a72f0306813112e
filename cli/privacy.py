"""`orders privacy export|erase`: all that is kept of a customer in one file, and its erasure."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from cli.bootstrap import open_shop
from cli.options import Data, Json, Problem, actor, err, out, print_json
from cli.terminal import safe
from operations import acts
from operations import privacy as kept

privacy = typer.Typer(help="What is kept of a customer: one file of it all, and its erasure.", no_args_is_help=True)

Customer = Annotated[
    str, typer.Argument(metavar="CUSTOMER", help="The shop's own id of the customer, as their orders have it.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the audit: the request's number, say.")]


@privacy.command()
def export(
    customer: Customer,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write it there; else to stdout.")
    ] = None,
    reason: Reason = "",
    data: Data = None,
    json: Json = False,
) -> None:
    """Write all that is kept of a customer as one JSON document: orders with their events, carts, names, addresses, notes.

    That it was looked at stands in the audit. Example: orders privacy export c-42 --output c-42.json --reason "request 17"
    """
    with open_shop(data) as (opened, _), opened.engine.begin() as conn:
        document = kept.export(conn, customer, actor(), reason or None)
    if output is None:
        print_json(document)
        return
    written = orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
    try:
        with output.open("xb") as file:
            output.chmod(0o600)
            file.write(written)
    except OSError as error:
        raise Problem(f"--output {output}: {error.strerror}; give the name of a file that is not there yet") from None
    if json:
        print_json({"customer": customer, "orders": len(document["orders"]), "file": output})
        return
    err.print(f"{len(document['orders'])} orders are in {safe(output)}, readable by you alone", soft_wrap=True)


@privacy.command()
def erase(
    customer: Customer,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: it cannot be undone.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Erase a customer's names, addresses, notes and bank accounts, wherever they are kept. It cannot be undone.

    Orders, amounts and the shop's id of the customer stay; `orders verify` stays clean. May be repeated.
    """
    reason = acts.checked_reason(reason)
    if not yes:
        typer.confirm(f"erase all names, addresses and notes of customer {safe(customer)}?", abort=True, err=True)
    with open_shop(data) as (opened, _), opened.engine.begin() as conn:
        done = kept.erase(conn, customer, actor(), reason)
    if json:
        print_json({"customer": customer, **asdict(done)})
        return
    out.print(
        f"{done.personal_rows} rows of names, addresses and notes of {done.orders} orders are erased, {done.answers} kept answers "
        f"and {done.accounts} bank accounts",
        soft_wrap=True,
    )
    if done.kept_accounts:
        out.print(
            f"{done.kept_accounts} bank accounts stay until their refund is over; erase again then", soft_wrap=True
        )
