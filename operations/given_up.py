"""The one list of what was given up: events, refunds, payment look-ups, deliveries of outgoing webhooks.

    GivenUpError
    ├── ThingUnknown    nothing that was given up has this name
    ├── FilterEmpty     an act on all that match was asked for without saying which
    └── TooMany         more things match than one act takes

One statement finds them all, by order, type, reason, provider, field at fault, text and time; another groups them by
cause. A thing's `ref` is what every act here takes: an event's journal number, or an id (eff_…, lku_…, msg_…).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from domain.ids import format_id, uuid_of
from events.errors import OrdersError
from operations import dead_letters
from operations.reasons import (
    CAUSES,
    DELIVERY,
    EVENT,
    FIELD,
    FIELD_IN_DETAIL,
    KINDS,
    LOOKUP,
    LOOKUP_GIVEN_UP,
    REFUND,
    WEBHOOK_GONE,
    WEBHOOK_REFUSED,
    WEBHOOK_UNREACHABLE,
    Cause,
    cause_of,
)
from outbound.webhooks.deliveries import GONE
from storage.like import escaped
from storage.pg_arrays import array

SHOWN = 100  # the length of a list, unless told otherwise
MOST = 100_000  # things of one act
SAMPLES = 3  # of a group
LAST = 2_000  # things of a kind that a page looks at, however many there are
SOUGHT = 3_000  # things of a kind that a page seeks a text in: of each, all that was ever known of it is read


class GivenUpError(OrdersError):
    """This cannot be done to what was given up; nothing was changed."""

    code = "given_up"
    remedy = "See `orders given-up list`."
    status = 400


class ThingUnknown(GivenUpError):
    """Nothing that waits among what was given up has this name."""

    code = "given_up_unknown"
    remedy = "Give a ref as `orders given-up list` shows them; what was replayed or discarded is listed no more."
    status = 404

    def __init__(self, ref: str, closed: dead_letters.Letter | None = None) -> None:
        if closed is None:
            why = f"{ref}: nothing that was given up has this name; `orders given-up list` shows what there is"
        else:
            at = f"{closed.died_at:%Y-%m-%d %H:%M} UTC"
            why = f"{ref} was {closed.state} on {at} and waits for nobody; `orders dlq show {ref}` shows it"
        super().__init__(f"{why}. Nothing was changed")
        self.ref = ref


class FilterEmpty(GivenUpError):
    """An act on all that match was asked for without any condition."""

    code = "given_up_filter_empty"
    remedy = "Name refs, or at least one condition: a kind, an order, a type, a reason, a provider, a field, a text or a time."

    def __init__(self) -> None:
        super().__init__(
            "say which: refs, or at least one of kind, order, type, reason, provider, field, text, since, until. An act on "
            "all that was ever given up is refused. Nothing was changed"
        )


class TooMany(GivenUpError):
    """More things meet the conditions than one act takes."""

    code = "given_up_too_many"
    remedy = "Narrow it: by type, reason or time."

    def __init__(self) -> None:
        super().__init__(
            f"more than {MOST:,} things fit, which is more than one act takes: narrow it. Nothing was changed"
        )


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that was given up and waits for a person. Times are UTC."""

    kind: str  # of `reasons.KINDS`
    id: str  # uuid of the dead letter, effect, look-up or delivery
    seq: int | None  # the event's journal number; of a look-up, its webhook's
    source: str | None
    event_id: str | None
    type: str
    order_number: str | None
    payment_id: str | None
    provider: str | None  # whom it came from, or was to go to
    reason: str
    field: str | None  # at fault
    detail: str | None
    attempts: int
    happened_at: datetime
    created_at: datetime  # it was given up first
    died_at: datetime  # … and last
    edited: bool

    @property
    def ref(self) -> str:
        """The name that acts take."""
        return _ref(self.kind, self.id, self.seq)

    @property
    def cause(self) -> Cause:
        """The reason in words, with what to do about it."""
        return cause_of(self.reason)

    def as_document(self) -> dict[str, Any]:
        """The thing as JSON, for scripts and over HTTP."""
        said = self.cause
        return {"ref": self.ref, **asdict(self), "means": said.means, "remedy": said.remedy}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions that things must meet, all of them; None is any. Times are those of the last death."""

    kind: str | None = None
    order: str | None = None  # its number
    type: str | None = None
    reason: str | None = None
    provider: str | None = None
    field: str | None = None
    text: str | None = None  # anywhere in what is known of it, its body included; capitals do not matter
    since: datetime | None = None
    until: datetime | None = None
    edited: bool | datetime | None = None  # whether it was, or the moment of the very act (`edits.moment`)

    def is_empty(self) -> bool:
        """True where any thing would do."""
        return all(getattr(self, each.name) is None for each in fields(self))

    def refuse_empty(self) -> None:
        """Refuse to act on everything. Errors: FilterEmpty."""
        if self.is_empty():
            raise FilterEmpty

    def as_document(self) -> dict[str, Any]:
        """The conditions that were given, as JSON."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}


