"""The application: every door in one place, each a router of its own room."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse
from starlette.types import Lifespan

from api import audit, errors, health, metrics, openapi, pauses, privacy, tokens, waits, webhooks_in
from api.auth import TOKEN_HEADER
from api.body_middleware import WholeBody
from api.bulkheads import Bulkheads
from api.commands.route_table import router as writes
from api.console import pages as console_pages
from api.console.checks import Examinations
from api.console.lists import Signs
from api.console.outage import Remembered
from api.given_up import ROUTERS as GIVEN_UP
from api.health import Probe
from api.key_cache import KnownKeys
from api.publisher import Publisher
from api.query.budget import Budgets
from api.query.read_endpoints import router as queries
from api.rate_limit import Limits
from api.request_context import Frame
from api.resources import THREADS, Doors
from api.responses import Json
from api.webhooks_in.receiver import router as webhooks
from operations import gauges
from operations.figures import Looks
from telemetry import traces

DESCRIPTION = """
Orders and what hangs on them: created, paid, shipped, returned; asked for and followed.

Get a key on the machine that the API runs on: `orders keys add secret` for your backend, `orders keys add publishable`
for your pages; it is shown once. Send it with every request: `Authorization: Bearer KEY`.
A publishable key sees a customer's orders only together with that customer's token in `X-Customer-Token`,
which your backend gets from `POST /api/customers/{id}/token`.

A write that was answered with 2xx is committed. 503 and 429 carry `Retry-After`: send the same request again then.
Every answer carries `X-Request-Id`; name it when you ask for help.
"""
TAGS = [  # in the order in which the documentation shows them
    {"name": "Orders", "description": "Created, checked out, canceled, confirmed. Writes need a secret key."},
    {"name": "Payments", "description": "The outcome of a payment, told by your backend."},
    {"name": "Fulfillments", "description": "Items that ship together."},
    {"name": "Returns", "description": "Items that come back, and the money for them."},
    {"name": "Refunds", "description": "Money that goes back: asked for, tried again, settled by hand."},
    {"name": "Findings", "description": "What differs between payment providers and us, until a person resolves it."},
    {"name": "Carts", "description": "A customer's items before they are ordered."},
    {"name": "Catalogue", "description": "A thin copy of the shop's products, so that items can show them."},
    {"name": "Queries", "description": "Every collection: found, counted, one by its id; as Payload CMS answers."},
    {
        "name": "Given up",
        "description": "What waits for a person: found, edited, discarded, replayed. With a secret key.",
    },
    {"name": "Keys", "description": "A key's check, and tokens for customers."},
    {"name": "Operations", "description": "What people on call do: pauses, figures, privacy; and the audit of it."},
    {"name": "Webhooks in", "description": "Payment providers and carriers; signed, without a key."},
    {"name": "Health", "description": "For load balancers and supervisors; without a key."},
]
# Matched one after another, and each costs: what is called most comes first, and no path of a write is a query's too.
front = APIRouter()
ROUTERS = (
    webhooks,
    writes,
    tokens.router,
    pauses.router,
    audit.router,
    privacy.router,
    metrics.router,
    *GIVEN_UP,
    waits.router,
    queries,
    health.router,
    *console_pages.ROUTERS,
    front,
)
HEADERS_SHOWN = [
    "X-Request-Id",
    "Retry-After",
    "Idempotent-Replayed",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
]


@front.get("/", include_in_schema=False)
async def show_documentation() -> RedirectResponse:
    """The way from the bare address to the documentation, below whatever prefix a proxy has."""
    return RedirectResponse("docs")


def create_app(doors: Doors) -> FastAPI:
    """The application over open `doors`; it lets go of them when it shuts down."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        app.state.publisher = publisher = Publisher(doors.streams)
        app.state.inbound = webhooks_in.start(doors, publisher)
        try:
            yield
        finally:
            await app.state.inbound.stop()
            await anyio.to_thread.run_sync(publisher.stop)
            app.state.probe.close()
            doors.close()
            traces.stop()

    app = without_doors(lifespan)
    app.state.doors = doors
    app.state.probe = Probe(doors.settings)
    app.state.gauges = gauges.collector(doors.settings)
    app.state.keys = KnownKeys(doors.engine)
    app.state.budgets = Budgets()
    app.state.looks = Looks(doors.reader)
    app.state.signs = Signs()
    app.state.examinations = Examinations(doors.settings)
    app.state.remembered = Remembered()
    app.state.limits = Limits(doors.streams.client, doors.settings.rate_limit)
    errors.install(app, _methods())
    app.add_middleware(Bulkheads)
    app.add_middleware(WholeBody)
    if doors.settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=doors.settings.allowed_origins,
            allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
            allow_headers=[
                "Authorization", "Content-Type", "Idempotency-Key", TOKEN_HEADER, "X-Payload-HTTP-Method-Override",
                "X-Request-Id",
            ],
            expose_headers=HEADERS_SHOWN,
            max_age=600,
        )  # fmt: skip
    app.add_middleware(Frame)  # the last one added is the outermost
    return app


def without_doors(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Every route and what is documented of it; nothing behind it, so that its OpenAPI document needs no server."""
    app = FastAPIOffline(
        redoc_url=None,
        title="Order Lifecycle Workers",
        version=version("order-lifecycle-workers"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        default_response_class=Json,
        generate_unique_id_function=_operation_id,
    )
    for router in ROUTERS:
        app.include_router(router)
    openapi.complete(app)
    return app


def _methods() -> dict[str, str]:
    """What each path allows: a route knows its own method alone. A HEAD is answered wherever a GET is (api/request_context.py)."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for route in (each for router in ROUTERS for each in router.routes if isinstance(each, APIRoute)):
        methods = route.methods or set()
        found[route.path] |= methods | ({"HEAD"} if "GET" in methods else set())
    return {path: ", ".join(sorted(methods)) for path, methods in found.items()}


def _operation_id(route: APIRoute) -> str:
    """`createOrder` of `create_order`: what a generated client will call it."""
    first, *rest = route.name.split("_")
    return first + "".join(word.capitalize() for word in rest)
