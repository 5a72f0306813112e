"""Orders, lists and the account in a terminal; and the tables of all commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.table import Table

from cli.options import out
from cli.terminal import Terminal, safe
from domain.balance import Balance
from domain.flags import Flag
from domain.refunds import RefundState
from journal.totals import OUTCOMES

COLORS = {
    "applied": "green",
    "duplicate": "dim",
    "ignored": "dim",
    "parked": "yellow",
    "dead": "red",
    "waiting": "cyan",
}
FLAGS = {flag: flag.words for flag in Flag}
EFFECTS = {state: state.words for state in RefundState}

TIMERS = {"unpaid": "unless it is paid, it expires", "confirm": "unless somebody does, it confirms itself",
          "hold": "unless somebody does, a hold releases itself"}  # fmt: skip

_SUMS = {
    "reversed": "taken back by a bank",
    "lost": "lost in disputes",
    "contested": "contested",
    "due": "due back in all",
    "refunded": "refunded",
    "refunding": "on its way back",
    "settled": "settled by hand",
    "failed": "failed",
    "owed": "owed",
}

SHOWN_PARTS = 100  # parts of a kind that are printed of one order; --json has them all
SHOWN_SHARES = 20  # items of a parcel or a return, likewise
WIDE = 240  # columns, where there is no terminal


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
        (out if out.is_terminal else Terminal(width=WIDE)).print(rows)


def time_of(moment: datetime | None) -> str:
    """A time in UTC, to the second, or a dash."""
    return in_utc(moment) if moment else "–"


def in_utc(moment: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _money(amount: Decimal | None, currency: str | None) -> str:
    return "–" if amount is None else f"{amount:,} {currency or ''}".rstrip()


def _text(value: object) -> str:
    return "–" if value is None or value == "" else safe(str(value))


def print_order(order: dict[str, Any], moment: datetime | None) -> None:
    """An order with all that hangs on it and its timeline; `moment` where it is as it was known then."""
    currency = order["currency"]
    known = f"  (as known at {in_utc(moment)} UTC)" if moment else ""
    out.print(f"[bold]order {safe(order['orderNumber'])}[/]  [bold cyan]{order['status']}[/]{known}  {order['id']}")
    facts = [f"placed {time_of(order['createdAt'])} UTC", f"total {_money(order['totalAmount'], currency)}"]
    if order["discountAmount"]:
        code = f" ({safe(order['discountCode'])})" if order["discountCode"] else ""
        facts.append(f"discount {_money(order['discountAmount'], currency)}{code}")
    if order["shippingAmount"]:
        facts.append(f"shipping {_money(order['shippingAmount'], currency)}")
    if order["taxAmount"]:
        facts.append(f"tax {_money(order['taxAmount'], currency)}")
    if order["customer"]:
        facts.append(f"customer {safe(order['customer'])}")
    out.print("  " + "  ·  ".join(facts), soft_wrap=True)
    for pause in order.get("pauses", ()):
        end = f" until {in_utc(pause['until'])} UTC" if pause["until"] else ""
        waiting = f"; {pause['waitingEvents']:,} events wait" if pause["waitingEvents"] else ""
        what = "all that goes outward is" if pause["kind"] == "outward" else "it is"
        out.print(
            f"  [yellow]paused[/]: {what} {pause['state']} by {safe(pause['by'])} since {in_utc(pause['at'])} UTC{end}: "
            f"{safe(pause['reason'])}{waiting}",
            soft_wrap=True,
        )
    for flag in order["flags"]:
        out.print(f"  [yellow]{safe(flag)}[/]: {FLAGS.get(flag, 'see its timeline')}", soft_wrap=True)
    _print_items(order)
    _print_money(order)
    _print_balance(order)
    _print_parcels(order)
    _print_returns(order)
    for timer in order["timers"]:
        what = TIMERS[timer["kind"]]
        held = "; held back: the order came as history" if timer["held"] else ""
        out.print(f"\n{what} {in_utc(timer['due'])} UTC{held}", soft_wrap=True)
    _print_given_up(order["givenUp"])
    _print_timeline(order["timeline"])
    _print_acts(order.get("audit", ()))


def _print_acts(acts: Sequence[dict[str, Any]]) -> None:
    rows = table("at (UTC)", "who", "did", "to", "why", title="who did what, and who looked")
    for act in acts:
        rows.add_row(
            time_of(act["at"]), _text(act["actor"]), _text(act["act"]), _text(act["subject"]), _text(act["reason"])
        )
    put(rows)


def _print_given_up(things: list[dict[str, Any]]) -> None:
    """Print what of the order was given up and waits for a person."""
    rows = table(
        "ref", "what", "why", "given up (UTC)", title="given up, and waiting for a person: orders given-up show REF"
    )
    for each in things[:SHOWN_PARTS]:
        why = f"[red]{safe(each['reason'])}[/] {safe(each['means'])}"
        rows.add_row(f"[bold]{each['ref']}[/]", safe(each["type"]), why, time_of(each["died_at"]))
    put(rows)


def _print_items(order: dict[str, Any]) -> None:
    rows = table("product", ">quantity", ">unit price", ">price", ">shipped", ">delivered", ">returned", title="items")
    for item in order["products"]["docs"]:
        name = "/".join(filter(None, (item["product"], item["variant"], item["option"])))
        reference = f" [dim]{safe(item['reference'])}[/]" if item["reference"] else ""
        if not item["requiresShipping"]:
            reference += " [dim](needs no shipping)[/]"
        canceled, wanted = item["canceledQuantity"], item["quantity"] - item["canceledQuantity"]
        rows.add_row(
            safe(name) + reference,
            f"{item['quantity']} [yellow]−{canceled}[/]" if canceled else str(item["quantity"]),
            _money(item["unitPrice"], None),
            _money(item["totalPrice"], order["currency"]),
            *(_progress(item[f"{step}Quantity"], wanted) for step in ("shipped", "delivered", "returned")),
        )
    put(rows)


def _progress(done: int, of: int) -> str:
    color = "green" if done >= of else "yellow" if done else "dim"
    return f"[{color}]{done}/{of}[/]"


def _print_money(order: dict[str, Any]) -> None:
    rows = table("payment", "status", ">amount", ">refunded", "method", "provider", "paid", title="payments")
    for t in order["transactions"]["docs"][:SHOWN_PARTS]:
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
    _tell_more("payments", order["transactions"]["docs"])
    rows = table("payment", "state", ">to go back", ">went back", "what happens", title="refunds")
    for effect in order["refunds"]:
        words = EFFECTS[effect["state"]].format(id=effect["id"])
        error = f"; last: {effect['lastError']}" if effect["lastError"] else ""
        rows.add_row(
            _text(effect["paymentId"]),
            effect["state"],
            _money(effect["target"], effect["currency"]),
            _money(effect["made"], effect["currency"]),
            safe(words + error),
        )
    put(rows)
    if account := order.get("refundAccount"):
        out.print(f"bank account  {safe(' '.join(account[name] for name in ('bank', 'number', 'holderName')))}, masked")


def _print_balance(order: dict[str, Any]) -> None:
    """The sums of the order's money beyond what its payments tell: only where something is due, went back or is in dispute."""
    sums = order["balance"]
    if sums is None:
        return
    told = [f"{_money(sums[name], order['currency'])} {words}" for name, words in _SUMS.items() if sums[name]]
    if told:
        out.print(f"\n[bold]balance[/]\n{', '.join(told)}", soft_wrap=True)
    if given := given_back(sums):
        out.print(given_back_words(given, order["currency"]))


