"""Dead events decided again, within one transaction: each order's in the order in which they happened.

Their results are taken away, their letters closed, and the drain's own batch decides them as on their first day, with
what waits for them and what follows from them. The caller commits it (a replay), or rolls it back (a forecast): so what
is foretold is what happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from domain.outcome import DEAD
from domain.policy import Context, Policy
from journal import pauses
from journal.batch import Shop, settle_carefully
from journal.entries import Entry, read
from operations.given_up import Thing
from storage.clock import clock
from storage.pg_arrays import array


@dataclass(frozen=True, slots=True)
class Fate:
    """The outcome that an event has after it was decided again."""

    outcome: str  # of domain.outcome.Kind
    reason: str | None
    detail: str | None
    order_id: str | None

    @property
    def died(self) -> bool:
        """True where it is given up once more."""
        return self.outcome == DEAD


# Letters before results, as everybody locks them here; those that are open still.
_LOCK = text("""
    select id, seq from dead_letters where id = any(cast(:ids as uuid[])) and state = 'open' and seq is not null
    order by id for update
""")
_UNDECIDE = text("delete from results where seq = any(cast(:seqs as bigint[])) and outcome = 'dead' returning seq")
_CLOSE = text("""
    update dead_letters set state = 'replayed', updated_at = clock_timestamp() where seq = any(cast(:seqs as bigint[]))
""")
_FATES = text("""
    select seq, outcome, reason, detail, order_id from results where seq = any(cast(:seqs as bigint[]))
""")


def decide_again(conn: Connection, events: Sequence[Thing], policy: Policy, shop: Shop) -> dict[int, Fate]:
    """Decide dead events again; number → outcome. One whose letter is open no more is left out.

    Locks:  dead letters, then as a batch does: correlations, orders, results.
    Errors: one of the moment (`journal.batch.is_of_the_moment`): roll back, and try again.
    """
    ids = {"ids": array(sorted(each.id for each in events), "uuid")}
    still = {row.seq for row in conn.execute(_LOCK, ids)}
    if not still:
        return {}
    still = set(conn.execute(_UNDECIDE, {"seqs": array(sorted(still), "bigint")}).scalars())
    seqs = {"seqs": array(sorted(still), "bigint")}
    conn.execute(_CLOSE, seqs)
    entries = {entry.seq: entry for entry in read(conn, sorted(still))}
    resting = pauses.in_force(conn)  # what an operator paused is set aside, as drains do
    for wave in _waves([each for each in events if each.seq in still], entries):
        ripe = pauses.set_aside(conn, wave, resting, shop.policy_id)
        settle_carefully(conn, ripe, Context(clock(), policy), shop, resting=resting)
    return {row.seq: Fate(row.outcome, row.reason, row.detail, row.order_id) for row in conn.execute(_FATES, seqs)}


def _waves(events: Sequence[Thing], entries: dict[int, Entry]) -> Iterator[list[Entry]]:
    """The events so that each order's come one after the other by the time they happened: a batch folds in journal order."""
    lines: dict[str, list[Entry]] = {}
    for each in sorted(events, key=lambda each: (each.happened_at, each.seq or 0)):
        about = each.order_number or each.payment_id or each.ref
        lines.setdefault(about, []).append(entries[each.seq or 0])
    depth = 0
    while wave := [line[depth] for line in lines.values() if len(line) > depth]:
        yield wave
        depth += 1
