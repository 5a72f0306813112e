"""The preview of an act on an order, or on a refund of its, and the act itself; where it is refused its form stays as it was."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.console.lists import refund_page
from api.console.order_acts import BY_NAME, REFUND_ACTS, Act
from api.console.orders import fitting, known, number_of, shown, snapshot
from api.console.render import ConsoleRoute, go, page, status_of
from api.console.session import PATH, Acting, Form, NotAllowed, Sent
from api.publisher import Publisher
from api.resources import doors_of
from domain.ids import format_id, fresh, uuid_of
from domain.order import Order
from events.errors import OrdersError
from journal.commands import Known
from journal.commands import Request as Command
from operations import order_acts
from operations.order_acts import OrderAbsent, Outcome
from operations.refund_decisions import RefundAbsent
from storage.clock import clock

router = APIRouter(prefix=PATH, route_class=ConsoleRoute, include_in_schema=False)
OWN = ("form_token", "confirm", "version", "intent")  # fields of the form itself


@router.post("/orders/{name}/acts/{act}")
def act_upon(request: Request, who: Acting, form: Sent, name: str, act: str) -> Response:
    """The preview of an act; with the version that the preview named the act itself."""
    wanted = BY_NAME.get(act)
    if wanted is None:
        raise NotAllowed(f"{act!r} is nothing that can be done here")
    try:
        return (
            _done(request, who.actor, form, name, wanted)
            if form.get("confirm")
            else _previewed(request, who.actor, form, name, wanted)
        )
    except (OrderAbsent, RefundAbsent):
        raise  # there is no page that the form was of
    except OrdersError as error:
        return _refused(request, form, name, wanted, error)


def _previewed(request: Request, actor: str, form: Form, name: str, act: Act) -> Response:
    doors, intent = doors_of(request), fresh(clock())
    with snapshot(request) as conn:
        order_id = known(conn, name)
    outcome = order_acts.preview(
        doors.engine, doors.settings.policy, doors.shop, order_id, intent, _runner(act, form, actor)
    )
    return page(request, "preview.html", act=act, outcome=outcome, intent=intent, fields=_again(form, outcome),
                order_id=format_id("orders", order_id))  # fmt: skip


def _done(request: Request, actor: str, form: Form, name: str, act: Act) -> Response:
    doors = doors_of(request)
    with snapshot(request) as conn:
        order_id = known(conn, name)
    version, intent = number_of(form.get("version"), -1), uuid_of(form.get("intent")) or fresh(clock())
    with suppress(Known):  # the form was sent twice: what it asked for is done
        done = order_acts.do(
            doors.engine, doors.settings.policy, doors.shop, order_id, intent, _runner(act, form, actor), version
        )
        publisher: Publisher = request.app.state.publisher
        publisher.publish(done.entries)
    return go(f"{PATH}/orders/{format_id('orders', order_id)}?done={act.name}")


def _refused(request: Request, form: Form, name: str, act: Act, error: OrdersError) -> Response:
    """The page that the form is of, with what is wrong, and with all that was written."""
    failed = {"act": act.name, "fields": dict(form.but(*OWN))}
    if act in REFUND_ACTS:
        return refund_page(request, form.get("refund"), REFUND_ACTS, error, failed)
    values = shown(request, name) | {"error": error, "failed": failed}
    return page(request, "order.html", status_of(error), **values, acts=fitting(values), revealed=None)


def _runner(act: Act, form: Form, actor: str) -> order_acts.Run:
    def run(command: Command, order: Order) -> object:
        return act.run(command, order, form, actor)

    return run


def _again(form: Form, outcome: Outcome) -> list[tuple[str, str]]:
    """The fields of the form that does what was previewed."""
    return [*form.but(*OWN), ("version", str(outcome.version)), ("confirm", "yes")]
