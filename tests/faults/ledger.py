"""The ledger: every event that was acknowledged, and what must be true of it afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Engine, text

from storage.pg_arrays import columns, unnest
from tests.chaos.harness import Shop, account, account_faults

Key = tuple[str, str]  # source and id of an event
NAMES, KINDS = ("source", "event_id"), ("text", "text")
_LOOK = text(
    "select v.source, v.event_id, count(j.seq), count(r.seq) "
    f"from {unnest(NAMES, KINDS)} left join journal j using (source, event_id) left join results r on r.seq = j.seq "
    "group by 1, 2 having count(j.seq) <> 1 or count(r.seq) <> 1"
)
_OPEN = text("""
    select count(*) from journal j where not exists (select from results r where r.seq = j.seq)
""")


@dataclass(slots=True)
class Checked:
    """The result of a look at the acknowledged."""

    acknowledged: int = 0
    lost: list[Key] = field(default_factory=list)  # acknowledged, and not in the journal
    undecided: list[Key] = field(default_factory=list)  # in the journal, without a result
    doubled: list[Key] = field(default_factory=list)


@dataclass(slots=True)
class Ledger:
    """Acknowledged events, noted by any thread; `check` looks at those that no look has covered."""

    total: int = 0
    _new: set[Key] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, keys: Iterable[Key]) -> None:
        """These were acknowledged: a 2xx, or a commit that returned."""
        with self._lock:
            before = len(self._new)
            self._new.update(keys)
            self.total += len(self._new) - before

    def check(self, engine: Engine) -> Checked:
        """The results of everything acknowledged since the last look; what has none yet is looked at again."""
        with self._lock:
            keys, self._new = self._new, set()
        checked = Checked(len(keys))
        with engine.connect() as conn:
            for source, event_id, kept, decided in conn.execute(_LOOK, columns(NAMES, KINDS, sorted(keys))):
                key = (source, event_id)
                where = checked.lost if not kept else checked.doubled if kept > 1 or decided > 1 else checked.undecided
                where.append(key)
        with self._lock:
            self._new.update(checked.undecided)
        return checked


def undecided(engine: Engine) -> int:
    """Events without a result, by a look at all of them: no mark of the product is trusted here."""
    with engine.connect() as conn:
        return int(conn.execute(_OPEN).scalar_one())


def untrue(shop: Shop) -> list[str]:
    """The sums of the account that do not add up by itself: deliveries whose answer was lost may be in it or not."""
    document = account(shop.engine)
    shop.deliveries, shop.events = document["accepted"], document["accepted"] - document["duplicate"]
    return account_faults(shop, document)
