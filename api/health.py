"""Whether the process lives, and whether it can serve: for load balancers, supervisors and people. No key is needed."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import redis
import structlog
from alembic.script import ScriptDirectory
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from api.answers import Json
from api.doors import doors_of
from storage import migrate

router = APIRouter(prefix="/health", tags=["Health"])
_VERSION = text("select version_num from alembic_version")
_log = structlog.get_logger("api")


class Liveness(BaseModel):
    """That it lives."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """What a request needs, looked at."""

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
def check_readiness(request: Request) -> Json:
    """200 when PostgreSQL answers and its schema fits, else 503 that says what is wrong.

    Redis may be away: events are accepted all the same, and applied once it is back; `degraded` says so.
    """
    doors = doors_of(request)
    checks = {"postgresql": _postgresql(doors.reader), "redis": _redis(doors.streams.client)}
    served = checks["postgresql"] == "ok"
    status = "unavailable" if not served else "ok" if checks["redis"] == "ok" else "degraded"
    answer: dict[str, Any] = {"status": status, "checks": checks}
    return Json(answer, 200 if served else 503, None if served else {"Retry-After": "5"})


def _postgresql(engine: Engine) -> str:
    try:
        with engine.connect() as conn:
            found = conn.execute(_VERSION).scalar_one_or_none()
    except SQLAlchemyError as error:
        _log.warning("not ready", error=type(error).__name__)
        return "does not answer, or holds no orders schema; see `orders doctor`"
    # A newer schema is one that the next release migrated while this one still serves: its columns are there.
    if found is not None and (found == _revisions()[0] or found not in _revisions()):
        return "ok"
    return f"the schema stands at {found}, this version needs {_revisions()[0]}; run `orders migrate`"


def _redis(client: redis.Redis) -> str:
    try:
        client.ping()
    except (redis.RedisError, OSError):
        return "does not answer; events are accepted, and applied once it is back"
    return "ok"


@cache
def _revisions() -> tuple[str, ...]:
    """The migrations that this version knows, the newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(migrate.config()).walk_revisions())
