"""Pages that are one table: parked events, refunds, deliveries, trackers, findings, workers; and one refund or finding."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.console.order_acts import REFUND_ACTS, Act
from api.console.orders import snapshot
from api.console.render import ConsoleRoute, go, money_of, page, status_of
from api.console.session import PATH, Acting, NotAllowed, Sent, Viewer
from api.console.tables import Choice, Column, Table, badge, link, moment, text
from api.console.tables import word as told
from api.console.times import moment_if_told
from api.console.words import word
from api.resources import doors_of
from domain.ids import format_id, uuid_of
from domain.movements import RefundStatus
from events.errors import OrdersError
from operations import parked_events, refund_decisions
from operations.health.check import OK, PROBLEM
from outbound.reconciliation import findings
from outbound.reconciliation.findings import NOTE
from outbound.webhooks import deliveries, subscriptions
from outbound.webhooks.deliveries import STATES as DELIVERY_STATES
from queries import refund_list, tracker_list
from queries.parser import Query
from queries.repository import find_by_id
from storage.clock import clock
from storage.tables.reconciliation import FINDING_STATES as STATES
from storage.tables.refunds import WAITS_FOR

router = APIRouter(prefix=PATH, route_class=ConsoleRoute, include_in_schema=False)
SHOWN = 50
SIGNS_S = 5.0  # that a look at the workers is shown
_STYLES = {
    "failed": "bad", "dead": "bad", "open": "warm", "disabled": "bad", "due": "", "succeeded": "good", "done": "good",
    "healed": "good", "resolved": "good", "active": "good",
}  # fmt: skip


class NoteNeeded(OrdersError, ValueError):
    """A finding is resolved with a note that says what was found out, or done."""

    code = "console_note"
    remedy = "Write a note of at most 2,000 characters, and send it again."
    status = 400

    def __init__(self) -> None:
        super().__init__(f"the note must say something, in at most {NOTE:,} characters; nothing was changed")


class Signs:
    """The last look at the workers of one process: it puts a message into each queue, so many who watch share it."""

    def __init__(self) -> None:
        self._lock, self._until = threading.Lock(), float("-inf")
        self._seen: list[Any] = []

    def now(self, look: Callable[[], list[Any]]) -> list[Any]:
        """The newest look, at most SIGNS_S old."""
        with self._lock:
            if monotonic() >= self._until:
                self._seen = look()
                self._until = monotonic() + SIGNS_S
            return self._seen


def _order(number: str | None, id: str | None) -> Any:
    return link(number, f"{PATH}/orders/{format_id('orders', id)}") if number and id else text(number)


def _listed(request: Request, table: Table, **values: Any) -> Response:
    return page(request, "list.html", table=table, **values)


def _chosen(request: Request, name: str, known: Any) -> str | None:
    value = request.query_params.get(name)
    return value if value in known else None


# -- what waits ------------------------------------------------------------------------------------------------


@router.get("/parked")
def list_parked(request: Request, who: Viewer) -> Response:
    """Events that came too early, and what each waits for."""
    with snapshot(request) as conn:
        found = parked_events.list_parked(conn)
    rows = [
        [text(f"{each.source}/{each.event_id}"), text(each.type), text(each.order_number or each.subject or each.key),
         told(each.text), moment(each.since), moment(each.until)]
        for each in found
    ]  # fmt: skip
    columns = [Column(word("event")), Column(word("type")), Column(word("about")), Column(word("what it waits for")),
               Column(word("since (UTC)")), Column(word("given up (UTC)"))]  # fmt: skip
    about = word(
        "They came too early, and apply by themselves once what each waits for has come. The first 100 are shown."
    )
    return _listed(request, Table(word("Parked events"), about, columns, rows, word("No event waits.")))


@router.get("/trackers")
def list_trackers(request: Request, who: Viewer) -> Response:
    """Parcels that are followed, by when each is asked for next."""
    asked = request.query_params
    failing = asked.get("which") == "failing"
    at, _, id = asked.get("after", "").partition("~")
    place = moment_if_told(at)
    after = None if place is None or uuid_of(id) is None else (place, id)
    with snapshot(request) as conn:
        found = tracker_list.listed(conn, failing=failing, after=after, most=SHOWN)
    rows = [
        [_order(each.order_number, each.order_id), text(each.others), text(each.provider or each.carrier), text(each.tracking_number),
         told(each.status or "unknown"), text(each.failures), text(each.last_error), moment(each.next_at)]
        for each in found
    ]  # fmt: skip
    columns = [Column(word("order")), Column(word("further orders"), number=True), Column(word("who is asked")),
               Column(word("number")), Column(word("status")), Column(word("failures"), number=True), Column(word("last error")), Column(word("next (UTC)"))]  # fmt: skip
    further = None
    if len(found) == SHOWN:
        further = {"which": "failing" if failing else "", "after": f"{found[-1].next_at.isoformat()}~{found[-1].id}"}
    about = word("Parcels on their way, by when their carrier is asked for them next.")
    choices = [Choice("which", word("Which"), ("failing",))]
    return _listed(
        request, Table(word("Trackers"), about, columns, rows, word("No parcel is followed here."), choices, further)
    )


# -- money -------------------------------------------------------------------------------------------------------


@router.get("/refunds")
def list_refunds(request: Request, who: Viewer) -> Response:
    """Refunds, the newest first: what went back, what is to, what failed."""
    status, waits = _chosen(request, "status", list(map(str, RefundStatus))), _chosen(request, "waiting", WAITS_FOR)
    with snapshot(request) as conn:
        found = refund_list.listed(conn, status, waits, uuid_of(request.query_params.get("after", "")))
    rows = [
        [link(money_of(each.amount, each.currency), f"{PATH}/refunds/{format_id('refunds', each.id)}"),
         badge(each.status, _STYLES.get(each.status, "")), told(each.waits_for or "–"),
         _order(each.order_number, each.order_id), text(each.payment_id), told(each.origin), text(each.failure),
         moment(each.created_at)]
        for each in found.rows
    ]  # fmt: skip
    columns = [Column(word("amount")), Column(word("status")), Column(word("waits for")), Column(word("order")),
               Column(word("payment")), Column(word("made by")), Column(word("failure")), Column(word("made (UTC)"))]  # fmt: skip
    choices = [
        Choice("status", word("Status"), list(map(str, RefundStatus))),
        Choice("waiting", word("Waits for"), WAITS_FOR),
    ]
    about = word("Money that goes back, went back, or was to. A filter looks at 2,000 refunds at a time.")
    further = None
    if found.further:
        further = {"status": status or "", "waiting": waits or "", "after": found.further}
    return _listed(request, Table(word("Refunds"), about, columns, rows, word("No refund fits."), choices, further))


@router.get("/refunds/{name}")
def show_refund(request: Request, who: Viewer, name: str) -> Response:
    """One refund: how much goes back, why, where it stands, and what may be done."""
    return refund_page(request, name, REFUND_ACTS if who.acts else ())


def refund_page(
    request: Request,
    name: str,
    acts: Sequence[Act],
    error: OrdersError | None = None,
    failed: dict[str, Any] | None = None,
) -> Response:
    """The page of one refund; after an act that was refused with its error, and with the fields of its form. Errors: RefundAbsent."""
    with snapshot(request) as conn:
        row = refund_decisions.find(conn, name)
        doc = find_by_id(conn, "refunds", row.id, Query(depth=1, joined=False))
        before = refund_decisions.given_back(conn, row.order_id)
    if doc is None:
        raise refund_decisions.RefundAbsent(name)
    return page(request, "refund.html", status_of(error), doc=doc, detail=row.detail,
                provider=row.provider, given_back=before, acts=acts, error=error, failed=failed)  # fmt: skip


# -- subscribers -------------------------------------------------------------------------------------------------


@router.get("/deliveries")
def list_deliveries(request: Request, who: Viewer) -> Response:
    """Subscriptions, and the deliveries of changes to them."""
    state = _chosen(request, "state", DELIVERY_STATES)
    wanted = uuid_of(request.query_params.get("subscription", ""))
    with snapshot(request) as conn:
        known = subscriptions.listed(conn)
        found = deliveries.listed(conn, wanted, state, SHOWN)
    by_id = {each.id: each.url for each in known}
    rows = [
        [text(format_id("deliveries", each.id)), text(by_id.get(each.subscription_id)), text(each.order_number),
         text(f"{each.collection}.{each.operation}"), badge(each.state, _STYLES.get(each.state, "")), text(each.attempts),
         text(each.last_error or each.last_status), moment(each.next_at), moment(each.at)]
        for each in found
    ]  # fmt: skip
    columns = [Column(word("delivery")), Column(word("to")), Column(word("order")), Column(word("change")),
               Column(word("state")), Column(word("attempts"), number=True), Column(word("last answer")),
               Column(word("next (UTC)")), Column(word("changed (UTC)"))]  # fmt: skip
    about = word("Changes on their way to subscribers, the newest 50.")
    table = Table(word("Deliveries"), about, columns, rows, word("No delivery fits."),
                  [Choice("state", word("State"), DELIVERY_STATES)])  # fmt: skip
    return page(request, "deliveries.html", table=table, subscriptions=known, name_of=_name_of, styles=_STYLES)


def _name_of(id: str) -> str:
    return format_id("subscriptions", id)


@router.post("/subscriptions/{name}/{act}")
def switch_subscription(request: Request, who: Acting, name: str, act: str) -> Response:
    """A subscription is switched off or on, or what it did not take goes out again."""
    with doors_of(request).engine.begin() as conn:
        if act == "disable":
            subscriptions.disable(conn, name, who.actor)
        elif act == "enable":
            subscriptions.enable(conn, name, who.actor, clock())
        elif act == "replay":
            found = subscriptions.find(conn, name)
            count = deliveries.replay_where(conn, found.id, deliveries.DEAD, clock())
            subscriptions.replayed(conn, format_id("subscriptions", found.id), count, who.actor)
        else:
            raise NotAllowed(f"{act!r} is nothing that can be done to a subscription")
    return go(f"{PATH}/deliveries")


# -- findings ----------------------------------------------------------------------------------------------------


@router.get("/findings")
def list_findings(request: Request, who: Viewer) -> Response:
    """The list of what differs between payment providers and us."""
    state = _chosen(request, "state", STATES) or "open"
    with snapshot(request) as conn:
        found = findings.listed(conn, state=state)
    rows = [
        [link(each.kind, f"{PATH}/findings/{each.name}"), badge(each.state, _STYLES.get(each.state, "")), text(each.provider),
         text(each.payment_id), text(each.order_number), text(each.done), moment(each.found_at)]
        for each in found
    ]  # fmt: skip
    columns = [Column(word("what differs")), Column(word("state")), Column(word("provider")), Column(word("payment")),
               Column(word("order")), Column(word("done, or to do")), Column(word("found (UTC)"))]  # fmt: skip
    about = word("What a comparison with a provider's list has found, the newest 100.")
    choices = [Choice("state", word("State"), STATES)]
    return _listed(
        request, Table(word("Findings"), about, columns, rows, word("No finding is in this state."), choices)
    )


@router.get("/findings/{name}")
def show_finding(request: Request, who: Viewer, name: str) -> Response:
    """One finding with both sides."""
    with snapshot(request) as conn:
        found = findings.one(conn, name)
    return page(request, "finding.html", finding=found, error=None, note="")


@router.post("/findings/{name}/resolve")
def resolve_finding(request: Request, who: Acting, form: Sent, name: str) -> Response:
    """A finding is resolved, with a note."""
    note = form.get("note")
    if not note or len(note) > NOTE:
        with snapshot(request) as conn:
            found = findings.one(conn, name)
        error = NoteNeeded()
        return page(request, "finding.html", status_of(error), finding=found, error=error, note=note)
    with doors_of(request).engine.begin() as conn:
        findings.resolve(conn, name, note, who.actor)
    return go(f"{PATH}/findings/{name}")


# -- workers -----------------------------------------------------------------------------------------------------


@router.get("/workers")
async def show_workers(request: Request, who: Viewer) -> Response:
    """Workers, the beat and their queues, as they show themselves now."""
    checks = await run_in_threadpool(_signs, request)
    rows = [
        [text(each.name), badge(each.level, "good" if each.level == OK else "bad" if each.level == PROBLEM else "warm"),
         text(each.says), text(each.remedy)]
        for each in checks
    ]  # fmt: skip
    columns = [Column(word("what")), Column(word("health")), Column(word("how it is")), Column(word("what to do"))]
    about = word("The beat and a worker per queue, each asked for a sign of life just now.")
    table = Table(
        word("Workers and queues"), about, columns, rows, word("Redis does not answer: nobody could be asked.")
    )
    return _listed(request, table)


def _signs(request: Request) -> list[Any]:
    from operations.health.check import Place
    from workers.signs_of_life import signs

    doors = doors_of(request)
    looks: Signs = request.app.state.signs
    return looks.now(lambda: list(signs(doors.streams.client, Place(doors.settings, embedded=False), lambda: True)))
