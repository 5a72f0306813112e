"""Privacy of a shop's customers: all that is kept of one in one file, and its erasure; and what is forgotten by age.

Names, addresses and notes stand in one table, `personal`, to which everything else refers (journal, orders, returns, refunds,
deliveries). Erasing a customer takes the rows that any event, order or part of theirs names, events that wait or were given
up included; the answers of idempotency keys that repeat them; and the bank accounts of their refunds, unless one is under
way. What stays: amounts, items, times, and the shop's own id of the customer, which names nobody without the shop. State is a
fold of the journal without personal fields, so `verify` stays clean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, TextClause, text

from domain.ids import first_of, format_id
from domain.order import ENDED
from events.errors import OrdersError
from operations import audit
from operations.acts import checked_reason, reason_if_said
from outbound.refund_accounts import shown
from queries import timeline
from storage.engine import plan_freely
from storage.like import escaped
from storage.pg_arrays import array

_JOINS = ("products", "transactions", "fulfillments", "returns")
PORTION = 5_000  # rows of a kind that one transaction forgets by age

_OF = text("select id, order_number from orders where customer = :customer order by id")
_LOCKED = text("select id, order_number from orders where customer = :customer order by id for update")
# The ids of rows of `personal`: those that events of these orders name, by result, or by number where they wait or died before
# they reached one; those that the orders and their parts name; and those that were put together for them.
_EVENTS = """
    select j.seq, j.data, c.data as corrected from results r join journal j using (seq) left join corrections c using (seq)
    where r.order_id = any(cast(:ids as uuid[]))
    union all
    select j.seq, j.data, c.data from dead_letters d join journal j using (seq) left join corrections c using (seq)
    where coalesce(c.subject, j.subject) = any(cast(:numbers as text[])) or j.data ->> 'customer' = :customer
    union all
    select j.seq, j.data, c.data from parked p join journal j using (seq) left join corrections c using (seq)
    where j.subject = any(cast(:numbers as text[])) or j.data ->> 'customer' = :customer
    union all
    select u.seq, u.data, null from undecided u
    where u.subject = any(cast(:numbers as text[])) or u.data ->> 'customer' = :customer
"""
_NAMED = text(f"""
    with events as materialized ({_EVENTS}), named as (
        select data ->> 'personal' as id from events union select corrected ->> 'personal' from events
        union select cast(personal_id as text) from orders where id = any(cast(:ids as uuid[]))
        union select cast(personal_id as text) from returns where order_id = any(cast(:ids as uuid[]))
        union select cast(personal_id as text) from refunds where order_id = any(cast(:ids as uuid[]))
        union select cast(personal_id as text) from effects where order_id = any(cast(:ids as uuid[]))
        union select cast(personal_id as text) from deliveries where order_id = any(cast(:ids as uuid[]))
        union select cast(id as text) from personal where order_id = any(cast(:ids as uuid[]))
    )
    select distinct id from named where id is not null
""")
_FIELDS = text("select id, fields from personal where cast(id as text) = any(cast(:names as text[])) order by id")
_FORGET = text("delete from personal where cast(id as text) = any(cast(:names as text[]))")
_ANSWERS = text("delete from answers where body like any(cast(:patterns as text[]))")
_ACCOUNTS = text("""
    delete from refund_accounts a where a.order_id = any(cast(:ids as uuid[])) and not exists (
        select from effects e where e.order_id = a.order_id and e.state in ('due', 'in_flight', 'unknown'))
""")
_KEPT_ACCOUNTS = text("select count(*) from refund_accounts where order_id = any(cast(:ids as uuid[]))")
_CARTS = text("""
    select c.id, c.created_at, count(i.id) as lines from carts c left join cart_items i on i.cart_id = c.id
    where c.customer = :customer group by c.id order by c.id
""")
# What orders that have not ended name, themselves or by a part, stays however old it is.
_OLD_PERSONAL = text("""
    with lives as materialized (select id, personal_id from orders where status <> all(cast(:ended as text[]))),
    kept as (
        select personal_id from lives
        union all select r.personal_id from returns r join lives l on l.id = r.order_id
        union all select r.personal_id from refunds r join lives l on l.id = r.order_id
        union all select e.personal_id from effects e join lives l on l.id = e.order_id
    ),
    old as (
        select p.id from personal p where p.id < cast(:oldest as uuid)
          and not exists (select from kept where kept.personal_id = p.id)
        order by p.id limit :most for update of p skip locked
    ) delete from personal p using old where p.id = old.id
""")
_OLD_AUDIT = text("""
    with old as (select id from audit where at < :before order by at limit :most)
    delete from audit a using old where a.id = old.id
