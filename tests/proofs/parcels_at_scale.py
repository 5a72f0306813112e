"""Thousands of parcels at four carriers, each with bad days of its own: no limit is broken, and nobody else is held up.

    calm    answers, but for 2 % of the questions
    away    the same; and answers nothing but 503 for a minute
    spent   the same; and our quota of it is spent half-way
    mute    never answers, until the others are done

Two workers that ask the outside and two beats run; one of each is killed twice. Refunds go out and a subscriber is told of
them before and meanwhile. The carriers count how they were asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from cli.processes import Processes
from embedded.host import free_port
from events.envelope import Envelope
from outbound.tracking.allowance import STEADY
from outbound.webhooks import subscriptions
from tests.chaos.harness import Shop, a_shop, account, verify_faults
from tests.money.shop_floor import await_answer
from tests.proofs.proof import Say

CARRIERS = ("calm", "away", "spent", "mute")
RATE = 50  # questions in any second that each carrier allows
ERRORS = 0.02
CHUNK = 500  # events of one call
LOOK_S = 0.5
QUOTA = 0.7  # of its parcels, questions that `spent` answers at first
LAG_TIMES, LAG_FLOOR_S = 2.0, 1.0  # of a quiet run's 99th percentile, and what is no lag at all
ON_PACE = 0.75  # of the steady rate


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a run. `hurry`: leases of the dead and breakers' pauses are over at once, so that it takes seconds."""

    parcels: int
    pace_s: float  # between two polls of a parcel
    carriers_pace_s: float  # six are a parcel's life
    quiet_s: float  # refunds alone, before
    away_s: float
    kills: int
    hurry: bool = False
    refunds_per_s: float = 3.0


@dataclass(slots=True)
class Result:
    """The figures of a run, and whatever was not as it must be."""

    seconds: float = 0.0
    kills: int = 0
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)  # by carrier: what it counted
    pace: float = 0.0  # of the calm one, questions per second while there was a backlog
    lags: dict[str, tuple[float, float]] = field(default_factory=dict)  # 99th percentile, s: quiet, meanwhile
    wrong: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Floor:
    """A shop whose parcels go by four carriers, with all its processes."""

    shop: Shop
    processes: Processes
    urls: Mapping[str, str]  # of carriers
    outside_url: str
    settings: dict[str, str]
    size: Size
    sold: int = 0

    def carrier(self, name: str, **change: Any) -> dict[str, Any]:
        """The count of how a carrier was asked so far, after these changes of its limits."""
        found: dict[str, Any] = httpx.put(
            f"{self.urls[name]}/_simulator/limits", json=change, timeout=30, trust_env=False
        ).json()
        return found

    def start(self, name: str, *command: str) -> None:
        """Run `orders` as a process of the shop's."""
        self.processes.start(name, "cli", *command, **self.settings)

    def change(self, name: str, **settings: str) -> None:
        """Restart a process with other settings, by SIGKILL."""
        child = self.processes.children[name]
        child.environment = {**child.environment, **settings}
        self.processes.kill(name)

    def rows(self, query: str, **values: Any) -> list[Any]:
        """The answer of a query."""
        with self.shop.engine.connect() as conn:
            return list(conn.execute(text(query), values).all())

    def do(self, statement: str) -> None:
        """Change something behind everybody's back."""
        with self.shop.engine.begin() as conn:
            conn.execute(text(statement))

    def watched(self, *carriers: str) -> int:
        """The number of parcels of these carriers that are followed."""
        query = "select count(*) from trackers where not finished and carrier = any(cast(:names as text[]))"
        return int(self.rows(query, names=list(carriers))[0][0])


