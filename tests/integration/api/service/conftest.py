"""The application over real servers, callers with keys, and a wire to a server that can be cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from starlette.testclient import TestClient

from api.app import create_app
from api.resources import Doors, open_doors
from settings.environment import read
from storage import keys

SECRET = "a-secret-of-more-than-32-characters"


@dataclass(slots=True)
class Shell:
    """An application, its doors, and a client without a key."""

    doors: Doors
    app: Any
    client: TestClient

    def key(self, kind: keys.Kind = "secret") -> str:
        """A new key of this kind."""
        with self.doors.engine.begin() as conn:
            return keys.add(conn, kind, None, "test", datetime.now(UTC))[0]

    def headers(self, kind: keys.Kind = "secret") -> dict[str, str]:
        """The headers of a caller with a new key."""
        return {"Authorization": f"Bearer {self.key(kind)}"}

    def token(self, customer: str) -> dict[str, str]:
        """The header of a customer's token."""
        answer = self.client.post(f"/api/customers/{customer}/token", headers=self.headers())
        return {"X-Customer-Token": answer.json()["token"]}


Open = Callable[..., Shell]


@pytest.fixture
def open_shell(database_url: str, redis_url: str) -> Iterator[Open]:
    """Opens an application with settings of the test's own."""
    opened: list[TestClient] = []

    def start(**changed: str) -> Shell:
        told = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "ORDERS_TOKEN_SECRET": SECRET, **changed}
        doors = open_doors(read({name: value for name, value in told.items() if value}, Path("/nonexistent")))
        app = create_app(doors)
        client = TestClient(app, raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        return Shell(doors, app, client)

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def shell(open_shell: Open) -> Shell:
    """An application with the default settings and a token secret."""
    return open_shell()


class Wire:
    """A port of this host that leads to a server, until it is cut."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._there = (self._url.host or "127.0.0.1", self._url.port or 0)
        self._joined: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    @property
    def url(self) -> str:
        """The server's address over this wire."""
        return self._url.set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    def cut(self) -> None:
        """End every connection, and refuse new ones."""
        self._close(self._listening)
        while self._joined:
            self._close(self._joined.pop())

    def mend(self) -> None:
        """Lead to the server again."""
        self._listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                here, _ = listening.accept()
                there = socket.create_connection(self._there)
                self._joined += [here, there]
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        self._close(one)
        self._close(other)

    @staticmethod
    def _close(which: socket.socket) -> None:
        with suppress(OSError):
            which.shutdown(socket.SHUT_RDWR)
        which.close()


@pytest.fixture
def wires() -> Iterator[Callable[[str], Wire]]:
    """Lays wires, and takes them away."""
    laid: list[Wire] = []

    def lay(url: str) -> Wire:
        laid.append(Wire(url))
        return laid[-1]

    yield lay
    for wire in laid:
        wire.cut()
