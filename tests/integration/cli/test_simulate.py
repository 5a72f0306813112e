"""`orders simulate`: what it prints is what a developer, or a script, needs to use it."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from decimal import Decimal

import httpx
import pytest

from events.money import Money
from providers.movements import RefundRequest
from providers.registry import registry
from settings.environment import read
from tests.simulators import ROOT

COMMAND = [sys.executable, "-m", "cli", "simulate"]


@pytest.mark.parametrize("provider", ["stripe", "portone", "toss"])
def test_with_what_it_prints_a_shop_pays_and_refunds(provider, tmp_path):
    command = [*COMMAND, provider, "--port", "0", "--json", "--state", str(tmp_path / "books.sqlite")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            lines = iter(process.stdout.readline, "}\n")
            told = json.loads("".join(lines) + "}")
            url, _, body = (shlex.split(told["pay"])[n] for n in (3, 4, 5))
            paid = httpx.put(url, content=body, trust_env=False)
            assert paid.status_code == 200
            payment = paid.json()["payment_id"]
            client = registry().refund_clients(read(told["settings"], tmp_path / ".env").providers)[provider]
            currency = json.loads(body)["currency"]
            made = client.refund(
                RefundRequest("018f2e6a-7b1c-7d2e-9f3a-0b1c2d3e4f50", payment, Money(Decimal(5), currency))
            )
            assert (int(made.amount), made.status) == (5, "succeeded")
            books = httpx.get(told["books"], trust_env=False).json()["payments"]
            assert [Decimal(each["amount"]) for each in books[payment]["refunds"]] == [5]
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--mishap", "rain=0.5"), "'rain' is none; there are refused, open"),
        (("--mishap", "open=5"), "open=5 has no share from 0 to 1"),
        (("--webhook", "localhost"), "no URL; write http://127.0.0.1:8000/webhooks/payments/stripe"),
        (("--state", "/nonexistent/books"), "cannot be used"),
    ],
)
def test_wrong_use_is_one_sentence_with_what_there_is(orders, arguments, says):
    answer = orders("simulate", "stripe", *arguments)
    assert answer.code in (1, 2)
    assert says in answer.err
