"""The demo's questions at its end, and their answers in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx
from sqlalchemy import text

from cli.options import out, program
from cli.render import outcome, put, table
from cli.terminal import safe
from demo import scenarios
from demo.driver import Player, stands
from demo.environment import Stage
from demo.progress_query import Figures
from demo.progress_view import Display
from demo.scenarios import PAYMENT_PREFIX, Life
from domain.order import Status
from journal.totals import OUTCOMES, account
from journal.verify import verify
from queries import timeline
from storage.pg_arrays import array

_EFFECTS = text("""
    select e.payment_id, e.target, e.made, t.refunded_amount from effects e
    join transactions t on t.id = e.transaction_id join orders o on o.id = e.order_id
    where o.order_number = any(cast(:numbers as text[]))
""")
# The order whose timeline tells most: it came back and its money too, with repetitions and implied steps.
_STORY = text("""
    select o.id, o.order_number from orders o where o.order_number = any(cast(:numbers as text[]))
    order by (select count(*) from results r where r.order_id = o.id and r.implied = 'FulfillmentShipped') > 0 desc,
        (select count(*) from duplicates d join results r using (seq) where r.order_id = o.id) desc,
        (select count(*) from results r where r.order_id = o.id and r.parked_number is not null) desc, o.order_number
    limit 1
