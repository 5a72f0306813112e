"""`orders schema openapi|asyncapi`: the machine-readable documents, made without a server."""

from __future__ import annotations

import json as text
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.options import Data, Json, Problem, out, print_json
from cli.terminal import safe

Kind = Literal["openapi", "asyncapi"]


def schema(
    kind: Annotated[
        Kind,
        typer.Argument(help="openapi: the HTTP API (3.1). asyncapi: events in and webhooks out (3.0)."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", help="A file to write it to, instead of stdout.", dir_okay=False)
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Print the description of the HTTP API, or of the events, for tools that read such. No server is asked.

    A running API shows its own at /openapi.json. With --output and --json it answers which file was written.
    """
    written = document(kind)
    if output is None:
        sys.stdout.write(written)
        return
    try:
        output.write_text(written, encoding="utf-8")
    except OSError as error:
        raise Problem(f"--output: {output} cannot be written: {error.strerror}; choose another file", 2) from None
    if json:
        print_json({"kind": kind, "written": output})
    else:
        out.print(f"wrote {safe(output)}", soft_wrap=True)


def document(kind: Kind) -> str:
    """The document as JSON, ending in a line's end: the same bytes for the same version."""
    from api import asyncapi  # imported late: they take half a second
    from api.app import without_doors

    made = without_doors().openapi() if kind == "openapi" else asyncapi.document()
    return text.dumps(made, indent=2, ensure_ascii=False) + "\n"
