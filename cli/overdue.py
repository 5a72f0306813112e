"""`orders overdue`: refunds that the law wanted back by now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.bootstrap import open_shop
from cli.options import MOST_LISTED, Data, Json, Problem, out, print_json
from cli.render import put, table, time_of
from cli.terminal import safe
from domain.ids import format_id
from domain.refunds import RefundState
from operations.overdue_refunds import OverdueRefund
from operations.overdue_refunds import overdue as find_overdue
from storage.clock import clock


def overdue(
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="Refunds at most.")] = 100,
    data: Data = None,
    json: Json = False,
) -> None:
    """List refunds that are overdue by the legal clock, the longest due first, with what each waits for.

    The clock is ORDERS_REFUND_WITHIN (3bd: three business days of ORDERS_COUNTRY), from when a refund became due. Exit
    codes: 0 none is overdue, 1 some are, 2 wrong use. With --json: refunds, each with id, order, payment, provider, amount,
    currency, dueSince, dueBy, state, waitsFor and error.
    """
    with open_shop(data) as (opened, found):
        legal_clock = found.settings.legal_clock
        if legal_clock is None:
            raise Problem("ORDERS_REFUND_WITHIN is off, so that nothing can be overdue; set it, to 3bd for instance", 2)
        with opened.engine.connect() as conn:
            late = find_overdue(conn, legal_clock, clock(), limit)
    if json:
        print_json({"refunds": [_as_document(each) for each in late]})
    else:
        _print(late)
    if late:
        raise typer.Exit(1)


def _print(late: list[OverdueRefund]) -> None:
    if not late:
        out.print("no refund is overdue")
        return
    rows = table("refund", "order", "payment", "amount", "was due by (UTC)", "waits for")
    for each in late:
        amount = f"{each.amount:f} {each.currency}"
        name = format_id("effects", each.id)
        waits = f"{_waits_for(each)}{f': {each.error}' if each.error else ''}"
        rows.add_row(
            name, safe(each.order_number), safe(each.payment_id), amount, time_of(each.due_by), safe(waits)
        )  # fmt: skip
    put(rows)


def _waits_for(each: OverdueRefund) -> str:
    if each.state == RefundState.DONE:
        return "it went out and failed; a person tries again, or settles it by hand"
    return RefundState(each.state).words.format(id=format_id("effects", each.id))


def _as_document(each: OverdueRefund) -> dict[str, Any]:
    return {
        "id": format_id("effects", each.id),
        "order": each.order_number,
        "payment": each.payment_id,
        "provider": each.provider,
        "amount": each.amount,
        "currency": each.currency,
        "dueSince": each.due_since,
        "dueBy": each.due_by,
        "state": each.state,
        "waitsFor": _waits_for(each),
        "error": each.error,
    }
