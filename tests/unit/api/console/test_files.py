"""The console's files are what they claim to be, and come along with the package."""

from __future__ import annotations

import hashlib
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from api.console import render

ROOT = Path(__file__).parents[4]
CONSOLE = ROOT / "api" / "console"
# dist/htmx.min.js of https://github.com/bigskysoftware/htmx at its tag v2.0.10
HTMX = "71ea67185bfa8c98c39d31717c6fce5d852370fcdfd129db4543774d3145c0de"


def test_htmx_is_the_release_it_claims_to_be_with_its_licence_beside_it():
    script = (CONSOLE / "static" / "htmx.min.js").read_bytes()
    assert hashlib.sha256(script).hexdigest() == HTMX
    assert b'version:"2.0.10"' in script
    assert "Zero-Clause BSD" in (CONSOLE / "static" / "htmx-LICENSE.txt").read_text()


def test_every_file_is_part_of_the_package():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["api"]
    files = [
        each.relative_to(ROOT / "api").as_posix()
        for each in CONSOLE.rglob("*")
        if each.suffix not in (".py", ".pyc") and each.is_file()
    ]
    assert [each for each in files if not any(fnmatch(each, pattern) for pattern in patterns)] == []


@pytest.mark.parametrize("template", sorted(each.name for each in (CONSOLE / "templates").glob("*.html")))
def test_every_template_can_be_read_and_turns_escaping_off_nowhere(template):
    render.environment().get_template(template)
    text = (CONSOLE / "templates" / template).read_text()
    assert "|safe" not in text.replace(" ", "")
    assert "autoescape" not in text


def test_a_file_that_changes_has_another_address():
    assert (
        render.asset("console.css").rpartition("=")[2]
        == hashlib.sha256(render.static("console.css")[0]).hexdigest()[:16]
    )
