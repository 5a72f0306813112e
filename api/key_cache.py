"""Keys that were looked up a moment ago: a request pays for one look into the database every few seconds."""

from __future__ import annotations

from time import monotonic

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from storage import keys
from storage.keys import Key

KEPT_S = 4  # so that a revoked key is refused within five


class KnownKeys:
    """The keys of one process. Only keys that exist are kept, so guesses do not fill it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[bytes, tuple[Key, float]] = {}  # digest → the key, and until when it may be believed

    async def find(self, key: str) -> Key | None:
        """The key with this text, None where there is none or it is revoked. Errors: OperationalError."""
        if not keys.well_formed(key):
            return None
        digest = keys.digest(key)
        known = self._known.get(digest)
        now = monotonic()
        if known is not None and now < known[1]:
            return known[0]
        found = await run_in_threadpool(self._look_up, digest)
        if found is None:
            self._known.pop(digest, None)
        else:
            self._known[digest] = (found, now + KEPT_S)
        return found

    def _look_up(self, digest: bytes) -> Key | None:
        with self._engine.connect() as conn:
            return keys.find(conn, digest)