""")


def examine(stage: Stage, player: Player, display: Display, problems: list[str]) -> dict[str, Any]:
    """All figures as one document; what is not as it should be goes to `problems`."""
    found, access = player.look(), stage.access
    with stage.opened.engine.connect() as conn:
        counted = account(conn)
    report = verify(stage.opened.engine)
    refunds = _refunds(stage)
    missed = [life for life in stage.played if not stands(life, found)]
    expected_dead = sum(life.dead for life in stage.played)
    total = sum(counted[name] for name in OUTCOMES)
    each = [_missed(life, found) for life in missed[:100]]
    if total != counted["accepted"]:
        problems.append(f"the account does not add up: {total:,} outcomes of {counted['accepted']:,} deliveries")
    if found.accepted < player.sent:
        problems.append(f"{player.sent:,} deliveries were accepted, and the journal knows {found.accepted:,} of them")
    if report.differences:
        problems.append(f"verify finds {len(report.differences):,} differences, the first: {report.differences[0]}")
    if missed:
        first = _missed(missed[0], found)
        problems.append(
            f"{len(missed):,} orders do not stand where their lives end, the first: order {first['order']} "
            f"({first['plot']} {first['ending']}) expected {first['expected']}, found {first['found']}"
        )
    if refunds["wrong"]:
        problems.append(f"{len(refunds['wrong']):,} refunds are not what was due, the first: {refunds['wrong'][0]}")
    if found.outcome("dead") != expected_dead:
        problems.append(f"{found.outcome('dead')} dead letters, expected {expected_dead}")
    return {
        "orders": len(stage.played),
        "tag": stage.run.tag,
        "seed": player.seed,
        "ok": not problems,
        "problems": problems,
        "sent": player.sent,
        "doors": _doors(player),
        "api": {"url": f"{access.url}/api", "secret": access.secret, "publishable": access.publishable},
        "figures": found.as_document(),
        "expectations": {"orders": len(stage.played), "met": len(stage.played) - len(missed), "missed": each},
        "account": counted,
        "adds_up": total == counted["accepted"],
        "verify": report.as_document(),
        "refunds": refunds,
        "dead_letters": {"expected": expected_dead, "found": found.outcome("dead")},
        "incidents": [{"at": incident.at, "text": incident.text} for incident in display.incidents],
        "story": _story(stage),
        "data": None if stage.servers.whose == "yours" else stage.servers.settings.data,
    }


def _doors(player: Player) -> dict[str, int]:
    """Acts by the door that they came through, and what became of those that were sent again."""
    names = ("api", "stripe", "standard", "paid", "replayed", "refused", "retried")
    return {"journal": player.journaled, **{name: player.sender.counts[name] for name in names}}


def _missed(life: Life, found: Figures) -> dict[str, Any]:
    return {
        "order": life.number,
        "plot": life.plot,
        "ending": life.ending,
        "expected": {"status": str(life.ends), "refunded": life.refunded},
        "found": {"status": found.statuses.get(life.number), "refunded": int(found.refunded.get(life.number, 0))},
    }


def _refunds(stage: Stage) -> dict[str, Any]:
    """What the providers say they gave back, a payment, against what was due and what we noted."""
    with stage.opened.engine.connect() as conn:
        rows = conn.execute(_EFFECTS, {"numbers": array(stage.run.numbers, "text")}).all()
    mine = f"{PAYMENT_PREFIX}{stage.run.tag}-"
    given: dict[str, list[Decimal]] = {}
    for payment, amount in _given_back(stage):
        if payment.startswith(mine):
            given.setdefault(payment, []).append(amount)
    wrong = [
        {"payment": row.payment_id, "due": row.target, "noted": row.refunded_amount, "given": sum(gave, Decimal(0))}
        for row in rows
        if not sum(gave := given.pop(row.payment_id, []), Decimal(0)) == row.target == row.made == row.refunded_amount
    ]
    wrong += [{"payment": p, "due": 0, "noted": 0, "given": sum(gave, Decimal(0))} for p, gave in given.items()]
    amount = sum((row.refunded_amount for row in rows), Decimal(0))
    twice = [each for each in wrong if each["given"] > each["due"]]
    return {"payments": len(rows), "amount": amount, "currency": scenarios.CURRENCY, "wrong": wrong, "twice": twice}


def _given_back(stage: Stage) -> Iterator[tuple[str, Decimal]]:
    """(payment, amount) of each refund in the books of all providers."""
    with httpx.Client(timeout=10, trust_env=False) as client:
        for url in (stage.provider_url, *stage.access.providers.values()):
            for payment, kept in client.get(f"{url}/_simulator/books").raise_for_status().json()["payments"].items():
                yield from ((payment, Decimal(each["amount"])) for each in kept["refunds"])


def _story(stage: Stage) -> dict[str, Any] | None:
    returned = [life.number for life in stage.played if life.ends == Status.RETURNED]
    with stage.opened.engine.connect() as conn:
        row = conn.execute(_STORY, {"numbers": array(returned, "text")}).one_or_none()
        return {"order": row.order_number, "timeline": timeline.timeline(conn, row.id)} if row else None


def tell(document: dict[str, Any], stage: Stage, problems: list[str], *, stay: bool) -> None:
    """The answers, for people; `stay`: everything keeps running."""
    counted, found, refunds = document["account"], document["figures"], document["refunds"]
    if story := document["story"]:
        _tell_story(story)
    out.print()
    sums = " + ".join(f"{counted[name]:,} {name}" for name in OUTCOMES)
    _verdict(document["adds_up"], f"the account adds up: {counted['accepted']:,} accepted = {sums}")
    met, of = document["expectations"]["met"], document["expectations"]["orders"]
    _verdict(met == of, f"{met:,} of {of:,} orders stand where their lives end")
    checked, differ = document["verify"], len(document["verify"]["differences"])
    same = "the journal tells the same" if not differ else f"{differ:,} differences from what the journal tells"
    _verdict(not differ, f"verify: {checked['orders']:,} orders folded anew from {checked['events']:,} events: {same}")
    _verdict(
        not refunds["wrong"],
        f"{refunds['payments']:,} payments went back, {refunds['amount']:,} {refunds['currency']}, none of them twice; "
        "the books of Stripe, PortOne, Toss and a provider of the shop's own say so",
    )
    again = f"{found['duplicate']:,} duplicates dropped at the door, {found['ignored']:,} events ignored with a reason"
    _verdict(True, f"{again}, {found['parcels']['delivered_by_polling']:,} parcels delivered by polling alone")
    doors = document["doors"]
    _verdict(
        True,
        f"{doors['api']:,} API calls, {doors['stripe'] + doors['standard']:,} signed webhooks and {doors['journal']:,} "
        f"events of a queue came in, {doors['paid']:,} payments were looked up at PortOne and Toss; {doors['retried']:,} requests got no answer and were sent again, "
        f"{doors['replayed']:,} calls were answered their first answer again",
    )
    dead = document["dead_letters"]
    _verdict(
        dead["found"] == dead["expected"], f"{dead['found']:,} dead letters, as planned: they wait for an operator"
    )
    for problem in problems:
        out.print(f"[red]not well:[/] {safe(problem)}", soft_wrap=True)
    if problems:
        out.print(f"[red]what the processes wrote:[/] {stage.processes.logs}", soft_wrap=True)
    _tell_what_next(document, stage, stay=stay)


def _verdict(good: bool, words: str) -> None:
    out.print(f"[green]✓[/] {words}" if good else f"[red]✗ {words}[/]", soft_wrap=True)


def _tell_story(story: dict[str, Any]) -> None:
    rows = table(">after", "event", "outcome", "status", "why", title=f"\none of them: order {story['order']}")
    entries = story["timeline"]
    first = min(entry["acceptedAt"] for entry in entries)
    for entry in entries:
        again = f" [dim]×{entry['deliveries']}[/]" if entry["deliveries"] > 1 else ""
        before, after = entry["stepFrom"], entry["stepTo"]
        scan = entry["data"].get("status") if entry["type"] == "TrackingUpdated" else None
        # A scan that moves nothing is no more than a scan.
        why = [None if scan else entry["text"], f"implies {entry['implied']}" if entry["implied"] else None]
        rows.add_row(
            _after(first, entry["decidedAt"]),
            safe(entry["type"]) + (f" [dim]{scan}[/]" if scan else "") + again,
            outcome(entry["outcome"]),
            f"{before} → [bold]{after}[/]" if before != after else f"[dim]{after or '–'}[/]",
            safe("; ".join(part for part in why if part)),
        )
    put(rows)


def _after(first: datetime, decided: datetime | None) -> str:
    """How long after the first event one was decided; never before it, though workers' clocks and PostgreSQL's differ."""
    return "–" if decided is None else f"{max(0.0, (decided - first).total_seconds()):.1f} s"


def _tell_what_next(document: dict[str, Any], stage: Stage, *, stay: bool) -> None:
    orders = program()
    where = ""
    if stage.servers.whose == "started" and stage.data is not None:
        where = f" --data {stage.data}"
    story = document["story"]
    tries = [
        (f"show {story['order']}" if story else "list", "an order, its money, its parcels, its whole timeline"),
        ("given-up list", "the poison events, and the way back for each"),
        ("account", "what became of everything, by type and reason"),
        ("verify", "fold every order anew from the journal"),
    ]
    if not stay:
        tries += [
            ("demo --stay", "play again, and keep everything running"),
            ("up", "run it for yourself, with the API; then:"),
        ]
    rows = table("what to try next", "")
    for command, what in tries:
        rows.add_row(f"[bold]{safe(f'{orders} {command}{where}')}[/]", f"[dim]{what}[/]")
    access = stage.access
    call = f'curl -H "Authorization: Bearer {access.secret}" "{access.url}/api/orders?limit=3&sort=-createdAt"'
    out.print()
    put(rows)
    out.print(f"the API {'listens' if stay else 'listened'} on [bold]{access.url}/api[/], its documentation on /docs")
    out.print(f"  [bold]{safe(call)}[/]", soft_wrap=True)
    out.print(f"  publishable key: {access.publishable}", soft_wrap=True)