def at_scale(data: Path, size: Size, seed: int, say: Say) -> Result:
    """Follow so many parcels to their ends, on servers under `data`."""
    begun, result = time.monotonic(), Result()
    with _a_floor(data, size, seed) as floor:
        _sell(floor)
        say(f"{time.monotonic() - begun:.0f} s: {size.parcels:,} parcels are due at once")
        for n in (1, 2):
            floor.start(f"outside-{n}", "worker", "--queues", "outside")
            floor.start(f"beat-{n}", "beat")
        if size.quiet_s:
            quiet = _refund_for(floor, size.quiet_s)
            say(f"{time.monotonic() - begun:.0f} s: the quiet run is over; the carriers are asked from now on")
        floor.do("update trackers set next_at = clock_timestamp()")
        _bad_days(floor, result, say)
        if size.quiet_s:
            meanwhile = _lags(floor, "M")
            result.lags = {kind: (quiet[kind], meanwhile[kind]) for kind in quiet}
        _until(floor, say, "calm and away", lambda: floor.watched("calm", "away"))
        say(f"{time.monotonic() - begun:.0f} s: the parcels of calm and away have their ends; now the others'")
        _judge_the_spent(floor, result)
        _good_days(floor)
        _until(floor, say, "all", lambda: floor.watched(*CARRIERS) + floor.shop.waiting())
        result.asked = {name: floor.carrier(name) for name in CARRIERS}
        result.seconds = time.monotonic() - begun
        result.wrong += _deviations(floor, result)
    return result


# -- the shop ----------------------------------------------------------------------------------------------------


@contextmanager
def _a_floor(data: Path, size: Size, seed: int) -> Iterator[Floor]:
    with a_shop(data) as shop, Processes(data / "logs") as processes:
        ports = {name: free_port(None) for name in (*CARRIERS, "outside")}
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        outside = urls.pop("outside")
        common = ("--seed", str(seed), "--errors", str(ERRORS), "--rate", str(RATE))
        for name in CARRIERS:
            own = ("--pace", str(size.carriers_pace_s), "--port", str(ports[name]))
            processes.start(name, "providers.simulators.carrier", *common, *own)
        processes.start("outside-world", "tests.faults.outside_world", "127.0.0.1", str(ports["outside"]))
        settings = {
            "ORDERS_CARRIERS": ",".join(f"{name}={url}" for name, url in urls.items()),
            "ORDERS_TRACKING_PACE": f"{size.pace_s}s",
            "ORDERS_TRACKING_RATES": ",".join(f"{name}={RATE}/s" for name in CARRIERS),
            "ORDERS_TRACKING_QUOTAS": f"spent={_quota(size)}",
            "ORDERS_REFUND_URL": f"standard={outside}/refunds",
            "ORDERS_STANDARD_SECRETS": "whsec_cHJvb2ZzLXByb29mcy1wcm9vZnMtcHJvb2Zz",
            "ORDERS_WEBHOOKS_ALLOW_PRIVATE": "on",
        }
        floor = Floor(shop, processes, urls, outside, settings, size)
        floor.start("worker", "worker", "--concurrency", "1", "--queues", "drain")
        floor.start("chores", "worker", "--queues", "chores")
        for url in (*urls.values(), outside):
            await_answer(url)
        floor.carrier("spent", quota=_quota(size))
        floor.carrier("mute", mute=True)
        yield floor


def _quota(size: Size) -> int:
    return int(size.parcels / len(CARRIERS) * QUOTA)


def _event(number: str, name: str, kind: str, subject: str | None = None, **about: Any) -> Envelope:
    return Envelope(f"{number}-{name}", "proof", kind, datetime.now(UTC), subject or number, about)


