"""`orders show`, `orders list`, `orders account`, `orders verify`: looks inside, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Connection, text

from cli.bootstrap import open_shop
from cli.moments import moment_of
from cli.options import MOST_LISTED, MOST_PAGE, Data, Json, Problem, actor, err, out, print_json, stream_json
from cli.render import in_utc, print_account, print_list, print_order
from cli.terminal import safe
from domain.balance import balance
from domain.ids import format_id, uuid_of
from domain.order import AFTER_DELIVERY, Status
from journal.refold import note_rules, refold_orders
from journal.totals import account as take_account
from journal.verify import Difference, Report, as_known_at, differences
from operations import audit as acts
from operations import pauses
from operations.given_up import of_orders
from outbound import tracking
from outbound.refund_accounts import shown
from queries import documents, order_lookup, timeline
from storage.aggregates import peek

AT_ONCE = 500  # orders that are in memory where all are listed
ACTS = 20  # the newest acts on an order that are shown; `orders audit list --order` has them all
SHOWN = 50  # differences that are printed; --json has them all
JOINS = ("products", "transactions", "fulfillments", "returns")  # what hangs on an order
_EFFECTS = text("""
    select id, payment_id, currency, target, made, state, attempts, next_at, last_error
    from effects where order_id = (select id from orders where order_number = :number) order by id
""")
# Only those that will do something: a timer is left to run out where it has nothing to do any more.
_TIMERS = text("""
    select t.kind, t.due, t.held from timers t join orders o on o.id = t.order_id where o.order_number = :number
    and case t.kind when 'unpaid' then o.status = any(cast(:unpaid as text[]))
        when 'hold' then o.status <> 'canceled' and 'held' = any(o.flags)
        else o.confirmed_at is null and o.status = any(cast(:delivered as text[])) end
    order by t.due
""")

Order = Annotated[str, typer.Argument(help="The order's number, or its id (ord_…).")]


def show(
    order: Order,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="TIME", help="As it was known then: 2h ago (write 2h), 2026-11-01T12:00Z or 2026-11-01."
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, max=MOST_LISTED, help="Events per page; 0 is all.")] = 100,
    page: Annotated[
        int, typer.Option("--page", min=1, max=MOST_PAGE, help="Which page of events; the newest are on the first.")
    ] = 1,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show an order: items, money, parcels, returns, refunds, and its newest events with what became of each.

    Examples: orders show 261101123456   ·   orders show 261101123456 --at 2026-11-01T12:00Z
    """
    from queries.parser import JoinQuery, Query  # imported late: it takes a third of a second
    from queries.repository import find_order  # imported late: it takes a third of a second

    moment, known = (None if at is None else moment_of(at, "--at")), None
    everything = Query(depth=1, joins={name: JoinQuery(limit=0) for name in JOINS})
    with open_shop(data) as (opened, _):
        with opened.engine.connect() as conn:
            number = named(conn, order)
            document = find_order(conn, number, everything) if moment is None else None
        if moment is not None and (known := as_known_at(opened.engine, number, moment)) is not None:
            with opened.engine.connect() as conn:
                document = documents.of_order(conn, known)
        if document is None:
            raise Problem(_not_there(number, moment))
        with opened.engine.connect() as conn:
            events, total = _events(conn, document["id"], moment, limit, (page - 1) * limit)
            document["timeline"] = events
            document["timelineEvents"] = total
            document["refunds"] = _refunds(conn, number) if moment is None else []
            document["refundAccount"] = shown(conn, uuid_of(document["id"]) or "") if moment is None else None
            document["timers"] = _timers(conn, number) if moment is None else []
            things = of_orders(conn, [number]) if moment is None else []
            document["givenUp"] = [each.as_document() for each in things]
            document["pauses"] = [each.as_document() for each in pauses.of_order(conn, number)]
            document["audit"] = [each.as_document() for each in acts.newest(conn, ACTS, order=number)]
            if moment is None:
                known = next(iter(peek(conn, [uuid_of(document["id"]) or ""]).values()), None)
            if moment is None and opened.shop.follows is not None:
                for parcel in filter(tracking.can_be_followed, document["fulfillments"]["docs"]):
                    parcel["polledBy"] = tracking.polled_by(opened.shop.follows, parcel["carrier"])
        if json and (personal := acts.personal_of(document)):
            with opened.engine.begin() as conn:
                acts.looked(
                    conn, actor(), f"orders/{number}", f"orders show --json: {', '.join(personal)}", order=number
                )
        document["balance"] = asdict(balance(known)) if known is not None else None
    if moment is not None:
        document["knownAt"] = moment
    if json:
        print_json(document)
    else:
        print_order(document, moment)
        if earlier := total - (page - 1) * limit - len(events):
            out.print(f"[dim]{earlier:,} earlier events: --page {page + 1}, or --limit 0 for all[/]")


