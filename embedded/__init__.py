"""A real PostgreSQL and a real Valkey out of pip wheels: no Docker, no apt, no root.

    server.py    one server kept in a folder: find, start, stop
    keeper.py    starts again what ends while its owner lives
    host.py      private files, locks, ports
    postgres.py  PostgreSQL: its settings, its cluster, and how root runs it
    valkey.py    Valkey: its configuration

    with servers(Path("state")) as at:
        engine = connect(at.database_url)

For a machine without servers of its own; nothing is downloaded at run time. The first process on
a data directory owns the servers and stops them when its block ends; those who come while it lives
attach, and lose them when it goes. After `kill -9` of the owner they run on, and the next start
takes them over. Importing opens nothing.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from embedded.host import hold, private
from embedded.keeper import Keeper
from embedded.postgres import Postgres
from embedded.server import POLL_S, START_S, ServerError
from embedded.valkey import Valkey

__all__ = ["Addresses", "ServerError", "kept", "owned", "running", "servers"]


@dataclass(frozen=True)
class Addresses:
    """The addresses of both servers. The URLs carry passwords, so the repr leaves them out."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    owner: bool  # this process stops them


@contextmanager
def servers(data: Path, tell: Callable[[str], None] | None = None) -> Iterator[Addresses]:
    """Both servers, kept under `data` until the block ends; ServerError where that cannot be.

    Where the owner gives `tell`, a server that ends is started again, and `tell` gets a sentence about it.

    Python ends without leaving the block on SIGTERM, unless the caller turns it into an exit:

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    """
    data = data.resolve()
    postgres, valkey = Postgres(data), Valkey(data)
    for server in (postgres, valkey):
        server.program()  # or refuse before a folder is made
    _make(data)
    with open(data / "owner.lock", "a+", opener=private) as lock:
        until = monotonic() + START_S
        while not hold(lock):
            if found := running(data):
                yield found
                return
            if monotonic() > until:
                lock.seek(0)
                raise ServerError(
                    f"Process {lock.read()} owns the servers in {data}, and one does not answer "
                    f"after {START_S} s. See the logs there, then restart that process"
                )
            sleep(POLL_S)
        os.register_at_fork(after_in_child=lock.close)  # a fork that outlives us owns nothing
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        with (
            postgres.started() as database_url,
            valkey.started() as redis_url,
            Keeper((postgres, valkey), tell) if tell is not None else nullcontext(),
        ):
            yield Addresses(database_url, redis_url, owner=True)


def running(data: Path) -> Addresses | None:
    """The addresses of the servers under `data`, if both answer. Starts and owns nothing."""
    data = data.resolve()
    postgres, valkey = Postgres(data), Valkey(data)
    if postgres.answers() and valkey.answers() and postgres.url and valkey.url:
        return Addresses(postgres.url, valkey.url, owner=False)
    return None


def kept(data: Path) -> Addresses | None:
    """The addresses of the servers under `data`, now or last, without asking them; None if there never were both."""
    data = data.resolve()
    postgres, valkey = Postgres(data).url, Valkey(data).url
    return Addresses(postgres, valkey, owner=False) if postgres and valkey else None


def owned(data: Path) -> bool:
    """True while a process keeps the servers under `data`."""
    try:
        with (data / "owner.lock").open() as lock:
            return not hold(lock, shared=True)
    except FileNotFoundError:
        return False


def _make(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise ServerError(f"{problem}. Choose another data directory") from problem
    if not os.access(data, os.W_OK | os.X_OK):
        raise ServerError(f"This user may not write to {data}. Choose another data directory")
