"""The erasure of a customer in the console: an admin sees what would be erased, types the customer's id, and says why."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.console.render import ConsoleRoute, page, status_of
from api.console.session import PATH, Administering, Form, Sent, Viewer
from api.resources import doors_of
from events.errors import OrdersError
from operations import acts, privacy

router = APIRouter(prefix=PATH, route_class=ConsoleRoute, include_in_schema=False)


class ErasureUnconfirmed(OrdersError, ValueError):
    """The customer's id that was typed for an erasure in the console is not that of the customer that was previewed."""

    code = "console_erasure"
    remedy = "Type the customer's id just as the page shows it."
    status = 400


@router.get("/privacy")
def show_privacy(request: Request, who: Viewer) -> Response:
    """The form that asks which customer."""
    return page(request, "privacy.html", customer="", preview=None, erased=None, error=None)


@router.post("/privacy")
def erase_customer(request: Request, who: Administering, form: Sent) -> Response:
    """The preview of an erasure; with the customer's id typed and a reason the erasure itself."""
    customer, engine = form.get("customer"), doors_of(request).engine
    error: OrdersError | None = None
    if form.get("confirm"):
        try:
            reason = _confirmed(form, customer)
            with engine.begin() as conn:
                erased = privacy.erase(conn, customer, who.actor, reason)
            return page(request, "privacy.html", customer=customer, preview=None, erased=erased, error=None)
        except OrdersError as refused:
            error = refused
    try:
        preview = privacy.preview(engine, customer, who.actor)
    except OrdersError as refused:
        preview, error = None, error or refused
    return page(request, "privacy.html", status_of(error), customer=customer, preview=preview, erased=None, error=error,
                reason=form.get("reason"))  # fmt: skip


def _confirmed(form: Form, customer: str) -> str:
    """The reason of an erasure that was confirmed. Errors: ErasureUnconfirmed, ReasonAbsent."""
    if form.get("typed") != customer:
        raise ErasureUnconfirmed(
            f"{form.get('typed')[:100]!r} was typed, and the customer is {customer!r}; nothing was erased"
        )
    return acts.checked_reason(form.get("reason"))