def _sell(floor: Floor) -> None:
    """Orders that cost nothing, each in a parcel; and orders whose payment will go back."""
    told: list[Envelope] = []
    item = {"item": "a", "product": "tea", "quantity": 1, "unitPrice": "0"}
    for n in range(floor.size.parcels):
        number = f"P{n:06d}"
        shipped: dict[str, Any] = {
            "fulfillment": "box",
            "carrier": CARRIERS[n % len(CARRIERS)],
            "trackingNumber": number,
        }
        told.append(_event(number, "created", "OrderCreated", items=[item], totalAmount="0"))
        told.append(_event(number, "shipped", "FulfillmentShipped", **shipped))
    refunds = int((floor.size.quiet_s + _busy_s(floor.size)) * floor.size.refunds_per_s) + 1
    with httpx.Client(timeout=30, trust_env=False) as client:
        for n in range(refunds):
            number, body = f"R{n:06d}", {"amount": "500", "currency": "KRW"}
            assert client.put(f"{floor.outside_url}/refunds/_simulator/payments/pay-{number}", json=body).is_success
            paid = {"paymentId": f"pay-{number}", "amount": "500", "currency": "KRW", "provider": "standard"}
            priced = {**item, "unitPrice": "500"}
            placed: dict[str, Any] = {
                "items": [priced],
                "totalAmount": "500",
                "currency": "KRW",
                "paymentIds": [f"pay-{number}"],
            }
            told.append(_event(number, "created", "OrderCreated", **placed))
            told.append(_event(number, "paid", "PaymentSucceeded", **paid))
    for start in range(0, len(told), CHUNK):
        floor.shop.deliver(told[start : start + CHUNK])
    floor.shop.drained(300 + len(told) / 100)
    assert floor.watched(*CARRIERS) == floor.size.parcels
    floor.do("update trackers set next_at = clock_timestamp() + interval '1 day'")
    with floor.shop.engine.begin() as conn:
        subscriptions.add(conn, f"{floor.outside_url}/hook", ["transactions"], ["update"], "proof", datetime.now(UTC))


# -- refunds and webhooks meanwhile ------------------------------------------------------------------------------

_REFUNDS = """
    select percentile_cont(0.99) within group (order by extract(epoch from e.updated_at - j.accepted_at)), count(*)
    from effects e join orders o on o.id = e.order_id
    join journal j on j.source = 'proof' and j.event_id = o.order_number || '-canceled-' || :tag where e.state = 'done'
"""
_WEBHOOKS = """
    select percentile_cont(0.99) within group (order by extract(epoch from d.updated_at - d.at)), count(*)
    from deliveries d join orders o on o.id = d.order_id
    join journal j on j.source = 'proof' and j.event_id = o.order_number || '-canceled-' || :tag where d.state = 'done'
"""


def _refund_for(floor: Floor, seconds: float, tag: str = "Q") -> dict[str, float]:
    """Cancel paid orders at the run's pace for so long; the lags once all is paid back and told."""
    begun = time.monotonic()
    count = int(seconds * floor.size.refunds_per_s)
    for n in range(count):
        number = f"R{floor.sold:06d}"
        floor.sold += 1
        floor.shop.deliver([_event(number, f"canceled-{tag}", "OrderCanceled")])
        time.sleep(max(0.0, begun + (n + 1) / floor.size.refunds_per_s - time.monotonic()))
    until = time.monotonic() + 60
    open_ones = "select (select count(*) from effects where state <> 'done') + (select count(*) from deliveries where state = 'due')"
    while floor.rows(open_ones)[0][0] and time.monotonic() < until:
        time.sleep(LOOK_S)
    return _lags(floor, tag)


def _lags(floor: Floor, tag: str) -> dict[str, float]:
    """The 99th percentiles of refunds and outgoing webhooks, in s, of the orders that were canceled under this tag."""
    found = {}
    for kind, query in (("refunds", _REFUNDS), ("webhooks", _WEBHOOKS)):
        p99, count = floor.rows(query, tag=tag)[0]
        assert count, f"no {kind} of {tag}"
        found[kind] = float(p99)
    return found


# -- bad days, and good ones -------------------------------------------------------------------------------------


def _busy_s(size: Size) -> float:
    """The time that refunds go on while carriers have their bad days, before anything is killed."""
    return size.away_s + 30 if size.quiet_s else 0.0


