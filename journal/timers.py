"""Timers: rows that become events when due.

A timer first applies every undecided event of its order, under the row lock, and then looks again: a
payment that waits in a stream while we were away must not find its order expired. After a gap of our
own (a heartbeat older than GAP_S) no timer runs until a grace has passed, for the same reason. Orders that
somebody holds are left to the next run.

An unpaid order whose payment's provider can be asked waits for its answer (`outbound.expiry_questions`): a webhook that
was lost must not cost the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

from domain.holds import ending
from domain.ids import derived
from domain.policy import Context, Policy
from domain.reactions import CONFIRM, HOLD, awaits
from events.catalogue import payment_key, route_of
from events.envelope import OWN_SOURCE, Envelope
from journal import pauses
from journal.append import append
from journal.batch import Clash, Shop, settle_carefully
from journal.entries import Entry, read, shard_of
from storage.pg_arrays import array

SOURCE = f"{OWN_SOURCE}/timers"
GAP_S = 300
AT_ONCE = 100
TRIES = 5

QUESTIONS = "reconciliation"  # source of the questions before an expiry, and of the events that come of them

# The payments `x` of an unpaid timer `t` and its order `o` whose provider can be asked, and the name of the question.
QUESTION = "(x.payment_id || ':expires:' || cast(extract(epoch from t.due) as bigint))"
ASKABLE = """
    t.kind = 'unpaid' and o.status in ('pending', 'failed')
    and not exists (select from transactions p where p.order_id = o.id and p.paid_at is not null)
    and (lower(x.provider) = any(cast(:askable as text[])) or (x.provider is null and :unnamed))
    and (x.pending_until is null or x.pending_until <= :now)
"""

# By PostgreSQL's clock, whichever host runs this. Where that was put back, a gap's end is not left in the future.
_BEAT = text("""
    insert into heartbeats as h (name, at) values ('timers', coalesce(cast(:now as timestamptz), clock_timestamp()))
    on conflict (name) do update set at = excluded.at,
        gap_end = case when h.at < excluded.at - make_interval(secs => :gap) then excluded.at
                       when h.gap_end > excluded.at then excluded.at else h.gap_end end
    returning h.at, h.gap_end
""")
# Orders whose rows others hold have their turn at the next run.
_DUE = text(f"""
    select t.order_id, t.kind, t.due, o.order_number, o.shard from timers t join orders o on o.id = t.order_id
    where t.due <= :now and not t.held and not {pauses.TIMER_RESTS} and not exists (
        select from transactions x where x.order_id = o.id and {ASKABLE} and not exists (
            select from journal j join inbox i using (seq)
            where j.source = '{QUESTIONS}' and j.event_id = {QUESTION} and i.state = 'done'))
    order by t.due limit :most for update of o skip locked
""")
_NAMES = text("""
    select t.payment_id, null from transactions t where t.order_id = any(cast(:ids as uuid[]))
    union all
    select null, unnest(f.parcels) from fulfillments f where f.order_id = any(cast(:ids as uuid[]))
""")
# By shard, so that it looks at what is open and not at the whole journal.
_UNDECIDED = text("""
    select seq from undecided where shard = any(cast(:shards as smallint[]))
      and (subject = any(cast(:numbers as text[])) or data->>'paymentId' = any(cast(:payments as text[]))
           or type = 'TrackingUpdated' and subject is null)
    order by seq
""")
_STATE = text("""
    select o.id, o.order_number, o.status, o.confirmed_at is not null,
           exists (select from transactions t where t.order_id = o.id and t.paid_at is not null),
           (select max(t.pending_until) from transactions t where t.order_id = o.id), o.facts
    from orders o where o.id = any(cast(:ids as uuid[])) order by o.id for update
