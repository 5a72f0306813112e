"""The effects that a replay would have if it were made now: which orders change and how, which refunds and messages go out.

Nobody guesses: the events are decided again by the code that a replay runs, in a transaction that is rolled back. What is
out already stays suppressed, because refunds go toward a sum and a message has one id; both are counted here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from time import sleep
from typing import Any

from sqlalchemy import Connection, Engine, text

from domain.order import Order, Status
from domain.policy import Policy
from journal.batch import Shop, is_of_the_moment
from journal.verify import compare
from operations.event_replay import Fate, decide_again
from operations.given_up import Thing
from operations.reasons import DELIVERY, EVENT, LOOKUP, REFUND
from outbound.refund_routes import READY_ROUTE, ROUTE, WAITING_ROUTE, Routes
from storage.aggregates import peek
from storage.pg_arrays import array

CHUNK = 100  # events of one transaction
CHANGES = 50  # fields of one order that are told
TRIES, PAUSE_S = 5, 0.2
LOCK_MS = 2_000  # that a forecast waits for a row: it must not stand in a worker's way

Told = Callable[[int, int], None]  # things done, of so many


@dataclass(frozen=True, slots=True)
class EventForecast:
    """The outcome that one event would have."""

    ref: str
    type: str
    order: str | None
    outcome: str
    reason: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class OrderForecast:
    """The order as it would be: its status before and after, and each field that changes as (path, before, after)."""

    number: str
    before: str | None  # None: it would come to be
    after: str
    changes: list[tuple[str, str, str]]

    @property
    def particulars(self) -> list[tuple[str, str, str]]:
        """The changes besides that of its status."""
        return [each for each in self.changes if each[0] != "status"]


@dataclass(frozen=True, slots=True)
class RefundForecast:
    """The sum that would go back of a payment; `waits`: only once a person lets it go, or a bank account is told.

    `route` says whether anybody gives it back (`outbound.refund_routes.ROUTES`): one that is neither ready nor waiting for
    a setting is given up at once.
    """

    order: str
    payment: str
    amount: Decimal
    currency: str
    waits: bool
    provider: str | None = None
    route: str = READY_ROUTE

    @property
    def goes_out(self) -> bool:
        """True where a provider is asked for it."""
        return self.route == READY_ROUTE

    @property
    def is_given_up(self) -> bool:
        """True where nobody gives it back, so that it becomes a letter once it is due."""
        return self.route not in (READY_ROUTE, WAITING_ROUTE)


@dataclass(frozen=True, slots=True)
class Stuck:
    """Refunds that do not go out, of one provider for one cause: `route` of ROUTES, how many, and what each currency adds up to."""

    route: str
    provider: str | None
    count: int
    sums: dict[str, Decimal]


@dataclass(slots=True)
class Forecast:
    """All that a replay would do. `already_out`: what of these orders went out before, and does not go out again."""

    events: list[EventForecast] = field(default_factory=list)
    orders: list[OrderForecast] = field(default_factory=list)
    refunds: list[RefundForecast] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)  # subscription's URL → how many
    retried: Counter[str] = field(default_factory=Counter)  # refund, lookup, delivery → how many are tried again
    gone: int = 0  # things that were given up no more when looked at
    refunds_out: int = 0
    messages_out: int = 0

    @property
    def outcomes(self) -> Counter[str]:
        """The number of events by outcome; those that die, by their reason."""
        return Counter(f"dead: {each.reason}" if each.outcome == "dead" else each.outcome for each in self.events)

    @property
    def deaths(self) -> list[tuple[EventForecast, int]]:
        """(the first of them, how many) of the events that would be given up again, by reason and type; the most first."""
        first: dict[tuple[str | None, str], EventForecast] = {}
        counts: Counter[tuple[str | None, str]] = Counter()
        for each in self.events:
            if each.outcome == "dead":
                first.setdefault((each.reason, each.type), each)
                counts[each.reason, each.type] += 1
        return [(first[cause], count) for cause, count in counts.most_common()]

    @property
    def moves(self) -> Counter[tuple[str | None, str]]:
        """The number of orders by their status (before, after), of those whose status changes."""
        return Counter((each.before, each.after) for each in self.orders if each.before != each.after)

    @property
    def sums(self) -> dict[tuple[str, bool], Decimal]:
        """The money that would go out, by (currency, whether it waits for a person or a bank account)."""
        found: dict[tuple[str, bool], Decimal] = {}
        for each in self.going:
            found[each.currency, each.waits] = found.get((each.currency, each.waits), Decimal(0)) + each.amount
        return found

    @property
    def going(self) -> list[RefundForecast]:
        """The refunds that a provider would be asked for."""
        return [each for each in self.refunds if each.goes_out]

    @property
    def stuck(self) -> list[Stuck]:
        """The refunds that do not go out, by cause and provider; the most first."""
        found: dict[tuple[str, str | None], list[RefundForecast]] = {}
        for each in self.refunds:
            if not each.goes_out:
                found.setdefault((each.route, each.provider), []).append(each)
        return sorted(
            (Stuck(*key, len(those), _added_up(those)) for key, those in found.items()), key=lambda each: -each.count
        )

    @property
    def given_up_at_once(self) -> int:
        """The number of refunds that nobody gives back: each becomes a letter (again) once it is due."""
        return sum(each.is_given_up for each in self.refunds)

    def as_document(self) -> dict[str, Any]:
        """The forecast as JSON, for scripts and over HTTP."""
        return {
            "outcomes": dict(self.outcomes),
            "events": [asdict(each) for each in self.events],
            "orders": [asdict(each) for each in self.orders],
            "refunds": [asdict(each) for each in self.refunds],
            "messages": dict(self.messages),
            "retried": dict(self.retried),
            "gone": self.gone,
            "alreadyOut": {"refunds": self.refunds_out, "messages": self.messages_out},
        }


def forecast(
    engine: Engine, policy: Policy, routes: Routes, shop: Shop, things: Sequence[Thing], told: Told | None = None
) -> Forecast:
    """The forecast of a replay of these things, with refunds by these routes; nothing is changed, and nothing goes out.

    Locks:  what a replay would lock, for as long as a chunk of it takes. Errors: OperationalError where rows stay locked.
    """
    found = Forecast()
    events = [each for each in things if each.kind == EVENT]
    for each in things:
        if each.kind in (REFUND, LOOKUP, DELIVERY):
            found.retried[each.kind] += 1
    _refunds_again(engine, routes, found, [each.id for each in things if each.kind == REFUND])
    done = 0
    for chunk in _chunks(events):
        fates, before, after = _as_if(engine, policy, routes, shop, chunk)
        _add_events(found, chunk, fates)
        _add_orders(found, before, after)
        done += len(chunk)
        if told is not None:
            told(done, len(events))
    found.orders.sort(key=lambda each: each.number)
    found.refunds.sort(key=lambda each: (each.order, each.payment))
    return found


# -- as if ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Picture:
    """Orders, what their payments have yet to give back, and what was told of them; by id, payment and address."""

    orders: dict[str, Order]
    owed: dict[str, RefundForecast]  # by effect
    messages: Counter[str]
    refunds_out: int
    messages_out: int


_OWED = text(f"""
    select e.id, o.order_number, e.payment_id, greatest(e.target - greatest(e.made, t.refunded_amount), 0) as owed, e.currency,
           e.state in ('staff', 'held', 'account_needed', 'dead') as waits, t.provider, {ROUTE} as route
    from effects e join orders o on o.id = e.order_id join transactions t on t.id = e.transaction_id
    where e.order_id = any(cast(:ids as uuid[]))
