"""Rate limits of unsigned webhooks: a bucket per address, in this process' memory.

Anybody may post to a door whose provider signs nothing, and what is believed costs a question with the shop's key.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from api.errors import too_many

BURST = 200  # at once
PER_S = 10.0  # from then on
ADDRESSES = 10_000  # remembered; the one that was silent longest is forgotten first


class Arrivals:
    """The buckets of all addresses."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address → (left, as of)

    def take(self, address: str) -> None:
        """Count one webhook. Errors: ApiError 429 with Retry-After where its address has sent too many."""
        now = self._now()
        left, since = self._buckets.pop(address, (float(BURST), now))
        left = min(float(BURST), left + (now - since) * PER_S)
        allowed = left >= 1
        self._buckets[address] = (left - allowed, now)
        if len(self._buckets) > ADDRESSES:
            self._buckets.popitem(last=False)
        if not allowed:
            says = f"One address may send {PER_S:.0f} unsigned webhooks per second here; send it again in a moment"
            raise too_many(says, 1)
