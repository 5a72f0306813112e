"""Every relative link in a Markdown page leads to a file that is here, and to a heading that it has."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"

# A link or a picture, `[text](where "title")`; not what stands in code.
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)


def pages() -> list[Path]:
    """Every Markdown page that git knows or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(path for name in listed.split("\0") if name and (path := ROOT / name).exists())


def links(page: Path) -> Iterator[str]:
    """The targets of a page's links that do not leave the repository."""
    for target in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z][a-z0-9+.-]*:", target):
            yield unquote(target)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in HEADING.findall(text):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        numbered = next(name for n in range(99) if (name := f"{slug}-{n}" if n else slug) not in found)
        found.add(numbered)
    return found


def broken(page: Path) -> Iterator[str]:
    """The links of a page that lead nowhere."""
    for target in links(page):
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        if not to.exists() or (anchor and (to.suffix != ".md" or anchor not in anchors(to))):
            yield target


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_and_anchor_resolves(page):
    assert list(broken(page)) == []


def test_a_missing_page_and_a_missing_heading_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A `b`, c\n[x](#a-b-c) [x](#nope) [x](gone.md) `[x](code.md)` [x](https://a.example/y)\n")
    assert list(broken(page)) == ["#nope", "gone.md"]


def test_every_page_is_reached_from_the_index():
    reached: set[Path] = set()
    waiting = [ROOT / "README.md", ROOT / "docs" / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [
            to for target in links(page) if (to := (page.parent / target.partition("#")[0]).resolve()).is_file()
        ]
    lost = {page for page in pages() if page.is_relative_to(ROOT / "docs")} - reached
    assert {str(page.relative_to(ROOT)) for page in lost} == set()


def test_every_decision_stands_in_their_index():
    rows = re.findall(
        r"^\| (\d+) \| \[[^]]+\]\(([^)]+)\) \| \d{4}-\d\d-\d\d \| \w", (DECISIONS / "README.md").read_text(), re.M
    )
    records = {(str(int(path.name[:4])), path.name) for path in DECISIONS.glob("[0-9]*.md")}
    assert set(rows) == records, "docs/decisions/README.md: a row per record, with number, link, date and status"


def test_the_numbers_of_decisions_run_on_and_their_index_says_which_was_given_to_none():
    numbers = {int(path.name[:4]) for path in DECISIONS.glob("[0-9]*.md")}
    skipped = set(range(1, max(numbers))) - numbers
    told = re.findall(r"(\d+) was given to\s+no record", (DECISIONS / "README.md").read_text())
    assert skipped == set(map(int, told))


def test_every_file_that_the_docs_name_is_there():
    named = [
        (page.relative_to(ROOT).as_posix(), path)
        for page in pages()
        if not page.is_relative_to(DECISIONS)
        and not page.name.startswith(("CHANGELOG", "add-a"))  # readers make those files
        for path in re.findall(r"`((?:[a-z_]+/)+[a-z0-9_]+\.(?:py|md|json))`", page.read_text())
    ]
    assert len(named) > 50
    assert [each for each in named if not (ROOT / each[1]).is_file()] == []
