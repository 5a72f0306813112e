"""docs/tutorial/orders-and-tracking.md: every example as it stands, with what it printed on a shop of its own.

Written anew by `make docs`, or `python -m tests.client.guide`. Ids, order numbers
and days are masked, so that the page is the same each time.
"""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from embedded import servers
from order_lifecycle_client import create_server_client, generate_order_number
from outbound.webhooks import dispatcher, subscriptions
from outbound.webhooks.sender import Sender
from storage.migrate import upgrade
from tests.client.api_server import Serving, serving

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGE = ROOT / "docs" / "tutorial" / "orders-and-tracking.md"
SHARDS = 64
RUN_S = 30.0


@dataclass(frozen=True)
class Step:
    """One example: its file, the names of its arguments, and what later ones take from what it prints."""

    file: str
    arguments: tuple[str, ...] = ()
    learns: Mapping[str, str] = field(default_factory=dict)  # name → pattern


RECEIVER = "receive_webhooks.py"
SECTIONS: Mapping[str, tuple[Step, ...]] = {
    "Create an order": (
        Step("catalogue.py"),
        Step("create_order.py", learns={"ORDER_ID": r"ord_\w+", "PAID_NUMBER": r"number (\d{12})"}),
        Step("checkout_cart.py", learns={"ORDER_NUMBER": r"number (\d{12})"}),
    ),
    "Payment status": (Step("pay_order.py", ("PAYMENT_ID",)), Step("transactions.py", ("ORDER_ID",))),
    "Query orders": (
        Step("my_orders.py", ("CUSTOMER_ID",)),
        Step("order_detail.py", ("ORDER_ID",)),
        Step("order_items.py", ("ORDER_ID",)),
        Step("all_orders_async.py", ("STATUS",)),
    ),
    "Shipment tracking": (
        Step("ship_order.py", ("ORDER_ID",), {"FULFILLMENT_ID": r"ful_\w+"}),
        Step("fulfillments.py", ("ORDER_ID",)),
        Step("fulfillment_items.py", ("FULFILLMENT_ID",)),
    ),
    "Returns": (
        Step("ask_for_return.py", ("CUSTOMER_ID", "ORDER_ID"), {"RETURN_ID": r"ret_\w+"}),
        Step("returns.py", ("ORDER_ID",)),
        Step("return_items.py", ("RETURN_ID",)),
        Step("refund_order.py", ("ORDER_ID", "RETURN_ID")),
        Step("refunds.py", ("ORDER_ID",)),
    ),
    "Cancel": (Step("cancel_order.py", ("ORDER_NUMBER",)),),
    "What happened": (Step("timeline.py", ("ORDER_ID",)),),
    "Receive changes": (Step(RECEIVER, ("PORT",)),),
}

INTRODUCTION = """\
<!-- Written by tests/client/guide.py from examples/; change those, then run `make docs`. -->
# Orders & Tracking

Create orders, check their status, track shipments, see returns: with the Python client, against a shop of your own.

```
Create order → pending → paid → fulfillment → shipped → delivered
                                              return request → processing → returned
```

| stage | `order.status` |
|---|---|
| payment | `pending`, `paid`, `failed`, `canceled` |
| shipping | `preparing`, `shipped`, `delivered`, `confirmed` |
| returns | `return_requested`, `return_processing`, `returned` |

Start a shop in one terminal; the first time it shows a pair of keys:

    .venv/bin/orders up

and tell them to the examples in another:

    export ORDERS_URL=http://127.0.0.1:8000 ORDERS_SECRET_KEY=sk01_… ORDERS_PUBLISHABLE_KEY=pk01_…
    .venv/bin/python examples/create_order.py

`.venv` has the client already; elsewhere, `pip install ./client`. Below is every example with what it prints. The secret
key belongs on your backend alone. Arguments are snake_case, money is `Decimal`, times are in UTC.
"""


