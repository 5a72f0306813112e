"""A shop as it runs: workers, beat, API, and Stripe, PortOne and Toss as simulators, each a process that can be killed.

The providers speak their wire formats, keep their books in files and send signed webhooks to the API; payments made
there reach the shop as a customer's do.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from cli.api_process import choose_port, start_api
from cli.processes import Processes, start_workers
from embedded.host import free_port
from providers.simulators.start import KEYS, SECRETS
from tests.chaos.harness import Shop, a_shop

PROVIDERS = ("stripe", "portone", "toss")
READY_S = 30.0
PAYERS = 4  # payments at once
PATIENCE_S, PACE_S = 0.3, 1.0  # that a mishap keeps a client waiting; until an open refund has its end


class Booked(NamedTuple):
    """One refund in a provider's books."""

    refund_id: str
    amount: Decimal
    status: str
    key: str | None


class Paid(NamedTuple):
    """One payment in a provider's books, with what went back of it."""

    captured: Decimal
    currency: str
    refunds: list[Booked]

    @property
    def gone(self) -> Decimal:
        """The sum that went back; what failed did not."""
        return sum((each.amount for each in self.refunds if each.status == "succeeded"), Decimal(0))


@dataclass(slots=True)
class Floor:
    """The shop, its processes, and the addresses of its providers."""

    shop: Shop
    processes: Processes
    urls: Mapping[str, str]
    restarts: list[str] = field(default_factory=list)

    def pay(self, payments: Mapping[str, tuple[str, Decimal, str]]) -> None:
        """Customers pay at their providers: payment → provider, amount, currency."""
        with httpx.Client(timeout=10, trust_env=False) as client, ThreadPoolExecutor(PAYERS) as pool:

            def pay(payment: str) -> None:
                provider, amount, currency = payments[payment]
                url = f"{self.urls[provider]}/_simulator/payments/{quote(payment, safe='')}"
                body = {"amount": f"{amount:f}", "currency": currency, "orderNumber": order_of(payment)}
                answer = client.put(url, json=body)
                assert answer.status_code == 200, answer.text

            list(pool.map(pay, payments))

    def books(self) -> dict[str, Paid]:
        """Payment → how it stands in its provider's books, of all three."""
        found: dict[str, Paid] = {}
        for told in self._told().values():
            for payment, kept in told["payments"].items():
                refunds = [Booked(r["id"], Decimal(r["amount"]), r["status"], r["key"]) for r in kept["refunds"]]
                found[payment] = Paid(Decimal(kept["captured"]), kept["currency"], refunds)
        return found

    def webhooks_waiting(self) -> int:
        """Webhooks that the providers have still to send."""
        return sum(int(told["webhooks_waiting"]) for told in self._told().values())

    def _told(self) -> dict[str, dict[str, Any]]:
        found = {}
        with httpx.Client(timeout=30, trust_env=False) as client:
            for provider, url in self.urls.items():
                await_answer(url)
                found[provider] = client.get(f"{url}/_simulator/books").json()
        return found

    def kill(self, name: str) -> None:
        """SIGKILL to a process that runs; its watcher starts it again."""
        until = time.monotonic() + READY_S
        while self.processes.kill(name) is None:
            assert time.monotonic() < until, f"{name} does not run"
            time.sleep(0.05)


def order_of(payment: str) -> str:
    """The number of the order that a payment is for."""
    return payment.partition("-")[2]


@contextmanager
def a_floor(data: Path, seed: int, mishaps: Mapping[str, float]) -> Iterator[Floor]:
    """The whole shop under `data`, until the block ends; `mishaps` are the providers', by share."""
    with a_shop(data) as shop:
        restarts: list[str] = []
        with Processes(data / "logs", lambda name, code: restarts.append(f"{name} ({code})")) as processes:
            ports = {name: free_port(None) for name in PROVIDERS}
            urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
            api_port = choose_port(None)
            for name, port in ports.items():
                door = f"http://127.0.0.1:{api_port}/webhooks/payments/{name}"
                known = ("--webhook", door, "--state", str(data / f"{name}.sqlite"), "--port", str(port))
                paces = ("--seed", str(seed), "--pace", str(PACE_S), "--patience", str(PATIENCE_S))
                chosen = [part for kind, share in mishaps.items() for part in ("--mishap", f"{kind}={share}")]
                processes.start(name, "providers.simulators.start", name, *known, *paces, *chosen)
            settings = _settings(urls)
            start_workers(processes, 1, **settings)
            start_api(processes, api_port, **settings)
            for url in urls.values():
                await_answer(url)
            yield Floor(shop, processes, urls, restarts)


def await_answer(url: str) -> None:
    """Returns once a provider answers: it may have been killed a moment ago."""
    host = httpx.URL(url)
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        with suppress(OSError):
            socket.create_connection((host.host, host.port or 80), 1).close()
            return
        time.sleep(0.05)
    raise TimeoutError(f"{url} does not answer after {READY_S:.0f} s")


def _settings(urls: Mapping[str, str]) -> dict[str, str]:
    made = {"ORDERS_RATE_LIMIT": "off", "ORDERS_RETURNS": "auto", "ORDERS_REFUNDS": "auto"}
    for name, url in urls.items():
        made[f"ORDERS_{name.upper()}_API_URL"] = url
        made[f"ORDERS_{name.upper()}_API_KEY"] = KEYS[name]
        made[f"ORDERS_{name.upper()}_SECRETS"] = SECRETS[name]
    return made
