"""Orders by the name that a person gives: a number, an id, or nearly one."""

from __future__ import annotations

from itertools import takewhile

from sqlalchemy import Connection, text

from domain.ids import uuid_of
from domain.order import Status

_NUMBER = text(
    "select order_number from orders where order_number = :name or id = cast(:id as uuid) "
    "order by order_number = :name desc"
)
_ID = text("select id from orders where order_number = :number")
_BESIDE = text(
    f"(select order_number from orders where order_number >= :name and status <> '{Status.NEW}' "
    "order by order_number limit :most) union all "
    f"(select order_number from orders where order_number < :name and status <> '{Status.NEW}' "
    "order by order_number desc limit :most)"
)


def number_of(conn: Connection, name: str) -> str | None:
    """The number of the order of that name, a number or an id (`ord_…`), hidden orders too; or None."""
    return conn.execute(_NUMBER, {"name": name, "id": uuid_of(name)}).scalars().first()


def id_of(conn: Connection, number: str) -> str | None:
    """The id, as stored, of the order of that number, hidden or not; or None."""
    return conn.execute(_ID, {"number": number}).scalar_one_or_none()


def alike(conn: Connection, name: str, most: int = 5) -> list[str]:
    """Numbers of orders that begin as `name` does, as far as any do: they stand beside it in the index."""
    beside = conn.execute(_BESIDE, {"name": name, "most": most}).scalars()
    shared = {number: _shared(name, number) for number in beside}
    longest = max(shared.values(), default=0)
    return sorted(number for number, length in shared.items() if length == longest)[:most] if longest else []


def _shared(one: str, other: str) -> int:
    """How many characters two names begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
