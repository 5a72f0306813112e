"""Questions before an order expires: its payment's provider is asked whether money came whose webhook was lost.

    unpaid timer due ──▶ a question: journaled, and asked by the payment look-ups (`outbound.payment_lookups`)
        paid there ───────────────────▶ an ordinary event, source `reconciliation`: the order is paid
        not paid there, or unknown ───▶ the timer fires, and the order expires
        no answer ────────────────────▶ the timer waits, and the question is a line of the doctor; given up at last it is
                                        a dead letter, until a person has it asked again, or discards it

Most unpaid orders are abandoned carts: a provider is asked a few questions per second, and few wait at once.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, text

from events.envelope import Envelope
from journal.append import append
from journal.streams import Streams
from journal.timers import ASKABLE, QUESTION, QUESTIONS, Askable
from outbound.payment_lookups import EXPIRING, Webhook, enter
from providers.registry import registry
from settings.environment import Settings

PER_ROUND = 5  # questions of a provider; its chore has a round per second
OUTSTANDING = 50  # of a provider that wait for its answer; beyond it no more are asked for

_WAITING = text("""
    select count(*) from (
        select from inbox i join journal j using (seq)
        where i.state = 'due' and i.provider = :provider and j.type = :type limit :most
    ) waiting
""")
_DUE = text(f"""
    select o.order_number, x.payment_id, {QUESTION} as question
    from timers t join orders o on o.id = t.order_id join transactions x on x.order_id = o.id
    where t.due <= :now and not t.held and {ASKABLE}
      and not exists (select from journal j where j.source = '{QUESTIONS}' and j.event_id = {QUESTION})
    order by t.due limit :most
""")


def askable(settings: Settings) -> Askable:
    """The providers that can be asked how a payment stands: by a key, and not by the bare word of a webhook."""
    found, values = registry(), settings.providers
    without_key = found.missing("lists", values)
    names = [name for name in found.ready("looks_up", values) if name not in without_key]
    return Askable(names, unnamed=len(names) == 1)


def ask(engine: Engine, streams: Streams, shards: int, provider: str, askable: Askable, now: datetime) -> int:
    """Have `provider` asked about payments of orders that are about to expire; how many questions that made.

    May be doubled or killed at any line. Errors: OperationalError when PostgreSQL is away.
    """
    if provider not in askable.names:
        return 0
    alone = Askable((provider,), askable.unnamed)
    kind = f"{provider}{EXPIRING}"
    with engine.begin() as conn:
        waiting = conn.execute(_WAITING, {"provider": provider, "type": kind, "most": OUTSTANDING}).scalar_one()
        most = min(PER_ROUND, OUTSTANDING - waiting)
        if most <= 0:
            return 0
        rows = conn.execute(_DUE, {"now": now, "most": most, **alone.parameters()}).all()
        envelopes = [
            Envelope(row.question, QUESTIONS, kind, now, row.order_number, {"paymentId": row.payment_id})
            for row in rows
        ]
        new = append(conn, envelopes, shards).new if envelopes else []
        enter(conn, [Webhook(provider, entry.seq) for entry in new], now)
    streams.publish(new)
    return len(new)
