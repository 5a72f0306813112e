"""An application in this process, asked as a server would: raw messages in, raw messages out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message


@dataclass(slots=True)
class Answer:
    """The messages that the application sent."""

    messages: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode().lower(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])


def ask(
    app: ASGIApp,
    method: str = "GET",
    path: str = "/",
    *,
    query: bytes = b"",
    headers: dict[str, str] | None = None,
    chunks: list[bytes] | None = None,
    hang_up: bool = False,
) -> Answer:
    """One request with a body in `chunks`; `hang_up`: the caller goes before the last of them."""
    answer = Answer()
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": query, "root_path": "", "scheme": "http", "client": ("10.9.8.7", 1),
        "server": ("127.0.0.1", 80), "headers": [(n.lower().encode(), v.encode()) for n, v in (headers or {}).items()],
    }  # fmt: skip
    parts = chunks or [b""]
    coming = [{"type": "http.request", "body": part, "more_body": n < len(parts)} for n, part in enumerate(parts, 1)]
    if hang_up:
        coming[-1] = {"type": "http.disconnect"}
    waiting = iter(coming)

    async def receive() -> Message:
        return next(waiting, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        answer.messages.append(message)

    async def serve() -> None:
        await app(scope, receive, send)

    asyncio.run(serve())
    return answer
