"""docs/howto/add-a-provider.md, followed word by word: one file, and the provider is everywhere.

Its webhook's path, look-ups, refunds, settings, the doctor's lines, the chores, the row of the documentation and the
conformance suite are found without a change to any file of the application.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from outbound import payment_lookups, refunds
from outbound.refund_routes import configured_routes
from providers import documentation
from providers.base import Ability
from providers.registry import registry
from providers.simulators import desk, start
from providers.simulators.process import fault
from settings.environment import SettingsError, read
from settings.example import env_example
from tests.api_server import served
from tests.integration.api.webhooks_in.conftest import NOWHERE, Inbox
from tests.integration.howto import pages
from tests.simulators import SHARDS, a_paid_order, a_shop, an_event
from workers.chores import LOOKUPS, REFUNDS, chores

PAGE = "add-a-provider.md"
AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
ID = "tr_7UhSN1zuXS"


class Api:
    """Acorn Pay's API: sales as a test puts them there, and refunds as the simulated provider makes them."""

    def __init__(self) -> None:
        self.sales: dict[str, dict[str, object]] = {}
        self.keys: set[str] = set()
        self._refunds: Starlette | None = None
        self.app = Starlette(routes=[Route("/v1/sales/{id}", self._sale), Mount("/", self._others)])

    async def _others(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._refunds is None:  # its SQLite belongs to the server's thread
            self._refunds = desk.application(start.desk("standard"))
        await self._refunds(scope, receive, send)

    async def _sale(self, request: Request) -> JSONResponse:
        self.keys.add(request.headers["authorization"])
        found = self.sales.get(request.path_params["id"])
        return JSONResponse(found) if found else fault(404, "payment_unknown", "no such payment")

    def is_paid(self, payment: str, order: str) -> None:
        self.sales[payment] = {
            "id": payment, "status": "paid", "amount": "500", "currency": "KRW", "order_number": order,
            "paid_at": AT.isoformat(),
        }  # fmt: skip


@pytest.fixture
def api() -> Iterator[tuple[Api, str]]:
    api = Api()
    with served(api.app) as url:
        yield api, url


@pytest.fixture
def door(installed: Path, api: tuple[Api, str], database_url: str, redis_url: str) -> Iterator[Inbox]:
    told = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ORDERS_ACORN_API_KEY": "test_acorn",
        "ORDERS_ACORN_API_URL": api[1],
    }
    with a_shop(database_url, redis_url) as shop:
        yield Inbox(shop, told)


def posted(payment: str = ID) -> tuple[bytes, dict[str, str]]:
    return f"id={payment}".encode(), {"Content-Type": "application/x-www-form-urlencoded"}


def ask(door: Inbox, later: timedelta = timedelta(0)) -> int:
    """The chore, then the workers."""
    lookups = registry().lookups(read(door.environment, NOWHERE).providers)
    shop = door.shop
    asked = payment_lookups.run_due(
        shop.engine, shop.streams, SHARDS, lookups, timedelta(hours=72), datetime.now(UTC) + later
    )
    shop.work()
    return asked


def refund(door: Inbox) -> None:
    refunder = configured_routes(read(door.environment, NOWHERE)).refunder("acorn")
    assert refunder is not None
    refunds.run_due(door.shop.engine, door.shop.streams, SHARDS, refunder, datetime.now(UTC))
    door.shop.work()


# -- webhook, look-up, refund --------------------------------------------------------------------------------


def test_its_door_is_open_once_its_key_is_set(door):
    assert door.statuses("payments/acorn", posted()) == [202]
    (closed,) = door.post("payments/acorn", posted(), ORDERS_ACORN_API_KEY="")
    assert closed.status_code == 404
    assert "it opens with ORDERS_ACORN_API_KEY" in closed.text
    assert door.statuses("payments/acorn", (b"event=paid", {}), (b"id=\xff\x00", {})) == [400, 400]
    assert "acorn" in door.post("payments/unheard-of", posted())[0].text