ANY = Wanted()


@dataclass(frozen=True, slots=True)
class Group:
    """Things of one cause: how many, since when, and some of them."""

    kind: str
    reason: str
    type: str
    field: str | None
    provider: str | None
    count: int
    edited: int  # of them
    first_at: datetime
    last_at: datetime
    refs: list[str]

    @property
    def cause(self) -> Cause:
        """The reason in words, with what to do about it."""
        return cause_of(self.reason)

    def as_document(self) -> dict[str, Any]:
        """The group as JSON, with its cause in words."""
        said = self.cause
        return {**asdict(self), "means": said.means, "remedy": said.remedy}


# -- the list ------------------------------------------------------------------------------------------------


def _field_of(reason: str, detail: str) -> str:
    """SQL: the field at fault."""
    known = " ".join(f"when '{each.code}' then '{each.field}'" for each in CAUSES.values() if each.field)
    named = f"substring({detail} from '{FIELD}')".replace(":", "\\:")  # which would be a parameter's
    return f"case {reason} {known} when '{FIELD_IN_DETAIL}' then {named} end"


_EVENTS = f"""
    select '{EVENT}' as kind, d.id, j.seq, j.source, j.event_id, j.type,
           coalesce(case when c.seq is null then j.subject else c.subject end, o.order_number) as order_number,
           coalesce(c.data, j.data) ->> 'paymentId' as payment_id, j.source as provider, d.reason,
           {_field_of("d.reason", "d.detail")} as field, d.detail, d.deaths as attempts, j.time as happened_at,
           d.created_at, d.updated_at as died_at, c.seq is not null as edited, c.at as edited_at, coalesce(c.data, j.data) as body
    from __letters__ d join journal j on j.seq = d.seq left join corrections c on c.seq = d.seq
    left join correlations k on j.subject is null and k.key = 'payment:' || (coalesce(c.data, j.data) ->> 'paymentId')
    left join orders o on o.id = k.order_id
    where d.state __is__ 'open' and d.seq is not null
"""
_REFUNDS = f"""
    select '{REFUND}', e.id, null, null, null, 'Refund', o.order_number, e.payment_id, t.provider, d.reason,
           null, d.detail, greatest(e.attempts, d.deaths), e.created_at, d.created_at, d.updated_at, false, null, null
    from __refund_letters__ d join effects e on e.id = d.effect_id join orders o on o.id = e.order_id
    join transactions t on t.id = e.transaction_id where d.state __is__ 'open' and d.effect_id is not null
"""
_LOOKUPS = f"""
    select '{LOOKUP}', i.id, i.seq, j.source, j.event_id, j.type, coalesce(j.subject, o.order_number),
           j.data ->> 'paymentId', i.provider, coalesce(i.reason, '{LOOKUP_GIVEN_UP}'), null, i.last_error, i.attempts,
           j.time, i.created_at, i.updated_at, false, null, coalesce((select x.data from corrections x where x.seq = i.seq), j.data)
    from __lookups__ i join journal j using (seq)
    left join correlations k on j.subject is null and k.key = 'payment:' || (j.data ->> 'paymentId')
    left join orders o on o.id = k.order_id
    where i.state = 'dead'
"""
_DELIVERIES = f"""
    select '{DELIVERY}', d.id, null, null, null, d.collection || '.' || d.operation, o.order_number, null,
           split_part(split_part(split_part(s.url, '://', 2), '/', 1), '@', -1),
           case when d.last_status = {GONE} then '{WEBHOOK_GONE}' when d.last_status is null then '{WEBHOOK_UNREACHABLE}'
                else '{WEBHOOK_REFUSED}' end,
           null, d.last_error, d.attempts, d.at, d.at, d.updated_at, false, null, null
    from __deliveries__ d join orders o on o.id = d.order_id join subscriptions s on s.id = d.subscription_id
    where d.state = 'dead' and d.discarded_at is null
"""
_WORDS = "concat_ws(' ', g.source, g.event_id, g.type, g.order_number, g.payment_id, g.provider, g.reason, g.detail)"
_FITS = f"""
    from ({_EVENTS} union all {_REFUNDS} union all {_LOOKUPS} union all {_DELIVERIES}) g
    where (cast(:kind as text) is null or g.kind = :kind) and g.edited = coalesce(cast(:edited as boolean), g.edited)
      and (cast(:edited_at as timestamptz) is null or g.edited_at = :edited_at)
      and (cast(:order as text) is null or g.order_number = :order)
      and (cast(:type as text) is null or g.type = :type) and (cast(:reason as text) is null or g.reason = :reason)
      and (cast(:provider as text) is null or lower(g.provider) = lower(:provider))
      and (cast(:field as text) is null or g.field = :field)
      and (cast(:since as timestamptz) is null or g.died_at >= :since)
      and (cast(:until as timestamptz) is null or g.died_at < :until)
      and (cast(:pattern as text) is null or {_WORDS} ilike :pattern or cast(g.body as text) ilike :pattern)
"""
_ALL = dict.fromkeys(("letters", "refund_letters"), "dead_letters") | {
    "lookups": "inbox", "deliveries": "deliveries", "is": "=",
}  # fmt: skip


