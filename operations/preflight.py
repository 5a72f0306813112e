"""Open orders of a running shop as this release would make them, before it is deployed there; read-only.

Each open order is folded anew by this code, under the clocks and settings that its events were decided by. What comes out
otherwise would *change*; what this code cannot read or fails on, would be *stranded*: of the history, of what is parked, and
of what nobody has decided yet. Run it after the migrations that go before a deployment, beside the workers of the release before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, text

from domain.order import ENDED, Order
from domain.order import Status as OrderStatus
from domain.policy import Policy
from events.catalogue import UnknownType, decode
from journal.entries import read
from journal.policy_store import all_policies
from journal.verify import compare, fold_order, history_of
from journal.waits import waits_of
from storage.aggregates import peek

CHUNK = 200  # orders in memory
WAITING = 1_000  # events that wait, read at once
STRANDED, CHANGED = "stranded", "changed"

Told = Callable[[int, int], None]  # orders done, of so many

_TOTAL = text("select count(*) from orders where status <> all(cast(:ended as text[])) and placed_at is not null")
_OPEN = text("""
    select id from orders where id > cast(:after as uuid) and status <> all(cast(:ended as text[])) and placed_at is not null
    order by id limit :most
""")
_WAITING = text("""
    select seq from (select seq from parked union select seq from undecided) w where seq > :after order by seq limit :most
""")
_FIRST = "00000000-0000-0000-0000-000000000000"
_ENDED = [str(status) for status in ENDED]


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that this release would do otherwise: `kind` is stranded or changed."""

    kind: str
    order: str | None  # its number
    what: str  # the event, or the field
    before: str | None
    after: str

    def as_document(self) -> dict[str, str | None]:
        """The finding as JSON."""
        return asdict(self)


@dataclass(slots=True)
class Counts:
    """The numbers of orders and waiting events that were looked at."""

    orders: int = 0
    waiting: int = 0


def preflight(engine: Engine, counts: Counts, told: Told | None = None) -> Iterator[Found]:
    """The orders and events that this release would strand or change, as they are found; `counts` learns what was looked at.

    Shape:  a few statements per chunk of orders, one snapshot each. Locks: none; nothing is written.
    """
    with engine.connect() as conn:
        conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with conn.begin():
            total = conn.execute(_TOTAL, {"ended": _ENDED}).scalar_one()
            policies = all_policies(conn)
        after = _FIRST
        while True:
            with conn.begin():
                ids = list(conn.execute(_OPEN, {"after": after, "ended": _ENDED, "most": CHUNK}).scalars())
                if not ids:
                    break
                yield from _orders(conn, ids, policies, counts)
            after = ids[-1]
            if told is not None:
                told(counts.orders, max(total, counts.orders))
        with conn.begin():
            yield from _events(conn, counts)


def _orders(conn: Connection, ids: Sequence[str], policies: dict[int, Policy], counts: Counts) -> Iterator[Found]:
    waits = waits_of(conn, ids)
    for order_id, stored in peek(conn, ids).items():
        counts.orders += 1
        number = stored.order_number
        found: list[Found] = []

        def differ(path: str, one: object, other: object, number: str = number, to: list[Found] = found) -> None:
            failed = isinstance(other, str) and other.startswith(("cannot be read", "our own code fails"))
            to.append(Found(STRANDED if failed else CHANGED, number, path, str(one), str(other)))

        folded = fold_order(stored, history_of(conn, order_id), policies, waits, differ)
        folded.version = stored.version
        yield from found
        for each in compare(stored, folded):
            said = each.as_document()
            yield Found(CHANGED, number, said["path"], said["stored"], said["folded"])
        if _is_lost(stored, folded):
            yield Found(STRANDED, number, "status", str(stored.status), "it would be an order that was never created")


def _is_lost(stored: Order, folded: Order) -> bool:
    return stored.status != OrderStatus.NEW and folded.status == OrderStatus.NEW


def _events(conn: Connection, counts: Counts) -> Iterator[Found]:
    """Events that wait, and that this release could not read: they would die."""
    after = 0
    while seqs := list(conn.execute(_WAITING, {"after": after, "most": WAITING}).scalars()):
        for entry in read(conn, seqs):
            counts.waiting += 1
            try:
                decode(entry.type, entry.version, entry.subject, entry.data)
            except UnknownType:
                continue  # kept, and ignored, by every release
            except ValueError as error:
                name = f"event {entry.seq} ({entry.type} {entry.source}/{entry.event_id})"
                yield Found(STRANDED, entry.subject, name, "waits", f"cannot be read: {error}")
        after = seqs[-1]
