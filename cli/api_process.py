"""`orders api`: the HTTP API, alone for a Procfile, or as a child of `orders up`."""

from __future__ import annotations

import gc
import socket
from contextlib import closing
from time import monotonic, sleep
from typing import Annotated

import httpx
import psutil
import typer

from cli.options import Problem, err
from cli.processes import Child, Processes
from cli.rules import refuse_old_orders
from cli.terminal import safe
from embedded.host import free_port
from settings.environment import read
from storage import migrate

PORT = 8000
LOCAL = "127.0.0.1"
START_S = 20.0  # until a child answers
_OTHERS = range(PORT + 1, PORT + 100)


def api(
    host: Annotated[
        str, typer.Option("--host", help="Where to listen. 0.0.0.0 is every address: put a proxy with TLS before it.")
    ] = LOCAL,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen on.")] = PORT,
    processes: Annotated[
        int, typer.Option("--processes", min=1, max=64, help="Processes that share the port; about one per core.")
    ] = 1,
) -> None:
    """Serve the HTTP API: queries, the Server API, webhooks in, health. Its documentation stands at /docs.

    For a Procfile. Needs DATABASE_URL and REDIS_URL; `orders up` runs it together with servers and workers. Keys
    come from `orders keys add`. After an upgrade it refuses to start before `orders verify --refold` has run (exit 1). SIGTERM lets requests in flight finish.
    """
    settings = read()
    if settings.database_url is None or settings.redis_url is None:
        raise Problem("set DATABASE_URL and REDIS_URL; to run everything on embedded servers use `orders up`", 2)
    if waiting := migrate.pending(settings.database_url):
        raise Problem(f"the schema lacks {', '.join(waiting)}; run `orders migrate`")
    refuse_old_orders(settings.database_url)
    gc.disable()  # see `cli.__main__`
    from api.main import serve  # imported late: no other command needs it, and it takes half a second

    gc.enable()

    if not _is_free(host, port):
        raise Problem(f"{host}:{port} is taken or cannot be listened on; choose another --port, or --host")
    if settings.token_secret is None:
        err.print("ORDERS_TOKEN_SECRET is not set: customers get no tokens until it is", soft_wrap=True)
    err.print(
        f"serving http://{f'[{host}]' if ':' in host else host}:{port}/api; its documentation: /docs", soft_wrap=True
    )
    serve(host, port, processes)


def choose_port(told: int | None) -> int:
    """The port that was asked for, or 8000, or the next free one; Problem where one was asked for that is taken."""
    if told is None:
        return next((port for port in (PORT, *_OTHERS) if _is_free(LOCAL, port)), None) or free_port(None)
    if not _is_free(LOCAL, told):
        raise Problem(f"port {told} is taken; choose another with --port")
    return told


def start_api(processes: Processes, port: int, **environment: str) -> str:
    """Run the API as a child, with `environment` besides ours, and wait until it answers; its URL.

    Errors: Problem when it does not, or when another process answers at its port.
    """
    child = processes.start("api", "cli", "api", "--port", str(port), **environment)
    first = child.process
    url = f"http://{LOCAL}:{port}"
    until = monotonic() + START_S
    with httpx.Client(timeout=2, trust_env=False) as client:
        while monotonic() < until:
            try:
                if client.get(f"{url}/health/live").is_success and _listens(child, port):
                    return url
            except httpx.TransportError:
                pass
            if first is not None and first.poll() is not None:
                if not _is_free(LOCAL, port):
                    raise Problem(
                        f"somebody else listens at port {port} since a moment ago: start this again, or end that"
                    )
                told = processes.log("api").read_text(errors="replace").splitlines()[-1:]
                raise Problem(f"the API ended at once: {safe(told[0]) if told else 'without a word'}")
            sleep(0.05)
    raise Problem(f"the API does not answer on {url} after {START_S:.0f} s; see {processes.log('api')}")


def _listens(child: Child, port: int) -> bool:
    """Whether it is this child, or one of its own, that listens there: a port may be taken in the last moment."""
    try:
        process = psutil.Process(child.process.pid if child.process is not None else 0)
        family = [process, *process.children(recursive=True)]
        listening = [each for one in family for each in one.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    except psutil.Error:  # it has ended meanwhile
        return False
    return any(each.laddr.port == port for each in listening)


def _is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, TypeError, UnicodeError):  # the latter two: a host that is no name at all
            return False
    return True
