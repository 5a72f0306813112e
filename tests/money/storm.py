"""A storm of refunds: thousands at three providers in their wire formats, mishaps and SIGKILLs; then the books are compared.

Of the refunds 10 % time out after they were made, 5 % are refused, 5 % fail after they were made, 3 % are open for a while,
and 5 % of the webhooks come twice. Whole orders are canceled, single lines come back, and some orders give back twice. The
drain's worker, the worker that asks the providers, and each provider are killed while refunds are in flight.

What must go back is known beforehand: which payment a provider refuses, and which refund fails, follows from the seed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import text

from events.envelope import Envelope
from providers.simulators.process import Mishaps
from tests.chaos.harness import account, verify_faults
from tests.faults.ledger import untrue
from tests.money.shop_floor import PROVIDERS, Floor, Paid, a_floor

SHARES = {"refused": 0.05, "late_failure": 0.05, "open": 0.03, "timeout": 0.10, "twice": 0.05}
# Whom each payment is made at, and in what: with cents, without, in tens of thousandths, and in hundreds of nothing.
PAYERS = (
    ("stripe", "USD", "0.01"), ("portone", "KRW", "1"), ("toss", "KRW", "1"),
    ("stripe", "KWD", "0.010"), ("portone", "USD", "0.01"), ("toss", "USD", "0.01"),
    ("stripe", "UGX", "1"), ("portone", "KRW", "1"), ("toss", "KRW", "1"),
)  # fmt: skip
SPARE = 4  # parts besides, of each round of blows, for those that find nothing in flight
WORKERS = ("worker", "outside")
CHUNK = 250  # events of one call
IN_FLIGHT_S = 5.0  # that a kill waits for a refund in flight; then it falls after the next part
LOOK_S = 0.25

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sold:
    """An order of two lines, its payment, and how its money goes back."""

    number: str
    provider: str
    currency: str
    prices: tuple[Decimal, Decimal]
    way: str  # whole: canceled; part: the first line comes back; twice: one line after the other

    @property
    def payment(self) -> str:
        return f"pay-{self.number}"

    @property
    def total(self) -> Decimal:
        return sum(self.prices, Decimal(0))

    @property
    def due(self) -> Decimal:
        """The sum that is to go back."""
        return self.prices[0] if self.way == "part" else self.total


@dataclass(slots=True)
class Result:
    """Figures of a storm, and what was not as it must be."""

    orders: int
    refunds: int  # that were to be made
    kills: Counter[str]
    seconds: float
    ends: Counter[str]
    wrong: list[str]


def storm(
    data: Path, refunds: int, *, kills: int, seed: int, hurry: bool, shares: dict[str, float], say: Say
) -> Result:
    """Let a storm of at least so many refunds pass over a shop under `data`; each process is killed `kills` times.

    `hurry`: what a killed worker had claimed is over at once, and not after the minute and a half of its lease.
    """
    random, begun = Random(seed), time.monotonic()
    sold = list(_orders(random, refunds))
    asked = sum(2 if each.way == "twice" else 1 for each in sold)
    with a_floor(data, seed, shares) as floor:
        say(f"{len(sold)} orders, {asked} refunds; three providers, workers and the API run")
        say(f"{time.monotonic() - begun:.1f} s: they run")
        _deliver(floor, [event for each in sold for event in each_placed(each)])
        floor.pay({each.payment: (each.provider, each.total, each.currency) for each in sold})
        _until(floor, say, "paid", lambda: _count(floor, _UNPAID), 120 + len(sold) / 10)
        say(f"{time.monotonic() - begun:.1f} s: all is paid")
        struck = _let_it_rage(floor, sold, kills, random, hurry, say)
        say(f"{time.monotonic() - begun:.1f} s: the last blow has fallen")
        _until(floor, say, "settled", lambda: _open(floor), 300 + asked / 5)
        seconds = time.monotonic() - begun
        ends: Counter[str] = Counter()
        wrong = list(_deviations(floor, sold, seed, shares, ends))
    return Result(len(sold), asked, struck, seconds, ends, wrong)


# -- orders, and what is told of them ------------------------------------------------------------------------


def _orders(random: Random, refunds: int) -> Iterator[Sold]:
    made = 0
    for number in range(refunds):
        if made >= refunds:
            return
        provider, currency, step = PAYERS[number % len(PAYERS)]
        prices = tuple(Decimal(step) * random.randint(100, 9999) for _ in range(2))
        way = random.choices(("whole", "part", "twice"), (5, 3, 2))[0]
        made += 2 if way == "twice" else 1
        yield Sold(f"{number:06d}", provider, currency, (prices[0], prices[1]), way)


def _event(sold: Sold, name: str, kind: str, **data: Any) -> Envelope:
    return Envelope(f"{sold.number}-{name}", "storm", kind, datetime.now(UTC), sold.number, data)


def each_placed(sold: Sold) -> list[Envelope]:
    """An order; where lines come back of it, it is delivered as soon as it is paid."""
    items = [
        {"item": i, "product": i, "quantity": 1, "unitPrice": f"{p:f}"} for i, p in zip("ab", sold.prices, strict=True)
    ]
    about = {"items": items, "totalAmount": f"{sold.total:f}", "currency": sold.currency, "paymentIds": [sold.payment]}
    events = [_event(sold, "created", "OrderCreated", **about)]
    if sold.way != "whole":
        events += [_event(sold, step, f"Fulfillment{step}", fulfillment="box") for step in ("Shipped", "Delivered")]
    return events


def _given_up(sold: Sold) -> list[Envelope]:
    return [_event(sold, "canceled", "OrderCanceled")] if sold.way == "whole" else _sent_back(sold, "a")


def _sent_back(sold: Sold, item: str) -> list[Envelope]:
    about = {"return": f"back-{item}", "reason": "change_of_mind", "items": [{"item": item, "quantity": 1}]}
    requested = _event(sold, f"asked-{item}", "ReturnRequested", **about)
    return [requested, _event(sold, f"back-{item}", "ReturnCompleted", **{"return": f"back-{item}"})]


def _deliver(floor: Floor, events: list[Envelope]) -> None:
    for start in range(0, len(events), CHUNK):
        floor.shop.deliver(events[start : start + CHUNK])


# -- the storm -----------------------------------------------------------------------------------------------

_IN_FLIGHT = text("""
    select exists (
        select from effects e join transactions t on t.id = e.transaction_id
        where e.state = 'in_flight' and e.updated_at > clock_timestamp() - interval '1 s'
          and (t.provider = :provider or cast(:provider as text) is null))