""")
_DONE = text(
    "delete from timers t using unnest(cast(:ids as uuid[]), cast(:kinds as text[])) v(id, kind) "
    "where t.order_id = v.id and t.kind = v.kind and t.due <= :now"
)


@dataclass(frozen=True, slots=True)
class Askable:
    """The providers that can be asked how a payment stands; `unnamed`: also of payments that name no provider."""

    names: Sequence[str] = ()
    unnamed: bool = False

    def parameters(self) -> dict[str, object]:
        """The providers as the statements take them."""
        return {"askable": array(sorted(self.names), "text"), "unnamed": self.unnamed}


NOBODY = Askable()


def run_due(engine: Engine, policy: Policy, shop: Shop, now: datetime | None = None, askable: Askable = NOBODY) -> int:
    """Fire what is due at `now`, by default PostgreSQL's; how many events that made. Who is `askable` is asked before.

    Nothing fires within a grace of a gap of ours.
    """
    made = 0
    while True:
        with engine.begin() as conn:  # committed whatever becomes of what is due
            at, gap_end = conn.execute(_BEAT, {"now": now, "gap": GAP_S}).one()
        if gap_end is not None and at < gap_end + policy.grace:
            return made
        for _ in range(TRIES):
            try:
                with engine.begin() as conn:
                    found = _fire(conn, policy, shop, at, askable)
                break
            except Clash:
                continue
        else:
            return made
        if found is None:
            return made
        made += found


def _fire(conn: Connection, policy: Policy, shop: Shop, now: datetime, askable: Askable) -> int | None:
    resting = pauses.in_force(conn)
    with conn.begin_nested() as probe:
        due = conn.execute(_DUE, {"now": now, "most": AT_ONCE, **askable.parameters()}).all()
        probe.rollback()  # lets go of the rows: they are locked in their turn, behind correlations, as everywhere
    if not due:
        return None
    ids = sorted({row.order_id for row in due})
    context = Context(now, policy)
    while entries := _undecided(conn, due, ids, shop.shards):  # one may name a payment that another one tells of
        ripe = pauses.set_aside(conn, entries, resting, shop.policy_id)  # a scan may be of a box that another order has
        settle_carefully(conn, ripe, context, shop, resting=resting)
    states = {row[0]: row for row in conn.execute(_STATE, {"ids": array(ids, "uuid")})}
    envelopes = [envelope for row in due for envelope in _envelopes(row, now, states[row.order_id])]
    appended = append(conn, envelopes, shop.shards)
    settle_carefully(conn, appended.new, context, shop, resting=resting)
    kinds = array([row.kind for row in due], "text")
    conn.execute(_DONE, {"ids": array([row.order_id for row in due], "uuid"), "kinds": kinds, "now": now})
    return len(appended.new)


def _envelopes(row: Any, now: datetime, state: Any) -> list[Envelope]:
    """The events that a due timer becomes: none where nothing is left to do. A hold ends when it said, not when it is seen."""
    by_timer, number = {"by": "timer"}, row.order_number
    if row.kind == HOLD:
        ends = ending(state[6], now) if awaits(HOLD, state[2], state[3]) else []
        return [
            Envelope(
                derived(until, row.order_id, HOLD, hold),
                SOURCE,
                "OrderReleased",
                until,
                number,
                {"hold": hold, **by_timer},
            )
            for hold, until in ends
        ]
    kind = _event_of(row.kind, now, *state[2:6])
    name = f"{row.order_id}:{kind}:{row.due.isoformat()}"
    return [Envelope(name, SOURCE, kind, now, number, by_timer)] if kind else []


def _event_of(
    kind: str, now: datetime, status: str, confirmed: bool, captured: bool, awaited: datetime | None
) -> str | None:
    """The event that a due timer becomes, or None where it is no longer wanted."""
    if not awaits(kind, status, confirmed):
        return None
    if kind == CONFIRM:
        return "OrderConfirmed"
    return None if captured or (awaited is not None and awaited > now) else "OrderExpired"


def _undecided(conn: Connection, due: Sequence[Any], ids: list[str], shards: int) -> list[Entry]:
    """Undecided events about these orders; those of others might wait for rows that somebody holds."""
    payments, routes = [], {row.order_number for row in due}
    for payment_id, parcel in conn.execute(_NAMES, {"ids": array(ids, "uuid")}):
        if payment_id is not None:
            payments.append(payment_id)
            routes.add(payment_key(payment_id))
        else:
            routes.add(parcel)
    looked_at = sorted({shard_of(route, shards) for route in routes})
    found = conn.execute(
        _UNDECIDED,
        {
            "shards": array(looked_at, "smallint"),
            "numbers": array(sorted({row.order_number for row in due}), "text"),
            "payments": array(sorted(payments), "text"),
        },
    )
    entries = read(conn, list(found.scalars()))
    return [e for e in entries if e.subject is not None or route_of(e.event_id, e.type, None, e.data) in routes]
