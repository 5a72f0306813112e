"""A Valkey that a test may fill, demote and kill: not the one that all tests share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.valkey import Valkey


@pytest.fixture(scope="package")
def own_redis_url() -> Iterator[str]:
    """The address of a Valkey of its own; whoever changes it puts it back."""
    with tempfile.TemporaryDirectory(prefix="orders-tests-") as data, Valkey(Path(data)).started() as url:
        yield url
