"""The process that serves: uvicorn, its log, and an end that lets requests in flight finish."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.bounded_protocol import BoundedProtocol
from api.resources import open_doors
from events.catalogue import PERSONAL_NAMES
from operations import gauges
from settings.environment import read
from telemetry import exposure, log, traces

GRACE_S = 8  # a request in flight may take so long after SIGTERM; supervisors wait ten seconds and longer
KEEP_ALIVE_S = 75  # longer than a proxy keeps its connections (nginx 60 s), so that the proxy closes first


def serve(host: str, port: int, processes: int) -> None:
    """Serve until SIGTERM or SIGINT. DATABASE_URL and REDIS_URL must be in the environment.

    Each process opens its connections after it was made, and one that dies is made again.
    """
    settings = read()
    log.configure(settings.log_form, settings.log_level, PERSONAL_NAMES)
    exposure.start(settings.data, "api")
    if settings.metrics is not None:
        exposure.serve(settings.metrics, "api", gauges.collector(settings))
    uvicorn.run(
        "api.main:application",
        factory=True,
        host=host,
        port=port,
        workers=processes,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


def application() -> FastAPI:
    """The application of one process, its doors open; for `serve`, or any other ASGI server with a factory."""
    settings = read()
    log.configure(settings.log_form, settings.log_level, PERSONAL_NAMES)
    exposure.join()
    traces.start("api")
    return create_app(open_doors(settings))
