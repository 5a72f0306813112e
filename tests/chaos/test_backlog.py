"""Promise 7: Redis' memory stays bounded under any backlog; what does not fit waits in SQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from journal.entries import INLINE_BYTES, shard_of
from tests.chaos.backlog import MB, Watch, faults, pile_up, work_off
from tests.chaos.harness import a_shop

EVENTS, LARGE = 5_000, 4
CROWDED = 3  # shards that all of them fall into: 1,667 each, where a stream takes 750
ENTRY_BYTES = 500  # of a stream's entry besides the body
DOORBELLS_BYTES = MB


@pytest.mark.slow
def test_a_backlog_larger_than_the_streams_waits_in_sql_and_is_all_applied():
    with tempfile.TemporaryDirectory(prefix="orders-chaos-") as data, a_shop(Path(data)) as shop, Watch(shop) as watch:
        pile_up(shop, watch, _crowded(shop.parts.shop.shards), EVENTS, LARGE)
        full = CROWDED * shop.parts.streams.cap
        assert shop.streamed() == full < EVENTS == shop.waiting()
        work_off(shop, watch, count=2, within_s=60)
        bound = (full * (INLINE_BYTES + ENTRY_BYTES) + DOORBELLS_BYTES) / MB
        print(f"Redis took at most {watch.most_mb:.2f} MB of {bound:.2f} above its empty size")
        assert watch.entries <= full
        assert watch.most_mb < bound
        assert not faults(shop)


def _crowded(shards: int) -> Iterator[str]:
    """Order numbers that fall into the first few shards."""
    return (number for number in map("B{:09}".format, count()) if shard_of(number, shards) < CROWDED)
