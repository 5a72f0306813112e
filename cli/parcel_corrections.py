"""`orders correct-fulfillment`: a person says where a fulfillment really stands, or who carries it."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.bootstrap import open_shop
from cli.options import Data, Json, Problem, actor, out, print_json
from cli.order_decision import of_order
from cli.terminal import safe
from cli.typed_values import name_of
from domain.fulfillment import Fulfillment, Status
from domain.order import Order
from journal.commands import Request, Step
from operations import corrections, parcel_corrections


def correct_fulfillment(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The order's number or id (ord_…).")],
    fulfillment: Annotated[str, typer.Argument(metavar="FULFILLMENT", help="Its reference or id (ful_…).")],
    status: Annotated[
        Status | None, typer.Option("--status", help="Where it stands; what was told of it until now counts no more.")
    ] = None,
    carrier: Annotated[str | None, typer.Option("--carrier", help="Who carries it.")] = None,
    number: Annotated[
        str | None,
        typer.Option("--tracking-number", metavar="NUMBER", help="By which number; the old one moves it no more."),
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the order's timeline.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Say where a fulfillment really stands, or who carries it.

    Delivered by mistake: `--status shipped`. A typo in the number: `--tracking-number NUMBER`; a carrier or number that is
    left out stays as it is. Scans and reports of later times move it on from there. --json answers its status and carrier.
    """
    if (status is None) is (carrier is None and number is None):
        raise Problem("give either --status, or --carrier and --tracking-number or one of them", 2)
    named_carrier = None if carrier is None else name_of(carrier, "--carrier")
    named_number = None if number is None else name_of(number, "--tracking-number")

    def step(request: Request, found: Order, parcel: Fulfillment) -> Step:
        if status is None:
            return parcel_corrections.change_tracking(request, found, parcel, named_carrier, named_number)
        return parcel_corrections.correct(request, found, parcel, status, by=actor(), reason=reason)

    def work(request: Request, found: Order) -> Order:
        return corrections.apply(request, found, step(request, found, _parcel(found, fulfillment)), actor())

    with open_shop(data) as (opened, _):
        after = of_order(opened, order, work)
    parcel = _parcel(after, fulfillment)
    document = {
        "order": after.order_number,
        "status": str(after.status),
        "fulfillment": parcel_corrections.name_of(parcel),
        "fulfillmentStatus": str(parcel.status),
        "carrier": parcel.carrier,
        "trackingNumber": parcel.tracking_number,
    }
    if json:
        print_json(document)
        return
    carried = f", carried by {parcel.carrier} as {parcel.tracking_number}" if parcel.carrier else ""
    out.print(
        safe(f"{document['fulfillment']} is {parcel.status}{carried}; order {after.order_number} is {after.status}"),
        soft_wrap=True,
    )


def _parcel(order: Order, name: str) -> Fulfillment:
    found = order.goods().parcel(name)
    if found is None:
        known = ", ".join(parcel_corrections.name_of(one) for one in order.fulfillments[:5])
        raise Problem(f"order {order.order_number} has no fulfillment {name}; it has {known or 'none'}", 2)
    return found
