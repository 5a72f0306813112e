"""Our watches on tracking numbers: who is polled for a parcel, and what is told of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, text

from domain.fulfillment import Status
from journal.batch_values import Follows
from settings.fields import plain_name
from storage.audit import Act, record_all
from storage.pg_arrays import array, columns, unnest

Kind = Literal["watched", "failing", "silent", "retired"]
KINDS: tuple[Kind, ...] = ("watched", "failing", "silent", "retired")


def can_be_followed(parcel: Mapping[str, Any]) -> bool:
    """True for the document of a parcel that has a way before it, and a carrier and number by which it can be followed."""
    named = parcel["carrier"] is not None and parcel["trackingNumber"] is not None
    return named and parcel["status"] in (Status.PENDING, Status.PACKED, Status.SHIPPED)


def polled_by(follows: Follows | None, carrier: str) -> str | None:
    """The one who is polled for parcels of a carrier, by the name that people gave it; None where nobody is."""
    route = follows(plain_name(carrier)) if follows is not None else None
    return None if route is None else route[0]


_CHANGED = ("provider", "carrier_id", "tracking_number")
_HURRY = text(
    f"with told as materialized (select t.id from trackers t join {unnest(_CHANGED, ('text',) * len(_CHANGED))} "
    "on t.tracking_number = v.tracking_number and t.provider = v.provider and t.carrier_id = v.carrier_id "
    "where not t.finished and t.next_at > :now order by t.key, t.id for update of t) "
    "update trackers t set next_at = :now, updated_at = now() from told where t.id = told.id"
)
_COUNTS = text("""
    select count(*) filter (where not finished) as watched,
           count(*) filter (where not finished and failures > 0) as failing,
           count(*) filter (where finished and last_error is not null) as retired
    from trackers
""")


def hurry(conn: Connection, changed: Sequence[tuple[str, str, str]], now: datetime) -> int:
    """Make parcels due at once, of which (provider, carrier's id there, number) a callback told; how many are watched.

    A poll that is under way is not believed any more: what it was told may be older than the change.
    """
    rows = columns(_CHANGED, ("text",) * len(_CHANGED), sorted(set(changed)))
    return conn.execute(_HURRY, {**rows, "now": now}).rowcount


def counts(conn: Connection) -> dict[str, int]:
    """Numbers of parcels: those `watched`, of them those `failing`, and those `retired`, which are asked for no more."""
    return dict(conn.execute(_COUNTS).mappings().one())


# Of a tracker `t`: the numbers of the orders whose goods its parcel holds, in SQL.
ORDERS = """array(
    select o.order_number from correlations c join orders o on o.id = any(array_append(c.members, c.order_id))
    where c.key = t.key order by o.id <> c.order_id, o.order_number
)"""


# -- for operators ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tracker:
    """One watch on a number, as operators see it."""

    id: str
    orders: Sequence[str]  # their numbers, the first that named it first
    carrier: str
    tracking_number: str
    polled_by: str
    status: str | None
    failures: int
    last_error: str | None
    retired: bool
    heard_at: datetime | None  # when something new was told last
    next_at: datetime


# Each along an index of its own, but for `watched` and `silent`, which are as many as parcels are on their way.
_WHERE: dict[Kind, str] = {
    "watched": "not t.finished",
    "failing": "not t.finished and t.failures > 0",
    "silent": "not t.finished and coalesce(t.heard_at, t.created_at) < :before",
    "retired": "t.finished and t.last_error is not null",
}
_LIST = f"""
    select t.id, {ORDERS} as orders, t.carrier, t.tracking_number, coalesce(t.provider, t.carrier) as polled_by, t.status,
           t.failures, t.last_error, t.finished as retired, t.heard_at, t.next_at
    from trackers t
    where {{where}} and (cast(:carrier as text) is null or coalesce(t.provider, t.carrier) = :carrier or t.carrier = :carrier)
    order by t.updated_at desc, t.id limit :limit
"""
_RESUME = text(f"""
    with chosen as materialized (
        select id from trackers t where t.finished and t.last_error is not null
          and (t.tracking_number = any(cast(:numbers as text[]))
               or (cast(:carrier as text) is not null and coalesce(t.provider, t.carrier) = :carrier))
        order by t.key, t.id for update
    )
    update trackers t set finished = false, failures = 0, last_error = null, heard_at = :now, next_at = :now,
        updated_at = now()
    from chosen where t.id = chosen.id
    returning t.tracking_number as number, {ORDERS} as orders
""")


def listed(conn: Connection, kind: Kind, before: datetime, carrier: str | None, limit: int) -> list[Tracker]:
    """The watches of a kind, the last changed first; `silent`: of which nothing new was told since `before`."""
    found = conn.execute(text(_LIST.format(where=_WHERE[kind])), {"carrier": carrier, "before": before, "limit": limit})
    return [Tracker(**row) for row in found.mappings()]


def resume(conn: Connection, numbers: Sequence[str], carrier: str | None, now: datetime, actor: str) -> list[str]:
    """Ask again for retired parcels, of these numbers or of all of a carrier; the numbers of those that were."""
    found = conn.execute(_RESUME, {"numbers": array(sorted(numbers), "text"), "carrier": carrier, "now": now}).all()
    acts = [
        Act(actor, "trackers resume", f"trackers/{row.number}", order=order)
        for row in found
        for order in row.orders or (None,)
    ]
    record_all(conn, acts)
    return sorted(row.number for row in found)
