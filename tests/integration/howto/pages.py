"""Files and commands of a page of docs/howto, taken from it word by word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
HOWTO = ROOT / "docs" / "howto"
_FILE = re.compile(r"^`([\w./-]+)`(?:, continued)?:\n\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def write_files(page: str, folder: Path) -> None:
    """Write every file of a page below `folder`; one that is continued has its parts behind each other."""
    written: dict[str, str] = {}
    for name, part in _FILE.findall((HOWTO / page).read_text()):
        written[name] = written.get(name, "") + part
    assert written, f"{page} has no file"
    for name, content in written.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def commands(page: str, containing: str) -> str:
    """The one block of commands of a page that has `containing` in it."""
    (found,) = [block for block in _SHELL.findall((HOWTO / page).read_text()) if containing in block]
    return str(found)


def run(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run commands as a reader would, in `folder`; what cannot be run fails."""
    binaries = Path(sys.executable).parent
    names = {"PATH": f"{binaries}:{os.environ['PATH']}", **environment}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORDERS_", "PIP_"))}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-e", "-c", script], cwd=folder, env={**kept, **names}, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip


_EDIT = re.compile(
    r"^In `([\w./-]+)`, find:\n\n```\w*\n(.*?)^```\n\n(Write before it|Write behind it|Make it):\n\n```\w*\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def edit_files(page: str, folder: Path) -> None:
    """Make every change that a page tells, in files that are below `folder` already."""
    edits = _EDIT.findall((HOWTO / page).read_text())
    assert edits, f"{page} changes nothing"
    for name, found, how, new in edits:
        text = (folder / name).read_text()
        assert text.count(found) == 1, f"{page}: {name} has {text.count(found)} places with {found!r}"
        made = {"Write before it": new + found, "Write behind it": found + new, "Make it": new}[how]
        (folder / name).write_text(text.replace(found, made))