""")
_UNPAID = text("select count(*) from transactions where status <> 'paid'")
_UNDER_WAY = text("""
    select (select count(*) from effects where state in ('due', 'in_flight', 'unknown'))
         + (select count(*) from inbox where state = 'due')
""")
_LEFT = text("""
    select 'refund', payment_id, state, attempts::text, next_at - clock_timestamp(), last_error from effects
    where state in ('due', 'in_flight', 'unknown')
    union all
    select 'look-up', payment, state, attempts::text, next_at - clock_timestamp(), last_error from inbox where state = 'due'
    limit 20
""")
_LEASES_OVER = text("update effects set next_at = clock_timestamp() where state = 'in_flight'")
_LOOKUPS_OVER = text("update inbox set next_at = clock_timestamp(), leased_until = null where state = 'due'")


def _let_it_rage(floor: Floor, sold: list[Sold], kills: int, random: Random, hurry: bool, say: Say) -> Counter[str]:
    """Have the money go back in parts, and kill in the middle of each; what was killed, how often.

    A part before a provider's blow is of that provider's payments, so that there is something to be disturbed. Where no
    refund was seen in flight the blow falls with a later part.
    """
    blows = [*WORKERS, *PROVIDERS] * kills
    random.shuffle(blows)
    first = [(each.provider, _given_up(each)) for each in sold]
    random.shuffle(first)
    told = first + [(each.provider, _sent_back(each, "b")) for each in sold if each.way == "twice"]
    size = max(1, len(told) // (len(blows) + SPARE * kills))
    struck: Counter[str] = Counter()
    while told:
        name = blows[-1] if blows else None
        part = [each for each in told if name not in PROVIDERS or each[0] == name][: size if blows else len(told)]
        if not part:  # nothing of that provider is left: another one's turn
            blows.insert(0, blows.pop())
            part = told[:size]
        told = [each for each in told if not any(each is one for one in part)]
        _deliver(floor, [event for _, events in part for event in events])
        if blows and _strike(floor, blows[-1], random, hurry):
            struck[blows.pop()] += 1
            say(f"killed {sum(struck.values())} times; {len(told)} are still to be given back")
    return struck


def _strike(floor: Floor, name: str, random: Random, hurry: bool) -> bool:
    """SIGKILL while a refund is in flight; false where none was seen in time."""
    provider = name if name in PROVIDERS else None
    until = time.monotonic() + IN_FLIGHT_S
    with floor.shop.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        while not conn.execute(_IN_FLIGHT, {"provider": provider}).scalar_one():
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
    time.sleep(0.03 * random.random())
    floor.kill(name)
    if hurry and name == "outside":
        with floor.shop.engine.begin() as conn:
            conn.execute(_LEASES_OVER)
            conn.execute(_LOOKUPS_OVER)
    return True


def _count(floor: Floor, statement: Any) -> int:
    with floor.shop.engine.connect() as conn:
        return int(conn.execute(statement).scalar_one())


def _open(floor: Floor) -> int:
    """Refunds without an end, here or at their providers, webhooks on their way, and events without a result."""
    if left := _count(floor, _UNDER_WAY) + floor.shop.waiting():
        return left
    pending = sum(1 for paid in floor.books().values() for each in paid.refunds if each.status == "pending")
    return pending + floor.webhooks_waiting() + _count(floor, _UNDER_WAY) + floor.shop.waiting()


def _until(floor: Floor, say: Say, what: str, left: Callable[[], int], within_s: float) -> None:
    begun, said = time.monotonic(), 0.0
    while count := left():
        took = time.monotonic() - begun
        if took > within_s:
            with floor.shop.engine.connect() as conn:
                rows = "\n".join(str(tuple(row)) for row in conn.execute(_LEFT).all())
            raise TimeoutError(f"not {what} after {within_s:.0f} s: {count} are left\n{rows}")
        if took - said > 10:
            said = took
            say(f"{took:4.0f} s: {count} not {what} yet")
        time.sleep(LOOK_S)


# -- what must hold ------------------------------------------------------------------------------------------

_ORDER = text("""
    select o.flags, t.amount, t.refunded_amount, e.state, d.reason, d.detail
    from orders o join transactions t on t.order_id = o.id left join effects e on e.transaction_id = t.id
    left join dead_letters d on d.effect_id = e.id and d.state = 'open' where o.order_number = :number
