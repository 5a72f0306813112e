"""The audit, read: who did what and who looked at personal data, by order, actor and time; and its export.

`storage.audit` writes it; `record`, `record_all` and `looked` are given on here for whoever stands above this room. An act
that makes an event of an order is noted by `note_event`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, TextClause, text

from domain.holds import holds
from domain.order import Order
from events.catalogue import PERSONAL_FIELDS
from journal.commands import Request, Step
from storage.audit import LOOKED, Act, looked, record, record_all

__all__ = ["LOOKED", "Act", "Entry", "Key", "Page", "about", "each", "lately", "looked", "newest", "note_event", "page",
           "personal_of", "record", "record_all", "standing"]  # fmt: skip

SHOWN = 100  # how many a list has, unless told otherwise
SCANNED = 20_000  # rows that a page looks at, however few of them fit
PAGE = 1_000  # rows in memory while all are exported

_CHOSEN = """
    from audit where (cast(:order as text) is null or order_number = :order)
      and (cast(:actor as text) is null or actor = :actor)
      and (cast(:act as text) is null or action = :act)
      and (cast(:target as text) is null or target = :target)
      and (cast(:since as timestamptz) is null or at >= :since)
      and (cast(:until as timestamptz) is null or at < :until)
"""
_COLUMNS = "id, at, actor, action as act, target as subject, order_number, reason, before, after, detail"
_NEWEST = text(
    f"select {_COLUMNS} {_CHOSEN} and (cast(:before as bigint) is null or id < :before) order by id desc limit :most"
)
_EACH = text(f"select {_COLUMNS} {_CHOSEN} order by id")
_LATELY = text("select distinct action from (select action from audit order by id desc limit :scanned) a order by 1")


def _paged(of_order: bool) -> tuple[TextClause, TextClause]:
    """The statement of a page, and the one of the last row that a page looks at; along the index of an order's, or of times."""
    only = "and order_number = :order" if of_order else ""
    before = f"from audit where (at, id) < (cast(:at as timestamptz), cast(:id as bigint)) {only}"
    rows = f"""
        select * from (select {_COLUMNS} {before} order by audit.at desc, audit.id desc limit :scanned) looked
        where (cast(:actor as text) is null or actor = :actor) and (cast(:act as text) is null or act = :act)
        order by looked.at desc, looked.id desc limit :most
    """
    return text(rows), text(f"select at, id {before} order by at desc, id desc offset :scanned - 1 limit 1")


_PAGE, _PAGE_OF_ORDER = _paged(of_order=False), _paged(of_order=True)


@dataclass(frozen=True, slots=True)
class Entry:
    """One act as it is kept."""

    id: int
    at: datetime
    actor: str
    act: str
    subject: str
    order_number: str | None
    reason: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    detail: dict[str, Any]

    def as_document(self) -> dict[str, Any]:
        """The act for scripts, its names as the API has them."""
        return {
            "id": self.id,
            "at": self.at,
            "actor": self.actor,
            "act": self.act,
            "subject": self.subject,
            "orderNumber": self.order_number,
            "reason": self.reason,
            "before": self.before,
            "after": self.after,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Key:
    """A place in the list: acts before it come next."""

    at: datetime
    id: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """One page of acts. `further` is where the next one begins, None at the end; `passed_over` if this one ended by SCANNED."""

    entries: list[Entry]
    further: Key | None
    passed_over: bool = False


_NEWEST_KEY = Key(datetime.max.replace(tzinfo=UTC))


def page(
    conn: Connection,
    before: Key | None = None,
    *,
    order: str | None = None,
    actor: str | None = None,
    act: str | None = None,
    most: int = SHOWN,
) -> Page:
    """A page of acts, the newest first, from `before` on: of an order (its number), an actor, a kind of act.

    Shape:  one statement along an index; another where SCANNED rows had fewer that fit than the page has room.
    """
    rows, last = _PAGE if order is None else _PAGE_OF_ORDER
    key = before or _NEWEST_KEY
    place = {"at": key.at, "id": key.id, "scanned": SCANNED, **({} if order is None else {"order": order})}
    found = [
        Entry(**row) for row in conn.execute(rows, {**place, "actor": actor, "act": act, "most": most + 1}).mappings()
    ]
    if len(found) > most:
        return Page(found[:most], Key(found[most - 1].at, found[most - 1].id))
    if actor is None and act is None:
        return Page(found, None)
    end = conn.execute(last, place).one_or_none()
    return Page(found, None if end is None else Key(end.at, end.id), passed_over=end is not None)


def about(conn: Connection, subject: str, most: int = SHOWN) -> list[Entry]:
    """The acts upon one thing (rpl_…, orders/NUMBER, …), the oldest first; of very many the newest `most`."""
    return newest(conn, most, target=subject)[::-1]


def lately(conn: Connection) -> list[str]:
    """The kinds of acts among the last SCANNED of all, by name."""
    return list(conn.execute(_LATELY, {"scanned": SCANNED}).scalars())


def newest(conn: Connection, limit: int = SHOWN, *, before: int | None = None, **chosen: Any) -> list[Entry]:
    """The newest acts first, of those before the act of an id where one is given.

    `chosen` by order (its number), actor, act, target, since, until.
    """
    rows = conn.execute(_NEWEST, {**_values(chosen), "before": before, "most": limit}).mappings()
    return [Entry(**row) for row in rows]


def each(conn: Connection, **chosen: Any) -> Iterator[Entry]:
    """Every act that fits, the oldest first, a page in memory at a time."""
    with conn.execute(_EACH, _values(chosen), execution_options={"yield_per": PAGE}) as found:
        for row in found.mappings():
            yield Entry(**row)


def standing(order: Order) -> dict[str, Any]:
    """The parts of an order that an act may change, for `before` and `after`."""
    return {
        "status": str(order.status),
        "holds": list(holds(order)),
        "canceled": sum(item.canceled_quantity for item in order.items),
    }


def note_event(
    request: Request, step: Step, before: Mapping[str, Any], after: Order, actor: str, reason: str | None = None
) -> None:
    """Note who had an event happen to an order, with how it stood before (`standing`) and stands now.

    Of personal fields only the names: the audit is kept when a customer is forgotten.
    """
    why = reason if reason is not None else step.data.get("reason")
    subject = f"orders/{step.number}"
    left_out = ("reason", "by", *PERSONAL_FIELDS)
    told = {"event": step.type, **{name: value for name, value in step.data.items() if name not in left_out}}
    if personal := sorted(step.data.keys() & set(PERSONAL_FIELDS)):
        told["personalFields"] = personal
    record(
        request.conn, actor, step.type, subject, why, before, standing(after), order=step.number, detail={"data": told}
    )


def personal_of(document: Mapping[str, Any]) -> list[str]:
    """The names of the personal fields that a document shows, however deep they stand in it."""
    found: dict[str, None] = {}
    todo: list[Any] = [document]
    while todo:
        each = todo.pop()
        if isinstance(each, Mapping):
            found |= {name: None for name, value in each.items() if name in PERSONAL_FIELDS and value}
            todo += each.values()
        elif isinstance(each, list):
            todo += each
    return sorted(found)


def _values(chosen: Mapping[str, Any]) -> dict[str, Any]:
    known = ("order", "actor", "act", "target", "since", "until")
    if unknown := sorted(set(chosen) - set(known)):
        raise TypeError(f"{unknown[0]} is none of {', '.join(known)}")
    return {name: chosen.get(name) for name in known}