def list_(
    status: Annotated[str | None, typer.Option("--status", metavar="S", help="Only these: pending, paid, …")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, max=MOST_LISTED, help="Orders per page; 0 is all.")] = 10,
    page: Annotated[int, typer.Option("--page", min=1, max=MOST_PAGE, help="Which page.")] = 1,
    depth: Annotated[
        int, typer.Option("--depth", min=0, max=1, help="1: with items, transactions, fulfillments, returns (--json).")
    ] = 0,
    sort: Annotated[
        str, typer.Option("--sort", metavar="F", help="Fields, comma-separated; a leading - is descending.")
    ] = "-createdAt",
    data: Data = None,
    json: Json = False,
) -> None:
    """List orders, newest first; --json answers as the query API does.

    Examples: orders list --status paid   ·   orders list --sort=-totalAmount,orderNumber --limit 50
    """
    from queries.filters import where_of
    from queries.parser import JoinQuery, Query
    from queries.repository import each, find

    known = [str(each) for each in Status if each != Status.NEW]
    if status is not None and status not in known:
        raise Problem(f"--status {status} is none; give one of {', '.join(known)}", 2)
    asked = Query(
        where=where_of({"status": {"equals": status}} if status else None),
        sort=tuple(part.strip() for part in sort.split(",")),
        limit=limit,
        page=page,
        depth=depth,
        joins={name: JoinQuery(limit=0) for name in JOINS},
    )
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        if not limit:
            conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            _put_all(each(conn, "orders", asked), status, json)
            return
        found = find(conn, "orders", asked, most=None)
    if json:
        print_json(found)
    elif not found["docs"]:
        page_of = f" on page {page} of {found['totalPages']}" if found["totalDocs"] else ""
        out.print(f"no orders{_with(status)}{page_of}")
    else:
        print_list(found)


def _put_all(orders: Iterator[documents.Document], status: str | None, json: bool) -> None:
    """Write all of them as they come: they may be more than fit into the memory."""
    if json:
        stream_json("docs", orders, lambda count: documents.list_answer([], count, 0, 1))
        return
    first = list(islice(orders, AT_ONCE))
    if not first:
        out.print(f"no orders{_with(status)}")
    page = first
    while page:
        print_list({"docs": page, "totalPages": 1})
        page = list(islice(orders, AT_ONCE))


def _with(status: str | None) -> str:
    return f" with status {status}" if status else ""


def account(data: Data = None, json: Json = False) -> None:
    """Show what became of every delivery that was accepted; the six outcomes add up."""
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        found = take_account(conn)
    if json:
        print_json(found)
    else:
        print_account(found)


