"""`orders show`, `orders list`, `orders account`, `orders verify`: looks inside, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import Connection, text

from cli.opening import open_shop
from cli.options import Data, Json, Problem, err, out, print_json
from domain.ids import shown
from domain.order import AFTER_DELIVERY, Status
from journal import documents
from journal.account import OUTCOMES
from journal.account import account as take_account
from journal.verify import as_known_at
from journal.verify import verify as verify_orders

WIDE = 240  # columns, where there is no terminal
SHOWN = 50  # differences that are printed; --json has them all
COLORS = {
    "applied": "green",
    "duplicate": "dim",
    "ignored": "dim",
    "parked": "yellow",
    "dead": "red",
    "waiting": "cyan",
}
FLAGS = {
    "underpaid": "less was captured than the total: it stays unpaid until more comes or a person decides",
    "shipped_after_cancel": "a parcel left although the order was canceled: get it back, or charge for it",
    "disputed": "the payer's bank asks about a payment: answer it at the provider",
    "over_fulfilled": "parcels hold more of an item than was ordered",
    "amounts_differ": "its lines, shipping and discount do not add up to its total",
    "cancel_too_late": "a cancel came after a parcel was delivered: it was not canceled",
    "expired": "it was canceled because nobody paid in time",
    "return_contradicted": "a return was both rejected and completed: the first to come counts",
    "payment_reversed": "the provider took a payment back after it had reported it",
}
EFFECTS = {
    "due": "goes out next",
    "in_flight": "is on its way",
    "unknown": "the provider's answer was lost; it is asked what it did before it is asked again",
    "done": "went back",
    "held": "held back: the order came as history",
    "staff": "waits for a person: orders dlq replay {id}",
    "dead": "given up: orders dlq show {id}",
}

JOINS = ("products", "transactions", "fulfillments", "returns")  # what hangs on an order
TIMERS = {"unpaid": "unless it is paid, it expires", "confirm": "unless somebody does, it confirms itself"}

_EFFECTS = text("""
    select id, payment_id, currency, target, made, state, attempts, next_at, last_error
    from effects where order_id = (select id from orders where order_number = :number) order by id
""")
# Only those that will do something: a timer is left to run out where it has nothing to do any more.
_TIMERS = text("""
    select t.kind, t.due, t.held from timers t join orders o on o.id = t.order_id where o.order_number = :number
    and case t.kind when 'unpaid' then o.status = any(cast(:unpaid as text[]))
        else o.confirmed_at is null and o.status = any(cast(:delivered as text[])) end
    order by t.due
""")

Order = Annotated[str, typer.Argument(help="The order's number, or its id (ord_…).")]


def show(
    order: Order,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="As it was known then: 2026-11-01T12:00Z, or 2026-11-01.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show an order: items, money, parcels, returns, refunds, and every event with what became of it.

    Examples: orders show 261101123456   ·   orders show 261101123456 --at 2026-11-01T12:00Z
    """
    from api.query import JoinQuery, Query, find_order  # imported late: it takes a third of a second

    moment = _moment(at)
    everything = Query(depth=1, joins={name: JoinQuery(limit=0) for name in JOINS})
    with open_shop(data) as (opened, _):
        with opened.engine.connect() as conn:
            number = _number(conn, order)
            document = find_order(conn, number, everything) if moment is None else None
        if moment is not None and (known := as_known_at(opened.engine, number, moment)) is not None:
            with opened.engine.connect() as conn:
                document = documents.document_of(conn, known)
        if document is None:
            raise Problem(_not_there(number, moment))
        with opened.engine.connect() as conn:
            document["timeline"] = documents.timeline(conn, document["id"], moment)
            document["refunds"] = _refunds(conn, number) if moment is None else []
            document["timers"] = _timers(conn, number) if moment is None else []
    if moment is not None:
        document["knownAt"] = moment
    if json:
        print_json(document)
    else:
        _print_order(document, moment)


