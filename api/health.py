"""Liveness and readiness, for load balancers, supervisors and people. No key is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

import redis
import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from api.resources import one_try
from api.responses import Json
from settings.environment import Settings
from storage import engine as engines
from storage import migrate

router = APIRouter(prefix="/health", tags=["Health"])
LOOK_S = 1.5  # until a server that has not answered counts as one that does not
SILENT = {
    "postgresql": "does not answer, or holds no orders schema; see `orders doctor`",
    "redis": "does not answer; events are accepted, and applied once it is back",
}
_BOUNDS = {"statement_timeout": "1s", "idle_in_transaction_session_timeout": "10s"}
_VERSION = text("select version_num from alembic_version")
_log = structlog.get_logger("api")


class Liveness(BaseModel):
    """The answer of a process that lives."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """The servers that a request needs, looked at."""

    status: Literal["ok", "degraded", "unavailable"]
    checks: dict[str, str] = Field(description="`ok`, or what is wrong, a server.", examples=[{"postgresql": "ok"}])


@router.get("/live", response_model=Liveness, summary="Whether this process answers")
async def check_liveness() -> Json:
    """200 as long as the process can answer at all; it asks no server."""
    return Json({"status": "ok"})


@router.get(
    "/ready",
    response_model=Readiness,
    summary="Whether requests can be served",
    responses={
        503: {"model": Readiness, "description": "PostgreSQL does not answer, or its schema is not this version's"}
    },
)
async def check_readiness(request: Request) -> Json:
    """200 when PostgreSQL answers and its schema fits, else 503 that says what is wrong.

    Redis may be away: events are accepted all the same, and applied once it is back; `degraded` says so.
    """
    probe: Probe = request.app.state.probe
    checks = await probe.look()
    served = checks["postgresql"] == "ok"
    status = "unavailable" if not served else "ok" if checks["redis"] == "ok" else "degraded"
    answer: dict[str, Any] = {"status": status, "checks": checks}
    return Json(answer, 200 if served else 503, None if served else {"Retry-After": "5"})


class Probe:
    """Looks at both servers on a thread and a connection of its own, so that readiness waits behind nobody.

    One look at a time, which all who ask meanwhile share. A server that has not answered within LOOK_S does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._engine = engines.connect(
            settings.database_url or "", pool=1, application="orders api health", bounds=_BOUNDS
        )
        self._redis = one_try(settings.redis_url or "")
        self._threads = ThreadPoolExecutor(2, "health")
        self._looks: dict[str, Future[str]] = {}

    async def look(self) -> dict[str, str]:
        """The state behind each server's name: "ok", or what is wrong."""
        looks = {
            "postgresql": self._begin("postgresql", self._look_at_postgresql),
            "redis": self._begin("redis", self._ping),
        }
        waits = [asyncio.wrap_future(look) for look in looks.values()]
        await asyncio.wait([asyncio.shield(each) for each in waits], timeout=LOOK_S)
        return {name: look.result() if look.done() else SILENT[name] for name, look in looks.items()}

    def close(self) -> None:
        """Let go of the connections; a look that hangs ends with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._engine.dispose()
        self._redis.close()

    def _begin(self, name: str, look: Callable[[], str]) -> Future[str]:
        """The look that is under way, else a new one."""
        last = self._looks.get(name)
        if last is None or last.done():
            self._looks[name] = last = self._threads.submit(look)
        return last

    def _look_at_postgresql(self) -> str:
        return _postgresql(self._engine)

    def _ping(self) -> str:
        return _redis(self._redis)


def _postgresql(engine: Engine) -> str:
    try:
        with engine.connect() as conn:
            found = conn.execute(_VERSION).scalar_one_or_none()
    except SQLAlchemyError as error:
        _log.warning("not ready", error=type(error).__name__)
        return SILENT["postgresql"]
    # A newer schema is one that the next release migrated while this one still serves: its columns are there.
    if found is not None and (found == migrate.NEWEST or found not in migrate.revisions()):
        return "ok"
    return f"the schema stands at {found}, this version needs {migrate.NEWEST}; run `orders migrate`"


def _redis(client: redis.Redis) -> str:
    try:
        client.ping()
    except (redis.RedisError, OSError):
        return SILENT["redis"]
    return "ok"
