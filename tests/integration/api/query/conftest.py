"""A database with a world in it, for a whole module: nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from sqlalchemy import Connection

from storage import engine as engines
from tests.integration.api.query.world import World, a_world


@pytest.fixture(scope="module")
def peopled(module_database_url: str) -> Iterator[tuple[Connection, World]]:
    engine = engines.connect(module_database_url)
    world = a_world(engine)
    with engine.connect() as conn:
        yield conn, world
    engine.dispose()


@pytest.fixture(scope="module")
def conn(peopled: tuple[Connection, World]) -> Connection:
    return peopled[0]


@pytest.fixture(scope="module")
def world(peopled: tuple[Connection, World]) -> World:
    return peopled[1]


def bracketed(name: str, told: object) -> list[str]:
    """As qs writes it, with `allowEmptyArrays`."""
    if isinstance(told, dict):
        return [pair for key, inner in told.items() for pair in bracketed(f"{name}[{key}]", inner)]
    if isinstance(told, list):
        if not told:
            return [quote(f"{name}[]")]
        return [pair for at, inner in enumerate(told) for pair in bracketed(f"{name}[{at}]", inner)]
    text = "" if told is None else str(told).lower() if isinstance(told, bool) else str(told)
    return [f"{quote(name)}={quote(text)}"]
