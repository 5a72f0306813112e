"""Corrections of a fulfillment that people ask for, by API and command line alike: where it stands, and who carries it.

Facts of a parcel may lie ahead, and of two the later stands. So what a person says now has the later of now and a millisecond
after the latest fact that is known of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.fulfillment import Fulfillment
from domain.ids import format_id
from domain.order import Order
from domain.parcel_facts import PAIR, latest_fact, time_of
from journal.commands import Request, Step
from operations import acts
from operations.corrections import CorrectionRefused

AFTER = timedelta(milliseconds=1)


def correct(request: Request, order: Order, parcel: Fulfillment, status: str, *, by: str, reason: str | None) -> Step:
    """The event that says where a fulfillment of a locked order stands. Errors: CorrectionRefused where it is canceled; ReasonAbsent."""
    name = name_of(parcel)
    if order.canceled_at is not None:
        raise CorrectionRefused(
            f"order {order.order_number} was canceled: fulfillment {name} stays {parcel.status}; what its carrier and the "
            "warehouse report is recorded and flagged all the same"
        )
    facts = parcel.facts or {}
    told = {"fulfillment": name, "status": status, "by": by, "reason": acts.reason_if_said(reason)}
    data = {each: value for each, value in told.items() if value is not None}
    return Step("FulfillmentCorrected", order.order_number, data, at=_later(request, latest_fact(facts)))


def change_tracking(
    request: Request, order: Order, parcel: Fulfillment, carrier: str | None, number: str | None
) -> Step:
    """The event that names another carrier or number of a fulfillment of a locked order; the other half stays as it is.

    Errors: CorrectionRefused where that other half is not known.
    """
    name = name_of(parcel)
    whole = {"carrier": carrier or parcel.carrier, "trackingNumber": number or parcel.tracking_number}
    missing = [each for each, value in whole.items() if value is None]
    if missing:
        raise CorrectionRefused(
            f"fulfillment {name} has no {missing[0]} yet: a carrier and a number are followed together, so give both",
            missing=missing[0],
        )
    pair = (parcel.facts or {}).get(PAIR)
    data = {"fulfillment": name, **whole}
    at = _later(request, pair[0] if pair is not None else None)
    return Step("FulfillmentTrackingChanged", order.order_number, data, at=at)


def name_of(parcel: Fulfillment) -> str:
    """The name of a fulfillment in events."""
    return parcel.reference or format_id("fulfillments", parcel.id)


def _later(request: Request, known: int | None) -> datetime:
    return request.now if known is None else max(request.now, time_of(known) + AFTER)
