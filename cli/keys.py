"""`orders keys add|list|revoke`: who may use the HTTP API.

Whatever is changed here leaves a row of `audit` with the actor `cli:USER`.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from cli.bootstrap import open_shop
from cli.options import Data, Json, Problem, actor, err, out, print_json
from cli.render import put, table, time_of
from cli.terminal import safe
from domain.ids import WrongKind
from storage import keys as stored
from storage.clock import clock
from storage.keys import Key, Kind

keys = typer.Typer(help="Keys of the HTTP API: made, listed, revoked.", no_args_is_help=True)

LABEL_CHARS = 100


@keys.command()
def add(
    kind: Annotated[
        Kind,
        typer.Argument(
            help="secret: everything, for your backend alone. publishable: for pages and apps; "
            "it shows a customer's orders only together with that customer's token."
        ),
    ],
    label: Annotated[str | None, typer.Option("--label", help="What it is for, to tell it from others.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Make a key and show it, this once: only its SHA-256 is kept. A lost key is revoked and replaced.

    It works at once. Send it as `Authorization: Bearer KEY`.
    """
    if label is not None and not 0 < len(label) <= LABEL_CHARS:
        raise Problem(f"--label: {len(label)} characters; 1 to {LABEL_CHARS} are possible", 2)
    if label is not None and not label.isprintable():
        raise Problem(f"--label {label} holds control characters; leave them out", 2)
    with open_shop(data, make=True) as (opened, _), opened.engine.begin() as conn:
        text, key = make(conn, kind, label)
    if json:
        print_json({"key": text, **_as_document(key)})
        return
    out.print(f"[bold]{text}[/]")
    err.print(f"{key.kind} key {key.name}; it is shown this once. Send it as: Authorization: Bearer …", soft_wrap=True)


@keys.command("list")
def list_(data: Data = None, json: Json = False) -> None:
    """List all keys by id, with the last characters of each; revoked ones too."""
    with open_shop(data) as (opened, _), opened.engine.connect() as conn:
        found = stored.every(conn)
    if json:
        documents = [
            {**_as_document(key), "hint": key.hint, "createdAt": key.created_at, "revokedAt": key.revoked_at}
            for key in found
        ]
        print_json({"keys": documents})
        return
    rows = table("id", "kind", "ends in", "label", "made (UTC)", "revoked (UTC)")
    for key in found:
        revoked = f"[red]{time_of(key.revoked_at)}[/]" if key.revoked_at else "–"
        rows.add_row(
            key.name, key.kind, f"…{key.hint}", safe(key.label or "–"), time_of(key.created_at), revoked
        )  # fmt: skip
    put(rows)
    if not found:
        out.print("there is no key yet; make one: orders keys add secret")


@keys.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id (key_…), as `keys list` shows.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Revoke a key: within 5 seconds every process of the API refuses it. Revoking it again changes nothing."""
    try:
        with open_shop(data) as (opened, _), opened.engine.begin() as conn:
            key = stored.revoke(conn, id, actor(), clock())
    except WrongKind as error:
        raise Problem(f"{error}; see `orders keys list`") from None
    if key is None:
        raise Problem(f"no key has the id {id!r}; see `orders keys list`")
    if json:
        print_json({**_as_document(key), "revokedAt": key.revoked_at})
    else:
        out.print(f"{key.kind} key {key.name} is revoked; it is refused within 5 seconds")


def make(conn: Connection, kind: Kind, label: str | None) -> tuple[str, Key]:
    """A new key of this command line's user: its text, and what is stored."""
    return stored.add(conn, kind, label, actor(), clock())


def _as_document(key: Key) -> dict[str, Any]:
    return {"id": key.name, "kind": key.kind, "label": key.label}