""")


def fate(payment: str, seed: int, shares: dict[str, float]) -> str:
    """The end that a payment's refunds have at its provider: refused, late_failure, open or made."""
    chance = Mishaps(seed, 0.0)
    kinds = ("refused", "late_failure", "open")
    return next((kind for kind in kinds if chance.fate(f"{kind} {payment}") < shares[kind]), "made")


def _deviations(
    floor: Floor, sold: list[Sold], seed: int, shares: dict[str, float], ends: Counter[str]
) -> Iterator[str]:
    """The deviations of all orders, of the providers' books by themselves, and of what the journal tells."""
    books = floor.books()
    for each in sold:
        yield from _faults(floor, each, books[each.payment], seed, shares, ends)
    yield from _doubled(books)
    yield from untrue(floor.shop)
    yield from verify_faults(floor.shop.engine)
    document = account(floor.shop.engine)
    yield from (f"account: {name} is {document[name]}" for name in ("waiting", "parked", "dead") if document[name])


def _faults(
    floor: Floor, sold: Sold, there: Paid, seed: int, shares: dict[str, float], ends: Counter[str]
) -> Iterator[str]:
    """The deviations of one order: our books from the provider's, both from what is due, and what nobody is told of."""
    end = fate(sold.payment, seed, shares)
    ends[end] += 1
    with floor.shop.engine.connect() as conn:
        here = conn.execute(_ORDER, {"number": sold.number}).one()
    at = f"{sold.provider} {sold.payment} ({sold.way}, {end})"
    must = sold.due if end in ("made", "open") else Decimal(0)
    if here.amount != there.captured:
        yield f"{at}: captured {here.amount} here, {there.captured} there"
    if here.refunded_amount != there.gone:
        yield f"{at}: {here.refunded_amount} went back here, {there.gone} there"
    if there.gone != must:
        yield f"{at}: {there.gone} went back there, must be {must}: {there.refunds}"
    if must == sold.due:
        if (here.state, here.reason) != ("done", None) or "refund_failed" in here.flags:
            yield f"{at}: went back, and is {here.state} {here.reason} {here.flags}"
        return
    told = here.detail or ""
    if end == "refused" and (here.state, here.reason) != ("dead", "refund_refused"):
        yield f"{at}: refused, and is {here.state} {here.reason}"
    if end == "late_failure" and "refund_failed" not in here.flags:
        yield f"{at}: failed, and the order is flagged {here.flags}"
    if here.state == "dead" and not ("orders given-up replay" in told and sold.payment in told and ": " in told):
        yield f"{at}: dead without a next step: {told!r}"
    if here.state != "dead" and "refund_failed" not in here.flags:
        yield f"{at}: did not go back, is {here.state}, and nobody is told"


def _doubled(books: dict[str, Paid]) -> list[str]:
    """Attempts that the books show twice, and payments of which more went back than came."""
    keys = Counter(each.key for paid in books.values() for each in paid.refunds)
    lines = [f"attempt {key} is in the books {count} times" for key, count in keys.items() if count > 1]
    return lines + [
        f"{name}: {paid.gone} of {paid.captured} went back" for name, paid in books.items() if paid.gone > paid.captured
    ]
