"""Finds the servers, or starts them for the command's own run, and opens what the command needs.

DATABASE_URL and REDIS_URL name yours; else the servers that `orders up` runs in the data folder are
found; else they are started here (or taken over from a killed owner) and stopped at the end. What is found stands in this process's
environment from then on, so that workers started below find it too.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import redis
from sqlalchemy import text

import embedded
from cli.options import Problem, both_or_neither, stop_at_sigterm
from journal.streams import OLDEST, connect, is_old
from settings.environment import Settings, read
from storage import migrate
from workers.app import ring
from workers.resources import Parts, parts


@dataclass(frozen=True, slots=True)
class Servers:
    """The two servers of a command, and whose they are: "yours", "found" or "started"."""

    settings: Settings
    whose: str


@contextmanager
def find_servers(
    data: Path | None, tell: Callable[[str], None] | None = None, *, make: bool = True
) -> Iterator[Servers]:
    """Servers for the length of the command; see the module. `tell` has them started again, and is told (embedded.servers).

    Without `make`, a data folder that never had a database is a Problem: who looks for something shall not find a new one.
    """
    if data is not None:
        if not str(data).strip() or not str(data).isprintable():  # else the setting is blamed for it
            raise Problem(f"--data {str(data)!r} is no folder's name; give one that can be printed", 2)
        os.environ["ORDERS_DATA"] = str(data)
    settings = read()
    both_or_neither(settings)
    if not make and settings.database_url is None and embedded.kept(settings.data) is None:
        raise Problem(
            f"there is no database in {settings.data}; `orders up` makes one there, --data or ORDERS_DATA names another "
            "folder, DATABASE_URL and REDIS_URL servers of yours"
        )
    with ExitStack() as stack:
        if settings.database_url is not None:
            whose, database_url, redis_url = "yours", settings.database_url, settings.redis_url
        else:
            addresses = stack.enter_context(
                embedded.servers(settings.data, tell)
            )  # those of a killed owner are taken over
            whose = "started" if addresses.owner else "found"
            database_url, redis_url = addresses.database_url, addresses.redis_url
            if settings.token_secret is None:
                kept = _kept(settings.data / "token.secret", lambda: secrets.token_hex(32))
                os.environ["ORDERS_TOKEN_SECRET"] = kept
                settings = replace(settings, token_secret=kept)
            if not settings.account_keys:
                kept = _kept(settings.data / "account.key", lambda: urlsafe_b64encode(secrets.token_bytes(32)).decode())
                os.environ["ORDERS_ACCOUNT_KEYS"] = kept
                settings = replace(settings, account_keys=(kept,))
        os.environ["DATABASE_URL"], os.environ["REDIS_URL"] = database_url or "", redis_url or ""
        yield Servers(replace(settings, database_url=database_url, redis_url=redis_url), whose)


@contextmanager
def open_shop(
    data: Path | None, *, make: bool = False, upgrade: bool = False, tell: Callable[[str], None] | None = None
) -> Iterator[tuple[Parts, Servers]]:
    """Servers with the schema in place, and this process's connections to them.

    The embedded servers' schema is brought to this version; yours only where `upgrade` says so. `make`, `tell`: see `find_servers`.
    """
    stop_at_sigterm()
    with find_servers(data, tell, make=make) as found:
        url = found.settings.database_url or ""
        if found.whose == "yours" and not upgrade:
            if waiting := migrate.pending(url):
                raise Problem(f"the schema lacks {', '.join(waiting)}; run `orders migrate`")
        else:
            bring_up_to_date(found)
        with parts(found.settings, ring) as opened:
            if opened.shop.shards != found.settings.shards:
                raise Problem(
                    f"ORDERS_SHARDS={found.settings.shards}, but this database was made with {opened.shop.shards}; "
                    f"set it to {opened.shop.shards} (shards are fixed at the first migration)"
                )
            yield opened, found


def bring_up_to_date(found: Servers) -> list[str]:
    """Run the pending migrations, and return their names; servers that are too old are refused before."""
    if found.whose == "yours":
        refuse_old_redis(found.settings.redis_url or "")
    return migrate.upgrade(found.settings.database_url or "", found.settings.shards)


def refuse_old_redis(redis_url: str) -> None:
    """Raise Problem where Redis is older than we need; one that is away is not asked for now: no migration needs it."""
    with connect(redis_url, again=0) as client:
        try:
            version = str(client.info("server")["redis_version"])
        except redis.RedisError:  # away, or not to be asked by us: `orders doctor` says why
            return
    if is_old(version):
        raise Problem(
            f"REDIS_URL leads to Redis {version}, and this needs {OLDEST} or newer (or any Valkey); nothing was changed. "
            f"Upgrade that server, or name a newer one"
        )


def _kept(kept: Path, make: Callable[[], str]) -> str:
    """A secret of a shop whose servers are embedded: made once per data folder, readable by its owner alone."""
    if not kept.exists():
        with tempfile.NamedTemporaryFile("w", dir=kept.parent) as file, suppress(FileExistsError):
            file.write(make())
            file.flush()
            os.link(file.name, kept)  # whole or not at all, and never over one that a rival has just made
    return kept.read_text().strip()


def heartbeat(opened: Parts) -> datetime | None:
    """The time at which workers last served these servers, by the database's clock: every five seconds where some run."""
    with opened.engine.connect() as conn:
        statement = text("select max(at) from heartbeats where name = 'timers'")
        return conn.execute(statement).scalar_one_or_none()


def workers_alive(opened: Parts, within_s: float = 20) -> bool:
    """True if workers serve these servers: their timers' heartbeat is young."""
    statement = text("select max(at) > now() - make_interval(secs => :s) from heartbeats where name = 'timers'")
    with opened.engine.connect() as conn:
        return bool(conn.execute(statement, {"s": within_s}).scalar_one_or_none())
