"""A shop on a port, and clients of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from order_lifecycle_client import ServerClient, create_server_client
from tests.client.api_server import Serving, serving


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this machine's stands between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def shop(database_url: str, redis_url: str) -> Iterator[Serving]:
    """The API on a port."""
    with serving(database_url, redis_url) as found:
        yield found


@pytest.fixture
def client(shop: Serving) -> Iterator[ServerClient]:
    """The client of a shop's backend."""
    with create_server_client(
        publishable_key=shop.publishable_key, secret_key=shop.secret_key, base_url=shop.url
    ) as found:
        yield found
