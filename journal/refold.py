"""Orders that the rules of a new release make otherwise: folded anew from the journal, and written over.

Their recorded outcomes stay what they were, since those were reached under the rules of their time. Nothing is sent:
no refund, no timer and no webhook follows from it. A refund that the release before had recorded, and that had not gone
out, waits for a person where the present rules keep it back.

Once all are, the database knows it (`fixed`, name `rules`). Events must not be applied by newer rules before that: what older
ones did not keep, such as an open dispute, would be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sqlalchemy import Connection, Engine, text

from domain.dirty_tracking import DIRTY, EDITED, NEW
from domain.order import Order
from domain.policy import RULES, Policy
from journal.policy_store import all_policies
from journal.refund_check import refund_differences, stored_refunds, strays
from journal.refund_rows import all_refunds
from journal.verify import Difference, Progress, Report, compare, differences, fold_order, history_of
from journal.waits import waits_of
from storage.aggregates import lock, save
from storage.clock import clock
from storage.pg_arrays import array
from storage.raw_sql import Writes

_PARTS = ("items", "transactions", "fulfillments", "fulfillment_items", "returns", "return_items")
_BEHIND = text("""
    select exists (select from policies where coalesce(cast(body->>'rules' as integer), 1) < :rules)
       and coalesce((select cast(value as integer) from fixed where name = 'rules'), 1) < :rules
""")
_NOTE = text(
    "insert into fixed (name, value) values ('rules', :rules) on conflict (name) do update set value = excluded.value"
)
_FORGET_REFUNDS = text("delete from refunds where id = any(cast(:ids as uuid[]))")
# One that is in flight, or whose end is not known, may be made already.
_KEEP_BACK = text(
    "update effects set state = 'staff', updated_at = now() "
    "where order_id = :order and state = 'due' and idempotency_key is null"
)


def is_behind(conn: Connection) -> bool:
    """True where orders may be as the rules of a release before made them."""
    return bool(conn.execute(_BEHIND, {"rules": RULES}).scalar_one())


def note_rules(engine: Engine) -> None:
    """Note that all orders are folded by the present rules."""
    with engine.begin() as conn:
        conn.execute(_NOTE, {"rules": str(RULES)})


def refold_all(engine: Engine, tell: Callable[[Difference], None], progress: Progress) -> int:
    """Fold all orders anew, tell what differs, and write those orders over; how many they were.

    May be killed at any line: the next call goes on. Errors: what our own code raises on an event, with the order untouched.
    """
    behind: set[str] = set()
    for each in differences(engine, Report(), None, progress):
        tell(each)
        if each.order:
            behind.add(each.order)
    for _ in refold_orders(engine, behind):
        pass
    note_rules(engine)
    return len(behind)


def refold_orders(engine: Engine, numbers: Iterable[str]) -> Iterator[list[Difference]]:
    """Write these orders over, one after the other; what was stored otherwise of each."""
    with engine.connect() as conn:
        policies = all_policies(conn)
    for number in sorted(numbers):
        with engine.begin() as conn:
            found = refold(conn, number, policies)
        yield found


def refold(conn: Connection, order_number: str, policies: dict[int, Policy] | None = None) -> list[Difference]:
    """Write an order over as the journal tells it, in the caller's transaction; what was stored otherwise, [] where nothing was.

    Locks:  the order's row, so that workers wait for it; all of its events are read meanwhile.
    Errors: what our own code raises on an event of it: nothing is written then.
    """
    for stored in lock(conn, [order_number], by="number").values():
        events = history_of(conn, stored.id)
        folded = fold_order(stored, events, policies or all_policies(conn), waits_of(conn, [stored.id]))
        folded.version = stored.version
        found = compare(stored, folded)
        refunds = stored_refunds(conn, [stored.id]).get(stored.id, {})
        found += [Difference(stored.order_number, *each) for each in refund_differences(folded, refunds)]
        if found:
            conn.execute(_FORGET_REFUNDS, {"ids": array(strays(folded, refunds), "uuid")})
            _overwrite(conn, stored, folded)
        return found
    return []


def _overwrite(conn: Connection, stored: Order, folded: Order) -> None:
    folded.change_state = EDITED  # all of its columns
    for part in _PARTS:
        before = {each.id: each for each in getattr(stored, part)}
        for each in getattr(folded, part):
            each.change_state = NEW if before.pop(each.id, None) is None else DIRTY
        folded.deleted += before.values()
    writes = Writes()
    save(conn, [folded], writes)
    all_refunds(writes, folded, clock())
    writes.run(conn)
    if (payments := folded.payments()).disputed or payments.inquired:
        conn.execute(_KEEP_BACK, {"order": folded.id})
