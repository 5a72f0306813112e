"""The blocking client out of the asyncio one: `python client/write_sync.py` after each change of `_async`.

One of the two is written by hand, so that they cannot differ; a test holds `_sync` current. Needs ruff.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "src" / "order_lifecycle_client"
HEADER = "# Written by client/write_sync.py from _async; change that.\n"
WORDS = (
    (r"\bfrom asyncio import sleep\b", "from time import sleep"),
    (r"\b(async def|async for|async with)\b", lambda found: found[1].removeprefix("async ")),
    (r"\bawait ", ""),
    (r"__a(enter|exit)__", r"__\1__"),
    (r"\baclose\b", "close"),
    (r"\b_async\b", "_sync"),
    (r"\bcreate_async_", "create_"),
    (r"\bAsync([A-Z])", r"\1"),
    (r"\bby tasks\b", "by threads"),
)


def sync_of(source: str) -> str:
    """A module of `_async` as one of `_sync`."""
    for pattern, put in WORDS:
        source = re.sub(pattern, put, source)
    for command in (["check", "--select", "I", "--fix-only", "--quiet"], ["format"]):
        told = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(PACKAGE / "_sync" / "a.py"), "-"]
        source = subprocess.run(told, input=source, capture_output=True, text=True, check=True).stdout
    return source


def modules() -> dict[Path, str]:
    """Every file of `_sync`, as it should be."""
    found = {}
    for path in sorted((PACKAGE / "_async").glob("*.py")):
        if path.name != "__init__.py":
            found[PACKAGE / "_sync" / path.name] = HEADER + sync_of(path.read_text())
    return found


if __name__ == "__main__":
    for path, text in modules().items():
        path.write_text(text)
