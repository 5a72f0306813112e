"""`orders webhooks …`: subscriptions to changes, what waits for each, and what was not taken.

A subscription is an address, the collections and operations it is about, and a secret that signs. Whatever is
changed here leaves a row of `audit` with the actor `cli:USER`; secrets stand in no other place than the one answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import orjson
import typer

from cli.bootstrap import open_shop
from cli.options import MOST_LISTED, Data, Json, Problem, actor, err, out, print_json
from cli.render import put, table, time_of
from cli.terminal import safe
from domain.ids import WrongKind, format_id, fresh, parse_id
from journal.change_capture import COLLECTIONS, OPERATIONS
from outbound.webhooks import deliveries as stored
from outbound.webhooks import subscriptions
from outbound.webhooks.deliveries import DEAD, STATES, Delivery
from outbound.webhooks.sender import Sender
from outbound.webhooks.ssrf_guard import Forbidden
from outbound.webhooks.subscriptions import DISABLED, Subscription, SubscriptionError
from queries.json_encoder import format_time
from storage.clock import clock
from workers.resources import Parts

SHOWN = 500  # characters of an answer's body that `test` prints

webhooks = typer.Typer(help="Outgoing webhooks: subscriptions to changes, and their deliveries.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The subscription's id (sub_…), as `webhooks list` shows.")]


@webhooks.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where each change is posted, https://HOST/PATH.")],
    collections: Annotated[
        str, typer.Option("--collections", help=f"What to tell of, comma-separated: {', '.join(COLLECTIONS)}.")
    ],
    operations: Annotated[
        str, typer.Option("--operations", help="Which changes to tell: create, update, or both.")
    ] = ",".join(OPERATIONS),
    data: Data = None,
    json: Json = False,
) -> None:
    """Tell URL of each change from now on, and show the secret that signs, this once.

    Each change is a POST of {collection, operation, data, timestamp}, signed as Standard Webhooks has it
    (standardwebhooks.com): the receiver verifies webhook-id, webhook-timestamp and webhook-signature with the secret
    and any of its libraries, answers 2xx within 10 seconds, and drops a webhook-id that it has seen. What it does not
    take comes again over three days, then waits in `webhooks deliveries --state dead`.

    Example: orders webhooks add https://shop.example/hooks --collections orders,returns
    """
    with _opened(data, make=True) as opened:
        _check(_sender(opened), url)
        with opened.engine.begin() as conn:
            now, what = clock(), (_names(collections), _names(operations))
            try:
                found, secret = subscriptions.add(conn, url, *what, actor(), now)
            except SubscriptionError as error:
                error.exit_code = 2
                raise
    if json:
        print_json({**_as_document(found), "secret": secret})
        return
    name = format_id("subscriptions", found.id)
    changes = [f"{collection}.{operation}" for collection in found.collections for operation in found.operations]
    out.print(f"[bold]{name}[/] is subscribed to {', '.join(changes)}", soft_wrap=True)
    out.print(f"[bold]{secret}[/]", soft_wrap=True)
    err.print(f"The secret is shown this once. Try it: orders webhooks test {name}", soft_wrap=True)


@webhooks.command("list")
def list_(data: Data = None, json: Json = False) -> None:
    """List subscriptions, what waits for each, and why one was disabled."""
    with _opened(data) as opened, opened.engine.connect() as conn:
        found = subscriptions.listed(conn)
    if json:
        print_json({"subscriptions": [_as_document(each) for each in found]})
        return
    rows = table("id", "url", "subscribed to", "state", ">due", ">dead")
    for each in found:
        only = "" if len(each.operations) == len(OPERATIONS) else f".{each.operations[0]}"
        changes = ", ".join(f"{collection}{only}" for collection in each.collections)
        rows.add_row(
            format_id("subscriptions", each.id),
            safe(each.url),
            changes,
            _state(each),
            f"{each.due:,}",
            f"[red]{each.dead:,}[/]" if each.dead else "0",
        )
    put(rows)
    if not found:
        out.print("no subscriptions; add one: orders webhooks add https://HOST/PATH --collections orders,returns")


@webhooks.command()
def rotate(
    id: Id,
    finish: Annotated[
        bool, typer.Option("--finish", help="The receiver has the new secret: the one before signs no more.")
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Make a new secret and show it, this once. The one before signs too, until `--finish`.

    First `orders webhooks rotate ID`; give the receiver the new secret; then `orders webhooks rotate ID --finish`.
    A secret that leaked: both at once.
    """
    secret = None
    with _opened(data) as opened, opened.engine.begin() as conn:
        found = subscriptions.find(conn, id)
        if finish:
            finished = subscriptions.finish_rotation(conn, found.id, actor())
        else:
            finished, secret = False, subscriptions.rotate(conn, found.id, actor())
    name = format_id("subscriptions", found.id)
    if json:
        print_json({"id": name, "rotating": not finish, **({"secret": secret} if secret else {})})
    elif secret is not None:
        out.print(f"[bold]{secret}[/]", soft_wrap=True)
        err.print(f"The secret is shown this once. Once {name} has it: orders webhooks rotate {name} --finish")
    else:
        out.print(f"only the newest secret signs to {name}" + ("" if finished else ", as before"))