def test_the_same_body_for_each_change_is_asked_for_each_time(door, api):
    """A webhook is the same for open and for paid: taken for a duplicate, the payment would never be known."""
    door.shop.tell(a_paid_order("N1", 500, payment=ID)[0])
    api[0].sales[ID] = {"id": ID, "status": "open", "amount": "500", "currency": "KRW"}
    assert door.statuses("payments/acorn", posted()) == [202]
    assert ask(door) == 1
    assert door.status("N1") == "pending"
    api[0].is_paid(ID, "N1")
    assert door.statuses("payments/acorn", posted()) == [202]
    assert ask(door) == 1
    assert door.status("N1") in ("paid", "preparing")
    assert api[0].keys == {"Bearer test_acorn"}
    (paid,) = door.shop.rows("select provider, amount, paid_at from transactions")
    assert tuple(paid) == ("acorn", Decimal(500), AT)


def test_one_that_was_made_up_counts_nothing(door):
    door.shop.tell(a_paid_order("N1", 500, payment=ID)[0])
    assert door.statuses("payments/acorn", posted()) == [202]
    assert ask(door) == 1
    assert door.status("N1") == "pending"
    assert "does not know" in door.shop.rows("select last_error from inbox")[0].last_error


def test_a_refund_goes_to_the_provider_that_took_the_payment(door, api):
    door.shop.tell(a_paid_order("N1", 500, payment=ID)[0])
    api[0].is_paid(ID, "N1")
    door.statuses("payments/acorn", posted())
    ask(door)
    door.shop.tell(an_event("OrderCanceled", "N1"))
    refund(door)
    there = httpx.get(f"{api[1]}/_simulator/books", trust_env=False).json()["payments"][ID]
    assert (there["currency"], [made["amount"] for made in there["refunds"]]) == ("KRW", ["500"])
    (transaction,) = door.shop.rows("select status, refunded_amount from transactions")
    assert tuple(transaction) == ("canceled", 500)
    assert door.journaled("refunds:acorn")


# -- settings, chores, documentation -------------------------------------------------------------------------


def test_its_settings_are_checked_and_shown_as_all_others_are(installed):
    settings = read({"ORDERS_ACORN_API_KEY": "hush", "ORDERS_ACORN_API_URL": "http://me:hush@localhost:1/"}, NOWHERE)
    assert settings.values["ORDERS_ACORN_API_KEY"] == "***"
    assert "hush" not in " ".join(settings.values.values()) + repr(settings)
    assert settings.sources["ORDERS_ACORN_API_KEY"] == "environment"
    with pytest.raises(SettingsError, match="did you mean ORDERS_ACORN_API_KEY"):
        read({"ORDERS_ACORN_APIKEY": "x"}, NOWHERE)
    with pytest.raises(SettingsError, match="ORDERS_ACORN_API_URL must start with https://"):
        read({"ORDERS_ACORN_API_URL": "acorn"}, NOWHERE)
    assert "ACORN" not in env_example(), "the file that ships names what ships"


def test_without_it_its_settings_do_not_exist():
    with pytest.raises(SettingsError, match="ORDERS_ACORN_API_KEY is no setting"):
        read({"ORDERS_ACORN_API_KEY": "x"}, NOWHERE)


def test_workers_have_its_chores(installed):
    found = {each.name: each.queue for each in chores(read({"ORDERS_ACORN_API_KEY": "x"}, NOWHERE))}
    assert (found["orders.inbox:acorn"], found["orders.effects:acorn"]) == (LOOKUPS, REFUNDS)
    assert not [name for name in {each.name for each in chores(read({}, NOWHERE))} if "acorn" in name]