def given_back(sums: Mapping[str, Decimal]) -> Decimal:
    """The sum that was given back, of the sums of a balance."""
    return Balance(**{each.name: sums[each.name] for each in fields(Balance)}).given_back


def given_back_words(amount: Decimal, currency: str | None) -> str:
    """The sentence that every answer about refunds has where something was given back before."""
    return f"{_money(amount, currency)} were given back before"


def _print_parcels(order: dict[str, Any]) -> None:
    names = _item_names(order)
    rows = table("parcel", "status", "items", "carrier", "tracking", "shipped", "delivered", title="parcels")
    for parcel in order["fulfillments"]["docs"][:SHOWN_PARTS]:
        rows.add_row(
            _text(parcel["reference"]) if parcel["reference"] else "[dim]planned[/]",
            parcel["status"],
            _shares(parcel, names),
            _text(parcel["carrier"]) + (" [dim](by hand)[/]" if parcel.get("polledBy", "") is None else ""),
            _text(parcel["trackingNumber"]),
            time_of(parcel["shippedAt"]),
            time_of(parcel["deliveredAt"]),
        )
    put(rows)
    for parcel in order["fulfillments"]["docs"][:SHOWN_PARTS]:
        if told := _whereabouts(parcel):
            name = parcel["reference"] or parcel["trackingNumber"] or parcel["id"]
            out.print(f"  {safe(name)}: {safe(told)}", soft_wrap=True)
    _tell_more("parcels", order["fulfillments"]["docs"])


def _whereabouts(parcel: Mapping[str, Any]) -> str:
    """What its carrier last told of a parcel: `in transit, seen 2026-11-01 12:00:00 UTC at Busan (Left the hub), expected …`."""
    scan = parcel.get("lastScan") or {}
    told = [(parcel["trackingStatus"] or "").replace("_", " ")]
    if scan.get("time"):
        place = f" at {scan['location']}" if scan.get("location") else ""
        words = f" ({scan['description']})" if scan.get("description") else ""
        told.append(f"seen {in_utc(scan['time'])} UTC{place}{words}")
    if parcel["estimatedDelivery"] and not parcel["deliveredAt"]:
        told.append(f"expected {in_utc(parcel['estimatedDelivery'])} UTC")
    return ", ".join(filter(None, told))


