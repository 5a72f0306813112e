"""Real servers: started at most once a run, with a database and a Redis of its own for every test.

    database_url         a migrated database as new; `module_database_url` lives for a whole module,
                         as tests by Hypothesis need
    empty_database_url   a fresh database without our schema
    redis_url            a logical database with nothing in it; `module_redis_url` for a whole module
    servers              where both servers answer

The embedded servers, unless DATABASE_URL or REDIS_URL names one of your own. There we make and drop
databases called orders_test_…, and write to (and flush) only such of the Redis databases 1–15 as we
found empty. What needs PostgreSQL alone never asks for Redis.
"""

from __future__ import annotations

import gc
import itertools
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from embedded import Addresses
    from tests.databases import Databases

# On a busy machine time says nothing of an example, nor of how it was drawn.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

SHARDS = 64  # of every migrated database here
_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def data_folder() -> Iterator[None]:
    """A data folder of this test worker's own: what runs here is found by files there, and others run theirs meanwhile."""
    with tempfile.TemporaryDirectory(prefix="orders-tests-") as data, pytest.MonkeyPatch.context() as environment:
        environment.setenv("ORDERS_DATA", data)
        yield


@pytest.fixture(scope="session")
def servers() -> Iterator[Addresses]:
    """Both servers: yours where you name them, else embedded, which end with the run."""
    from embedded import Addresses
    from embedded import servers as embedded_servers

    own = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    if own[0] and own[1]:
        yield Addresses(own[0], own[1], owner=False)
        return
    # In no folder of pytest's: those are closed to the user that root's PostgreSQL may have to be.
    with (
        tempfile.TemporaryDirectory(prefix="orders-tests-") as data,
        exit_on_sigterm(),
        embedded_servers(Path(data)) as at,
    ):
        if not own[0]:
            _make_light(at.database_url)
        yield Addresses(own[0] or at.database_url, own[1] or at.redis_url, at.owner)


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """The PostgreSQL server, by a database to connect to while others are made and dropped."""
    own = os.environ.get("DATABASE_URL")
    return own or request.getfixturevalue("servers").database_url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to."""
    from storage.migrate import upgrade
    from tests.databases import drop, make, with_database

    name = make(postgres_url, "template1")
    upgrade(with_database(postgres_url, name), SHARDS)
    yield name
    drop(postgres_url, name)


@pytest.fixture(scope="session")
def databases(postgres_url: str, template: str) -> Iterator[Databases]:
    """The databases of this run."""
    from tests.databases import Databases

    made = Databases(postgres_url, template)
    yield made
    made.close()


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated database for one test."""
    with databases.one() as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(databases: Databases) -> Iterator[str]:
    """A migrated database for one module."""
    with databases.one() as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A database without our schema, for one test."""
    from tests.databases import drop, make, with_database

    name = make(postgres_url, "template1")
    yield with_database(postgres_url, name)
    drop(postgres_url, name)


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty logical database for one test."""
    with _an_empty_redis(request) as url:
        yield url


@pytest.fixture(scope="module")
def module_redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty logical database for one module."""
    with _an_empty_redis(request) as url:
        yield url


@contextmanager
def _an_empty_redis(request: pytest.FixtureRequest) -> Iterator[str]:
    import redis
    from sqlalchemy.engine import make_url

    own = os.environ.get("REDIS_URL")
    server = own or request.getfixturevalue("servers").redis_url
    first = next(_numbers)
    for number in range(first, first + 15):
        url = make_url(server).set(database=str(number % 15 + 1)).render_as_string(hide_password=False)
        with redis.Redis.from_url(url) as client:
            if not own:
                client.flushdb()
            elif client.dbsize():
                continue  # somebody's: leave it alone
            yield url
            client.flushdb()
        return
    pytest.fail("REDIS_URL: each of the databases 1–15 holds something; flush one, or unset it")


def _make_light(server: str) -> None:
    """Let commits wait for no disk, and a password be checked at once.

    What is killed here is a process, and what it wrote the kernel has. And whoever connects computes 4,096 digests of the
    password, four fifths of what connecting costs it.
    """
    import psycopg
    from psycopg.sql import SQL, Identifier, Literal
    from sqlalchemy.engine import make_url

    url = make_url(server)
    assert url.username is not None
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute("alter system set fsync = off")
        conn.execute("alter system set full_page_writes = off")
        conn.execute("select pg_reload_conf()")
        conn.execute("set scram_iterations = 1")
        conn.execute(SQL("alter role {} password {}").format(Identifier(url.username), Literal(url.password)))


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the run as Ctrl-C does: fixtures are torn down, and the servers with them."""

    def leave(_number: int, _frame: object) -> None:
        pytest.exit("SIGTERM", returncode=128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# What measures: it runs alone, after all others, one test at a time.
QUIET = ("tests/integration/journal/test_large",)
LONGEST = (
    "tests/chaos",
    "tests/integration/test_bench",
    "tests/integration/cli/test_demo",
    "tests/money",
    "tests/integration/outbound/reconciliation",
    "tests/proofs",
    "tests/integration/howto",
    "tests/integration/cli",
    "tests/contract",
    "tests/migrations",
    "tests/client",
    "tests/integration",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--part`: which of the two parts that `make test` has."""
    parser.addoption("--part", choices=("all", "busy", "quiet"), default="all", help="side by side, or one by one")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Look for the quiet part where it is: to import all other tests takes longer than many of them."""
    if config.getoption("part") != "quiet":
        return None
    path = f"{collection_path.relative_to(config.rootpath).as_posix().removesuffix('.py')}/"
    return None if any(f"{each}/".startswith(path) or path.startswith(f"{each}/") for each in QUIET) else True


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the collector of garbage from what collecting tests brings: half a million objects that all stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the part that is asked for; what takes longest comes first, so that no core ends with it alone."""
    part = config.getoption("part")
    if part != "all":
        other = [item for item in items if item.nodeid.startswith(QUIET) == (part == "busy")]
        config.hook.pytest_deselected(items=other)
        items[:] = [item for item in items if item.nodeid.startswith(QUIET) == (part == "quiet")]
    items.sort(
        key=lambda item: next((n for n, room in enumerate(LONGEST) if item.nodeid.startswith(room)), len(LONGEST))
    )


@pytest.fixture(autouse=True, scope="module")
def forget_applications() -> Iterator[None]:
    """Let go of every application of a module: FastAPI remembers its documentation's endpoints, and each holds its application.

    A thousand of them are a gigabyte, and the collector goes through it again and again.
    """
    yield
    if (models := sys.modules.get("fastapi.dependencies.models")) is not None:
        for each in vars(models).values():
            if callable(clear := getattr(each, "cache_clear", None)):
                clear()
