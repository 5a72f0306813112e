"""The money of all orders, added up by currency: what `domain.balance` says of each, summed.

Most orders were paid once, in full or not at all, and nothing went back: PostgreSQL adds those up. All others are
loaded and weighed one by one, as many at a time as fit into the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from decimal import Decimal

from sqlalchemy import Connection, text

from domain.balance import Balance, balance
from storage.aggregates import peek

CHUNK = 500  # orders in memory

Sums = dict[str, dict[str, Decimal]]  # currency → orders, and each sum of `Balance`

# An order of which nothing is to be weighed: no decisions about money, no more captured than it costs, nothing back.
_PLAIN = """
    o.placed_at is not null and o.facts is null and o.canceled_at is null
    and not exists (select from returns r where r.order_id = o.id)
    and coalesce(t.plain, true) and coalesce(t.captured, 0) <= o.total_amount
"""
_WITH_SUMS = """
    from orders o left join lateral (
        select sum(amount) filter (where paid_at is not null) as captured,
               bool_and(facts is null and reversed_at is null and captures = '{}' and refunded_amount = 0) as plain
        from transactions where order_id = o.id
    ) t on true
"""
_ADDED = text(f"""
    select o.currency, count(*) as orders, sum(coalesce(t.captured, 0)) as captured, sum(o.total_amount) as payable
    {_WITH_SUMS} where {_PLAIN} group by o.currency
""")
_OTHERS = text(f"select o.id {_WITH_SUMS} where o.placed_at is not null and not ({_PLAIN}) order by o.id")


def balances(conn: Connection, told: Callable[[int, int], None] = lambda done, of: None) -> Sums:
    """The sums over all orders by currency; `told` learns how many of the orders that are weighed are done.

    Begin `conn` as REPEATABLE READ, so that every order is counted once, as of one instant.
    """
    found: Sums = {}
    for row in conn.execute(_ADDED).all():
        _add(found, row.currency, int(row.orders), {"captured": row.captured, "payable": row.payable})
    others = list(conn.execute(_OTHERS).scalars())
    for start in range(0, len(others), CHUNK):
        for order in peek(conn, others[start : start + CHUNK]).values():
            _add(found, order.currency or "", 1, asdict(balance(order)))
        told(min(start + CHUNK, len(others)), len(others))
    return dict(sorted(found.items()))


def _add(found: Sums, currency: str, orders: int, sums: dict[str, Decimal]) -> None:
    into = found.setdefault(currency, {"orders": Decimal(0), **{each.name: Decimal(0) for each in fields(Balance)}})
    into["orders"] += orders
    for name, amount in sums.items():
        into[name] += amount