def _last_letters(column: str) -> str:
    """SQL: the last open letters that have this column, which tells those of events from those of refunds."""
    return f"""(select * from dead_letters where state = 'open' and {column} is not null
        and (cast(:reason as text) is null or reason = :reason) order by id desc limit :within)"""


# The last ones of each kind, along an index of its table: what a page may look at however much was given up. Letters of refunds
# are bounded apart from those of events, which are many more and would push them out.
_LAST = _ALL | {
    "letters": _last_letters("seq"),
    "refund_letters": _last_letters("effect_id"),
    "lookups": "(select * from inbox where state = 'dead' order by updated_at desc limit :within)",
    "deliveries": "(select * from deliveries where state = 'dead' and discarded_at is null order by updated_at desc limit :within)",
}
# An order's letters, all along indexes: what reached it, what was moved to it by an edit, its refunds, and what names it, or a
# payment of its alone: of a transaction, or of an event that bound it and made none. That may be more than what is its own: the
# conditions on the list see to it.
_OF_THEIRS = _ALL | {
    "letters": """(
        with theirs as materialized (select id from orders where order_number = any(cast(:orders as text[]))),
        payments as materialized (
            select payment_id from transactions where order_id in (select id from theirs)
            union select named.payment_id from results r join journal j using (seq) cross join lateral (
                select j.data ->> 'paymentId' as payment_id union all select jsonb_array_elements_text(
                    case jsonb_typeof(j.data -> 'paymentIds') when 'array' then j.data -> 'paymentIds' else '[]' end)) named
                where r.order_id in (select id from theirs) and r.outcome <> 'applied'
        )
        select d.* from results r join dead_letters d using (seq) where r.order_id in (select id from theirs)
        union select d.* from corrections c join dead_letters d using (seq) where c.subject = any(cast(:orders as text[]))
        union select d.* from corrections c join dead_letters d using (seq)
            where c.subject is null and left(c.data ->> 'paymentId', 255) in (select left(payment_id, 255) from payments)
        union select d.* from dead_letters d where d.names in (select left(number, 255) from unnest(cast(:orders as text[])) number)
        union select d.* from dead_letters d where d.names in (select left('payment:' || payment_id, 255) from payments))""",
    "refund_letters": """(
        select d.* from effects e join dead_letters d on d.effect_id = e.id
        where e.order_id in (select id from orders where order_number = any(cast(:orders as text[]))))""",
}