""")


class CustomerUnknown(OrdersError):
    """Nothing is kept of a customer of this id."""

    code = "customer_unknown"
    remedy = "Give the shop's own id of the customer, as `customer` of their orders has it."
    status = 404

    def __init__(self, customer: str) -> None:
        super().__init__(
            f"no order, cart or event names a customer {customer!r}; `orders list --json` shows each order's"
        )


@dataclass(frozen=True, slots=True)
class Erased:
    """The counts of an erasure; `kept_accounts` are bank accounts of refunds under way: erase again once those are over."""

    orders: int
    personal_rows: int
    answers: int
    accounts: int
    kept_accounts: int


def export(conn: Connection, customer: str, actor: str, reason: str | None = None) -> dict[str, Any]:
    """All that is kept of a customer, as one document; noted in the audit as a look. Errors: CustomerUnknown, ReasonAbsent."""
    from queries.parser import JoinQuery, Query  # imported late: it takes a third of a second
    from queries.repository import find_order

    why = reason_if_said(reason) or "export of all that is kept"
    ids, numbers = _of(conn, customer, _OF)
    names = _named(conn, customer, ids, numbers)
    carts = [{"id": format_id("carts", row.id), "createdAt": row.created_at, "lines": row.lines}
             for row in conn.execute(_CARTS, {"customer": customer})]  # fmt: skip
    if not ids and not names and not carts:
        raise CustomerUnknown(customer)
    everything = Query(depth=1, joins={name: JoinQuery(limit=0) for name in _JOINS})
    orders = []
    for order_id, number in zip(ids, numbers, strict=True):
        document = find_order(conn, number, everything) or {"orderNumber": number}
        own = format_id("orders", order_id)
        document["timeline"] = timeline.newest(conn, own, timeline.length(conn, own) or 1, 0)
        document["refundAccount"] = shown(conn, order_id)
        document["audit"] = [each.as_document() for each in audit.each(conn, order=number)]
        orders.append(document)
    personal = [{"id": format_id("personal", row.id), **row.fields} for row in conn.execute(_FIELDS, _names(names))]
    audit.looked(conn, actor, subject(customer), why)
    return {"customer": customer, "orders": orders, "carts": carts, "personal": personal}


def erase(conn: Connection, customer: str, actor: str, reason: str) -> Erased:
    """Erase a customer's names, addresses, notes and bank accounts, wherever they are kept. May be repeated.

    Locks:  their orders, so that no event adds to them meanwhile. Errors: CustomerUnknown, ReasonAbsent.
    """
    why = checked_reason(reason)
    ids, numbers = _of(conn, customer, _LOCKED)
    names = _named(conn, customer, ids, numbers)
    if not ids and not names:
        raise CustomerUnknown(customer)
    patterns = [
        f"%{escaped(orjson.dumps(each).decode())}%" for each in (*numbers, *(format_id("orders", each) for each in ids))
    ]
    own = {"ids": array(ids, "uuid")}
    done = Erased(
        orders=len(ids),
        personal_rows=conn.execute(_FORGET, _names(names)).rowcount if names else 0,
        answers=conn.execute(_ANSWERS, {"patterns": array(patterns, "text")}).rowcount if patterns else 0,
        accounts=conn.execute(_ACCOUNTS, own).rowcount,
        kept_accounts=conn.execute(_KEPT_ACCOUNTS, own).scalar_one(),
    )
    audit.record(conn, actor, "privacy erase", subject(customer), why, after=asdict(done))
    return done


def preview(engine: Engine, customer: str, actor: str) -> Erased:
    """The counts of an erasure as it would be now: it is done, and rolled back. Errors: CustomerUnknown."""
    with engine.connect() as conn, conn.begin() as transaction:
        found = erase(conn, customer, actor, "a preview")
        transaction.rollback()
    return found


def forget_old(conn: Connection, now: datetime, personal: timedelta | None, acts: timedelta | None) -> int:
    """Forget by age: personal rows of orders that are over, and the audit's rows; how many, a PORTION of each at most."""
    gone = 0
    if personal is not None:
        plan_freely(conn)  # what is kept is a set: by keys it would be made anew for each old row
        gone += conn.execute(
            _OLD_PERSONAL, {"oldest": first_of(now - personal), "most": PORTION, "ended": list(ENDED)}
        ).rowcount
    if acts is not None:
        gone += conn.execute(_OLD_AUDIT, {"before": now - acts, "most": PORTION}).rowcount
    return gone


def subject(customer: str) -> str:
    """The name of a customer in the audit: known again by who has their id, and telling it to nobody."""
    return f"customers/{hashlib.sha256(customer.encode()).hexdigest()[:16]}"


def _of(conn: Connection, customer: str, statement: TextClause) -> tuple[list[str], list[str]]:
    rows = conn.execute(statement, {"customer": customer}).all()
    return [row.id for row in rows], [row.order_number for row in rows]


def _named(conn: Connection, customer: str, ids: Sequence[str], numbers: Sequence[str]) -> list[str]:
    values = {"ids": array(list(ids), "uuid"), "numbers": array(list(numbers), "text"), "customer": customer}
    return sorted(conn.execute(_NAMED, values).scalars())


def _names(names: Sequence[str]) -> dict[str, str]:
    return {"names": array(list(names), "text")}
