"""Keeps servers running until their owner goes: one that ends is started again where it was, and its log stays bounded.

A server that is killed, or ends because its disk is full, comes back on the same port with the same password, so that
whoever was connected connects again. Where it ends again and again, each start waits longer, up to LONGEST_S. What
happens is told in sentences for the owner's terminal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic

from embedded.host import bound_log
from embedded.server import Server, ServerError

LOOK_S = 0.25
FIRST_S, LONGEST_S = 0.5, 5.0  # between an end and the next start: doubled each time
SOUND_S = 60.0  # a server that ran so long begins with FIRST_S again


class Keeper:
    """A thread for each server, between `__enter__` and `__exit__`; `tell` gets a sentence when one ends or is back."""

    def __init__(self, servers: Sequence[Server], tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=(server,), name=f"keeper of {server.title}", daemon=True)
            for server in servers
        ]

    def __enter__(self) -> Keeper:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _keep(self, server: Server) -> None:
        wait, began = FIRST_S, monotonic()
        while not self._over.wait(LOOK_S):
            bound_log(server.log)
            if not server.ended():
                continue
            if monotonic() - began >= SOUND_S:
                wait = FIRST_S
            wait = self._again(server, wait)
            began = monotonic()

    def _again(self, server: Server, wait: float) -> float:
        """Start it until it answers, or the owner goes; the next wait, should it end soon."""
        ended = monotonic()
        says = f"{server.title} ended: {server.why_it_ended()}"
        while True:
            self._tell(f"{says}; it is started again in {wait:g} s")
            if self._over.wait(wait):
                return wait
            wait = min(2 * wait, LONGEST_S)
            try:
                server.restart(self._over)
            except (ServerError, OSError) as error:
                if self._over.is_set():
                    return wait
                why = server.why_it_ended() if isinstance(error, ServerError) else str(error)
                says = f"{server.title} cannot be started: {why}"
            else:
                self._tell(
                    f"{server.title} answers again, {monotonic() - ended:.0f} s after it ended; who needs it connects again by itself"
                )
                return wait
