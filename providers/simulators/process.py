"""Parts that the simulators share: arguments, a port, mishaps drawn from a seed, answers that never come.

Each prints one line, `listening on http://127.0.0.1:PORT`, once it answers; SIGTERM or Ctrl-C ends
it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

HOST = "127.0.0.1"
SILENCE_S = 60.0  # longer than any client waits
LEAVE_S = 1  # what hangs at the end is let go after this


class Mishaps:
    """Choice of the mishap that a request meets.

    It follows from the seed, the subject and how often that was asked; neither another subject nor
    the clock changes it.
    """

    def __init__(self, seed: int, share: float) -> None:
        self._seed = seed
        self._share = share
        self._asked: Counter[str] = Counter()

    def next(self, subject: str, kinds: Mapping[str, int]) -> str | None:
        """The mishap of this request, from `kinds` by weight, or None."""
        self._asked[subject] += 1
        chance = Random(f"{self._seed}:{subject}:{self._asked[subject]}")
        if chance.random() >= self._share:
            return None
        return chance.choices(list(kinds), list(kinds.values()))[0]

    def chance(self, subject: str) -> float:
        """A number below 1 for this request of a subject: another one each time that it is asked."""
        self._asked[subject] += 1
        return Random(f"{self._seed}:{subject}:{self._asked[subject]}").random()

    def fate(self, subject: str) -> float:
        """A number below 1 for a subject, the same however often it is asked."""
        return Random(f"{self._seed}:{subject}").random()


class Dropped(Response):
    """Promises a body, sends a part of it and closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start an answer and leave; uvicorn then closes the connection."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"', "more_body": True})


async def silence(request: Request) -> None:
    """Say nothing until the client has gone."""
    await request.body()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_gone(request), SILENCE_S)


def fault(status: int, code: str, message: str, retry_after: int | None = None) -> JSONResponse:
    """An error as both simulators write it."""
    headers = None if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse({"error": code, "message": message}, status, headers)


def arguments(module: str, description: str) -> argparse.ArgumentParser:
    """The options that both take; each adds its own."""
    parser = argparse.ArgumentParser(f"python -m {module}", description=description)
    parser.add_argument("--port", type=int, default=0, help="0: a free one (default)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed, the same world")
    parser.add_argument("--errors", type=share, default=0.0, help="share of requests with a mishap")
    return parser


def share(text: str) -> float:
    """An argument between 0 and 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share; use 0 to 1, such as 0.05")
    return value


def mishap(text: str, kinds: Sequence[str]) -> tuple[str, float]:
    """An option of KIND=SHARE, of one of these kinds."""
    kind, _, value = text.partition("=")
    if kind not in kinds:
        raise argparse.ArgumentTypeError(f"{kind!r} is none; there are {', '.join(kinds)}")
    try:
        return kind, share(value)
    except (ValueError, argparse.ArgumentTypeError):
        raise argparse.ArgumentTypeError(f"{text} has no share from 0 to 1, such as 0.05") from None


def serve(
    application: Starlette,
    port: int,
    *,
    lifespan: Literal["on", "off"] = "off",
    announce: Callable[[str], None] | None = None,
) -> None:
    """Answer on `port` of this machine until a signal ends it; `announce` is told the URL once it answers."""
    try:
        listener = socket.create_server((HOST, port), backlog=128)
    except (OSError, OverflowError) as error:
        sys.exit(f"port {port} of {HOST} cannot be used ({error}); choose another, or 0")
    # asyncio sets it only on its own sockets; without it each answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        application,
        http="h11",
        ws="none",
        lifespan=lifespan,
        log_level="critical",  # broken answers are meant, and would be logged as errors
        access_log=False,
        timeout_graceful_shutdown=LEAVE_S,
    )
    with listener, contextlib.suppress(KeyboardInterrupt):
        _Announced(config, announce or _say).run(sockets=[listener])


class _Announced(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[str], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if sockets and self.started:
            self._announce(f"http://{HOST}:{sockets[0].getsockname()[1]}")


def _say(url: str) -> None:
    sys.stdout.write(f"listening on {url}\n")  # at once, with its end
    sys.stdout.flush()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
