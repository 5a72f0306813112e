"""The bench on servers that run already: to start some of its own takes it longer than a tiny run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from bench.servers import Servers, opened

if TYPE_CHECKING:
    from embedded import Addresses


@contextmanager
def on_servers_of_the_run(servers: Addresses) -> Iterator[tuple[pytest.MonkeyPatch, Servers]]:
    """The bench's servers, and a hand for its amounts that no plan has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", servers.database_url)
        patch.setenv("REDIS_URL", servers.redis_url)
        with opened() as at:
            yield patch, at
