"""An event's body, changed by hand: read from a file, set field by field, or opened in an editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson

from cli.options import Problem
from operations.edits import PatchRefused, checked_patch, step_at, value_of


def read_body(where: str) -> dict[str, Any]:
    """The body in a file, or on stdin (`-`). Errors: Problem where it is none."""
    try:
        body = orjson.loads(sys.stdin.buffer.read() if where == "-" else Path(where).read_bytes())
    except OSError as error:
        raise Problem(f"--data-file {where}: {error.strerror}", 2) from error
    except orjson.JSONDecodeError as error:
        raise Problem(f"--data-file {where} is no JSON: {error}", 2) from error
    return _object(body, f"--data-file {where}")


def _object(body: Any, where: str) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Problem(f"{where} must hold a JSON object: the event's data", 2)
    return body


def set_field(body: dict[str, Any], told: str) -> None:
    """`data.items.0.quantity=2`: the path into the body, and JSON or else text. An empty value takes the field out."""
    path, equals, value = told.partition("=")
    root, *steps = path.strip().split(".")
    if not equals or root != "data" or not steps or not all(steps):
        hint = "the order's number is --subject" if root == "subject" else "write data.amount=12000"
        raise Problem(f"--set {told} is no PATH=VALUE into the body; {hint}", 2)
    place: Any = body
    for step in steps[:-1]:
        try:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        except (IndexError, ValueError, AttributeError):
            raise Problem(f"--set {told}: there is nothing at {step}", 2) from None
    last = steps[-1]
    try:
        if isinstance(place, list):
            place[int(last)] = value_of(value)
        elif not isinstance(place, dict):
            raise Problem(f"--set {told}: what stands before {last} has no fields", 2)
        elif value:
            place[last] = value_of(value)
        else:
            place.pop(last, None)
    except (IndexError, ValueError):
        raise Problem(f"--set {told}: there is no element {last}", 2) from None


def read_patch(where: str) -> list[dict[str, Any]]:
    """The JSON Patch in a file, or on stdin (`-`). Errors: Problem where it is no JSON; PatchRefused where it is no patch."""
    try:
        steps = orjson.loads(sys.stdin.buffer.read() if where == "-" else Path(where).read_bytes())
    except OSError as error:
        raise Problem(f"--patch {where}: {error.strerror}", 2) from error
    except orjson.JSONDecodeError as error:
        raise Problem(f"--patch {where} is no JSON: {error}", 2) from error
    return checked_patch(steps)


def step_of(told: str) -> dict[str, Any]:
    """`data.items.0.quantity=2` or `subject=N` as a step of a JSON Patch: JSON or else text; an empty value takes it out.

    >>> step_of("data.currency=KRW")
    {'op': 'add', 'path': '/data/currency', 'value': 'KRW'}
    """
    path, equals, value = told.partition("=")
    try:
        if equals:
            return step_at(path.strip(), value)
    except PatchRefused:
        pass
    raise Problem(f"--set {told} is no PATH=VALUE; write data.amount=12000, or subject=ORDER", 2)


def edited(before: dict[str, Any]) -> dict[str, Any] | None:
    """The text that a person makes of it in an editor; None if it is what it was."""
    with tempfile.TemporaryDirectory(prefix="orders-") as folder:
        file = Path(folder) / "data.json"
        file.write_bytes(orjson.dumps(before, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        try:
            subprocess.run([*shlex.split(editor), str(file)], check=True)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise Problem(f"the editor {editor} failed: {error}; set EDITOR, or use --set or --data-file") from error
        written = file.read_bytes()
    try:
        after = _object(orjson.loads(written), "what you wrote")
    except orjson.JSONDecodeError as error:
        raise Problem(f"what you wrote is no JSON: {error}; nothing was changed") from error
    return None if after == before else after
