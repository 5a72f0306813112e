"""`orders operators add|list|disable|link`: who may log in to the console, and the link by which they come in.

Whatever is changed here leaves a row of `audit` with the actor `cli:USER`.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from cli.bootstrap import open_shop
from cli.options import Data, Json, actor, err, out, print_json
from cli.render import put, table, time_of
from cli.terminal import safe
from operations import operators as stored
from operations.operators import LINK_FOR, Operator
from storage.clock import clock

operators = typer.Typer(help="Operators of the console: who may log in, and as what.", no_args_is_help=True)
FIRST = "admin"  # the operator whom `orders up` and the demo make, where there is none
LOCAL = "http://127.0.0.1:8000"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The operator's name: letters, digits and . _ @ + -")]
Url = Annotated[
    str, typer.Option("--url", metavar="URL", help="Where the API answers, as the operator's browser reaches it.")
]


@operators.command()
def add(
    name: Name,
    role: Annotated[
        str,
        typer.Option(
            "--role",
            help="viewer: looks, and sees no personal data. operator: acts, too. admin: the same, and erases customers.",
        ),
    ] = "viewer",
    url: Url = LOCAL,
    data: Data = None,
    json: Json = False,
) -> None:
    """Add an operator, and print a link that lets them in once; there they set their password.

    One that was disabled is let in again, with this role and without the old password.
    Example: orders operators add ada --role operator --url https://orders.example
    """
    with open_shop(data, make=True) as (opened, _), opened.engine.begin() as conn:
        made = stored.add(conn, name, role, actor(), clock())
        token = stored.link(conn, made.name, actor(), clock())
    _tell(made, link_to(url, token), json)


@operators.command("list")
def list_(data: Data = None, json: Json = False) -> None:
    """List all operators by name, disabled ones too."""
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        found = stored.listed(conn)
    if json:
        print_json({"operators": [_document(each) for each in found]})
        return
    rows = table("name", "role", "password", "added (UTC)", "last login (UTC)", "disabled (UTC)")
    for each in found:
        last, disabled = each.last_login_at, each.disabled_at
        rows.add_row(
            safe(each.name), each.role, "set" if each.has_password else "none", time_of(each.created_at),
            time_of(last) if last else "–", f"[red]{time_of(disabled)}[/]" if disabled else "–",
        )  # fmt: skip
    put(rows)
    if not found:
        out.print("there is no operator yet; add one: orders operators add NAME --role admin")


@operators.command()
def disable(name: Name, data: Data = None, json: Json = False) -> None:
    """Let an operator in no more. Their sessions end at once, their password and link are void; again it changes nothing."""
    with open_shop(data) as (opened, _), opened.engine.begin() as conn:
        found = stored.disable(conn, name, actor(), clock())
    if json:
        print_json(_document(found))
    else:
        out.print(f"{safe(found.name)} is disabled and logged out; `orders operators add` lets them in again")


@operators.command()
def link(name: Name, url: Url = LOCAL, data: Data = None, json: Json = False) -> None:
    """Make a link that lets an operator in once, as where the password is lost; an older link is void."""
    with open_shop(data) as (opened, _), opened.engine.begin() as conn:
        token = stored.link(conn, name, actor(), clock())
        found = stored.find(conn, name)
    _tell(found, link_to(url, token), json)


def link_to(url: str, token: str) -> str:
    """The address of the page at which a link's token lets its operator in."""
    return f"{url.rstrip('/')}/console/enter?token={token}"


def first_link(conn: Connection, url: str) -> str | None:
    """A link that lets in whoever runs this machine: an admin, made where there is no operator yet.

    None where an admin has a password: that is the way in then.
    """
    admins = [each for each in stored.listed(conn) if each.role == "admin" and each.disabled_at is None]
    if any(each.has_password for each in admins):
        return None
    name = admins[0].name if admins else stored.add(conn, FIRST, "admin", actor(), clock()).name
    return link_to(url, stored.link(conn, name, actor(), clock()))


def _tell(operator: Operator, address: str, json: bool) -> None:
    if json:
        print_json({**_document(operator), "link": address, "validForSeconds": int(LINK_FOR.total_seconds())})
        return
    out.print(f"[bold]{safe(address)}[/]", soft_wrap=True)
    minutes = int(LINK_FOR.total_seconds() // 60)
    err.print(f"lets {safe(operator.name)} ({operator.role}) in, once, within {minutes} minutes", soft_wrap=True)


def _document(operator: Operator) -> dict[str, Any]:
    return {
        "name": operator.name,
        "role": operator.role,
        "hasPassword": operator.has_password,
        "createdAt": operator.created_at,
        "lastLoginAt": operator.last_login_at,
        "disabledAt": operator.disabled_at,
    }