def _bad_days(floor: Floor, result: Result, say: Say) -> None:
    """An outage, with refunds meanwhile; then the kills. The calm one's pace is taken from the beginning on."""
    size, begun = floor.size, time.monotonic()
    share = int(size.parcels / len(CARRIERS) * 0.9)

    def watch() -> None:
        while (asked := floor.carrier("calm")["questions"]) < share:
            time.sleep(LOOK_S / 2)
        result.pace = asked / (time.monotonic() - begun)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    refunds = threading.Thread(target=_refund_for, args=(floor, _busy_s(size), "M"), daemon=True)
    if size.quiet_s:
        refunds.start()
        time.sleep(15)
    floor.carrier("away", away=True)
    say("away is away")
    time.sleep(size.away_s)
    floor.carrier("away", away=False)
    say("away is back")
    if size.quiet_s:
        refunds.join()
    for n in range(size.kills):
        for name in ("outside-1", "beat-1"):
            while floor.processes.kill(name) is None:
                time.sleep(LOOK_S)
            result.kills += 1
            say(f"killed {name}, {n + 1}")
            time.sleep(1 if size.hurry else 10)
    watcher.join(300)


def _judge_the_spent(floor: Floor, result: Result) -> None:
    """Whose quota is spent: not one question more, and no parcel is blamed for it."""
    asked = floor.carrier("spent")["questions"]
    if asked != _quota(floor.size):
        result.wrong.append(f"spent: asked {asked} times, its quota is {_quota(floor.size)}")
    if not floor.watched("spent"):
        result.wrong.append("spent: none of its parcels waits, so its quota was no limit")


def _good_days(floor: Floor) -> None:
    """The quota is raised, and the mute one speaks."""
    floor.carrier("spent", quota=None)
    floor.carrier("mute", mute=False)
    for name in ("outside-1", "outside-2"):
        floor.change(name, ORDERS_TRACKING_QUOTAS="")


def _until(floor: Floor, say: Say, what: str, left: Callable[[], int]) -> None:
    begun = said = time.monotonic()
    within_s = 120 + floor.size.parcels / 10
    while count := left():
        now = time.monotonic()
        if now - begun > within_s:
            rows = floor.rows("select * from polled_carriers") + floor.rows(
                "select * from trackers where not finished limit 5"
            )
            raise TimeoutError(f"{count} of {what} are left after {within_s:.0f} s\n" + "\n".join(map(str, rows)))
        if now - said > 20:
            said = now
            say(f"{now - begun:4.0f} s: {count:,} of {what} are left")
        if floor.size.hurry:
            floor.do("update polled_carriers set until = clock_timestamp() where until > clock_timestamp()")
            floor.do(
                "update trackers set next_at = clock_timestamp() where not finished and next_at > clock_timestamp() + interval '5 s'"
            )
        time.sleep(LOOK_S)


# -- what must hold ----------------------------------------------------------------------------------------------


def _deviations(floor: Floor, result: Result) -> Iterator[str]:
    size = floor.size
    for name, asked in result.asked.items():
        if asked["over_rate"] or asked["over_quota"]:
            yield f"{name}: its rate was broken {asked['over_rate']} times (most {asked['most']}), its quota {asked['over_quota']} times"
        if not size.hurry and (asked["soonest_s"] or 0) < 0.4 * size.pace_s:
            yield f"{name}: asked for a parcel again after {asked['soonest_s']} s"
    if result.pace < ON_PACE * STEADY * RATE and not size.hurry:
        yield f"calm: {result.pace:.1f} questions per second, of {STEADY * RATE:.0f}"
    for kind, (quiet, meanwhile) in result.lags.items():
        if meanwhile > LAG_TIMES * max(quiet, LAG_FLOOR_S):
            yield f"{kind}: 99 of 100 within {meanwhile:.2f} s, in a quiet run within {quiet:.2f} s"
    for status, count in floor.rows("select status, count(*) from orders where order_number like 'P%%' group by 1"):
        if status != "delivered":
            yield f"{count} orders are {status}"
    for number, error in floor.rows(
        "select tracking_number, last_error from trackers where last_error is not null limit 9"
    ):
        yield f"parcel {number} ended with {error}"
    document = account(floor.shop.engine)
    yield from (f"account: {name} is {document[name]}" for name in ("waiting", "parked", "dead") if document[name])
    yield from verify_faults(floor.shop.engine)
