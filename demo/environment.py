"""The demo's surroundings: servers, the API, workers, a carrier and a payment provider that err, started and stopped together."""

from __future__ import annotations

import secrets
import socket
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from cli import keys
from cli.api_process import choose_port, start_api
from cli.bootstrap import Servers, find_servers, heartbeat, open_shop, workers_alive
from cli.options import Problem, actor
from cli.processes import Processes, start_workers
from cli.rules import bring_orders_up_to_date
from demo import scenarios
from demo.http_sender import Access
from demo.progress_query import Run
from demo.progress_view import Display
from demo.scenarios import PAYMENT_PREFIX, Life
from embedded.host import free_port
from settings.environment import read
from storage import keys as stored_keys
from storage import migrate
from workers.resources import Parts

ARRIVAL_RATE = 70  # orders per second, so that the picture can be followed
SPAN_S = 4.0  # that a few orders take at least
READY_S = 20.0  # for a simulator to answer
PARCEL_PACE_S = 0.5  # a parcel's life is six of these
MISSING = "0.1"  # share of parcels that lack scans
FATES = {
    "delayed": 0.05,
    "quiet": 0.05,
    "contradicted": 0.05,
}  # and of those that are told late, in silence, two ways at once
ERRORS = "0.05"  # share of the outside's answers that go wrong
CARRIER, PROVIDER = "carrier", "standard"  # names of processes
# Providers in their real wire formats, and what goes wrong at them; each open refund has its end after PACE_S.
WIRE_FORMATS = ("stripe", "portone", "toss")
MISHAPS = {"timeout": 0.05, "slow": 0.03, "open": 0.05, "stored_error": 0.03, "rate_limit": 0.03, "unavailable": 0.05, "twice": 0.1}  # fmt: skip
PACE_S, PATIENCE_S = 2.0, 0.5
KEYS = "orders demo"  # label of its API keys


@dataclass(frozen=True, slots=True)
class Stage:
    """The resources of a play: connections, processes, the orders' lives."""

    opened: Parts
    servers: Servers
    processes: Processes
    provider_url: str  # of the provider of the shop's own
    access: Access
    run: Run
    played: list[Life]
    span: float
    beginning: datetime
    data: Path | None


_LAST_SEQ = text("select coalesce(max(seq), 0) from journal")
_OTHERS_REFUNDS = text(
    "select count(*) from effects where state in ('due', 'in_flight', 'unknown') and not starts_with(payment_id, :ours)"
)


def open_stage(stack: ExitStack, display: Display, orders: int, seed: int, workers: int, data: Path | None) -> Stage:
    """A block in which the stage stands, with everything on it running."""
    display.say("starting PostgreSQL and Valkey" if read().database_url is None else "connecting to your servers")
    servers = stack.enter_context(find_servers(data))
    folder = servers.settings.data
    if servers.whose == "found":
        raise Problem(
            f"`orders up`, or a demo, runs already in {folder}; stop it first, or give this one another --data"
        )
    if servers.whose == "started":
        migrate.upgrade(servers.settings.database_url or "", servers.settings.shards)
    opened, _ = stack.enter_context(open_shop(data))
    if servers.whose == "started":
        bring_orders_up_to_date(opened.engine)
    _refuse_a_live_shop(opened, servers, display)
    beginning = datetime.now(UTC)
    span = max(SPAN_S, orders / ARRIVAL_RATE)
    tag = _tag(beginning)
    played = scenarios.lives(orders, seed, tag, span)
    with opened.engine.connect() as conn:
        since = int(conn.execute(_LAST_SEQ).scalar_one())
    run = Run(tag, [life.number for life in played], since)
    restarts = Restarts(display)
    processes = stack.enter_context(Processes(folder / "logs", restarts.note))
    display.say("starting a carrier, four payment providers, the API, workers and the beat")
    ports = {name: free_port(None) for name in (CARRIER, PROVIDER, *WIRE_FORMATS)}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    api_port = choose_port(None)
    common = ("--seed", str(seed), "--errors", ERRORS, "--port")
    pace = ("--pace", str(PARCEL_PACE_S), "--missing", MISSING)
    fates = [part for kind, share in FATES.items() for part in ("--mishap", f"{kind}={share}")]
    processes.start(CARRIER, "providers.simulators.carrier", *common, str(ports[CARRIER]), *pace, *fates)
    state = str(folder.resolve() / "demo-standard.sqlite")
    _start_provider(processes, PROVIDER, ports[PROVIDER], seed, "--state", state)
    signed_with = {name: _webhook_secret() for name in (*WIRE_FORMATS, "standard")}
    settings = _shop(urls) | _payments(urls, signed_with)
    for name in WIRE_FORMATS:
        door = f"http://127.0.0.1:{api_port}/webhooks/payments/{name}"
        told = ("--secret", signed_with[name], "--key", settings[f"ORDERS_{name.upper()}_API_KEY"], "--webhook", door)
        state = str(folder.resolve() / f"demo-{name}.sqlite")
        _start_provider(processes, name, ports[name], seed, *told, "--state", state)
    start_workers(processes, workers, **settings)
    url = start_api(processes, api_port, **settings)  # it decides by the workers' policy
    for name, port in ports.items():
        _await_answer(processes, name, port)
    providers = {name: urls[name] for name in WIRE_FORMATS}
    access = Access(url, *_make_keys(opened), signed_with["stripe"], signed_with["standard"], providers)
    return Stage(opened, servers, processes, urls[PROVIDER], access, run, played, span, datetime.now(UTC), data)


