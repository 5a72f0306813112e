"""Whole lives of orders over HTTP: created, paid by a signed webhook, fulfilled, shipped, delivered, returned with a refund.

Eight clients, a connection each, against `orders api` and a worker as `orders up` runs it. A webhook is applied by the
worker a moment after its answer; so a client first brings some orders, and then ships the oldest. One that is not paid
yet is refused with 409 and asked again: those calls are counted, and their cost is in the cost of an order.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from typing import Any

import psutil
from sqlalchemy import Engine, text

from bench import api_calls, api_process, measure, paused_worker, product
from bench.api_calls import Line
from bench.measure import Meter
from bench.run import Say
from bench.servers import BenchError, Servers
from storage import engine as engines

CLIENTS = 8
AHEAD = 4  # orders that a client brings before it ships the oldest
AGAIN_S, PATIENCE_S = 0.005, 60.0
WARM = 40  # lives
CALLS = ("create", "payment", "fulfill", "ship", "deliver", "return")
PRICE = 10_000
_RETURNED = text("select count(*) from orders where starts_with(order_number, :tag) and status = 'returned'")


def run(servers: Servers, lives: int, say: Say) -> dict[str, Any]:
    """`lives` orders from end to end. Errors: BenchError where a call is refused, or an order ends elsewhere."""
    with ExitStack() as stack:
        shop = api_process.shop(servers, "lives")
        port, process = stack.enter_context(api_process.api(servers, shop, "lives"))
        worker = stack.enter_context(
            paused_worker.celery(
                "lives", *product.WORKER[:1], servers.folder, shop.environment, *product.WORKER[1:], beat=True
            )
        )
        engine = engines.connect(shop.database_url)
        stack.callback(engine.dispose)
        _play(port, shop.headers, "warm", WARM)
        _settled(engine, worker, "warm", WARM)
        meter, mine = Meter(servers, shop.database_url, [process]), psutil.Process().cpu_times()
        workers, began = measure.cpu_s(worker.tree()), time.monotonic()
        lines = _play(port, shop.headers, "life", lives)
        seconds = time.monotonic() - began
        client = sum(psutil.Process().cpu_times()[:2]) - sum(mine[:2])
        _settled(engine, worker, "life", lives)  # what the orders left to the worker is part of their cost
        cost, workers = meter.cost(seconds), measure.cpu_s(worker.tree()) - workers
    found = _document(lives, seconds, cost, workers, client, lines)
    say(f"lives: {found['orders_per_second']:.1f} orders/s, {found['per_order']['statements']} statements per order")
    return found


def _play(port: int, headers: dict[str, str], tag: str, lives: int) -> list[Line]:
    """Each client its share; the lines that they used."""

    def client(number: int) -> Line:
        with Line(port, headers) as line:
            numbers = iter([f"{tag}-{i}" for i in range(number, lives, CLIENTS)])
            open_orders = deque(_bring(line, each) for each in islice(numbers, AHEAD))
            while open_orders:
                _finish(line, open_orders.popleft())
                open_orders.extend(_bring(line, each) for each in islice(numbers, 1))
        return line

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(client, range(CLIENTS)))


def _bring(line: Line, number: str) -> str:
    """Create an order and pay it; its number."""
    order = {
        "orderNumber": number, "paymentId": f"pi_{number}", "currency": "KRW", "totalAmount": 2 * PRICE + 3000,
        "shippingAmount": 3000, "customer": f"cus_{number}", "customerSnapshot": {"name": "Kim Minji"},
        "shippingAddress": {"recipientName": "Kim Minji", "postalCode": "06123", "address1": "1 Teheran-ro"},
        "orderProducts": [
            {"product": "tea", "quantity": 1, "unitPrice": PRICE}, {"product": "mug", "quantity": 1, "unitPrice": PRICE}
        ],
    }  # fmt: skip
    _expect(201, line.call("create", "POST", "/api/orders", order))
    signed = api_calls.payment(f"evt_{number}", f"pi_{number}", number, 2 * PRICE + 3000)
    _expect(202, line.send("payment", signed))
    return number


def _finish(line: Line, number: str) -> None:
    """Ship, deliver and return an order."""
    parcel = {"orderNumber": number, "carrier": "CJ Logistics", "trackingNumber": f"T{number}"}
    until = time.monotonic() + PATIENCE_S
    while (answer := line.call("fulfill", "POST", "/api/fulfillments", parcel))[0] == 409:
        if time.monotonic() > until:
            raise BenchError(f"order {number} is still not paid after {PATIENCE_S:.0f} s: {answer[1]}")
        line.took.setdefault("too_early", []).append(line.took["fulfill"].pop())
        time.sleep(AGAIN_S)
    path = f"/api/fulfillments/{_expect(201, answer)['doc']['id']}"
    _expect(200, line.call("ship", "PATCH", path, {"status": "shipped"}))
    _expect(200, line.call("deliver", "PATCH", path, {"status": "delivered"}))
    back = {"orderNumber": number, "reason": "change_of_mind"}
    _expect(201, line.call("return", "POST", "/api/returns/return-with-refund", back))


def _expect(status: int, answer: tuple[int, Any]) -> Any:
    if answer[0] != status:
        raise BenchError(f"{status} was to be answered, not {answer[0]}: {answer[1]}")
    return answer[1]


def _settled(engine: Engine, worker: paused_worker.Worker, tag: str, lives: int) -> None:
    """Wait until every event has its result, and compare what the orders ended as."""
    until = time.monotonic() + PATIENCE_S
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        while conn.execute(product.UNDECIDED).scalar_one():
            worker.check()
            if time.monotonic() > until:
                raise BenchError(f"events have no result after {PATIENCE_S:.0f} s; see {worker.log}")
            time.sleep(0.05)
        ended = conn.execute(_RETURNED, {"tag": f"{tag}-"}).scalar_one()
    if ended != lives:
        raise BenchError(f"{lives} orders should be returned, and {ended} are")


def _document(
    lives: int, seconds: float, cost: measure.Cost, workers: float, client: float, lines: Sequence[Line]
) -> dict[str, Any]:
    def ms(of: float | None) -> float | None:
        return None if of is None else round(of * 1000 / lives, 2)

    took = {name: sorted(_all(lines, name)) for name in CALLS}
    every = sorted(each for of in took.values() for each in of)
    return {
        "orders": lives,
        "clients": CLIENTS,
        "orders_per_second": round(lives / seconds, 1),
        "calls_ms": {name: percentiles(of) for name, of in {**took, "all": every}.items()},
        "too_early_per_order": round(sum(1 for _ in _all(lines, "too_early")) / lives, 3),
        "per_order": {
            "statements": None if cost.statements is None else round(cost.statements / lives, 1),
            "cpu_ms": {
                "api": ms(cost.worker_cpu_s), "worker": ms(workers), "servers": ms(cost.server_cpu_s),
                "client": ms(client),
            },
        },
    }  # fmt: skip


def _all(lines: Sequence[Line], name: str) -> Iterator[float]:
    return (each for line in lines for each in line.took.get(name, ()))


def percentiles(seconds: Sequence[float]) -> dict[str, Any]:
    """p50 and p99 in ms of sorted `seconds`."""
    return {
        "p50": round(seconds[len(seconds) // 2] * 1000, 2),
        "p99": round(seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)] * 1000, 2),
        "calls": len(seconds),
    }
