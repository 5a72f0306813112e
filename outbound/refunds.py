"""Refunds: recorded before they are made, one in flight per transaction, toward a cumulative target. Promise 9.

Each goes to the provider that took its payment (`Refunder`); what becomes of one whose provider gives no money back here
stands in `outbound.refund_routes`, what is asked of the provider in `outbound.refund_attempt`.

    due ── claimed ──▶ in_flight ── made ──────────────────────▶ done (due again if the target rose meanwhile)
                           ├────── surely not made ────────────▶ due, after a wait
                           ├────── more went back than we knew ▶ due at once, for what is left
                           ├────── no answer, or lease over ───▶ unknown, after a wait
                           ├────── open at the provider ───────▶ unknown, asked for until its end
                           ├────── it needs a bank account ────▶ account_needed, until one is told
                           └────── refused, failed, or tried too often ▶ dead, with a dead letter
    unknown ── claimed ──▶ in_flight, which asks what became of it, then asks again: same id, same amount
    staff, dead ── released by a person ──▶ due (unknown where the last attempt may have happened)
    held: history of a backfill; nobody claims it

The key in the row is the id of an attempt whose end we do not know, so that `due` never has one: the next attempt has an
id of its own. `made` is what had gone back before that attempt, `made + asked` what will have afterwards. The provider
is called between two short transactions and under neither. Whoever was too slow, or died, loses the effect with its lease.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import DataError, IntegrityError

from domain.ids import format_id, fresh, parse_id
from domain.movements import plain
from domain.tax import TaxParts, parts_due
from domain.transaction import BY_HAND
from events.envelope import Envelope
from journal.append import append
from journal.entries import Entry
from journal.pauses import Watch, rests
from journal.streams import Streams
from outbound import backoff, refund_accounts
from outbound.leases import Claimed, Round
from outbound.provider_events import refund_event
from outbound.refund_accounts import AccountNeeded, Vault, erase, for_refund, keep_no_longer
from outbound.refund_attempt import (
    ACCOUNT_NEEDED,
    DEAD,
    DONE,
    DUE,
    GAVE_UP,
    IN_DOUBT,
    UNKNOWN,
    Answer,
    Claim,
    Refunder,
    attempt,
)
from outbound.refund_records import attended, bury, record
from providers import refund_rules
from providers.movements import CAME_TO_NOTHING, RefundMovement
from storage import audit
from storage.aggregates import peek
from storage.clock import clock
from storage.tables import EFFECT_STATES
from telemetry import traces
from telemetry.meters import CALLS

SLICE_S = 20.0  # then nothing more is claimed; the next chore goes on
QUESTION_S = 20  # longer than the question before a refund may take, and the settling after it
AT_ONCE = 8  # calls side by side; each needs a connection for a moment
DETAIL = 2000  # characters of an error that are kept


log = logging.getLogger(__name__)


def run_due(
    engine: Engine,
    streams: Streams,
    shards: int,
    refunder: Refunder,
    now: datetime,
    limit: int = 100,
    *,
    raised: str = DUE,
    vault: Vault | None = None,
) -> int:
    """Take up the effects of one provider that are due, at most `limit`, several at a time; how many were taken up.

    Takes SLICE_S and one lease at most, whatever the provider does.
    `raised` is the state of one whose target rose while it was in flight: `staff` where each refund waits for a
    person. `vault` opens the bank accounts that refunds go to. May be doubled or killed at any line. Errors: OperationalError when PostgreSQL is away; what was in
    flight is then unknown once its lease is over.
    """
    clock, watch = backoff.ticking(now), Watch(engine, "refunds")
    failed: list[BaseException] = []

    def claim(most: int) -> Claimed[Claim, None]:
        if failed:
            return Claimed([], None, 0)
        with engine.begin() as conn:
            claims, closed = _claim(conn, refunder, vault or Vault(()), clock(), most)
        return Claimed(claims, None, len(claims) + closed)

    def settle(_: None, ended: Sequence[tuple[Claim, Future[list[Entry]]]], late: Sequence[Claim]) -> None:
        if late:
            log.warning("%s: %d refunds without an answer in %d s", refunder.name, len(late), lease_s(refunder))
        failed.extend(error for _, job in ended if (error := job.exception()))
        streams.publish(entry for _, job in ended if not job.exception() for entry in job.result())

    def ask(claim: Claim) -> list[Entry]:
        about: traces.Attributes = {"provider": refunder.name, "order_id": claim.order_id, "attempt": claim.attempts}
        with traces.later("refund attempt", claim.order_id, **about) as span:
            return _attempt(engine, shards, refunder, claim, clock, raised, watch, span)

    taken = Round(claim, ask, settle, AT_ONCE, AT_ONCE, SLICE_S, lease_s(refunder)).run(limit)
    if failed:
        raise failed[0]
    return taken


def lease_s(refunder: Refunder) -> float:
    """The seconds that a claim is ours: longer than a question and a refund together may take."""
    return refunder.client.rules.answer_s + QUESTION_S


def release(conn: Connection, effect_id: str, actor: str, act: str | None = "refunds release") -> bool:
    """Let a refund go that waits for staff, is dead, or failed after it had gone out; false where it is none of these.

    What failed is asked for again, as a new attempt, after the provider was asked what went back. The audit has it as `act`:
    the command that was used; None where the caller notes it.
    """
    found = conn.execute(_WAITS_FOR_A_PERSON, {"id": parse_id("effects", effect_id)}).one_or_none()
    if found is None:
        return False
    conn.execute(_RELEASE, {"id": found.id, "next": fresh(clock())})
    conn.execute(_REPLAYED, {"id": found.id})
    attended(conn, [found.id])
    if act is not None:
        subject, was, now = format_id("effects", found.id), {"state": found.state}, {"state": DUE}
        audit.record(
            conn, actor, act, subject, None, was, now, order=found.order_number, detail={"payment": found.payment_id}
        )
    return True


def counts(conn: Connection) -> dict[str, int]:
    """The number of effects in each state."""
    return dict.fromkeys(EFFECT_STATES, 0) | {row.state: row.n for row in conn.execute(_COUNTS)}


# -- claim ---------------------------------------------------------------------------------------------------

# A refund that staff made by hand, and that was reported, counts toward the target. `order_left` is what all payments of the
# order may still give back: a target that fell while its refund was in flight may have risen on another payment since.
_DUE = text(f"""
    select e.id, e.transaction_id, o.order_number, e.payment_id, e.currency, e.target, e.made, e.asked,
           e.idempotency_key, e.attempts, e.attempted_at, t.amount as captured, e.order_id, e.account_asked_at,
           e.asked_tax, exists (select from order_items i where i.order_id = e.order_id and i.tax_free) as told_apart,
           t.payment_method, t.paid_at, t.facts -> 'refunds' as told,
           greatest(e.made, t.refunded_amount) as gone,
           (select sum(x.refund_target - greatest(x.refunded_amount, f.made, f.made + f.asked))
            from transactions x left join effects f on f.transaction_id = x.id
            where x.order_id = e.order_id) as order_left
    from effects e join transactions t on t.id = e.transaction_id join orders o on o.id = e.order_id
    where e.state in ('due', 'in_flight', 'unknown') and e.next_at <= :now
      and (lower(t.provider) = :provider or (t.provider is null and :unnamed)) and not starts_with(t.payment_id, :by_hand)
      and not {rests("refunds", order="o.order_number", provider="lower(coalesce(t.provider, :provider))")}
    order by e.next_at limit :most for update of e skip locked
