"""Dead letters of five causes, made by real faults: found, grouped, foretold, edited, replayed through a halt and a SIGKILL.

    currency    a sender that names the wrong currency          one edit over all of them
    malformed   a sender that renamed a field                   one edit over all of them
    bug         our own handler fails, and is mended            no edit
    item        a warehouse that misspells an item              left as it is at first: its cause comes back
    refund      a provider that refuses refunds, and then not   asked again, once

Orders of all causes were placed in turns, so each step of a replay meets all of them.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from domain import handler_table
from domain.policy import Policy
from events.envelope import Envelope
from journal.batch import Shop
from journal.policy_store import policy_id
from journal.totals import OUTCOMES, account
from journal.verify import verify
from operations import forecast, given_up, given_up_changes, replay_steps, replays
from operations.given_up import Wanted
from outbound import refunds
from outbound.refund_routes import configured_routes
from providers.simulators.start import KEYS
from settings.environment import read
from tests.simulators import ROOT, SHARDS, AShop, a_shop, running

CAUSES = ("currency", "malformed", "bug", "item", "refund")
REASONS = {
    "currency": "currency_mismatch",
    "malformed": "malformed",
    "bug": "bug",
    "item": "unknown_item",
    "refund": "refund_refused",
}
EDITS: dict[str, list[dict[str, Any]]] = {
    "currency": [{"op": "replace", "path": "/data/currency", "value": "KRW"}],
    "malformed": [{"op": "move", "from": "/data/sum", "path": "/data/amount"}],
    "item": [{"op": "replace", "path": "/data/items/0/item", "value": "mug"}],
}
PRICE = 5_000
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
END_S = 300.0
TABLES = (
    "orders",
    "transactions",
    "fulfillments",
    "results",
    "journal",
    "effects",
    "refunds",
    "dead_letters",
    "timers",
)
BY, WHY = "proof", "a proof of replays"

Say = Callable[[str], None]


@dataclass(slots=True)
class Result:
    """Figures of a run, and what was not as it must be."""

    letters: int = 0
    halted_after: int = 0
    ended_when_killed: int = 0
    again: int = 0  # that the cause which came back had given up once more
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def must(self, what: str, found: object, due: object) -> None:
        """Note what is not as it must be."""
        if found != due:
            self.wrong.append(f"{what}: {found!r}, must be {due!r}")


def work_off(database_url: str, redis_url: str, folder: Path, each: int, rate: int, say: Say) -> Result:
    """Work off so many dead letters of each cause on a shop of one's own; `rate` is that of the replay that is killed."""
    begun, found = monotonic(), Result()
    logging.getLogger("outbound.refunds").setLevel(logging.ERROR)  # that a refund is refused is meant
    with a_shop(database_url, redis_url) as shop:
        with _stripe(folder, "--mishap", "refused=1") as url:
            _die(shop, url, each)
        found.letters = 5 * each
        say(f"{found.letters} died of five causes")
        _look(shop, each, found)
        _edit(shop, ("currency", "malformed"), each, found)
        planned = _plan(shop)
        name = _begin(shop, planned, rate)
        _halt(shop, name, found)
        say(f"it stopped by itself after {found.halted_after}: the cause of one of them had come back")
        _edit(shop, ("item",), each, found)
        _kill(database_url, redis_url, shop, name, found)
        say(f"killed when {found.ended_when_killed} had their ends")
        with _stripe(folder) as url:
            _to_the_end(shop, name, url)
            _again(shop, url, found)
            say("replayed to the end, and what had come back once more")
            _books(url, each, found)
        _whole(shop, name, each, found)
        _a_second_replay_changes_nothing(shop, planned, found)
    found.seconds = monotonic() - begun
    return found


# -- faults --------------------------------------------------------------------------------------------------


def _die(shop: AShop, url: str, each: int) -> None:
    """Have all of them die of what is wrong with them."""
    shop.tell(*(event for turn in range(each) for cause in CAUSES for event in _placed(cause, turn)))
    shop.tell(*(_fault(cause, turn) for turn in range(each) for cause in CAUSES if cause not in ("bug", "refund")))
    with _broken_handler():
        shop.tell(*(_fault("bug", turn) for turn in range(each)))
    for turn in range(each):
        body = {"amount": str(PRICE), "currency": "KRW", "orderNumber": f"refund-{turn}"}
        httpx.put(f"{url}/_simulator/payments/pay-refund-{turn}", json=body, trust_env=False).raise_for_status()
    shop.tell(*(_event("refund", turn, "OrderCanceled", 2) for turn in range(each)))
    _refund(shop, url)


def _placed(cause: str, turn: int) -> Iterator[Envelope]:
    """An order before what is wrong with it; one whose warehouse misspells has a later event that waits."""
    number = f"{cause}-{turn}"
    items = [{"item": "mug", "product": "mug", "quantity": 1, "unitPrice": str(PRICE)}]
    about = {"items": items, "totalAmount": str(PRICE), "currency": "KRW", "paymentIds": [f"pay-{number}"]}
    yield _event(cause, turn, "OrderCreated", 0, **about)
    if cause in ("item", "refund"):
        yield _event(
            cause,
            turn,
            "PaymentSucceeded",
            1,
            paymentId=f"pay-{number}",
            amount=str(PRICE),
            currency="KRW",
            provider="stripe",
        )
    if cause == "item":
        yield _event(cause, turn, "FulfillmentDelivered", 3, fulfillment="box")