def _filled(statement: str, sources: Mapping[str, str] = _ALL) -> str:
    """SQL: the statement out of these tables; `is` says whether of letters the open ones (=), or the closed (<>)."""
    for name, source in sources.items():
        statement = statement.replace(f"__{name}__", source)
    return statement


_NAMES = ", ".join(f"g.{each.name}" for each in fields(Thing))
_LIST_OF = f"select {_NAMES} %s order by g.died_at desc, g.seq desc nulls last, g.id limit :most offset :skip"
_LIST = text(_LIST_OF % _filled(_FITS))
_COUNT = text(f"select count(*) {_filled(_FITS)}")
_GROUPS_OF = f"""
    with g as materialized (select g.kind, g.id, g.seq, g.reason, g.type, g.field, g.provider, g.died_at, g.edited %s)
    select g.kind, g.reason, g.type, g.field, g.provider, count(*) as count,
           count(*) filter (where g.edited) as edited, min(g.died_at) as first_at,
           max(g.died_at) as last_at, cast((array_agg(g.id order by g.died_at desc))[1\\:{SAMPLES}] as text[]) as ids,
           (array_agg(g.seq order by g.died_at desc))[1\\:{SAMPLES}] as seqs,
           array(select cast(id as text) from (
               select id from g order by died_at desc, seq desc nulls last, id limit :most offset :skip) page) as shown
    from g group by 1, 2, 3, 4, 5 order by count(*) desc, 1, 2, 3, 4, 5
"""
_GROUPS, _LAST_GROUPS = text(_GROUPS_OF % _filled(_FITS)), text(_GROUPS_OF % _filled(_FITS, _LAST))
_OF_ORDERS = text(
    f"select {_NAMES} {_filled(_FITS, _OF_THEIRS)} and g.order_number = any(cast(:orders as text[])) "
    "order by g.happened_at, g.seq limit :most"
)
_BY_ID = text(f"select {_NAMES} {_filled(_FITS)} and g.id = any(cast(:ids as uuid[]))")
_LETTER_BY_ID = f"select {_NAMES} from ({_EVENTS} union all {_REFUNDS}) g where g.id = cast(:id as uuid)"
_CLOSED_BY_ID = text(_filled(_LETTER_BY_ID, _ALL | {"is": "<>"}))


def given_up(conn: Connection, wanted: Wanted = ANY, *, limit: int = SHOWN, skip: int = 0) -> list[Thing]:
    """The things that meet the conditions, the last to die first."""
    rows = conn.execute(_LIST, {**_values(wanted), "most": limit, "skip": skip}).mappings()
    return [Thing(**row) for row in rows]


def count(conn: Connection, wanted: Wanted = ANY) -> int:
    """The number of things that meet the conditions."""
    return int(conn.execute(_COUNT, _values(wanted)).scalar_one())


def causes(conn: Connection, wanted: Wanted = ANY) -> list[Group]:
    """The things that meet the conditions, grouped by reason, type, field at fault and provider; the largest first."""
    return _grouped(conn, wanted, 0, 0, None)[0]


def page(
    conn: Connection, wanted: Wanted = ANY, *, limit: int = SHOWN, skip: int = 0, within: int | None = None
) -> tuple[list[Group], list[Thing]]:
    """The answers of `causes` and of `given_up`, out of one search; of the last `within` of each kind alone where that is said."""
    groups, ids = _grouped(conn, wanted, limit, skip, within)
    found = by_id(conn, ids)
    return groups, [found[each] for each in ids]


def _grouped(
    conn: Connection, wanted: Wanted, limit: int, skip: int, within: int | None
) -> tuple[list[Group], list[str]]:
    """The groups, and the ids of a page of the things."""
    found, shown = [], []
    statement, more = (_GROUPS, {}) if within is None else (_LAST_GROUPS, {"within": within})
    for row in conn.execute(statement, {**_values(wanted), **more, "most": limit, "skip": skip}).mappings():
        told = dict(row)
        ids, seqs, shown = told.pop("ids"), told.pop("seqs"), told.pop("shown")
        refs = [_ref(row["kind"], each, seq) for each, seq in zip(ids, seqs, strict=True)]
        found.append(Group(**told, refs=refs))
    return found, shown


