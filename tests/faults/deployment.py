"""The deployment that is disturbed: servers, two worker hosts, the API, the outside world, with load and gauge.

The processes are those that `orders up` runs, by the same functions; with root each worker host is a network namespace
of its own. Whatever happens, `a_deployment` leaves no process, no namespace and no filter behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import IO

import httpx
import psutil
from sqlalchemy import text
from sqlalchemy.engine import make_url

from cli.processes import Processes, start_workers
from embedded.host import free_port
from embedded.postgres import Postgres
from embedded.valkey import Valkey
from settings.environment import read
from storage import keys, migrate
from tests.chaos.api_outages import Restartable
from tests.chaos.harness import Shop, settings
from tests.faults import hosts as networks
from tests.faults.gauge import Gauge
from tests.faults.hosts import Hosts
from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.webhooks import STRIPE
from workers.app import ring
from workers.resources import parts

LOGS_MB = 96  # the small disk that logs are on, where root can make one
CALM_S = 60.0  # for a deployment to come to rest
UNDER_WAY = 30  # requests and appends at once, where none of them waits for long
API_KEY = "faults"
TOKEN_SECRET = "a secret of the faults' own, of 32 characters and more"


class Bridged(Processes):
    """Processes of one host: inside its namespace, where there is one."""

    def __init__(self, logs: Path, on_restart, space: str | None) -> None:
        super().__init__(logs, on_restart)
        self._space = space

    def start(self, name: str, module: str, *arguments: str, **environment: str):
        """As `Processes.start`, in the namespace."""
        if self._space is None:
            return super().start(name, module, *arguments, **environment)
        return super().start(name, "tests.faults.entry", self._space, module, *arguments, **environment)


@dataclass(slots=True)
class Host:
    """One worker host: what `orders up` runs of workers, with one drain process, and a beat."""

    name: str
    data: Path
    space: str | None
    died: list[str]
    processes: Bridged | None = None

    def start(self, **environment: str) -> None:
        """Run its workers, with `environment` besides ours."""
        logs = self.data / "logs" / self.name
        self.processes = Bridged(logs, lambda name, code: self.died.append(f"{self.name}/{name} ({code})"), self.space)
        self.processes.__enter__()
        start_workers(self.processes, 1, **environment)

    def stop(self) -> None:
        """End them, frozen or not."""
        if self.processes is not None:
            self.signal(signal.SIGCONT)
            self.processes.stop()
            self.processes = None

    def mains(self) -> dict[str, psutil.Process]:
        """Its processes by name, those of pools aside."""
        found = {}
        for name, child in self.processes.children.items() if self.processes else ():
            if child.process is not None and child.process.poll() is None:
                with suppress(psutil.NoSuchProcess):
                    found[name] = psutil.Process(child.process.pid)
        return found

    def all(self) -> list[psutil.Process]:
        """Its processes and theirs."""
        return [each for main in self.mains().values() for each in family(main)]

    def drains(self) -> list[psutil.Process]:
        """The processes that apply events: children of those workers whose queues include drain."""
        found = []
        for main in self.mains().values():
            with suppress(psutil.Error):
                line = main.cmdline()
                if any("drain" in word for word in line):
                    found += main.children()
        return found

    def signal(self, number: int) -> None:
        """Send all of them a signal."""
        for process in self.all():
            with suppress(psutil.Error):
                process.send_signal(number)


@dataclass(slots=True)
class Deployment:
    """Everything that runs during a fault."""

    shop: Shop
    data: Path
    postgres: Restartable
    valkey: Restartable
    hosts: list[Host]
    network: Hosts | None
    api: Bridged
    api_url: str
    key: str
    publishable: str
    outside_url: str
    load: Load
    gauge: Gauge
    ledger: Ledger
    seed: int
    died: list[str] = field(default_factory=list)

    def api_processes(self) -> list[psutil.Process]:
        """The processes of the API."""
        child = self.api.children["api"].process
        return family(psutil.Process(child.pid)) if child is not None and child.poll() is None else []

    def api_mb(self) -> float:
        """The memory of the API's processes."""
        held = 0
        for process in self.api_processes():
            with suppress(psutil.Error):
                held += process.memory_info().rss
        return held / 1e6

    def counts(self) -> dict[str, int]:
        """The number of questions to the outside world."""
        with httpx.Client(trust_env=False, timeout=5) as client:
            counts: dict[str, int] = client.get(f"{self.outside_url}/counts").json()
        return counts

    def calm(self, within_s: float = CALM_S, lag_s: float = 1.0) -> bool:
        """True if nothing old waits within so many seconds."""
        until = monotonic() + within_s
        while monotonic() < until:
            newest = self.gauge.decided.samples[-1:]
            idle = self.load.under_way <= UNDER_WAY  # or requests queue somewhere
            if idle and newest and monotonic() - newest[0].at < 1 and newest[0].lag_s <= lag_s:
                return True
            sleep(0.1)
        return False

    def heal(self) -> bool:
        """Bring back what a fault has left broken, as a person would: restart workers and API. Whether it helped."""
        if self.network is not None:
            self.network.revive()
        for host in self.hosts:
            host.stop()
        with self.shop.engine.begin() as conn:
            conn.execute(text("delete from heartbeats"))
        for host in self.hosts:
            host.start()
        for process in self.api_processes():
            with suppress(psutil.Error):
                process.kill()
        return self.calm()


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


