"""Starts the real simulator processes, and connects every provider that there is to them: ours, and installed ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from providers import http_client
from providers.base import Provider
from providers.registry import registry
from settings.fields import Values
from tests import simulators

URL = re.compile(r"https?://[^,\s]+")
QUICK_S = 0.2  # on bad days many answers never come
Connect = Callable[[Provider, str, str], Any]


def able(ability: str) -> list[Provider]:
    """The providers that have an ability (a field of Provider)."""
    return [each for each in registry().providers if ability in each.abilities()]


def named(provider: Provider) -> str:
    return provider.name


@pytest.fixture(scope="session")
def running():
    """`with running("carrier", "--errors", 0.5) as (process, url)`."""
    return simulators.running


@pytest.fixture(scope="module")
def quick():
    """`quick(True)`: whoever is connected from now on waits QUICK_S for an answer."""
    patience = http_client.TIMEOUT_S

    def wait(briefly: bool) -> None:
        http_client.TIMEOUT_S = QUICK_S if briefly else patience

    yield wait
    http_client.TIMEOUT_S = patience


@pytest.fixture(scope="module")
def connect() -> Connect:
    """`connect(provider, "refunds", url)`: its client, with the examples of its settings, and asking at `url`."""

    def client(provider: Provider, ability: str, url: str) -> Any:
        texts = {each.name: URL.sub(url, each.example or each.default or "") for each in provider.settings}
        assert any(url in told for told in texts.values()), f"no setting of {provider.name} has a URL to be changed"
        values = Values.read(provider.settings, texts)
        offer = provider.abilities()[ability]
        (name,) = offer.configured(provider.name, values)
        return offer.connect(name, values)

    return client
