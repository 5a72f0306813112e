"""`orders scan`: what a person knows of a parcel, told as its carrier would."""

from __future__ import annotations

from typing import Annotated, get_args

import typer
from sqlalchemy import Connection, text

from cli.bootstrap import open_shop
from cli.moments import moment_of
from cli.options import Data, Json, Problem, actor, out, print_json
from cli.render import in_utc
from cli.terminal import safe
from cli.typed_values import time_ahead
from events.catalogue import Malformed, decode, tracking_key
from events.field_types import TrackingStatus
from journal.append import append
from operations import audit as acts
from outbound.tracking import trackers
from providers.base import Scan
from providers.carriers.manual import reported
from settings.fields import quoted
from storage.clock import clock

STATUSES: tuple[TrackingStatus, ...] = get_args(TrackingStatus)
_NAMED = text(
    "select o.order_number from correlations c join orders o on o.id = c.order_id where c.key = :key and o.placed_at is not null"
)


def scan(
    carrier: Annotated[str, typer.Argument(metavar="CARRIER", help="The carrier's name, as the parcel has it.")],
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="The tracking number.")],
    status: Annotated[str, typer.Argument(metavar="STATUS", help=f"One of {', '.join(STATUSES)}.")],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="When it happened: 2h ago (write 2h), or 2026-11-01T12:00Z."),
    ] = None,
    place: Annotated[str | None, typer.Option("--place", metavar="PLACE", help="Where the parcel was then.")] = None,
    words: Annotated[str | None, typer.Option("--words", metavar="TEXT", help="What happened, in words.")] = None,
    expected: Annotated[
        str | None, typer.Option("--expected", metavar="TIME", help="When it is to arrive, such as 2026-12-03T18:00Z.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Tell what is known of a parcel, as its carrier would: it moves its order, and stands on its timeline.

    For parcels that nobody polls, and for what a carrier says by telephone. The same report twice is one event.

    Example: orders scan "Our Van" 4711 delivered --at 20m --place "Back door"
    """
    if status not in STATUSES:
        raise Problem(f"STATUS {quoted(status)} is none; give one of {', '.join(STATUSES)}", 2)
    found: TrackingStatus = next(each for each in STATUSES if each == status)
    time = None if at is None else moment_of(at, "--at")
    until = None if expected is None else time_ahead(expected, "--expected")
    with open_shop(data) as (opened, _):
        told = reported(carrier, number, Scan("", time, found, words, place, estimated=until), clock())
        try:
            decode(told.type, told.version, told.subject, told.data)
        except Malformed as error:
            raise Problem(f"{error}; nothing was told", 2) from None
        with opened.engine.begin() as conn:
            order = _order_of(conn, carrier, number)
            appended = append(conn, [told], opened.shop.shards)
            if appended.new:
                detail = {"data": dict(told.data), "time": told.time.isoformat()}
                acts.record(conn, actor(), "scan", f"orders/{order}", words, order=order, detail=detail)
        opened.streams.publish(appended.new)
        polled_by = trackers.polled_by(opened.shop.follows, carrier)
    if json:
        print_json(
            {
                "order": order, "carrier": carrier, "trackingNumber": number, "status": status, "time": told.time,
                "new": bool(appended.new), "polledBy": polled_by,
            }
        )  # fmt: skip
        return
    what = f"parcel {safe(number)} of order {safe(order)}: {status} at {in_utc(told.time)} UTC"
    out.print(what if appended.new else f"{what} was told before; nothing changed", soft_wrap=True)
    if polled_by is not None:
        out.print(f"[dim]{safe(polled_by)} is polled for it, too: of what is told, the later stands[/]", soft_wrap=True)


def _order_of(conn: Connection, carrier: str, number: str) -> str:
    """The number of the order that has this parcel. Errors: Problem where none has."""
    found = conn.execute(_NAMED, {"key": tracking_key(carrier, number)}).scalar()
    if found is None:
        raise Problem(
            f"no order has a parcel {number} of {carrier}; write the carrier as `orders show ORDER` has it, or tell the "
            "number first: PATCH /api/fulfillments/ID"
        )
    return str(found)
