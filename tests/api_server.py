"""An application behind a port of this host: for clients that speak HTTP themselves, such as those of other languages."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from api.bounded_protocol import BoundedProtocol
from api.main import KEEP_ALIVE_S

END_S = 15


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """The URL that `app` answers under, as `api.main` has it answer; its doors are closed afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                timeout_keep_alive=KEEP_ALIVE_S,  # by uvicorn's own 5 s it hangs up on a client that is slow to ask again
            )
        )
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"  # it listens already, so nobody is turned away
        finally:
            server.should_exit = True
            thread.join(END_S)
    assert not thread.is_alive(), f"the server does not end within {END_S} s"