def test_it_has_a_row_in_the_documentation(installed):
    page = documentation.page(registry().providers)
    needs = "`ORDERS_ACORN_API_KEY`"
    path = f"`/webhooks/payments/acorn`: {needs}"
    assert (
        f"| **Acorn Pay** `acorn` | {path} | {needs} | {needs} | – | – | unsigned, and says only where to look |"
        in page
    )
    assert (
        "| `ORDERS_ACORN_API_URL` | `https://api.acorn.example` | Acorn Pay: where Acorn Pay's API is asked |" in page
    )


# -- the commands of the page --------------------------------------------------------------------------------


def test_the_doctor_shows_it_as_the_page_says(site, database_url, redis_url, tmp_path):
    servers = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "PYTHONPATH": f"{site}:{pages.ROOT}"}
    done = pages.run(pages.commands(PAGE, "orders doctor"), tmp_path, **servers)
    assert '"name": "ORDERS_ACORN_API_KEY"' in done.stdout, done.stderr
    assert '"says": "acorn"' in done.stdout


@pytest.mark.timeout(120)
def test_the_webhook_can_be_played_as_the_page_says(site, database_url, redis_url, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ORDERS_ACORN_API_KEY": "test_acorn",
        "PYTHONPATH": f"{site}:{pages.ROOT}",
    }
    command = [sys.executable, "-m", "cli", "api", "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
        try:
            until = time.monotonic() + 60
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code:
                        break
                assert process.poll() is None, process.stderr.read() if process.stderr else ""
                assert time.monotonic() < until
                time.sleep(0.1)
            script = pages.commands(PAGE, "curl").replace("localhost:8000", f"127.0.0.1:{port}")
            done = pages.run(script, tmp_path, no_proxy="*")
        finally:
            process.terminate()
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "accepted"
    assert answer["id"].startswith(f"{ID}@")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_its_refunds_pass_the_suite_as_the_page_says(site):
    done = pages.run(pages.commands(PAGE, "pytest"), pages.ROOT, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


# -- broken ones ---------------------------------------------------------------------------------------------


BROKEN = {
    "no_such_module:PROVIDER": "ModuleNotFoundError",
    "json:loads": "must be providers.base.Provider",
    "providers.payments.stripe:PROVIDER": "there is a provider stripe of kind payments already",
}


@pytest.fixture
def broken(tmp_path, monkeypatch):
    for number, value in enumerate(BROKEN):
        info = tmp_path / f"broken{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: broken{number}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[orders.providers]\nbroken{number} = {value}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.cache_clear()
    yield
    registry.cache_clear()


def test_broken_ones_are_told_and_take_nothing_else_down(installed, broken):
    found = registry()
    assert {"acorn", "bluebird", "stripe"} <= {each.name for each in found.providers}
    assert {each.value for each in found.broken} == set(BROKEN)
    for each in found.broken:
        assert BROKEN[each.value] in each.why
    assert read({"ORDERS_BROKEN0_API_KEY": "x"}, NOWHERE).shards == 64, "who would have declared it cannot be asked"
    with pytest.raises(SettingsError):
        read({"ORDERS_BROKEN_API_KEY": "x"}, NOWHERE)
    waiting = configured_routes(read({}, NOWHERE)).waiting
    assert {"broken0", "acorn", "standard"} <= waiting.keys(), "what it took waits for it, and is not given up"


def test_one_whose_client_cannot_be_made_is_left_out_and_told(installed, caplog):
    found = registry()
    (acorn,) = [each for each in found.providers if each.name == "acorn"]

    def fail(values):
        raise KeyError("a bug")

    assert isinstance(acorn.looks_up, Ability)
    unlucky = replace(acorn, looks_up=replace(acorn.looks_up, make=fail))
    found = replace(found, providers=(*(each for each in found.providers if each is not acorn), unlucky))
    values = read({"ORDERS_ACORN_API_KEY": "x", "ORDERS_TOSS_API_KEY": "y"}, NOWHERE).providers
    assert set(found.lookups(values)) == {"toss"}
    assert found.unusable(values) == [("acorn", "looks_up")]
    assert "provider acorn cannot be used" in caplog.text