def _fault(cause: str, turn: int) -> Envelope:
    """The event that dies."""
    payment: dict[str, Any] = {"paymentId": f"pay-{cause}-{turn}"}
    if cause == "item":
        return _event(cause, turn, "FulfillmentShipped", 2, fulfillment="box", items=[{"item": "mgu", "quantity": 1}])
    if cause == "malformed":
        return _event(cause, turn, "PaymentSucceeded", 1, **payment, sum=str(PRICE), currency="KRW")
    return _event(
        cause,
        turn,
        "PaymentSucceeded",
        1,
        **payment,
        amount=str(PRICE),
        currency="USD" if cause == "currency" else "KRW",
    )


def _event(cause: str, turn: int, kind: str, step: int, **data: Any) -> Envelope:
    at = BEGAN + timedelta(minutes=turn, seconds=step)
    return Envelope(f"{cause}-{turn}-{step}", "shop", kind, at, f"{cause}-{turn}", data)


@contextmanager
def _broken_handler() -> Iterator[None]:
    """A release whose handler of payments fails."""
    sound = handler_table.HANDLERS["PaymentSucceeded"]

    def fails(*_: object) -> Any:
        raise ZeroDivisionError("on purpose")

    handler_table.HANDLERS["PaymentSucceeded"] = replace(sound, handle=fails)
    try:
        yield
    finally:
        handler_table.HANDLERS["PaymentSucceeded"] = sound


@contextmanager
def _stripe(folder: Path, *options: str) -> Iterator[str]:
    """A Stripe in a process of its own, which keeps its books in a file."""
    with running("stripe", "--state", str(folder / "stripe.sqlite"), *options) as (_, url):
        yield url


def _refund(shop: AShop, url: str) -> None:
    """One round of the loop that asks the provider for refunds."""
    keys = {"ORDERS_STRIPE_API_KEY": KEYS["stripe"], "ORDERS_STRIPE_API_URL": url}
    refunder = configured_routes(read(keys, Path("/nonexistent"))).refunder("stripe")
    assert refunder is not None
    while refunds.run_due(shop.engine, shop.streams, SHARDS, refunder, datetime.now(UTC)):
        shop.work()


# -- found, foretold, edited ---------------------------------------------------------------------------------


def _look(shop: AShop, each: int, found: Result) -> None:
    """What is listed, grouped and foretold; a forecast changes nothing."""
    with shop.engine.connect() as conn:
        groups = {group.reason: group.count for group in given_up.causes(conn)}
        things = given_up.given_up(conn, limit=given_up.MOST)
    found.must("groups", groups, dict.fromkeys(REASONS.values(), each))
    before = _digest(shop)
    policy, own = _own(shop)
    keys = {"ORDERS_STRIPE_API_KEY": KEYS["stripe"]}
    then = forecast.forecast(shop.engine, policy, configured_routes(read(keys, Path("/nonexistent"))), own, things)
    found.must("tables after a forecast", _digest(shop), before)
    due = {f"dead: {REASONS[cause]}": each for cause in ("currency", "malformed", "item")} | {"applied": each}
    found.must("foretold", dict(then.outcomes), due)
    found.must("refunds foretold", sum(refund.amount for refund in then.refunds), Decimal(PRICE * each))


def _edit(shop: AShop, causes: tuple[str, ...], each: int, found: Result) -> None:
    for cause in causes:
        with shop.engine.begin() as conn:
            things = given_up.given_up(conn, Wanted(reason=REASONS[cause]), limit=given_up.MOST)
            made = given_up_changes.edit(conn, things, EDITS[cause], by=BY, reason=WHY)
        found.must(f"edited ({cause})", len(made), each)


def _plan(shop: AShop) -> list[Any]:
    with shop.engine.connect() as conn:
        return replays.plan(conn, given_up.chosen(conn, wanted=Wanted(since=datetime.now(UTC) - timedelta(days=1))))


def _begin(shop: AShop, planned: list[Any], rate: int | None) -> str:
    with shop.engine.begin() as conn:
        return replays.begin(conn, planned, by=BY, reason=WHY, chosen={"since": "a day ago"}, rate=rate)


# -- replayed ------------------------------------------------------------------------------------------------


def _halt(shop: AShop, name: str, found: Result) -> None:
    policy, own = _own(shop)
    replay_steps.advance(shop.engine, policy, own, name, seconds=END_S)
    now = _now(shop, name)
    found.must("it stopped by itself", now.state, replays.HALTED)
    found.must("and says for which cause", "unknown_item" in (now.note or ""), True)
    found.halted_after, found.again = now.ended, now.outcomes.get(replays.SAME_CAUSE, 0)
    found.must("stopped before it took many", now.ended < 0.4 * now.total, True)


