"""A provider and a carrier, installed as docs/howto tells, each one file that nobody here knows of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.registry import registry
from tests.integration.howto import pages

NAMES = ("acorn", "bluebird")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that both packages were installed into, by the commands of their pages."""
    folder = tmp_path_factory.mktemp("howto")
    site = folder / "site"
    # As a reader would, but into a folder of its own, and without an index: what it needs is here already.
    pip = {"PIP_TARGET": str(site), "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "false", "PIP_NO_INDEX": "1"}
    for page in ("add-a-provider.md", "add-a-carrier.md"):
        pages.write_files(page, folder)
        done = pages.run(pages.commands(page, "pip install"), folder, **pip)
        assert done.returncode == 0, done.stderr
    return site


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process as one whose environment has both packages."""
    monkeypatch.syspath_prepend(str(site))
    registry.cache_clear()
    yield site
    registry.cache_clear()
    for name in NAMES:
        sys.modules.pop(name, None)
