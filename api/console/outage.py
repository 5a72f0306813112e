"""The console while PostgreSQL is away or frozen: its first page must be there then, and the way out.

A process remembers the sessions that it looked up of late, waits no longer than ANSWER_S for PostgreSQL, and then asks it no
more for SILENT_S: so no thread and no connection is lost to each request of each watcher.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from anyio import fail_after, to_thread
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request

from events.errors import OrdersError
from operations.operators import Session, digest
from storage.clock import clock

REMEMBERED_S, MOST_REMEMBERED = 3_600.0, 200
ANSWER_S, SILENT_S = 2.0, 10.0
Looked = TypeVar("Looked")


class Away(OrdersError):
    """PostgreSQL gives no answer, so nobody can be looked up."""

    code = "console_away"
    remedy = "Try again in a moment; `orders doctor` says what is wrong."
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "PostgreSQL is away or busy, and nothing was changed; try again in a moment: `orders doctor` says why"
        )


class Remembered:
    """The sessions that this process has seen of late, for the one page that must be there while PostgreSQL is not.

    A session is remembered for REMEMBERED_S after it was last looked up, the MOST_REMEMBERED seen last; one that was ended
    while PostgreSQL was away is never looked up again.
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[float, Session]] = {}
        self._ended: dict[bytes, None] = {}
        self._silent_until = float("-inf")  # monotonic

    def note(self, token: str, found: Session) -> None:
        """Remember a session that was just looked up."""
        self.forget(token)
        self._seen[digest(token)] = (monotonic(), found)
        if len(self._seen) > MOST_REMEMBERED:
            self._seen.pop(next(iter(self._seen)))

    def forget(self, token: str) -> None:
        """Know nothing more of a session that is over."""
        self._seen.pop(digest(token), None)

    def end(self, token: str) -> None:
        """Take a session for over, whatever PostgreSQL says of it."""
        self.forget(token)
        self._ended[digest(token)] = None
        if len(self._ended) > MOST_REMEMBERED:
            self._ended.pop(next(iter(self._ended)))

    def is_ended(self, token: str) -> bool:
        """True of a session that `end` was told of."""
        return digest(token) in self._ended

    def find(self, token: str) -> Session | None:
        """The session of a token that was looked up lately, and is not over."""
        at, found = self._seen.get(digest(token), (float("-inf"), None))
        if found is None or monotonic() > at + REMEMBERED_S or clock() >= found.expires_at:
            return None
        return found

    @property
    def silent(self) -> bool:
        """True if PostgreSQL gave no answer a moment ago: it is asked again after SILENT_S."""
        return monotonic() < self._silent_until

    def be_silent(self) -> None:
        """Note that it gave none in time."""
        self._silent_until = monotonic() + SILENT_S


async def asked(request: Request, look: Callable[[], Looked]) -> Looked | None:
    """The answer of a look into PostgreSQL; None where there is none within ANSWER_S, or was none a moment ago."""
    remembered = remembered_of(request)
    if remembered.silent:
        return None
    try:
        with fail_after(ANSWER_S):
            return await to_thread.run_sync(look, abandon_on_cancel=True)
    except DBAPIError:
        return None
    except TimeoutError:
        remembered.be_silent()
        return None


def remembered_of(request: Request) -> Remembered:
    """The sessions that the application which serves `request` has seen of late."""
    found: Remembered = request.app.state.remembered
    return found
