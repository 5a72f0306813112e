"""Routes of refunds: a payment's money is given back by the provider that took it, and nobody else.

    ready      its refund client is configured: `outbound.refunds` makes the refund
    waiting    it has a client, and a setting is missing, or its package is broken: the refund stays due, and goes
               out once that is mended
    nobody     it has no client here, or the payment names no provider and several could have taken it: a person decides

What nobody gives back here becomes a dead letter with its remedy. One that a person made at the provider by hand is
closed by the provider's report, whichever way it died.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from domain.ids import format_id
from domain.transaction import BY_HAND
from outbound.refund_attempt import Refunder
from outbound.refund_records import attended, bury, weigh_failures
from providers.base import RefundClient
from providers.registry import registry
from settings.environment import Settings
from storage import audit
from storage.pg_arrays import array

NO_CLIENT = "refund_no_client"  # why such effects die
AT_ONCE = 500  # effects of one round

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Routes:
    """The providers whose refund clients are ready, and those that wait for something, by name."""

    clients: Mapping[str, RefundClient]
    waiting: Mapping[str, str]  # provider → what to do, so that its refunds go out

    @property
    def unnamed(self) -> str | None:
        """The one who refunds payments that name no provider: the only one who could have taken them."""
        return next(iter(self.clients)) if len(self.clients) == 1 else None

    def refunder(self, name: str) -> Refunder | None:
        """The provider of this name, ready to give money back; None where it is not."""
        client = self.clients.get(name)
        return None if client is None else Refunder(name, client, unnamed=name == self.unnamed)

    def parameters(self) -> dict[str, object]:
        """The routes as the statements take them."""
        return {
            "ready": array(sorted(self.clients), "text"),
            "waiting": array(sorted(self.waiting), "text"),
            "unnamed": self.unnamed is not None,
            "nobody": not self.clients,
        }


def configured_routes(settings: Settings) -> Routes:
    """The providers that give money back, each what it took."""
    found, values = registry(), settings.providers
    clients = found.refund_clients(values)
    waiting = {
        name: f"set {names} for the workers and restart them"
        for name, names in found.missing("refunds", values).items()
    }
    # What is broken may be mended: until then nobody else gives back what it took, and nothing is given up.
    broken = {each.name for each in found.broken} | set(found.ready("refunds", values)) - clients.keys()
    waiting |= {name: f"mend the provider {name} (see the line `providers`)" for name in broken}
    return Routes(clients, waiting)


# Which of the three an effect of a payment `t` is.
_BY_HAND = f"starts_with(t.payment_id, '{BY_HAND}')"
READY = f"(not {_BY_HAND} and (lower(t.provider) = any(cast(:ready as text[])) or (t.provider is null and :unnamed)))"
WAITS = (
    f"(not coalesce({READY}, false) and not {_BY_HAND} and "
    "(lower(t.provider) = any(cast(:waiting as text[])) or (t.provider is null and :nobody)))"
)
# The route by name: what becomes of an effect of a payment `t` once it is due.
READY_ROUTE, WAITING_ROUTE, NOTED_ROUTE, UNNAMED_ROUTE, NOBODY_ROUTE = ROUTES = (
    "ready", "waiting", "noted", "unnamed", "nobody",
)  # fmt: skip
ROUTE = (
    f"case when coalesce({READY}, false) then '{READY_ROUTE}' when coalesce({WAITS}, false) then '{WAITING_ROUTE}' "
    f"when {_BY_HAND} then '{NOTED_ROUTE}' when t.provider is null then '{UNNAMED_ROUTE}' else '{NOBODY_ROUTE}' end"
)

_NOBODY = text(f"""
    select e.id, e.state, e.idempotency_key, e.payment_id, e.currency, e.target, o.order_number, t.provider,
           greatest(e.made, t.refunded_amount) as gone
    from effects e join transactions t on t.id = e.transaction_id join orders o on o.id = e.order_id
    where e.state in ('due', 'in_flight', 'unknown') and e.next_at <= :now
      and not coalesce({READY}, false) and not coalesce({WAITS}, false)
    order by e.next_at limit {AT_ONCE} for update of e skip locked
""")
_REPORTED = text("""
    with found as (
        select e.id, t.refunded_amount from dead_letters d join effects e on e.id = d.effect_id
        join transactions t on t.id = e.transaction_id
        where d.state = 'open' and e.state in ('dead', 'done') and t.refunded_amount >= e.target
          and (cast(:effect as uuid) is null or e.id = cast(:effect as uuid))
        order by e.id for update of e skip locked
    ), closed as (
        update effects e set state = 'done', made = f.refunded_amount, idempotency_key = null, asked = null, asked_tax = null,
            attempted_at = null, attempts = 0, last_error = null, updated_at = now()
        from found f where e.id = f.id returning e.id, e.payment_id
    ), letters as (
        update dead_letters d set state = 'discarded', updated_at = now() from closed c
        where d.effect_id = c.id and d.state = 'open'
    )
    select c.id, c.payment_id, o.order_number from closed c join effects e on e.id = c.id join orders o on o.id = e.order_id
