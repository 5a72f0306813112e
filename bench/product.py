"""(d) Ours: drain only (streams filled before, the real `Drain` in two processes), and the full path.

The full path is what `orders up` runs: a Celery worker with two processes and a beat; the bench appends to
the journal as `orders ingest` does, publishes, and waits until every event has its result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic, sleep, time
from typing import Any

from sqlalchemy import Connection, Engine, text

from bench.drain_process import Hand
from bench.servers import BenchError
from bench.workload import Play, State, gathered
from domain.policy import Policy
from journal.append import append
from journal.entries import Entry
from journal.policy_store import policy_id
from journal.streams import DRAIN, Streams, connect
from storage import engine as engines
from workers.app import ring
from workers.chores import CHORES

SHARDS = 64
CHUNK = 1000  # envelopes a transaction, as `orders ingest` does
POLL_S = 0.01
PATIENCE_S = 120.0
WORKER = ("workers.app", "-Q", f"{DRAIN},{CHORES}")
# Whether any event has no result yet. It stops at the first: to count a backlog, as the relay's `undecided` does, takes
# from the workers that are measured.
UNDECIDED = text("select exists (select from undecided)")


def filled(database_url: str, play: Play, shards: int = SHARDS) -> dict[int, list[Entry]]:
    """Journal a play; shard → its entries in order of arrival, repeated deliveries too (for `pour`)."""
    engine = engines.connect(database_url)
    entries: dict[tuple[str, str], Entry] = {}
    with engine.begin() as conn:
        policy_id(conn, Policy())  # results refer to it, those that are replayed too
        for start in range(0, len(play.deliveries), CHUNK):
            done = append(conn, play.deliveries[start : start + CHUNK], shards)
            entries |= {(e.source, e.event_id): e for e in done.new}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("vacuum analyze journal"))
    engine.dispose()
    found: dict[int, list[Entry]] = defaultdict(list)
    for envelope in play.deliveries:
        entry = entries[envelope.source, envelope.id]
        found[entry.shard].append(entry)
    return found


def pour(redis_url: str, entries: Mapping[int, Sequence[Entry]], shards: int = SHARDS) -> None:
    """Put entries into empty streams, however many they are."""
    streams = Streams(connect(redis_url), shards, lambda shard: None)
    streams.client.flushdb()
    streams.cap = max(map(len, entries.values())) + 1
    for shard, waiting in entries.items():
        for start in range(0, len(waiting), 500):
            streams.add(shard, waiting[start : start + 500])
    streams.client.close()


def work(hands: Sequence[Hand], commands: Sequence[Mapping[str, Any]]) -> tuple[float, list[dict[str, Any]]]:
    """Let each hand do its command, all starting together: (seconds, their answers)."""
    for hand, command in zip(hands, commands, strict=True):
        hand.tell(**command)
    for hand in hands:
        hand.hear()
    for hand in hands:
        hand.tell(go=True)
    answers = [hand.hear() for hand in hands]  # where one dies, the others give up in time
    return max(a["ended"] for a in answers) - min(a["began"] for a in answers), answers


def drain_commands(
    hands: Sequence[Hand], database_url: str, redis_url: str, batch: int, shards: int = SHARDS, **extra: Any
) -> list[dict[str, Any]]:
    """The commands that tell each hand to drain, from shards far apart. `{number}` in an extra text is the hand's."""
    return [
        {
            "do": "drain",
            "database_url": database_url,
            "redis_url": redis_url,
            "batch": batch,
            "shards": shards,
            "first": hand.number * shards // len(hands),
            **{k: v.format(number=hand.number) if isinstance(v, str) else v for k, v in extra.items()},
        }
        for hand in hands
    ]


class FullPath:
    """The bench's end of the full path: it appends, publishes and waits."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.database_url = database_url
        self.engine: Engine = engines.connect(database_url, pinned=True, pool=8, application="orders bench")
        self.streams = Streams(connect(redis_url), SHARDS, ring)

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()
        self.streams.client.close()

    def hand_in(self, envelopes: Sequence[Any]) -> float:
        """Accept envelopes, journaled and committed, and publish them; when they were accepted."""
        with self.engine.begin() as conn:
            done = append(conn, envelopes, SHARDS)
        accepted = time()
        self.streams.publish(done.new)
        return accepted

    def hand_in_all(self, play: Play) -> None:
        """`hand_in` all of a play, a chunk a transaction."""
        for start in range(0, len(play.deliveries), CHUNK):
            self.hand_in(play.deliveries[start : start + CHUNK])

    def run(self, play: Play) -> float:
        """Everything handed in, everything decided: seconds."""
        began = monotonic()
        self.hand_in_all(play)
        self.wait()
        return monotonic() - began

    def wait(self) -> None:
        """Until every event has a result. Errors: BenchError after two minutes."""
        until = monotonic() + PATIENCE_S
        while monotonic() < until:
            if self.is_done():
                return
            sleep(POLL_S)
        raise BenchError(f"the full path is not done after {PATIENCE_S:.0f} s; see its worker's log")

    def is_done(self) -> bool:
        """True once every event has a result; asked of the streams first, since PostgreSQL has work to do."""
        if self.streams.look().waiting():
            return False
        with self.engine.connect() as conn:
            return not conn.execute(UNDECIDED).scalar_one()


_LIKE = "where starts_with(o.order_number, :tag)"
_STATES = (
    f"select o.order_number, o.status from orders o {_LIKE}",
    "select o.order_number, p.reference, p.quantity, p.shipped_quantity, p.delivered_quantity, p.returned_quantity "
    f"from orders o join order_items p on p.order_id = o.id {_LIKE}",
    "select o.order_number, p.payment_id, p.status, p.amount, p.refund_target "
    f"from orders o join transactions p on p.order_id = o.id {_LIKE}",
    "select o.order_number, coalesce(p.reference, 'plan'), p.status "
    f"from orders o join fulfillments p on p.order_id = o.id {_LIKE}",
    f"select o.order_number, p.reference, p.status from orders o join returns p on p.order_id = o.id {_LIKE}",
)
_ACCOUNT = text("select outcome, count(*) from results group by 1")


def states(conn: Connection, tag: str) -> dict[str, State]:
    """The states of one play's orders in our database."""
    rows: list[Iterable[Any]] = [conn.execute(text(statement), {"tag": f"{tag}-"}).all() for statement in _STATES]
    return gathered(*rows)


def outcomes(conn: Connection) -> dict[str, int]:
    """outcome → how many events, our own follow-ups included."""
    return {row[0]: row[1] for row in conn.execute(_ACCOUNT)}