""")
_TAKE = text("""
    update effects set state = 'in_flight', made = :made, asked = :asked, idempotency_key = :key,
        asked_tax = cast(:asked_tax as jsonb),
        attempts = :attempts, attempted_at = :attempted_at, next_at = :lease, updated_at = now()
    where id = :id
""")
_NOTHING_LEFT = text("""
    update effects set state = 'done', made = :made, attempts = 0, last_error = null, updated_at = now()
    where id = :id
""")


_ASK_FOR_ACCOUNT = text("""
    update effects set state = 'account_needed', made = :made, attempts = 0, last_error = :error, updated_at = now()
    where id = :id
""")


def _claim(conn: Connection, refunder: Refunder, vault: Vault, now: datetime, most: int) -> tuple[list[Claim], int]:
    """Effects that are ours for a lease, and how many had nothing left to give back."""
    lease = now + timedelta(seconds=lease_s(refunder))
    claims, closed = [], 0
    values = {"now": now, "most": most, "provider": refunder.name, "unnamed": refunder.unnamed, "by_hand": BY_HAND}
    due = conn.execute(_DUE, values).all()
    accounts = refund_accounts.told(conn, {row.order_id for row in due})
    for row in due:
        made, asked, key, attempted_at = row.made, row.asked, row.idempotency_key, row.attempted_at
        if key is None:
            made, key, attempted_at = row.gone, fresh(now), now
            left = min(row.target - row.gone, row.order_left)
            asked = refunder.client.rules.units.payable(left, row.currency)
            if asked <= 0:
                conn.execute(_NOTHING_LEFT, {"id": row.id, "made": made})
                closed += 1
                continue
        try:
            account = for_refund(row, accounts.get(row.order_id), refunder.client.rules, vault, now)
        except AccountNeeded as error:
            if row.idempotency_key is None:
                conn.execute(_ASK_FOR_ACCOUNT, {"id": row.id, "made": made, "error": str(error)})
                closed += 1
                continue
            account = None  # what is in doubt is asked about first
        tax = _tax_parts(conn, row) if row.told_apart else None
        claim = Claim(
            row.id,
            row.order_number,
            row.payment_id,
            row.currency,
            row.captured,
            made,
            asked,
            key,
            row.attempts + 1,
            lease,
            attempted_at or now,  # none: of a release before, which did not note it
            row.idempotency_key is not None,
            row.order_id,
            account,
            tax,
        )
        taken = {"made": made, "asked": asked, "key": key, "attempts": claim.attempts, "lease": lease}
        taken["asked_tax"] = _kept_parts(tax)
        conn.execute(_TAKE, {"id": row.id, "attempted_at": claim.attempted_at, **taken})
        claims.append(claim)
    return claims, closed


def _kept_parts(tax: TaxParts | None) -> str | None:
    """The parts as an attempt keeps them: the same id goes out with the same ones."""
    if tax is None:
        return None
    return orjson.dumps([plain(tax.tax_free), None if tax.vat is None else plain(tax.vat)]).decode()


def _tax_parts(conn: Connection, row: Row[Any]) -> TaxParts | None:
    """Parts of all that is to go back of a payment; of an attempt that is repeated, those that it had."""
    if row.idempotency_key is not None:
        parts = [None if part is None else Decimal(part) for part in row.asked_tax or ()]
        return TaxParts(parts[0] or Decimal(0), parts[1]) if parts else None
    order = peek(conn, [row.order_id])[row.order_id]
    parts_of_all = parts_due(order)
    whole = sum((payment.refund_target for payment in order.transactions), Decimal(0))
    return parts_of_all and parts_of_all.share(row.target, whole, row.currency)


# -- attempt and settle --------------------------------------------------------------------------------------


def _attempt(
    engine: Engine,
    shards: int,
    refunder: Refunder,
    claim: Claim,
    clock: Callable[[], datetime],
    raised: str,
    watch: Watch,
    span: traces.Span,
) -> list[Entry]:
    """One attempt, and what became of it in one transaction; the events to publish."""
    answer = attempt(refunder, claim, clock(), lambda: watch.rests(provider=refunder.name, order=claim.order_number))
    CALLS.add(1, "refunds", refunder.name, answer.state)
    span.ended(answer.state, failed=answer.error is not None and not answer.is_open)
    try:
        with engine.begin() as conn:
            return _settle(conn, shards, refunder.name, claim, answer, clock(), raised)
    except (DataError, IntegrityError) as error:
        answer = Answer(UNKNOWN, error=f"the database refuses the answer: {error.orig}")
        with engine.begin() as conn:
            return _settle(conn, shards, refunder.name, claim, answer, clock(), raised)


_OURS = text("select target from effects where id = :id and state = 'in_flight' and next_at = :lease for update")
_SETTLE = text("""
    update effects set state = :state, made = greatest(made, :made), attempts = :attempts, next_at = :next_at,
        idempotency_key = case when cast(:in_doubt as boolean) then idempotency_key end,
        asked = case when cast(:in_doubt as boolean) then asked end,
        asked_tax = case when cast(:in_doubt as boolean) then asked_tax end,
        attempted_at = case when cast(:in_doubt as boolean) then attempted_at end, last_error = :error,
        due_since = coalesce(cast(:due_since as timestamptz), due_since),
        account_asked_at = coalesce(cast(:asked_at as timestamptz), account_asked_at), updated_at = now()
    where id = :id