""")
# What waits for a bank account, and went back otherwise.
_NOT_NEEDED = text("""
    update effects e set state = 'done', made = t.refunded_amount, attempts = 0, last_error = null, updated_at = now()
    from transactions t where t.id = e.transaction_id and e.state = 'account_needed' and t.refunded_amount >= e.target
""")
_DONE = text("""
    update effects set state = 'done', made = :made, attempts = 0, last_error = null, updated_at = now() where id = :id
""")
_DEAD = text("update effects set state = 'dead', last_error = :error, updated_at = now() where id = :id")
# A route is the same for all of one provider's payments, by hand or not: it is asked for once per group, not per refund.
_BY_ROUTE = text(f"""
    select {ROUTE} as route, lower(t.provider) as provider, sum(t.n) as n, sum(t.late) as late,
           extract(epoch from clock_timestamp() - min(t.first)) as since
    from (
        select t.provider, min(t.payment_id) as payment_id, count(*) as n, min(e.created_at) as first,
               count(*) filter (where e.next_at < clock_timestamp() - make_interval(secs => :late)) as late
        from effects e join transactions t on t.id = e.transaction_id
        where e.state in ('due', 'in_flight', 'unknown') group by t.provider, {_BY_HAND}
    ) t group by 1, 2 order by 1, 2
""")


class WaitingRefunds(NamedTuple):
    """Refunds of one provider, or of none, that wait: how many, and for how many seconds the oldest is owed."""

    provider: str | None
    refunds: int
    since_s: float
    remedy: str  # what to do, so that they go out


class DueRefunds(NamedTuple):
    """Refunds that are due: those that wait for a setting, by provider; and how many of the others nobody takes up."""

    waiting: Sequence[WaitingRefunds]
    late: int  # a provider is ready for them


def give_up(conn: Connection, routes: Routes, now: datetime) -> int:
    """Make dead letters of the refunds that nobody makes here, and close those that went back otherwise; how many died.

    Errors: OperationalError when PostgreSQL is away. May be doubled or killed at any line.
    """
    died = 0
    for row in conn.execute(_NOBODY, {"now": now, **routes.parameters()}).all():
        if row.gone >= row.target and row.idempotency_key is None:
            conn.execute(_DONE, {"id": row.id, "made": row.gone})
            continue
        by_hand = row.payment_id.startswith(BY_HAND)
        error = "no provider took it: a person noted it" if by_hand else _why(row.provider, routes)
        left = f"{row.target - row.gone:,} {row.currency} of payment {row.payment_id}"
        again = f"`orders given-up replay {format_id('effects', row.id)} --why …`"
        step = (
            "Give it back the way it came; then settle it (`orders refunds settle`), or tell it as an event PaymentRefunded of that "
            "payment: both close this."
            if by_hand
            else "Refund it at the provider by hand, whose report closes this; "
            f"or {_remedy(row.provider)}, then {again}."
        )
        detail = f"{error}; {left} did not go back to order {row.order_number}'s payer. {step}"
        conn.execute(_DEAD, {"id": row.id, "error": error})
        bury(conn, row.id, NO_CLIENT, detail, now)
        log.warning("%s: %s", NO_CLIENT, detail)
        died += 1
    conn.execute(_NOT_NEEDED)
    close_reported(conn)
    weigh_failures(conn, now)
    return died


def close_reported(conn: Connection, effect_id: str | None = None) -> None:
    """Close dead letters of what went back all the same, or is due no more; of one effect alone where it is named."""
    closed = conn.execute(_REPORTED, {"effect": effect_id}).all()
    for row in closed:
        target = format_id("effects", row.id)
        why = "it went back, as its provider or a person told"
        audit.record(
            conn, "orders", "refund closed", target, why, order=row.order_number, detail={"payment": row.payment_id}
        )
        log.info("refund %s went back by hand, as its provider or a person told; its dead letter is closed", target)
    if closed:
        attended(conn, [row.id for row in closed])


def due(conn: Connection, routes: Routes, late_s: float) -> DueRefunds:
    """The refunds that are due, by their routes; those are late whose turn came before so many seconds."""
    rows = conn.execute(_BY_ROUTE, {"late": late_s, **routes.parameters()}).all()
    any_of_them = " or ".join(sorted(set(routes.waiting.values())))
    waiting = [
        WaitingRefunds(row.provider, row.n, float(row.since), routes.waiting.get(row.provider, any_of_them))
        for row in rows
        if row.route == WAITING_ROUTE
    ]
    return DueRefunds(waiting, sum(row.late for row in rows if row.route == READY_ROUTE))


def _why(provider: str | None, routes: Routes) -> str:
    if provider is None:
        return f"the payment names no provider, and {' and '.join(sorted(routes.clients))} could both have taken it"
    return f"nobody gives back here what {provider!r} took"


def _remedy(provider: str | None) -> str:
    if provider is None:
        return "leave only the provider set that took it"
    return f"name a service that does it (ORDERS_REFUND_URL={provider.lower()}=URL)"