class Told:
    """Runs the examples on a shop, and remembers what they print."""

    def __init__(self, shop: Serving) -> None:
        self._shop = shop
        self._known = {"CUSTOMER_ID": "customer_john", "STATUS": "preparing"}
        self._numbers: dict[str, str] = {}
        self.printed: dict[str, str] = {}

    def run(self, step: Step) -> None:
        """Run one; AssertionError where it fails."""
        text = self._receive(step) if step.file == RECEIVER else self._run(step)
        for name, pattern in step.learns.items():
            found = re.search(pattern, text)
            assert found, f"{step.file} printed no {name}: {text}"
            self._known[name] = found[found.re.groups]
        if "PAID_NUMBER" in self._known:
            self._known["PAYMENT_ID"] = f"pay_{self._known['PAID_NUMBER']}"
        self.printed[step.file] = self._masked(text)
        self._shop.settle()

    def _run(self, step: Step) -> str:
        done = subprocess.run(
            self._command(step), env=self._environment(), capture_output=True, text=True, timeout=RUN_S, check=False
        )
        assert done.returncode == 0, f"{step.file}: {done.stdout}{done.stderr}"
        return done.stdout

    def _receive(self, step: Step) -> str:
        """The receiver's first two lines, told by a real dispatcher of an order that is created and canceled."""
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = int(free.getsockname()[1])
        engine, now = self._shop.doors.engine, datetime.now(UTC)
        with engine.begin() as conn:
            _, secret = subscriptions.add(conn, f"http://127.0.0.1:{port}/", ["orders"], ["create", "update"], "x", now)
        self._known["PORT"] = str(port)
        receiver = subprocess.Popen(
            self._command(step), env=self._environment(WEBHOOK_SECRET=secret), stdout=subprocess.PIPE, text=True
        )
        try:
            _until_open(port)
            self._change_an_order()
            sender = Sender(allow_private=True)
            while dispatcher.run_due(engine, sender, datetime.now(UTC), 1.0):
                pass  # of one order's changes the next follows when the one before was taken
            assert receiver.stdout is not None
            return receiver.stdout.readline() + receiver.stdout.readline()
        finally:
            receiver.terminate()
            receiver.wait()

    def _change_an_order(self) -> None:
        number = generate_order_number()
        with create_server_client(secret_key=self._shop.secret_key, base_url=self._shop.url) as client:
            order = client.api.create_order(
                order_number=number,
                customer_snapshot={},
                shipping_address={},
                order_products=[{"product": "tea", "quantity": 1, "unit_price": 6000}],
                total_amount=6000,
                payment_id=f"pay_{number}",
            )
            client.api.update_order(order.id, status="canceled")
        self._shop.settle()

    def _command(self, step: Step) -> list[str]:
        return [sys.executable, str(EXAMPLES / step.file), *(self._known[name] for name in step.arguments)]

    def _environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        return {
            **kept,
            "PYTHONIOENCODING": "utf-8",
            "ORDERS_URL": self._shop.url,
            "ORDERS_SECRET_KEY": self._shop.secret_key,
            "ORDERS_PUBLISHABLE_KEY": self._shop.publishable_key,
            **more,
        }

    def _masked(self, text: str) -> str:
        text = re.sub(r"\b([a-z]{3})_[0-9a-f]{32}\b", r"\1_…", text)
        text = re.sub(r"(?<![0-9])\d{12}(?![0-9])", self._number, text)
        return re.sub(r"\d{4}-\d\d-\d\d", "2026-11-01", text)

    def _number(self, found: re.Match[str]) -> str:
        return self._numbers.setdefault(found[0], f"261101{len(self._numbers) + 1:06d}")


def _until_open(port: int) -> None:
    end = time.monotonic() + RUN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < end, "the receiver does not listen"
            time.sleep(0.02)
        else:
            return


def play(shop: Serving) -> dict[str, str]:
    """The output of every example, by its file."""
    told = Told(shop)
    for steps in SECTIONS.values():
        for step in steps:
            told.run(step)
    return told.printed


def page(printed: Mapping[str, str]) -> str:
    """The guide's page as Markdown."""
    return "\n".join(
        [INTRODUCTION, *(part for name, steps in SECTIONS.items() for part in _section(name, steps, printed))]
    )


def _section(name: str, steps: tuple[Step, ...], printed: Mapping[str, str]) -> Iterator[str]:
    yield f"## {name}\n"
    for step in steps:
        prose, source = _parts((EXAMPLES / step.file).read_text())
        command = " ".join(["python", f"examples/{step.file}", *step.arguments])
        yield f"{prose}\n\n```python\n{source}```\n\n```console\n$ {command}\n{printed[step.file]}```\n"


def _parts(source: str) -> tuple[str, str]:
    """What an example says of itself, and its code."""
    tree = ast.parse(source)
    first = tree.body[0]
    return ast.get_docstring(tree) or "", "\n".join(source.splitlines()[first.end_lineno :]).strip() + "\n"


def main() -> None:
    """Write the page, of a run on servers of its own."""
    with tempfile.TemporaryDirectory(prefix="orders-guide-") as data, servers(Path(data)) as at:
        upgrade(at.database_url, SHARDS)
        with serving(at.database_url, at.redis_url) as shop:
            printed = play(shop)
    PAGE.write_text(page(printed))


if __name__ == "__main__":
    main()