def _print_returns(order: dict[str, Any]) -> None:
    names = _item_names(order)
    rows = table("return", "status", "reason", "items", ">refund", title="returns")
    for each in order["returns"]["docs"][:SHOWN_PARTS]:
        rows.add_row(
            _text(each["reference"]),
            each["status"],
            each["reason"],
            _shares(each, names),
            _money(each["refundAmount"], order["currency"]),
        )
    put(rows)
    _tell_more("returns", order["returns"]["docs"])


def _item_names(order: dict[str, Any]) -> dict[str, str]:
    return {item["id"]: item["reference"] or item["product"] for item in order["products"]["docs"]}


def _shares(owner: dict[str, Any], names: dict[str, str]) -> str:
    shares = owner["items"]["docs"]
    named = ", ".join(f"{s['quantity']} × {names.get(s['orderItem'], '?')}" for s in shares[:SHOWN_SHARES])
    return safe(named + (f" and {len(shares) - SHOWN_SHARES:,} more" if len(shares) > SHOWN_SHARES else ""))


def _tell_more(what: str, docs: Sequence[Any]) -> None:
    if len(docs) > SHOWN_PARTS:
        out.print(f"[dim]… and {len(docs) - SHOWN_PARTS:,} more {what}; --json has them all[/]")


def _print_timeline(entries: Iterable[dict[str, Any]]) -> None:
    rows = table("happened (UTC)", "event", "outcome", "status", "why", "from", title="timeline")
    for entry in entries:
        before, after = entry["stepFrom"], entry["stepTo"]
        again = f" [dim]×{entry['deliveries']}[/]" if entry["deliveries"] > 1 else ""
        rows.add_row(
            time_of(entry["time"]),
            safe(entry["type"]) + again,
            outcome(entry["outcome"]),
            f"{before} → {after}" if before != after else _text(after),
            safe(_why(entry)),
            f"[dim]{safe(entry['source'])}[/]",
        )
    put(rows)


def _why(entry: dict[str, Any]) -> str:
    """What is to be said about an event beyond its outcome."""
    parts = [_scanned(entry["scan"]), entry["text"], entry["detail"] if entry["outcome"] == "dead" else None]
    if entry["implied"]:
        parts.append(f"implies {entry['implied']}")
    if entry["until"]:
        parts.append(f"until {in_utc(entry['until'])}")
    if entry["corrected"]:
        parts.append("edited by an operator")
    if entry["outcome"] == "dead":
        parts.append(f"orders given-up show {entry['seq']}")
    return "; ".join(part for part in parts if part)


def _scanned(scan: Mapping[str, str | None] | None) -> str | None:
    """What a carrier told of a parcel, and where: `in transit: Arrived at hub, OAKLAND, CA`."""
    if scan is None:
        return None
    words = ", ".join(filter(None, (scan["description"], scan["location"])))
    expected = f"expected {scan['estimatedDelivery'][:16]}" if scan["estimatedDelivery"] else ""
    status = "" if scan["status"] == "unknown" and expected else (scan["status"] or "").replace("_", " ")
    return "; ".join(filter(None, (": ".join(filter(None, (status, words))), expected)))


def outcome(kind: str) -> str:
    """An outcome in its color."""
    return f"[{COLORS.get(kind, 'default')}]{kind}[/]"


def print_list(found: dict[str, Any]) -> None:
    """A page of orders."""
    rows = table("order", "status", ">total", "customer", "flags", "placed (UTC)", "changed (UTC)")
    for order in found["docs"]:
        rows.add_row(
            f"[bold]{safe(order['orderNumber'])}[/]",
            order["status"],
            _money(order["totalAmount"], order["currency"]),
            _text(order["customer"]),
            f"[yellow]{safe(', '.join(order['flags']))}[/]",
            time_of(order["createdAt"]),
            time_of(order["updatedAt"]),
        )
    put(rows)
    if found["totalPages"] > 1:
        more = f"; more: --page {found['nextPage']}" if found["hasNextPage"] else ""
        out.print(f"[dim]page {found['page']} of {found['totalPages']}, {found['totalDocs']:,} orders{more}[/]")


def print_account(found: dict[str, Any]) -> None:
    """Print what became of everything accepted."""
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
        rows.add_row(safe(kind), *(f"{number:,}" if number else "[dim]·[/]" for number in numbers))
    return rows


def _by_reason(counts: dict[str, Any], title: str) -> Table:
    rows = table("outcome", "reason", ">events", "in words", title=title)
    for each in counts["by_reason"]:
        rows.add_row(outcome(each["outcome"]), each["reason"], f"{each['count']:,}", safe(each["text"]))
    return rows