def verify(
    order: Annotated[str | None, typer.Argument(help="An order's number or id; without it, every order.")] = None,
    again: Annotated[
        bool,
        typer.Option("--refold", help="Write over the orders that differ, as the journal tells them; nothing is sent."),
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Compute every order anew from the journal, and compare field by field; exit 1 where any differs.

    After an upgrade whose rules are others, `orders verify` lists the orders that differ, and `--refold` writes them over.
    """
    with open_shop(data) as (opened, _):
        number = None
        if order is not None:
            with opened.engine.connect() as conn:
                number = named(conn, order)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True) as bar:
            task = bar.add_task("verifying", total=None)
            report, count = Report(), 0
            found = differences(
                opened.engine, report, number, lambda done, of: bar.update(task, completed=done, total=of)
            )
            orders: set[str] = set()
            found = _noting(found, orders)
            if json:
                documents_of = (each.as_document() for each in found)
                count = stream_json("differences", documents_of, lambda _: report.as_counts())
            else:
                for count, difference in enumerate(found, 1):
                    if count <= SHOWN:
                        out.print(f"[red]differs[/] {safe(str(difference))}", soft_wrap=True)
            if again:
                task = bar.add_task("folding anew", total=len(orders))
                for mended in refold_orders(opened.engine, orders):
                    count -= len(mended)
                    bar.advance(task)
                if number is None:
                    note_rules(opened.engine)
        if again:
            err.print(f"{len(orders):,} orders folded anew; nothing was sent for them")
    if not json:
        if count > SHOWN:
            out.print(f"… and {count - SHOWN:,} more; --json has them all")
        counted = f"{report.orders:,} orders from {report.events:,} events"
        if count:
            out.print(f"{counted}: [red]{count:,} differences[/]; the journal is right")
        else:
            out.print(f"{counted}: [green]all as the journal says[/]")
    if count:
        raise typer.Exit(1)


def _noting(found: Iterable[Difference], orders: set[str]) -> Iterator[Difference]:
    """The differences as they come; `orders` learns whose they are."""
    for each in found:
        if each.order:
            orders.add(each.order)
        yield each


def _events(
    conn: Connection, order_id: str, moment: datetime | None, limit: int, skip: int
) -> tuple[list[documents.Document], int]:
    """The page of an order's events, and how many there are in all."""
    if moment is not None:
        found = timeline.known_at(conn, order_id, moment)
        return (found[max(len(found) - skip - limit, 0) : max(len(found) - skip, 0)] if limit else found), len(found)
    total = timeline.length(conn, order_id)
    return timeline.newest(conn, order_id, limit or total, skip), total


# -- finding -----------------------------------------------------------------------------------------------


def named(conn: Connection, name: str) -> str:
    """The number of the order that is meant. Errors: Problem with near matches."""
    if (number := order_lookup.number_of(conn, name)) is not None:
        return number
    near = order_lookup.alike(conn, name)
    hint = f"; near it: {', '.join(near)}" if near else "; `orders list` shows those there are"
    raise Problem(f"there is no order {name}{hint}")


def _not_there(number: str, moment: datetime | None) -> str:
    if moment is not None:
        return f"order {number} was not known at {in_utc(moment)} UTC; without --at it is shown as it is now"
    return f"events name order {number}, but its OrderCreated has not come; see `orders parked list`"


def _refunds(conn: Connection, number: str) -> list[dict[str, Any]]:
    """What goes back, or went, for each transaction: effects in the words of the outside."""
    return [
        {
            "id": format_id("effects", row.id),
            "paymentId": row.payment_id,
            "state": row.state,
            "target": row.target,
            "made": row.made,
            "currency": row.currency,
            "attempts": row.attempts,
            "nextAt": row.next_at if row.state in ("due", "in_flight", "unknown") else None,
            "lastError": row.last_error,
        }
        for row in conn.execute(_EFFECTS, {"number": number})
    ]


def _timers(conn: Connection, number: str) -> list[dict[str, Any]]:
    """What will happen to the order by itself, and when."""
    unpaid = [str(Status.PENDING), str(Status.FAILED)]
    delivered = [str(status) for status in AFTER_DELIVERY - {Status.RETURNED}]
    found = conn.execute(_TIMERS, {"number": number, "unpaid": unpaid, "delivered": delivered})
    return [row._asdict() for row in found]