""")
_OWED_BY_ID = text(str(_OWED).replace("e.order_id = any", "e.id = any"))
_MESSAGES = text("""
    select s.url, count(*) as n, count(*) filter (where d.state = 'done') as out
    from deliveries d join subscriptions s on s.id = d.subscription_id
    where d.order_id = any(cast(:ids as uuid[])) group by 1
""")
_REFUNDS_OUT = text("""
    select count(*) from refunds where order_id = any(cast(:ids as uuid[]))
      and status in ('pending', 'requires_action', 'succeeded')
""")
_HURRY = text(f"select set_config('lock_timeout', '{LOCK_MS}ms', true)")


def _as_if(
    engine: Engine, policy: Policy, routes: Routes, shop: Shop, events: Sequence[Thing]
) -> tuple[dict[int, Fate], _Picture, _Picture]:
    """(outcomes, how it stands, how it would stand); again where a worker was in the way. All of it is rolled back."""
    for attempt in range(1, TRIES + 1):
        try:
            with engine.connect() as conn:
                conn.execution_options(isolation_level="REPEATABLE READ")  # so both pictures are of one instant
                with conn.begin() as transaction:
                    conn.execute(_HURRY)
                    point = conn.begin_nested()
                    fates = decide_again(conn, events, policy, shop)
                    ids = sorted({fate.order_id for fate in fates.values() if fate.order_id is not None})
                    after = _picture(conn, routes, ids)
                    point.rollback()
                    before = _picture(conn, routes, ids)
                    transaction.rollback()
                    return fates, before, after
        except Exception as error:
            if attempt == TRIES or not is_of_the_moment(error):
                raise
            sleep(PAUSE_S * attempt)
    raise AssertionError("unreachable")


def _picture(conn: Connection, routes: Routes, ids: Sequence[str]) -> _Picture:
    values = {"ids": array(list(ids), "uuid")}
    messages = conn.execute(_MESSAGES, values).all()
    return _Picture(
        peek(conn, ids) if ids else {},
        {row.id: RefundForecast(*row[1:]) for row in conn.execute(_OWED, values | routes.parameters())},
        Counter({row.url: row.n for row in messages}),
        conn.execute(_REFUNDS_OUT, values).scalar_one(),
        sum(row.out for row in messages),
    )


def _refunds_again(engine: Engine, routes: Routes, found: Forecast, ids: Sequence[str]) -> None:
    """Refunds that were given up: what each gives back once it is tried again."""
    if not ids:
        return
    with engine.connect() as conn:
        for row in conn.execute(_OWED_BY_ID, {"ids": array(sorted(ids), "uuid"), **routes.parameters()}):
            found.refunds.append(replace(RefundForecast(*row[1:]), waits=False))


def _chunks(events: Sequence[Thing]) -> Iterator[list[Thing]]:
    """Events in chunks of which none parts an order, unless that has more than a chunk."""
    chunk: list[Thing] = []
    for each in events:
        if len(chunk) >= CHUNK and (chunk[-1].order_number != each.order_number or len(chunk) >= 2 * CHUNK):
            yield chunk
            chunk = []
        chunk.append(each)
    if chunk:
        yield chunk


# -- what it comes to ----------------------------------------------------------------------------------------


def _added_up(refunds: Sequence[RefundForecast]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for each in refunds:
        found[each.currency] = found.get(each.currency, Decimal(0)) + each.amount
    return found


def _add_events(found: Forecast, events: Sequence[Thing], fates: dict[int, Fate]) -> None:
    for each in events:
        fate = fates.get(each.seq or 0)
        if fate is None:
            found.gone += 1
            continue
        found.events.append(
            EventForecast(each.ref, each.type, each.order_number, fate.outcome, fate.reason, fate.detail)
        )


def _add_orders(found: Forecast, before: _Picture, after: _Picture) -> None:
    for order_id, then in after.orders.items():
        now = before.orders.get(order_id)
        was = None if now is None or now.status == Status.NEW else str(now.status)
        differs = [] if now is None else [each for each in compare(now, then) if each.path != "version"]
        if now is None or differs:
            told = [each.as_document() for each in differs[:CHANGES]]
            changes = [(each["path"], each["stored"], each["folded"]) for each in told]
            found.orders.append(OrderForecast(then.order_number, was, str(then.status), changes))
    for effect_id, each in after.owed.items():
        owed_before = before.owed[effect_id].amount if effect_id in before.owed else Decimal(0)
        if each.amount > owed_before:
            found.refunds.append(replace(each, amount=each.amount - owed_before))
    found.messages += after.messages - before.messages
    found.refunds_out += before.refunds_out
    found.messages_out += before.messages_out