def _start_provider(processes: Processes, name: str, port: int, seed: int, *arguments: str) -> None:
    """A provider in its wire format, with the demo's mishaps."""
    mishaps = [part for kind, share in MISHAPS.items() for part in ("--mishap", f"{kind}={share}")]
    paces = ("--pace", str(PACE_S), "--patience", str(PATIENCE_S))
    common = ("--seed", str(seed), "--port", str(port))
    processes.start(name, "providers.simulators.start", name, *common, *paces, *mishaps, *arguments)


def _payments(urls: Mapping[str, str], signed_with: Mapping[str, str]) -> dict[str, str]:
    """The shop's settings of its payment providers, each with a key of this demo's own."""
    own = {"ORDERS_REFUND_URL": f"standard={urls[PROVIDER]}", "ORDERS_STANDARD_SECRETS": signed_with["standard"]}
    for name in WIRE_FORMATS:
        own[f"ORDERS_{name.upper()}_API_URL"] = urls[name]
        own[f"ORDERS_{name.upper()}_API_KEY"] = f"demo_{secrets.token_hex(12)}"
        own[f"ORDERS_{name.upper()}_SECRETS"] = signed_with[name]
    return own


def _shop(urls: Mapping[str, str]) -> dict[str, str]:
    """The shop's settings: who carries, and the policy that the lives' ends follow from."""
    return {
        "ORDERS_CARRIERS": f"{scenarios.CARRIER}={urls[CARRIER]}",
        "ORDERS_RATE_LIMIT": "off",  # one key sends what many would
        "ORDERS_TRACKING_PACE": "1s",
        "ORDERS_RETURNS": "auto",
        "ORDERS_REFUNDS": "auto",
        "ORDERS_UNPAID_AFTER": "24h",
        "ORDERS_CONFIRM_AFTER": "7d",
        "ORDERS_RETURN_WINDOW": "30d",
        "ORDERS_PARKED_FOR": "72h",
        "ORDERS_GRACE": "1h",
    }


def _webhook_secret() -> str:
    """As Standard Webhooks and Stripe make them."""
    return f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"


def _make_keys(opened: Parts) -> tuple[str, str]:
    """A pair of API keys, secret and publishable; those of earlier demos are revoked."""
    with opened.engine.begin() as conn:
        for key in stored_keys.every(conn):
            if key.label == KEYS and key.revoked_at is None:
                stored_keys.revoke(conn, key.name, actor(), datetime.now(UTC))
        secret, _ = keys.make(conn, "secret", KEYS)
        publishable, _ = keys.make(conn, "publishable", KEYS)
    return secret, publishable


def _refuse_a_live_shop(opened: Parts, servers: Servers, display: Display) -> None:
    """No demo where workers of a shop run, or where its refunds would go to a provider that only pretends."""
    with opened.engine.connect() as conn:
        others = int(conn.execute(_OTHERS_REFUNDS, {"ours": PAYMENT_PREFIX}).scalar_one())
    if others:
        raise Problem(
            f"{others} refunds of real orders are due in this database, and the demo's provider only pretends to make "
            "them: give the demo a database of its own (another --data, or no DATABASE_URL)"
        )
    if servers.whose == "yours" and _beats(opened, display):
        raise Problem("workers serve these servers already: stop them first, or give the demo others")


def _beats(opened: Parts, display: Display) -> bool:
    """Whether workers' heartbeat moves: one that is merely young may be a demo's that has just ended."""
    if not workers_alive(opened):
        return False
    display.say("looking whether other workers serve these servers")
    first, until = heartbeat(opened), time.monotonic() + 7
    while time.monotonic() < until:
        time.sleep(0.5)
        if heartbeat(opened) != first:
            return True
    return False


def _await_answer(processes: Processes, name: str, port: int) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Problem(f"the simulated {name} does not answer after {READY_S:.0f} s; see {processes.log(name)}")


def _tag(now: datetime) -> str:
    """A short name of this demo: its second, in base 36."""
    digits, number = "", int(now.timestamp())
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


class Restarts:
    """Tells of children that ended and were started again."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def note(self, name: str, code: int) -> None:
        """A child ended; the watcher starts it again now."""
        why = f"signal {-code}" if code < 0 else f"exit {code}"
        self._display.tell(f"{name} ended ({why}); started again")
