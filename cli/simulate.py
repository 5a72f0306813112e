"""`orders simulate`: a payment provider, tracking service or carrier in its wire format, for a shop's developers."""

from __future__ import annotations

import sqlite3
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
import typer

from cli.options import Json, Problem, err, out, program
from cli.terminal import safe
from providers.simulators.examples import EXAMPLES, PARCEL_EXAMPLES

PARCELS = {name.replace("_", "-"): name for name in PARCEL_EXAMPLES}  # as they are typed → their providers' names
NAMES = ", ".join((*EXAMPLES, *PARCELS))


def simulate(
    provider: Annotated[str, typer.Argument(help=f"Whose wire format it speaks: {NAMES}.")],
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help="The port; 0: a free one. Else each provider has its own, from 12111 on."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed meets the same mishaps.")] = 7,
    mishap: Annotated[
        list[str] | None,
        typer.Option("--mishap", metavar="KIND=SHARE", help="What goes wrong, and how often; again for another."),
    ] = None,
    pace: Annotated[
        float,
        typer.Option(
            "--pace", min=0.0, max=86_400.0, help="Seconds until an open refund has its end; seven are a parcel's life."
        ),
    ] = 10.0,
    patience: Annotated[
        float,
        typer.Option(
            "--patience", min=0.0, max=600.0, help="Of payments: seconds that a mishap keeps a client waiting."
        ),
    ] = 2.0,
    webhook: Annotated[
        str | None, typer.Option("--webhook", metavar="URL", help="Where its webhooks go; without it there are none.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", help="Of payments: a file for its books, which outlives it; else memory.", dir_okay=False
        ),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option("--rate", min=1, help="Of parcels: questions in any second; beyond them it answers 429."),
    ] = None,
    quota: Annotated[
        int | None, typer.Option("--quota", min=0, help="Of parcels: questions in all; beyond them it answers 429.")
    ] = None,
    json: Json = False,
) -> None:
    """Simulate a payment provider, tracking service or carrier on this machine, in its real wire format, until Ctrl-C.

    A payment provider takes refunds, tells how payments stand and what happened in a time, and signs its webhooks as the provider does.
    Its payments are made by whoever plays the customers: the example that it prints at its start shows how. A tracking
    service follows any number, from its label on, and tells of each scan by webhook.

    Kinds of mishap with payments. Of a payment, every time: refused (it says no, for good), open (pending, and made a pace later),
    late_failure (made, and fails a pace later). Of a request, now and then: timeout (acts, and does not answer), slow (acts
    once nobody waits any more; meanwhile its key is busy), stored_error (500, and again for the same key), rate_limit (429),
    unavailable (a question is answered 503). Of a webhook: twice.

    With parcels. Of a parcel, every time: missing (some scans are never told), returned (to its sender), no_time (some
    scans have none), afterthought (an earlier scan is told as the last), delayed (all is told late), quiet (nothing is told
    between its first scan and its end), contradicted (its delivery failed, and was made, at one time), reused (its number was
    another parcel's a year ago), never (no question about it is answered). Of a request: unavailable (503), rate_limit (429),
    cut, page, shape (an answer that is none), silent (never answers), expired (its access token). Of a webhook: twice.
    With --rate and --quota it answers 429 beyond so many questions in any second, and in all.

    Examples: orders simulate NAME --mishap timeout=0.1   ·   orders simulate tracker-delivery --mishap returned=0.1
    """
    if (service := provider.replace("-", "_")) in PARCEL_EXAMPLES:
        from cli.simulate_parcels import simulate_parcels
        from providers.simulators.limits import Limits

        if state is not None:
            raise Problem(f"--state: {provider} keeps no books; leave it out", 2)
        simulate_parcels(service, port, seed, mishap or (), pace, webhook, Limits(rate, quota), json)
        return
    if rate is not None or quota is not None:
        raise Problem(f"--rate, --quota: {provider} has no parcels; leave them out", 2)
    if provider not in EXAMPLES:
        raise Problem(f"{provider!r} is not simulated; there are {NAMES}", 2)
    from providers.simulators import process, start
    from providers.simulators.desk import MISHAPS, application

    try:
        shares = dict(process.mishap(each, MISHAPS) for each in mishap or ())
    except ArgumentTypeError as error:
        raise Problem(f"--mishap: {error}", 2) from None
    if webhook is not None and urlsplit(webhook).scheme not in ("http", "https"):
        raise Problem(f"--webhook: {webhook} is no URL; write http://127.0.0.1:8000/webhooks/payments/{provider}", 2)
    try:
        desk = start.desk(
            provider,
            state=str(state) if state is not None else ":memory:",
            seed=seed,
            shares=shares,
            pace_s=pace,
            patience_s=patience,
            webhook_url=webhook,
        )
    except sqlite3.Error as error:
        raise Problem(f"--state: {state} cannot be used ({error}); give another file", 2) from None

    def announce(url: str) -> None:
        told = _told(provider, url, shares, start.KEYS[provider], start.SECRETS[provider])
        if json:
            sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
            sys.stdout.flush()
        else:
            _tell(told, webhook)

    process.serve(
        application(desk), EXAMPLES[provider].port if port is None else port, lifespan="on", announce=announce
    )


def _told(provider: str, url: str, shares: dict[str, float], key: str, secret: str) -> dict[str, Any]:
    """What a script, or a person, needs to use it."""
    upper = provider.upper()
    settings = {f"ORDERS_{upper}_API_URL": url, f"ORDERS_{upper}_API_KEY": key, f"ORDERS_{upper}_SECRETS": secret}
    if provider == "standard":  # which is a contract, and no provider's API
        settings = {
            "ORDERS_REFUND_URL": url,
            "ORDERS_PAYMENTS_URL": url,
            "ORDERS_REFUND_SECRETS": key,
            "ORDERS_STANDARD_SECRETS": secret,
        }
    example = EXAMPLES[provider]
    body = orjson.dumps({"amount": example.amount, "currency": example.currency, "orderNumber": "1001"}).decode()
    pays = f"curl -X PUT {url}/_simulator/payments/{example.payment} -d '{body}'"
    books = f"{url}/_simulator/books"
    return {"provider": provider, "url": url, "settings": settings, "mishaps": shares, "pay": pays, "books": books}


def _tell(told: dict[str, Any], webhook: str | None) -> None:
    out.print(f"{told['provider']} is simulated on [bold]{safe(told['url'])}[/], until Ctrl-C", soft_wrap=True)
    out.print("\nSettings of the shop, for API and workers alike:")
    for name, value in told["settings"].items():
        out.print(f"  export {name}={safe(value)}", soft_wrap=True)
    out.print("\nSomebody pays (`state` may be authorized, failed or canceled; `method`: virtual_account):")
    out.print(f"  {safe(told['pay'])}", soft_wrap=True)
    out.print("\nWhat it has in its books:")
    out.print(f"  curl {safe(told['books'])}", soft_wrap=True)
    if webhook is None:
        command = f"{program()} simulate {told['provider']} --webhook http://127.0.0.1:8000/webhooks/payments/"
        err.print(f"it sends no webhooks; to have them sent: {safe(command)}{told['provider']}", soft_wrap=True)