@contextmanager
def a_deployment(seed: int, say=print, scale: float = 1.0) -> Iterator[Deployment]:
    """All of it until the block ends."""
    network = Hosts() if networks.why_not() is None else None
    with ExitStack() as stack:
        # In no folder of pytest's: those are closed to the user that root's PostgreSQL may have to be.
        data = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="orders-faults-", ignore_cleanup_errors=True))
        )
        if network is not None:
            stack.callback(network.close)
            network.open()
            _small_disk(stack, data / "logs")
        address = networks.ADDRESS if network is not None else "127.0.0.1"
        postgres, valkey = (Restartable(kind, data) for kind in listening(address))
        for server in (postgres, valkey):
            stack.callback(server.stop)
            server.start()
        urls = {"DATABASE_URL": _at(postgres.url, address), "REDIS_URL": _at(valkey.url, address)}
        outside_url = f"http://{address}:{free_port(None)}"
        stack.enter_context(settings(**_settings(data, outside_url), **urls))
        migrate.upgrade(urls["DATABASE_URL"], read().shards)
        opened = stack.enter_context(parts(read(), ring))
        with opened.engine.begin() as conn:
            key, known = keys.add(conn, "secret", None, API_KEY, datetime.now(UTC))
            publishable, _ = keys.add(conn, "publishable", None, API_KEY, datetime.now(UTC))
        died: list[str] = []
        api = Bridged(data / "logs" / "api", lambda name, code: died.append(f"{name} ({code})"), None)
        stack.enter_context(api)
        host, port = outside_url.removeprefix("http://").split(":")
        api.start("outside-world", "tests.faults.outside_world", host, port)
        api_url = _serve(api, address, free_port(None))
        spaces = [networks.namespace(name) if network is not None else None for name in networks.NAMES]
        workers = [Host(name, data, space, died) for name, space in zip(networks.NAMES, spaces, strict=True)]
        for worker in workers:
            stack.callback(worker.stop)
            worker.start()
        ledger = Ledger()
        source = f"api/key_{known.id.replace('-', '')}"
        load = Load(api_url, key, source, STRIPE, opened, seed, ledger, scale)
        gauge = Gauge(urls["DATABASE_URL"])
        shop = Shop(opened, data)
        deployment = Deployment(
            shop, data, postgres, valkey, workers, network, api, api_url, key, publishable, outside_url, load, gauge,
            ledger, seed, died,
        )  # fmt: skip
        stack.callback(gauge.stop)
        gauge.start()
        stack.callback(load.stop)
        load.start()
        say(f"  deployment in {data}; {'two namespaces' if network else 'no namespaces: ' + str(networks.why_not())}")
        yield deployment


def listening(address: str) -> tuple[type[Postgres], type[Valkey]]:
    """The embedded servers, which listen at `address` too."""

    class Reachable(Postgres):
        def prepare(self, port: int, password: str, alive: IO[str]) -> Sequence[str | Path]:
            command = super().prepare(port, password, alive)
            rules = self.home / "pg_hba.conf"
            rule = f"host all all {address}/24 scram-sha-256\n"
            if rule not in (written := rules.read_text()):
                rules.write_text(written + rule)
            return [*command, "-c", f"listen_addresses={','.join(sorted({'127.0.0.1', address}))}"]

    class Answering(Valkey):
        def prepare(self, port: int, password: str, alive: IO[str]) -> Sequence[str | Path]:
            return [*super().prepare(port, password, alive), "--bind", *sorted({"127.0.0.1", address})]

    return Reachable, Answering


def _settings(data: Path, outside_url: str) -> dict[str, str]:
    return {
        "ORDERS_DATA": str(data),
        "ORDERS_STRIPE_SECRETS": STRIPE,
        "ORDERS_RATE_LIMIT": "off",
        "ORDERS_TOKEN_SECRET": TOKEN_SECRET,
        "ORDERS_CARRIERS": f"good={outside_url}/good,silent={outside_url}/silent",
        "ORDERS_REFUND_URL": f"stripe={outside_url}/refunds,bench={outside_url}/refunds",
        "ORDERS_TOSS_API_KEY": "test_sk",
        "ORDERS_TOSS_API_URL": f"{outside_url}/toss",
        "ORDERS_WEBHOOKS_ALLOW_PRIVATE": "on",
    }


def _serve(api: Bridged, address: str, port: int) -> str:
    """Run the API at an address that other hosts reach, and wait until it answers; its URL."""
    api.start("api", "cli", "api", "--host", address, "--port", str(port))
    url, until = f"http://{address}:{port}", monotonic() + CALM_S
    with httpx.Client(timeout=2, trust_env=False) as client:
        while monotonic() < until:
            with suppress(httpx.TransportError):
                if client.get(f"{url}/health/live").is_success:
                    return url
            sleep(0.05)
    raise RuntimeError(f"the API does not answer on {url}; see {api.log('api')}")


def _at(url: str, address: str) -> str:
    return make_url(url).set(host=address).render_as_string(hide_password=False)


def _small_disk(stack: ExitStack, logs: Path) -> None:
    """Logs on a file system of their own, which a fault can fill."""
    logs.mkdir(parents=True)
    options = f"size={LOGS_MB}m"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "orders-faults", str(logs)], capture_output=True)
    if not done.returncode:
        stack.callback(subprocess.run, ["umount", "--lazy", str(logs)], capture_output=True)


def small_disk(deployment: Deployment) -> bool:
    """True if the logs have one."""
    return os.path.ismount(deployment.data / "logs")
