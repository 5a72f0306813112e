"""Thread that puts committed entries into the streams: a Redis that is away, or hangs until its timeout,
neither delays an answer nor the next commit. What gathers meanwhile goes out together. What does not fit or does not
arrive, the relay finds.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from queue import Full, Queue
from threading import Thread

from journal.entries import Entry
from journal.streams import Streams

GROUPS = 64  # waiting for Redis at most; what comes on top is left to the relay
LEAVE_S = 2.0  # for the last ones, at the end

log = logging.getLogger(__name__)


class Publisher:
    """One thread over `streams`; entries go out in the order in which they were handed over."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._groups: Queue[Sequence[Entry] | None] = Queue(GROUPS)
        self._thread = Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def publish(self, entries: Sequence[Entry]) -> None:
        """Have committed entries published; returns at once."""
        try:
            self._groups.put_nowait(entries)
        except Full:
            log.warning("Redis is slow; %d events are left to the relay", len(entries))

    def stop(self) -> None:
        """Publish what waits, for LEAVE_S at most."""
        try:
            self._groups.put(None, timeout=LEAVE_S)
        except Full:
            return  # Redis hangs; the thread ends with the process
        self._thread.join(LEAVE_S)

    def _run(self) -> None:
        going_on = True
        while going_on:
            groups = [self._groups.get()]
            while not self._groups.empty():  # this thread alone takes
                groups.append(self._groups.get())
            going_on = None not in groups
            entries = [entry for group in groups if group is not None for entry in group]
            try:
                self._streams.publish(entries)
            except Exception:  # a fault of our own must not end the thread
                log.exception("publishing failed; %d events are left to the relay", len(entries))
