"""The rival of our webhook door, as most teams write it: FastAPI, Standard Webhooks' library, an ORM session, `.delay()`.

    uvicorn bench.naive_webhook:app

It verifies before it parses, answers after its commit, and takes a repeated delivery for what it is. What it leaves
out, and ours does besides: translation into events of one shape, personal data kept out, duplicates counted.
"""
# No `from __future__ import annotations`: FastAPI reads the annotations.

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

from celery import Task
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from sqlalchemy import DateTime, create_engine, func, make_url
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from standardwebhooks import Webhook, WebhookVerificationError

from bench.api_calls import WEBHOOK_SECRET
from bench.baseline_app import celery_app, database_url

tasks = celery_app("naive_webhook")
app = FastAPI()


class Base(DeclarativeBase):
    """The base of all models."""


class WebhookEvent(Base):
    """A webhook that was accepted; its id is the provider's."""

    __tablename__ = "webhook_events"
    id: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str]
    type: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


engine = create_engine(make_url(database_url()).set(drivername="postgresql+psycopg"), pool_size=10)
sessions = sessionmaker(engine)
Base.metadata.create_all(engine)


def _handle(event_id: str) -> None:
    """What a worker would do with it; none runs while the door is measured."""


handle: Task[Any, Any] = tasks.task(name="bench.handle")(_handle)


def session() -> Iterator[Session]:
    """A session of the ORM for one request."""
    with sessions() as opened:
        yield opened


async def raw_body(request: Request) -> bytes:
    """The body as it was signed."""
    return await request.body()


def verify(body: bytes, headers: Mapping[str, str]) -> Any:
    """The document, or HTTPException 401 unless it was signed within five minutes."""
    try:
        return Webhook(WEBHOOK_SECRET).verify(body, dict(headers))
    except WebhookVerificationError as error:
        raise HTTPException(401, str(error)) from None


@app.post("/webhooks/payments/standard")
def receive(
    request: Request,
    body: Annotated[bytes, Depends(raw_body)],
    db: Annotated[Session, Depends(session)],
) -> JSONResponse:
    """Take one webhook: 202 new, 200 a duplicate."""
    note = verify(body, request.headers)
    db.add(WebhookEvent(id=note["id"], provider="standard", type=note["type"], payload=note))
    try:
        db.commit()
    except IntegrityError:
        db.rollback()
        return JSONResponse({"id": note["id"], "status": "duplicate"}, 200)
    handle.delay(note["id"])
    return JSONResponse({"id": note["id"], "status": "accepted"}, 202)
