"""A demo's own orders so far: one statement, one snapshot, whatever else the database holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from demo.scenarios import NUMBER_PREFIX, PAYMENT_PREFIX
from events.envelope import OWN_SOURCE
from journal.totals import OUTCOMES
from storage.pg_arrays import array

_OPEN = "('due', 'in_flight', 'unknown')"
_FIGURES = text(f"""
    with chosen as (
        select id, order_number, status from orders where order_number = any(cast(:numbers as text[]))
    ), mine as (
        select j.seq, j.source = :own or starts_with(j.source, :own || '/') as own,
               coalesce(r.outcome, 'waiting') as outcome
        from journal j left join results r using (seq)
        where j.seq > :since and (starts_with(j.subject, :tag) or starts_with(j.event_id, :tag)
              or starts_with(j.data ->> 'paymentId', :payment) or starts_with(j.data ->> 'trackingNumber', :number))
    ), refunds as (
        select state, target, made from effects where order_id in (select id from chosen)
    )
    select (select json_object_agg(order_number, status) from chosen),
           (select json_object_agg(c.order_number, t.refunded) from chosen c join (
               select order_id, sum(refunded_amount) as refunded from transactions
               where order_id in (select id from chosen) group by 1) t on t.order_id = c.id),
           (select json_agg(json_build_array(own, outcome, n)) from (
               select own, outcome, count(*) n from mine group by 1, 2) m),
           (select count(*) from duplicates where seq in (select seq from mine)),
           (select json_build_array(count(*) filter (where not finished), count(*) filter (where status = 'delivered'),
                                    count(*) filter (where failures > 0))
            from trackers where key in (
                select unnest(f.parcels) from fulfillments f where f.order_id in (select id from chosen))),
           (select json_build_array(count(*) filter (where state in {_OPEN}), count(*) filter (where state = 'done'),
                                    count(*) filter (where state = 'dead'), coalesce(sum(made), 0))
            from refunds)
""")


@dataclass(frozen=True, slots=True)
class Run:
    """The orders and events of one demo."""

    tag: str  # begins every order number and event id
    numbers: list[str]
    since: int  # the journal's last number before it


@dataclass(slots=True)
class Figures:
    """Counts as of one moment. Outcomes are of deliveries from outside; `own` are our own follow-ups."""

    statuses: dict[str, str] = field(default_factory=dict)  # order number → status
    refunded: dict[str, Decimal] = field(default_factory=dict)  # order number → what went back
    outcomes: dict[str, int] = field(default_factory=dict)
    own: dict[str, int] = field(default_factory=dict)
    on_their_way: int = 0  # parcels
    delivered: int = 0
    failing: int = 0  # parcels whose carrier did not answer the last time
    refunds_due: int = 0
    refunds_made: int = 0
    refunds_dead: int = 0
    money_back: Decimal = Decimal(0)

    @property
    def accepted(self) -> int:
        """The number of deliveries from outside."""
        return sum(self.outcomes.values())

    @property
    def decided(self) -> int:
        """Events with a result, our own included."""
        undecided = self.outcomes.get("waiting", 0) + self.own.get("waiting", 0) + self.outcomes.get("duplicate", 0)
        return self.accepted + sum(self.own.values()) - undecided

    def outcome(self, name: str) -> int:
        """The number of deliveries that ended so."""
        return self.outcomes.get(name, 0)

    def as_document(self) -> dict[str, Any]:
        """The figures as JSON; statuses counted."""
        by_status: dict[str, int] = {}
        for status in self.statuses.values():
            by_status[status] = by_status.get(status, 0) + 1
        return {
            "orders": by_status,
            "accepted": self.accepted,
            **{name: self.outcomes.get(name, 0) for name in OUTCOMES},
            "own": sum(self.own.values()),
            "parcels": {"on_their_way": self.on_their_way, "delivered_by_polling": self.delivered},
            "refunds": {
                "due": self.refunds_due,
                "made": self.refunds_made,
                "dead": self.refunds_dead,
                "money_back": self.money_back,
            },
        }


def take(conn: Connection, run: Run) -> Figures:
    """The figures of this moment."""
    values = {
        "numbers": array(run.numbers, "text"),
        "own": OWN_SOURCE,
        "since": run.since,
        "tag": run.tag + "-",
        "payment": f"{PAYMENT_PREFIX}{run.tag}-",  # what was looked up names its payment alone
        "number": f"{NUMBER_PREFIX}{run.tag}-",  # and a scan that was asked for its parcel's number
    }
    statuses, refunded, rows, again, parcels, refunds = conn.execute(_FIGURES, values).one()
    outcomes: dict[str, int] = {"duplicate": again}
    own: dict[str, int] = {}
    for ours, outcome, n in rows or ():
        counts = own if ours else outcomes
        counts[outcome] = counts.get(outcome, 0) + n
    return Figures(
        statuses=statuses or {},
        refunded={number: Decimal(str(amount)) for number, amount in (refunded or {}).items()},
        outcomes=outcomes,
        own=own,
        on_their_way=parcels[0],
        delivered=parcels[1],
        failing=parcels[2],
        refunds_due=refunds[0],
        refunds_made=refunds[1],
        refunds_dead=refunds[2],
        money_back=Decimal(str(refunds[3])),
    )