def find(conn: Connection, refs: Sequence[str]) -> list[Thing]:
    """The things of these names, each once, in that order: a ref, or of an event its own id, or SOURCE/ID.

    Errors: ThingUnknown; `dead_letters.NameAmbiguous` where several events have the id.
    """
    ids = _ids_of(conn, refs)
    found = by_id(conn, ids)
    for ref, each in zip(refs, ids, strict=True):
        if each not in found:
            raise ThingUnknown(ref, next(iter(dead_letters.by_ids(conn, [each])), None))
    return [found[each] for each in dict.fromkeys(ids)]


def find_any(conn: Connection, ref: str) -> tuple[Thing, bool]:
    """The thing of that name, and whether its letter was replayed or discarded: then it waits for nobody. Errors: as `find`."""
    [id] = _ids_of(conn, [ref])
    if (waits := by_id(conn, [id]).get(id)) is not None:
        return waits, False
    row = conn.execute(_CLOSED_BY_ID, {"id": id}).mappings().one_or_none()
    if row is None:
        raise ThingUnknown(ref)
    return Thing(**row), True


def by_id(conn: Connection, ids: Sequence[str]) -> dict[str, Thing]:
    """Those of these ids that wait for a person, by id."""
    if not ids:
        return {}
    rows = conn.execute(_BY_ID, {**_values(ANY), "ids": array(sorted(set(ids)), "uuid")}).mappings()
    return {row["id"]: Thing(**row) for row in rows}


def of_orders(conn: Connection, numbers: Sequence[str], kind: str | None = None) -> list[Thing]:
    """All that was given up of these orders, by the time it happened; of one kind alone where that is said."""
    if not numbers:
        return []
    values = {**_values(Wanted(kind=kind)), "orders": array(sorted(set(numbers)), "text"), "most": MOST}
    return [Thing(**row) for row in conn.execute(_OF_ORDERS, values).mappings()]


def chosen(conn: Connection, refs: Sequence[str] = (), wanted: Wanted | None = None) -> list[Thing]:
    """The things that an act is about: those of these names, or all that meet the conditions.

    Errors: FilterEmpty where neither says which; TooMany; as `find`.
    """
    if refs:
        return find(conn, refs)
    wanted = wanted or ANY
    wanted.refuse_empty()
    found = given_up(conn, wanted, limit=MOST + 1)
    if len(found) > MOST:
        raise TooMany
    return found


def _ref(kind: str, id: str, seq: int | None) -> str:
    collection = {REFUND: "effects", LOOKUP: "lookups", DELIVERY: "deliveries"}.get(kind)
    return str(seq) if collection is None else format_id(collection, id)


def _ids_of(conn: Connection, refs: Sequence[str]) -> list[str]:
    """The uuids that the refs name, in their order; one statement finds the events among them."""
    own = {ref: uuid_of(ref) for ref in refs if ref.partition("_")[0] in ("eff", "lku", "msg")}
    try:
        letters = dead_letters.named(conn, [ref for ref in refs if own.get(ref) is None])
    except dead_letters.LetterUnknown as unknown:
        raise ThingUnknown(unknown.ref) from None
    return [own.get(ref) or letters[ref].effect_id or letters[ref].id for ref in refs]


def _values(wanted: Wanted) -> dict[str, Any]:
    told: dict[str, Any] = {each.name: getattr(wanted, each.name) for each in fields(wanted)}
    sought, edited = told.pop("text"), told["edited"]
    told["edited"], told["edited_at"] = (edited, None) if isinstance(edited, bool) else (None, edited)
    told["pattern"] = None if sought is None else f"%{escaped(sought)}%"
    return told


__all__ = [
    "ANY", "KINDS", "MOST", "SHOWN", "FilterEmpty", "GivenUpError", "Group", "Thing", "ThingUnknown", "TooMany", "Wanted",
    "by_id", "causes", "chosen", "count", "find", "find_any", "given_up", "of_orders", "page",
]  # fmt: skip
