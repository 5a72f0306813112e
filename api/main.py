"""The process that serves: uvicorn, its log, and an end that lets requests in flight finish."""

from __future__ import annotations

import logging
import sys

import orjson
import structlog
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.bounded_protocol import BoundedProtocol
from api.resources import open_doors
from settings.environment import read

GRACE_S = 8  # a request in flight may take so long after SIGTERM; supervisors wait ten seconds and longer
KEEP_ALIVE_S = 75  # longer than a proxy keeps its connections (nginx 60 s), so that the proxy closes first


def serve(host: str, port: int, processes: int) -> None:
    """Serve until SIGTERM or SIGINT. DATABASE_URL and REDIS_URL must be in the environment.

    Each process opens its connections after it was made, and one that dies is made again.
    """
    log()
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
    log()
    return create_app(open_doors(read()))


class Lossy:
    """Standard error, where a line that cannot be written (a full disk, a closed pipe) is lost, and fails no request."""

    def __init__(self) -> None:
        self.lost = 0  # lines since the last one that could be written

    def write(self, text: str) -> int:
        """Write a line, and before it how many were lost."""
        try:
            if self.lost:
                sys.stderr.write(f'{{"event": "log lines were lost", "lines": {self.lost}, "level": "warning"}}\n')
                self.lost = 0
            return sys.stderr.write(text)
        except (OSError, ValueError):  # ValueError: it is closed
            self.lost += text.endswith("\n")
            return 0

    def flush(self) -> None:
        """Hand over to the system what was written."""
        try:
            sys.stderr.flush()
        except (OSError, ValueError):
            self.lost += 1


def log() -> None:
    """One JSON line a record on stderr, structlog's and logging's alike, with the id of the request it belongs to."""
    stderr = Lossy()
    stamped: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render = structlog.processors.JSONRenderer(serializer=_line)
    structlog.configure(
        processors=[*stamped, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stderr),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=stamped,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # a start and an end are told by the supervisor


def _line(record: object, **_: object) -> str:
    return orjson.dumps(record, default=repr).decode()
