"""The source that a drain and the chores read while Redis takes nothing: the journal alone, in the shape of streams.

Each shard with undecided events is *behind* from its mark on, and so its drain reads the journal, as it does for a
backlog that is too long for the streams. Nothing is published and nobody is rung: whoever asks looks for himself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Engine, text

from journal.entries import Entry
from journal.streams import Look, Streams, Waiting

_UNDECIDED = text("""
    select m.shard, m.seq from relay_marks m where exists (
        select from journal j where j.shard = m.shard and j.seq > m.seq
        and not exists (select from results r where r.seq = j.seq))
    order by m.shard
""")


class NoStreams(Streams):
    """The journal, where streams are expected."""

    def __init__(self, engine: Engine, streams: Streams) -> None:
        super().__init__(streams.client, streams.shards, lambda shard: None)
        self._engine = engine

    def look(self) -> Look:
        """No stream has entries; behind is who has undecided events."""
        with self._engine.connect() as conn:
            return Look([0] * self.shards, {row.shard: row.seq for row in conn.execute(_UNDECIDED)})

    def publish(self, entries: Iterable[Entry]) -> bool:
        """Nothing: the events are in the journal."""
        return False

    def answer(self, shard: int, count: int) -> Waiting:
        """No entries, since there are no streams."""
        return {}

    def read(self, shards: Sequence[int], count: int) -> Waiting:
        """No entries, since there are no streams."""
        return {}

    def finish(self, done: Mapping[int, Sequence[bytes]], passed: Mapping[int, tuple[int, int]]) -> Look:
        """Look again: where the journal is read from follows from what is decided."""
        return self.look()

    def numbers(self, shards: Sequence[int]) -> dict[int, set[int]]:
        """No numbers, since there are no streams."""
        return {}

    def ring(self, shard: int) -> None:
        """Nothing: nobody would hear it."""

    def fall_behind(self, shard: int, after: int) -> None:
        """Every shard is, as long as it has undecided events."""

    def caught_up(self, shard: int, was: int) -> None:
        """Nothing: see `fall_behind`, which holds as well."""