@webhooks.command()
def enable(id: Id, data: Data = None, json: Json = False) -> None:
    """Go on with a disabled subscription: what waits is sent, with three days anew. Changes made meanwhile are not sent."""
    with _opened(data) as opened, opened.engine.begin() as conn:
        count = subscriptions.enable(conn, id, actor(), clock())
        found = subscriptions.find(conn, id)
    if json:
        print_json(_as_document(found))
    else:
        out.print(f"{format_id('subscriptions', found.id)} is active, and goes on with {_some(count)}", soft_wrap=True)


@webhooks.command()
def disable(id: Id, data: Data = None, json: Json = False) -> None:
    """Tell a subscription nothing until it is enabled: what waits for it stays, what changes meanwhile does not come."""
    with _opened(data) as opened, opened.engine.begin() as conn:
        found = subscriptions.disable(conn, id, actor())
    if json:
        print_json(_as_document(found))
    else:
        out.print(
            f"{format_id('subscriptions', found.id)} is disabled; until it is enabled it keeps {_some(found.due)}",
            soft_wrap=True,
        )


@webhooks.command()
def remove(id: Id, data: Data = None, json: Json = False) -> None:
    """Forget a subscription, with all that waits for it."""
    with _opened(data) as opened, opened.engine.begin() as conn:
        found = subscriptions.remove(conn, id, actor())
    if json:
        print_json({**_as_document(found), "removed": True})
    else:
        left = found.due + found.dead
        out.print(f"{format_id('subscriptions', found.id)} is removed" + (f", with {_some(left)}" if left else ""))


# -- deliveries --------------------------------------------------------------------------------------------

Of = Annotated[str | None, typer.Option("--subscription", metavar="ID", help="Only of this subscription (sub_…).")]
State = Annotated[str | None, typer.Option("--state", help="Only these: due, done or dead.")]


@webhooks.command("deliveries")
def list_deliveries(
    subscription: Of = None,
    state: State = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="How many at most.")] = 50,
    data: Data = None,
    json: Json = False,
) -> None:
    """List deliveries, the newest change first: which were taken, which wait until when, which were given up and why."""
    _check_state(state)
    with _opened(data) as opened, opened.engine.connect() as conn:
        of = subscriptions.find(conn, subscription).id if subscription else None
        found = stored.listed(conn, of, state, limit)
    if json:
        print_json({"deliveries": [_delivery(each) for each in found]})
        return
    rows = table("id", "change", "order", "at (UTC)", "state", ">tries", "next (UTC)", "last answer")
    for each in found:
        rows.add_row(
            format_id("deliveries", each.id),
            f"{each.collection} {each.operation}",
            safe(each.order_number),
            time_of(each.at),
            f"[{_COLORS[each.state]}]{each.state}[/]",
            str(each.attempts),
            time_of(each.next_at) if each.state == stored.DUE else "–",
            safe(each.last_error or str(each.last_status or "–")),
        )
    put(rows)
    if not found:
        out.print("nothing there fits" if subscription or state else "no deliveries yet")
    elif len(found) == limit:
        out.print(f"[dim]only the last {limit} are shown; more: --limit[/]")