""")


def _settle(
    conn: Connection, shards: int, provider: str, claim: Claim, answer: Answer, now: datetime, raised: str
) -> list[Entry]:
    """Record what became of the attempt, with its event and its dead letter."""
    target = conn.execute(_OURS, {"id": claim.id, "lease": claim.lease}).scalar_one_or_none()
    if target is None:  # the next to claim it asks the provider
        log.warning("refund %s: the answer came after its lease: %s", claim.key, answer.state)
        return []
    state, reason, made, attempts, next_at = answer.state, answer.reason, claim.made, claim.attempts, now
    in_doubt, due_since = state == UNKNOWN, None
    if answer.gone is not None:
        made = max(made, answer.gone)
    if state == DONE:
        made, attempts = max(made, claim.wanted), 0
        if target > made:  # it rose while this was in flight
            state, due_since = raised, now
    elif state in (DUE, UNKNOWN) and not answer.at_once:
        next_at = now + backoff.wait(attempts, random.random())
        if backoff.gives_up(attempts) and not answer.is_open:
            state, reason = DEAD, GAVE_UP
    error = answer.error.replace("\x00", "")[:DETAIL] if answer.error else None
    values = {"state": state, "made": made, "attempts": attempts, "next_at": next_at, "error": error}
    asked_at = now if state == ACCOUNT_NEEDED else None
    conn.execute(
        _SETTLE, {"id": claim.id, "in_doubt": in_doubt, "due_since": due_since, "asked_at": asked_at, **values}
    )
    if answer.ours is not None or (state == DEAD and not in_doubt and reason != IN_DOUBT):
        record(conn, claim, answer.ours, error, now)
    if state == ACCOUNT_NEEDED:
        erase(conn, claim.order_id)
    elif answer.state == DONE and claim.account is not None:
        keep_no_longer(conn, claim.order_id, now)
    if state == DEAD:
        detail = _remedy(provider, claim, error, answer.next_step)
        bury(conn, claim.id, reason or GAVE_UP, detail, now)
        log.warning("%s: %s", reason, detail)
    events = [_event(provider, claim, movement, now) for movement in answer.movements]
    return append(conn, events, shards).new if events else []


def _event(provider: str, claim: Claim, movement: RefundMovement, now: datetime) -> Envelope:
    """One refund as the provider tells it, as its one event of that status: asked again, it tells the same.

    A failure is told as of now: nobody says when it came, and a success before it may have been told with a time.
    """
    told = replace(movement, payment_id=claim.payment_id)
    time = now if movement.status in CAME_TO_NOTHING else movement.time
    own_id = f"{movement.refund_id}:{movement.status}"
    return refund_event(f"refunds:{provider}", own_id, claim.order_number, told, time)


def _remedy(provider: str, claim: Claim, error: str | None, next_step: str) -> str:
    first = f"{next_step[:1].upper()}{next_step[1:]}"
    again = f"`orders given-up replay {format_id('effects', claim.id)} --why …`"
    if refund_rules.BY_HAND in next_step:  # it is never tried again, or the customer would be paid twice
        step = f"{first}; that closes this, and nothing is replayed. Only where nobody was paid: {again}."
    else:
        step = (
            f"{f'{first}; then' if next_step else 'Once that is mended,'} {again}. Or refund it at the provider instead: its "
            "report closes this, and nothing is replayed."
        )
    return (
        f"{provider}: {claim.asked:,} {claim.currency} of payment {claim.payment_id} did not go back to order "
        f"{claim.order_number}'s payer, attempt {claim.attempts}: {error}. {step}"
    )


# -- operators -----------------------------------------------------------------------------------------------

_WAITS_FOR_A_PERSON = text("""
    select e.id, e.state, e.payment_id, o.order_number from effects e join orders o on o.id = e.order_id
    where e.id = cast(:id as uuid) and (e.state in ('staff', 'dead') or (e.idempotency_key is null
        and exists (select from dead_letters d where d.effect_id = e.id and d.state = 'open'))) for update of e
""")
_RELEASE = text("""
    update effects e set state = case when idempotency_key is null then 'due' else 'unknown' end, attempts = 0,
        next_at = now(), last_error = null, updated_at = now(),
        made = case when e.idempotency_key is null and e.state <> 'staff' then least(e.made, t.refunded_amount)
            else e.made end,
        refund_id = case when exists (select from refunds r where r.id = e.refund_id) and e.idempotency_key is null
            then :next else coalesce(e.refund_id, :next) end
    from transactions t where e.id = :id and t.id = e.transaction_id
""")
_REPLAYED = text(
    "update dead_letters set state = 'replayed', updated_at = now() where effect_id = :id and state = 'open'"
)
_COUNTS = text("select state, count(*) as n from effects group by state")