def _kill(database_url: str, redis_url: str, shop: AShop, name: str, found: Result) -> None:
    """Resume by the command line, and kill that by SIGKILL once half of all have their ends."""
    command = [sys.executable, "-m", "cli", "given-up", "resume", replays_name(name), "--why", WHY]
    environment = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        until = monotonic() + END_S
        while (now := _now(shop, name)).ended < now.total // 2:
            if process.poll() is not None or monotonic() > until:
                said = process.communicate()[1].decode()[-500:]
                found.wrong.append(f"it could not be killed in the middle: {now.says}; {said}")
                return
            sleep(0.005)
        process.send_signal(signal.SIGKILL)
    now = _now(shop, name)
    found.ended_when_killed = now.ended
    found.must("its state after the kill", (now.state, now.left > 0), (replays.RUNNING, True))


def _to_the_end(shop: AShop, name: str, url: str) -> None:
    """The workers' chores go on: its lease ends by itself, and the provider gives money back by now."""
    policy, own = _own(shop)
    until = monotonic() + END_S
    while _now(shop, name).state == replays.RUNNING:
        if monotonic() > until:
            raise TimeoutError(f"the replay does not end: {_now(shop, name).says}")
        if not replay_steps.advance(shop.engine, policy, own, name, seconds=0.5):
            sleep(0.2)
        _refund(shop, url)
        shop.work()


def _again(shop: AShop, url: str, found: Result) -> None:
    """What had died again before its edit is all that is left; it is replayed, too."""
    planned = _plan(shop)
    found.must("left after the first replay", len(planned), found.again)
    name = _begin(shop, planned, None)
    _to_the_end(shop, name, url)
    found.must("what came of those", _now(shop, name).outcomes, {replays.APPLIED: found.again})


# -- what must hold ------------------------------------------------------------------------------------------


def _books(url: str, each: int, found: Result) -> None:
    """The provider's books: each payment went back whole, by one refund."""
    told = httpx.get(f"{url}/_simulator/books", trust_env=False).json()["payments"]
    found.must("payments there", len(told), each)
    for payment, kept in told.items():
        made = [(Decimal(refund["amount"]), refund["status"]) for refund in kept["refunds"]]
        found.must(f"refunds of {payment}", made, [(Decimal(PRICE), "succeeded")])


def _whole(shop: AShop, name: str, each: int, found: Result) -> None:
    """Totals, statuses, what the journal tells, and the audit."""
    now, total = _now(shop, name), 5 * each
    due = {replays.APPLIED: 4 * each - found.again, replays.MADE: each, replays.SAME_CAUSE: found.again}
    found.must(
        "totals", (now.total, now.ended, now.outcomes), (total, total, {n: count for n, count in due.items() if count})
    )
    with shop.engine.connect() as conn:
        found.must("what is still given up", given_up.count(conn), 0)
        report = replays.report(conn, now.id)
        counts = account(conn)
    found.must(
        "the report by cause",
        {cause.reason: sum(cause.outcomes.values()) for cause in report},
        dict.fromkeys(REASONS.values(), each),
    )
    found.must("the account adds up", sum(counts[outcome] for outcome in OUTCOMES), counts["accepted"])
    found.must("dead, parked, waiting", [counts[outcome] for outcome in ("dead", "parked", "waiting")], [0, 0, 0])
    statuses = Counter({row[0]: row[1] for row in shop.rows("select status, count(*) from orders group by 1")})
    found.must("statuses", dict(statuses), {"preparing": 3 * each, "delivered": each, "canceled": each})
    found.must("verify", [str(difference) for difference in verify(shop.engine).differences], [])
    acts = {
        row[0]: row[1]
        for row in shop.rows(
            "select action, count(*) from audit where actor = 'proof' and reason = :why group by 1", why=WHY
        )
    }
    found.must("edits in the audit", acts.get("given-up edit"), 3 * each)
    found.must("replays in the audit", acts.get("given-up replay"), total + found.again)


def _a_second_replay_changes_nothing(shop: AShop, planned: list[Any], found: Result) -> None:
    before = _digest(shop)
    name = _begin(shop, planned, None)
    policy, own = _own(shop)
    replay_steps.advance(shop.engine, policy, own, name, seconds=END_S)
    now = _now(shop, name)
    found.must("a second replay", (now.state, now.outcomes), (replays.DONE, {replays.UNCHANGED: now.total}))
    found.must("tables after a second replay", _digest(shop), before)


def _digest(shop: AShop) -> dict[str, str]:
    """Every row of the tables that a replay may touch, as one text a table."""
    return {
        table: shop.rows(f"select md5(string_agg(cast(t as text), ' ' order by cast(t as text))) from {table} t")[0][0]
        for table in TABLES
    }


def _own(shop: AShop) -> tuple[Policy, Shop]:
    with shop.engine.begin() as conn:
        return Policy(), Shop(policy_id(conn, Policy()), SHARDS)


def _now(shop: AShop, name: str) -> replays.Replay:
    with shop.engine.connect() as conn:
        return replays.replay(conn, name)


def replays_name(replay_id: str) -> str:
    """The replay's id as people give it."""
    return f"rpl_{replay_id.replace('-', '')}"