@webhooks.command()
def replay(
    delivery: Annotated[
        list[str] | None, typer.Argument(metavar="[DELIVERY]...", help="Deliveries' ids (msg_…), in whatever state.")
    ] = None,
    subscription: Of = None,
    state: State = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Send deliveries again: those named, or all of a subscription in a state. They keep their webhook-id.

    Each tells its document as it was at that change; personal data that was erased since is gone from it.

    Example: orders webhooks replay --subscription sub_… --state dead
    """
    _check_state(state)
    try:
        ids = [(name, parse_id("deliveries", name)) for name in delivery or ()]
    except WrongKind as error:
        raise Problem(f"{error}; `orders webhooks deliveries` shows them", 2) from None
    if bool(ids) == (subscription is not None):
        raise Problem("say which: DELIVERY…, or --subscription ID with --state dead", 2)
    if ids and state is not None:
        raise Problem("--state goes with --subscription; deliveries that are named go out in whatever state", 2)
    now = clock()
    missing: list[str] = []
    with _opened(data) as opened, opened.engine.begin() as conn:
        if subscription is not None:
            found = subscriptions.find(conn, subscription)
            count = stored.replay_where(conn, found.id, state or DEAD, now)
            subscriptions.replayed(conn, format_id("subscriptions", found.id), count, actor())
        else:
            known = set(stored.replay(conn, [each for _, each in ids if each], now))
            missing = [name for name, each in ids if each not in known]
            count = len(known)
            for each in sorted(known):
                subscriptions.replayed(conn, format_id("deliveries", each), 1, actor())
    if json:
        print_json({"replayed": count, "missing": missing})
    else:
        out.print(f"sent again: {_some(count)}")
    if missing:
        raise Problem(f"there is no delivery {missing[0]}; `orders webhooks deliveries` shows them")


@webhooks.command("test")
def ping(id: Id, data: Data = None, json: Json = False) -> None:
    """Post a signed ping to a subscription's address now, and print the answer; exit 1 unless it is 2xx.

    The ping's collection is `ping`. It is sent once, also to a disabled subscription, and counts for nothing.
    """
    with _opened(data) as opened:
        with opened.engine.begin() as conn:
            found = subscriptions.find(conn, id)
            secrets = subscriptions.secrets_of(conn, found)
        now = clock()
        name = format_id("subscriptions", found.id)
        told = {
            "collection": "ping",
            "operation": "create",
            "data": {"subscription": name},
            "timestamp": format_time(now),
        }
        began = monotonic()
        reply = _sender(opened).post(found.url, secrets, format_id("deliveries", fresh(now)), orjson.dumps(told))
        took = monotonic() - began
    body = reply.body[:SHOWN].decode(errors="replace")
    if json:
        print_json({"id": name, "status": reply.status, "error": reply.error, "seconds": round(took, 3), "body": body})
    else:
        color = "green" if reply.error is None else "red"
        out.print(f"[{color}]{safe(reply.error or f'answered {reply.status}')}[/], in {took:.1f} s", soft_wrap=True)
        if body.strip():
            out.print(safe(body), soft_wrap=True)
    if reply.error is not None:
        raise typer.Exit(1)


# -- steps -------------------------------------------------------------------------------------------------

_COLORS = {"due": "cyan", "done": "green", "dead": "red"}


@contextmanager
def _opened(data: Path | None, make: bool = False) -> Iterator[Parts]:
    with open_shop(data, make=make) as (opened, _):
        yield opened


def _sender(opened: Parts) -> Sender:
    return Sender(opened.settings.webhooks_allow_private, clock=clock)


def _check(sender: Sender, url: str) -> None:
    """A Problem unless webhooks may go there, as its host's addresses are now; they are judged again at each send."""
    try:
        sender.check(url)
    except Forbidden as error:
        raise Problem(f"{error}. Nothing was added", 2) from error
    except OSError as error:
        raise Problem(f"the host has no address just now: {error}. Nothing was added") from error


def _check_state(state: str | None) -> None:
    if state is not None and state not in STATES:
        raise Problem(f"--state {state} is none of {', '.join(STATES)}", 2)


def _names(told: str) -> list[str]:
    return [name.strip() for name in told.split(",") if name.strip()]


def _state(found: Subscription) -> str:
    if found.state == DISABLED:
        return f"[red]disabled[/]: {safe(found.notice)}" if found.notice else "[yellow]disabled[/] by hand"
    if found.failing_since is not None:
        return f"[yellow]failing[/] since {time_of(found.failing_since)}"
    return "[green]active[/]" + (", rotating" if found.rotating else "")


def _as_document(found: Subscription) -> dict[str, Any]:
    return {**asdict(found), "id": format_id("subscriptions", found.id)}


def _some(count: int) -> str:
    return "1 delivery" if count == 1 else f"{count:,} deliveries"


def _delivery(found: Delivery) -> dict[str, Any]:
    ids = {
        "id": format_id("deliveries", found.id),
        "subscription_id": format_id("subscriptions", found.subscription_id),
    }
    return {**asdict(found), **ids}