def list_(
    status: Annotated[str | None, typer.Option("--status", metavar="S", help="Only these: pending, paid, …")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Orders a page; 0 is all.")] = 10,
    page: Annotated[int, typer.Option("--page", min=1, help="Which page.")] = 1,
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
    from api.query import JoinQuery, Query, find
    from api.query.where import where_of

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
        found = find(conn, "orders", asked, most=None)
    if json:
        print_json(found)
    elif not found["docs"]:
        of = f" with status {status}" if status else ""
        out.print(f"no orders{of}" + (f" on page {page} of {found['totalPages']}" if found["totalDocs"] else ""))
    else:
        _print_list(found)


def account(data: Data = None, json: Json = False) -> None:
    """What became of every delivery that was accepted; the six outcomes add up."""
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        found = take_account(conn)
    if json:
        print_json(found)
    else:
        _print_account(found)


def verify(
    order: Annotated[str | None, typer.Argument(help="An order's number or id; without it, every order.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Compute every order anew from the journal, and compare field by field; exit 1 where any differs."""
    with open_shop(data) as (opened, _):
        number = None
        if order is not None:
            with opened.engine.connect() as conn:
                number = _number(conn, order)
        columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True) as bar:
            task = bar.add_task("verifying", total=None)
            report = verify_orders(opened.engine, number, lambda done, of: bar.update(task, completed=done, total=of))
    if json:
        print_json(report.as_document())
    else:
        for difference in report.differences[:SHOWN]:
            out.print(f"[red]differs[/] {escape(str(difference))}", soft_wrap=True)
        if len(report.differences) > SHOWN:
            out.print(f"… and {len(report.differences) - SHOWN:,} more; --json has them all")
        counted = f"{report.orders:,} orders from {report.events:,} events"
        if report.differences:
            out.print(f"{counted}: [red]{len(report.differences):,} differences[/]; the journal is right")
        else:
            out.print(f"{counted}: [green]all as the journal says[/]")
    if report.differences:
        raise typer.Exit(1)


# -- finding -----------------------------------------------------------------------------------------------


def _number(conn: Connection, name: str) -> str:
    """The number of the order that is meant. Errors: Problem with near matches."""
    if (number := documents.number_of(conn, name)) is not None:
        return number
    near = documents.alike(conn, name)
    hint = f"; near it: {', '.join(near)}" if near else "; `orders list` shows those there are"
    raise Problem(f"there is no order {name}{hint}")


def _not_there(number: str, moment: datetime | None) -> str:
    if moment is not None:
        return f"order {number} was not known at {_time(moment)} UTC; without --at it is shown as it is now"
    return f"events name order {number}, but its OrderCreated has not come; see `orders parked list`"


def _moment(told: str | None) -> datetime | None:
    """A time, in UTC where it says nothing else. Errors: Problem (wrong use)."""
    if told is None:
        return None
    try:
        moment = datetime.fromisoformat(told.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Problem(f"--at {told} is no time; write 2026-11-01T12:00Z, or 2026-11-01 (UTC)", 2) from None


def _refunds(conn: Connection, number: str) -> list[dict[str, Any]]:
    """What goes back, or went, for each transaction: effects in the words of the outside."""
    return [
        {
            "id": shown("effects", row.id),
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


# -- printing ----------------------------------------------------------------------------------------------


def table(*headings: str, title: str | None = None) -> Table:
    """A plain table; a heading that begins with > is of numbers. For every command here and its neighbours."""
    made = Table(title=title, box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        made.add_column(heading.lstrip(">"), justify="right" if heading.startswith(">") else "left", overflow="fold")
    return made


def put(rows: Table) -> None:
    """Print a table, unless it is empty; into a file or a pipe it goes as wide as it wants."""
    if rows.row_count:
        if rows.title:
            out.print(f"\n[bold]{rows.title}[/]")
            rows.title = None
        (out if out.is_terminal else Console(highlight=False, width=WIDE)).print(rows)


def time_of(moment: datetime | None) -> str:
    """A time in UTC, to the second, or a dash."""
    return _time(moment) if moment else "–"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _money(amount: Decimal | None, currency: str | None) -> str:
    return "–" if amount is None else f"{amount:,} {currency or ''}".rstrip()


def _text(value: object) -> str:
    return "–" if value is None or value == "" else escape(str(value))


def _print_order(order: dict[str, Any], moment: datetime | None) -> None:
    currency = order["currency"]
    known = f"  (as known at {_time(moment)} UTC)" if moment else ""
    out.print(f"[bold]order {escape(order['orderNumber'])}[/]  [bold cyan]{order['status']}[/]{known}  {order['id']}")
    facts = [f"placed {time_of(order['createdAt'])} UTC", f"total {_money(order['totalAmount'], currency)}"]
    if order["discountAmount"]:
        code = f" ({escape(order['discountCode'])})" if order["discountCode"] else ""
        facts.append(f"discount {_money(order['discountAmount'], currency)}{code}")
    if order["shippingAmount"]:
        facts.append(f"shipping {_money(order['shippingAmount'], currency)}")
    if order["customer"]:
        facts.append(f"customer {escape(order['customer'])}")
    out.print("  " + "  ·  ".join(facts), soft_wrap=True)
    for flag in order["flags"]:
        out.print(f"  [yellow]{escape(flag)}[/]: {FLAGS.get(flag, 'see its timeline')}", soft_wrap=True)
    _print_items(order)
    _print_money(order)
    _print_parcels(order)
    _print_returns(order)
    for timer in order["timers"]:
        what = TIMERS[timer["kind"]]
        held = "; held back: the order came as history" if timer["held"] else ""
        out.print(f"\n{what} {_time(timer['due'])} UTC{held}", soft_wrap=True)
    _print_timeline(order["timeline"])


def _print_items(order: dict[str, Any]) -> None:
    rows = table("product", ">quantity", ">unit price", ">price", ">shipped", ">delivered", ">returned", title="items")
    for item in order["products"]["docs"]:
        name = "/".join(filter(None, (item["product"], item["variant"], item["option"])))
        reference = f" [dim]{escape(item['reference'])}[/]" if item["reference"] else ""
        rows.add_row(
            escape(name) + reference,
            str(item["quantity"]),
            _money(item["unitPrice"], None),
            _money(item["totalPrice"], order["currency"]),
            *(_progress(item[f"{step}Quantity"], item["quantity"]) for step in ("shipped", "delivered", "returned")),
        )
    put(rows)


def _progress(done: int, of: int) -> str:
    color = "green" if done >= of else "yellow" if done else "dim"
    return f"[{color}]{done}/{of}[/]"


def _print_money(order: dict[str, Any]) -> None:
    rows = table("payment", "status", ">amount", ">refunded", "method", "provider", "paid", title="payments")
    for t in order["transactions"]["docs"]:
        rows.add_row(
            _text(t["paymentId"]),
            t["status"],
            _money(t["amount"], t["currency"]),
            _money(t["refundedAmount"], t["currency"]),
            _text(t["paymentMethod"]),
            _text(t["provider"]),
            time_of(t["paidAt"]),
        )
    put(rows)
    rows = table("payment", "state", ">to go back", ">went back", "what happens", title="refunds")
    for effect in order["refunds"]:
        words = EFFECTS[effect["state"]].format(id=effect["id"])
        error = f"; last: {effect['lastError']}" if effect["lastError"] else ""
        rows.add_row(
            _text(effect["paymentId"]),
            effect["state"],
            _money(effect["target"], effect["currency"]),
            _money(effect["made"], effect["currency"]),
            escape(words + error),
        )
    put(rows)


def _print_parcels(order: dict[str, Any]) -> None:
    names = _item_names(order)
    rows = table("parcel", "status", "items", "carrier", "tracking", "shipped", "delivered", title="parcels")
    for parcel in order["fulfillments"]["docs"]:
        rows.add_row(
            _text(parcel["reference"]) if parcel["reference"] else "[dim]planned[/]",
            parcel["status"],
            _shares(parcel, names),
            _text(parcel["carrier"]),
            _text(parcel["trackingNumber"]),
            time_of(parcel["shippedAt"]),
            time_of(parcel["deliveredAt"]),
        )
    put(rows)


def _print_returns(order: dict[str, Any]) -> None:
    names = _item_names(order)
    rows = table("return", "status", "reason", "items", ">refund", title="returns")
    for each in order["returns"]["docs"]:
        rows.add_row(
            _text(each["reference"]),
            each["status"],
            each["reason"],
            _shares(each, names),
            _money(each["refundAmount"], order["currency"]),
        )
    put(rows)


def _item_names(order: dict[str, Any]) -> dict[str, str]:
    return {item["id"]: item["reference"] or item["product"] for item in order["products"]["docs"]}


def _shares(owner: dict[str, Any], names: dict[str, str]) -> str:
    return escape(", ".join(f"{s['quantity']} × {names.get(s['orderItem'], '?')}" for s in owner["items"]["docs"]))


def _print_timeline(entries: Iterable[dict[str, Any]]) -> None:
    rows = table("happened (UTC)", "event", "outcome", "status", "why", "from", title="timeline")
    for entry in entries:
        before, after = entry["stepFrom"], entry["stepTo"]
        again = f" [dim]×{entry['deliveries']}[/]" if entry["deliveries"] > 1 else ""
        rows.add_row(
            time_of(entry["time"]),
            escape(entry["type"]) + again,
            outcome(entry["outcome"]),
            f"{before} → {after}" if before != after else _text(after),
            escape(_why(entry)),
            f"[dim]{escape(entry['source'])}[/]",
        )
    put(rows)


def _why(entry: dict[str, Any]) -> str:
    """What is to be said about an event beyond its outcome."""
    parts = [entry["text"], entry["detail"] if entry["outcome"] == "dead" else None]
    if entry["implied"]:
        parts.append(f"implies {entry['implied']}")
    if entry["until"]:
        parts.append(f"until {_time(entry['until'])}")
    if entry["corrected"]:
        parts.append("edited by an operator")
    if entry["outcome"] == "dead":
        parts.append(f"orders dlq show {entry['seq']}")
    return "; ".join(part for part in parts if part)


def outcome(kind: str) -> str:
    """An outcome in its color."""
    return f"[{COLORS.get(kind, 'default')}]{kind}[/]"


def _print_list(found: dict[str, Any]) -> None:
    rows = table("order", "status", ">total", "customer", "flags", "placed (UTC)", "changed (UTC)")
    for order in found["docs"]:
        rows.add_row(
            f"[bold]{escape(order['orderNumber'])}[/]",
            order["status"],
            _money(order["totalAmount"], order["currency"]),
            _text(order["customer"]),
            f"[yellow]{escape(', '.join(order['flags']))}[/]",
            time_of(order["createdAt"]),
            time_of(order["updatedAt"]),
        )
    put(rows)
    if found["totalPages"] > 1:
        more = f"; more: --page {found['nextPage']}" if found["hasNextPage"] else ""
        out.print(f"[dim]page {found['page']} of {found['totalPages']}, {found['totalDocs']:,} orders{more}[/]")


def _print_account(found: dict[str, Any]) -> None:
    rows = table("outcome", ">events", title="what became of everything accepted")
    rows.add_row("[bold]accepted[/]", f"[bold]{found['accepted']:,}[/]")
    for kind in OUTCOMES:
        rows.add_row(f"  {outcome(kind)}", f"{found[kind]:,}")
    put(rows)
    total = sum(found[kind] for kind in OUTCOMES)
    verdict = "[green]they add up[/]" if total == found["accepted"] else "[red]they do not add up[/]"
    out.print(f"{' + '.join(f'{found[kind]:,}' for kind in OUTCOMES)} = {total:,}: {verdict}")
    put(_by_type(found, "by type"))
    put(_by_reason(found, "by reason"))
    put(_by_type(found["own"], "our own follow-ups and timers, counted apart"))
    put(_by_reason(found["own"], "their reasons"))
    out.print(f"\ntimers   {found['timers']['set']:,} set, {found['timers']['held']:,} of them held as history")
    effects = ", ".join(f"{count:,} {state}" for state, count in found["effects"].items() if count)
    out.print(f"refunds  {effects or 'none'}")


def _by_type(counts: dict[str, Any], title: str) -> Table:
    rows = table("type", ">accepted", *(f">{kind}" for kind in OUTCOMES), title=title)
    for kind, each in counts["by_type"].items():
        numbers = (each[name] for name in ("accepted", *OUTCOMES))
        rows.add_row(escape(kind), *(f"{number:,}" if number else "[dim]·[/]" for number in numbers))
    return rows


def _by_reason(counts: dict[str, Any], title: str) -> Table:
    rows = table("outcome", "reason", ">events", "in words", title=title)
    for each in counts["by_reason"]:
        rows.add_row(outcome(each["outcome"]), each["reason"], f"{each['count']:,}", escape(each["text"]))
    return rows
