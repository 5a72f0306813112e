"""The webhook doors on real servers: an application with nothing but them, and a worker that answers when told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api import errors, webhooks_in
from api.body_middleware import WholeBody
from api.publisher import Publisher
from api.resources import Doors, open_doors
from api.webhooks_in.receiver import router
from journal.streams import Streams
from journal.totals import account
from settings.environment import read
from tests.simulators import AShop, a_shop
from tests.webhooks import EASYPOST, STANDARD, STRIPE

NOWHERE = Path("/nonexistent/.env")
SECRETS = {
    "ORDERS_STRIPE_SECRETS": f"whsec_rotated_out,{STRIPE}",
    "ORDERS_PORTONE_SECRETS": STANDARD,
    "ORDERS_STANDARD_SECRETS": STANDARD,
    "ORDERS_EASYPOST_SECRETS": EASYPOST,
    "ORDERS_TOSS_API_KEY": "test_sk",
}
Signed = tuple[bytes, dict[str, str]]


class Inbox:
    """One shop whose webhooks come in over HTTP."""

    def __init__(self, shop: AShop, settings: dict[str, str]) -> None:
        self.shop = shop
        self.environment = settings
        self.commits = 0

    @contextlib.asynccontextmanager
    async def application(self, **settings: str) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
        """The doors as create_app opens them: started, used, stopped."""
        doors = open_doors(read({**self.environment, **settings}, NOWHERE))
        quiet = Streams(doors.streams.client, doors.shop.shards, lambda shard: None)  # no broker to ring through
        doors = replace(doors, streams=quiet)
        app = an_application(doors)
        transport = httpx.ASGITransport(app)
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                yield app, client
        finally:
            await app.state.inbound.stop()
            app.state.publisher.stop()
            self.commits = app.state.inbound.journaler.commits
            doors.close()

    def post(self, path: str, *webhooks: Signed, **settings: str) -> list[httpx.Response]:
        """Post webhooks at one instant; their answers, in order."""

        async def run() -> list[httpx.Response]:
            async with self.application(**settings) as (_, client):
                sent = [client.post(f"/webhooks/{path}", content=body, headers=headers) for body, headers in webhooks]
                return await asyncio.gather(*sent)

        return asyncio.run(run())

    def statuses(self, path: str, *webhooks: Signed, **settings: str) -> list[int]:
        return [answer.status_code for answer in self.post(path, *webhooks, **settings)]

    def stripe(self, *webhooks: Signed) -> list[int]:
        return self.statuses("payments/stripe", *webhooks)

    def account(self) -> dict[str, Any]:
        """The account, which adds up."""
        with self.shop.engine.connect() as conn:
            found = account(conn)
        outcomes = ("applied", "duplicate", "ignored", "parked", "dead", "waiting")
        assert found["accepted"] == sum(found[name] for name in outcomes)
        return found

    def counts(self, *names: str) -> tuple[int, ...]:
        found = self.account()
        return tuple(found[name] for name in names)

    def status(self, number: str) -> str:
        return str(self.shop.rows("select status from orders where order_number = :number", number=number)[0][0])

    def journaled(self, source: str = "%") -> Sequence[Any]:
        sql = "select source, event_id, type, subject, data from journal where source like :source order by seq"
        return self.shop.rows(sql, source=source)


def an_application(doors: Doors) -> FastAPI:
    app = FastAPI()
    app.state.doors = doors
    app.state.publisher = Publisher(doors.streams)
    app.state.inbound = webhooks_in.start(doors, app.state.publisher)
    errors.install(app)
    app.add_middleware(WholeBody)
    app.include_router(router)
    return app


@pytest.fixture
def door(database_url: str, redis_url: str) -> Iterator[Inbox]:
    with a_shop(database_url, redis_url) as shop:
        yield Inbox(shop, {"DATABASE_URL": database_url, "REDIS_URL": redis_url, **SECRETS})
