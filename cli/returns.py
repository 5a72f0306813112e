"""`orders returns …`: a return that the customer withdraws, and one that the warehouse has received."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cli.bootstrap import open_shop
from cli.options import Data, Json, Problem, actor, out, print_json
from cli.order_decision import decided
from cli.terminal import safe
from domain.ids import format_id, parse_id
from domain.order import Order
from domain.returns import Return
from journal.commands import Request, Step
from operations import corrections
from operations import returns as decisions

returns = typer.Typer(help="Returns: withdrawn by the customer, received at the warehouse.", no_args_is_help=True)

Named = Annotated[
    str, typer.Argument(metavar="RETURN", help="The return's id (ret_…), as `orders show --json` has it.")
]


@returns.command()
def withdraw(
    return_: Named,
    note: Annotated[
        str | None, typer.Option("--note", help="For those who read it later; kept as personal data.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Withdraw a return for its customer, until it was received or completed; its items are free again.

    The order goes back to where it stood. Example: orders returns withdraw ret_019a3c1e8f7b7c1d9e2f3a4b5c6d7e8f
    """
    _tell(*_decide(data, return_, lambda order, back: decisions.withdraw(order, back, note)), json)


@returns.command()
def received(return_: Named, data: Data = None, json: Json = False) -> None:
    """Note that the warehouse has what was sent back; the customer cannot withdraw the return any more."""
    _tell(*_decide(data, return_, lambda order, back: decisions.receive(order, back, actor())), json)


def _decide(data: Path | None, name: str, make: Callable[[Order, Return], Step | None]) -> tuple[Order, Return]:
    """(the order, its return) after the event that `make` makes of them, locked; unchanged where it makes none.

    Errors: Problem where there is no such return; CorrectionRefused where it does not stand so.
    """
    own = parse_id("returns", name)
    if own is None:
        raise Problem(f"RETURN {name}: is no id of a return, such as ret_…; `orders show ORDER --json` has them", 2)

    def work(request: Request) -> tuple[Order, Return]:
        for order in request.lock([own], "return").values():
            step = make(order, _of(order, own))
            after = order if step is None else corrections.apply(request, order, step, actor())
            return after, _of(after, own)
        raise Problem(f"there is no return {name}; `orders show ORDER --json` has those of an order")

    with open_shop(data) as (opened, _):
        return decided(opened, work)


def _of(order: Order, own: str) -> Return:
    return next(back for back in order.returns if back.id == own)


def _tell(order: Order, back: Return, json: bool) -> None:
    document = {
        "return": format_id("returns", back.id),
        "order": order.order_number,
        "status": str(back.status),
        "rejectedBy": back.rejected_by,
        "receivedAt": back.received_at,
        "orderStatus": str(order.status),
    }
    if json:
        print_json(document)
        return
    seen = f", received at {back.received_at:%Y-%m-%d %H:%M} UTC" if back.received_at is not None else ""
    by = f" by {safe(back.rejected_by)}" if back.rejected_by is not None else ""
    out.print(
        f"return {document['return']} is {back.status}{by}{seen}; order {safe(order.order_number)} is {order.status}",
        soft_wrap=True,
    )
