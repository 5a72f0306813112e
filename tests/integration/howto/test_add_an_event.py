"""docs/howto/add-an-event.md, followed word by word in a copy of the application."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.howto import pages

PAGE = "add-an-event.md"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git knows of, changed as the page tells; what is compiled already comes along with its source."""
    folder = tmp_path_factory.mktemp("event") / "orders"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=pages.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        source = pages.ROOT / name
        if not source.is_file():
            continue
        for each in (source, *(source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")):
            copy = folder / each.relative_to(pages.ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(each, copy)
    pages.edit_files(PAGE, folder)
    pages.write_files(PAGE, folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_its_tests_pass(checkout):
    done = pages.run(pages.commands(PAGE, "pytest"), checkout, PYTHONPATH=str(checkout))
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_it_is_described(checkout):
    done = pages.run(pages.commands(PAGE, "schema asyncapi"), checkout, PYTHONPATH=str(checkout))
    assert int(done.stdout) > 0, done.stderr
    untouched = pages.run(pages.commands(PAGE, "schema asyncapi"), checkout, PYTHONPATH=str(pages.ROOT))
    assert untouched.stdout.strip() == "0"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_is_applied(checkout, database_url, redis_url):
    servers = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "PYTHONPATH": str(checkout)}
    done = pages.run(pages.commands(PAGE, "orders ingest"), checkout, **servers)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "look before you ship" in done.stdout
