"""A shop that tells its changes, and receivers on real sockets that verify what they get."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from outbound.webhooks import dispatcher, refund_changes, subscriptions
from outbound.webhooks.sender import Sender
from tests.pg_waits import wait_until_blocked
from tests.simulators import AShop, a_shop


@dataclass
class Post:
    """A request that came in."""

    path: str
    headers: dict[str, str]
    raw: bytes
    answered: int | None = None

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def body(self) -> dict[str, Any]:
        return orjson.loads(self.raw)

    @property
    def order(self) -> str:
        """The order that its document is, or belongs to."""
        data = self.body["data"]
        return data["id"] if self.body["collection"] == "orders" else data["order"]


@dataclass
class Receiver:
    """Takes posts and answers what `decide` says: a status, or (status, headers, body)."""

    url: str = ""
    decide: Callable[[Post], Any] = lambda post: 200
    posts: list[Post] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def taken(self) -> list[Post]:
        """Those that were answered 2xx, in the order of the answers."""
        return [post for post in self.posts if post.answered is not None and post.answered < 300]


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            post = Post(self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
            decided = found.decide(post)
            status, headers, body = decided if isinstance(decided, tuple) else (decided, {}, b"")
            with found.lock:
                post.answered = status
                found.posts.append(post)
            with contextlib.suppress(OSError):  # the sender may have given up
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def another() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


class TellingShop:
    """A shop, its subscriptions, and a dispatcher that runs when told to."""

    def __init__(self, shop: AShop) -> None:
        self.shop = shop
        self.engine = shop.engine
        self.tell = shop.tell
        self.rows = shop.rows
        self.sender = Sender(allow_private=True)

    def do(self, sql: str, **values: Any) -> None:
        from sqlalchemy import text

        with self.engine.begin() as conn:
            conn.execute(text(sql), values)

    def subscribe(self, url: str, collections: Any = ("orders",), operations: Any = ("create", "update")) -> Any:
        """(the subscription, its secret)."""
        with self.engine.begin() as conn:
            return subscriptions.add(conn, url, collections, operations, "test", datetime.now(UTC))

    def subscription(self) -> Any:
        with self.engine.connect() as conn:
            return subscriptions.listed(conn)[0]

    def send(self, later: timedelta = timedelta(0), sender: Any = None) -> int:
        """One round of the chore, so much later; how many attempts it made."""
        refund_changes.record_due(self.engine, datetime.now(UTC) + later)
        return dispatcher.run_due(self.engine, sender or self.sender, datetime.now(UTC) + later)

    def wait_until_blocked(self) -> None:
        """Until somebody waits for a lock."""
        with self.engine.connect() as conn:
            wait_until_blocked(conn)

    def states(self) -> list[str]:
        return [row[0] for row in self.rows("select state from deliveries order by number")]


@pytest.fixture
def shop(database_url: str, redis_url: str) -> Iterator[TellingShop]:
    with a_shop(database_url, redis_url) as made:
        yield TellingShop(made)


def verified(post: Post, *secrets: str) -> bool:
    """The verdict of each of these secrets on the post."""
    for secret in secrets:
        Webhook(secret).verify(post.raw, post.headers)
    return True
