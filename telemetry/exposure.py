"""A process's figures for Prometheus: gathered over it and its children, served on a port of its own or by the API.

`start` makes the folder that the process and its children count in, and begins every meter; it has to run before the
children are made. `serve` answers `GET /metrics` on an address of its own, where nobody needs a key: choose one that strangers
do not reach. The port of each role is the setting's plus PORTS, so that the processes of one host share one setting.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from telemetry.meters import METERS

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads it when it is imported
TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Role → what is added to the port of ORDERS_METRICS.
PORTS = {
    "drain": 0,
    "chores": 1,
    "outside": 2,
    "beat": 3,
    "api": 4,
    "refunds": 5,
    "lookups": 6,
    "tracking": 7,
    "webhooks": 8,
}

Collect = Callable[[], Iterable[Any]]  # families of prometheus_client's
log = logging.getLogger(__name__)


def start(data: Path, role: str) -> None:
    """Count from now on, in a folder of this process; folders of processes that are gone go with it."""
    mine = data / "run" / "metrics" / f"{role}-{os.getpid()}"
    for folder in mine.parent.glob("*-*"):
        pid = folder.name.rpartition("-")[2]
        if pid.isdigit() and not _runs(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
    mine.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ[FOLDER] = str(mine)
    join()


def join() -> None:
    """Count in the folder that a parent made, where one did; without one, nothing is counted."""
    if FOLDER not in os.environ or all(each.counts for each in METERS.values()):
        return
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    for meter in METERS.values():
        meter.begin(registry)


def text(collect: Collect | None = None) -> bytes:
    """The figures of this process and its children, and what `collect` finds besides, as Prometheus reads them."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    if os.environ.get(FOLDER):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    if collect is not None:
        registry.register(_Collector(collect))
    return generate_latest(registry)


def serve(bind: tuple[str, int], role: str, collect: Collect | None = None) -> int | None:
    """Answer `GET /metrics` from a thread of its own; the port, None where it is taken: then the log says so."""
    host, port = bind[0], bind[1] + PORTS.get(role, 0)

    def answer(environ: dict[str, Any], begin: Callable[..., Any]) -> list[bytes]:
        if environ.get("PATH_INFO") != "/metrics":
            begin("404 Not Found", [("Content-Type", "text/plain")])
            return [b"GET /metrics\n"]
        try:
            body = text(collect)
        except Exception:
            log.exception("the figures could not be gathered")
            begin("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"see the log\n"]
        begin("200 OK", [("Content-Type", TYPE)])
        return [body]

    try:
        server = make_server(host, port, answer, handler_class=_Quiet)
    except OSError as error:
        log.warning("figures are not served: %s:%d cannot be listened on: %s", host, port, error)
        return None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_port)


class _Collector:
    """What prometheus_client asks for families at each look."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Any]:
        """The families, as they are now."""
        return self._collect()

    def describe(self) -> Iterable[Any]:
        """No families: they are known when they are asked for."""
        return ()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: Prometheus asks every few seconds."""


def _runs(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        try:
            os.kill(pid, 0)
        except PermissionError:
            return True
        return True
    return False
