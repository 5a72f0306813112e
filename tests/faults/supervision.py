"""`orders up` and what it supervises: embedded servers that are killed; a disk that is full of logs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from time import monotonic, sleep
from uuid import uuid4

import httpx
import psutil

from embedded import running
from embedded.host import free_port
from embedded.postgres import Postgres
from embedded.valkey import Valkey
from tests.faults.deployment import Deployment, family, small_disk
from tests.faults.fault import Aim, Fault, Trial

START_S, AGAIN_S = 60.0, 40.0
BALLAST = "ballast"
_KEY = re.compile(r"sk01_[0-9A-Za-z]{28}")


@contextmanager
def disk_full(deployment: Deployment, random: Random) -> Iterator[Aim]:
    """The logs' file system is full: no request fails for that."""
    logs = deployment.data / "logs"
    if not small_disk(deployment):
        raise RuntimeError("the logs have no file system of their own")
    ballast = logs / BALLAST
    deployment.gauge.aim()
    aim = Aim()
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 65_536)
        with ballast.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x")
        aim.hold = lambda: _noisy(deployment, aim)
        yield aim
    finally:
        ballast.unlink(missing_ok=True)


def _noisy(deployment: Deployment, aim: Aim, seconds: float = 8.0) -> None:
    """Requests that are logged: forged signatures, unknown keys."""
    until = monotonic() + seconds
    statuses: dict[str, int] = {}
    with httpx.Client(base_url=deployment.api_url, timeout=10, trust_env=False) as client:
        while monotonic() < until:
            try:
                answer = client.post(
                    "/webhooks/payments/stripe", content=b"{}", headers={"Stripe-Signature": "t=1,v1=0"}
                )
                status = str(answer.status_code)
            except httpx.TransportError as error:
                status = type(error).__name__
            statuses[status] = statuses.get(status, 0) + 1
            sleep(0.05)
    aim.note = ", ".join(f"{status}: {times}" for status, times in sorted(statuses.items()))
    if failed := {status: times for status, times in statuses.items() if not status.startswith("4")}:
        aim.wrong.append(f"requests failed for want of a log: {failed}")


# -- orders up -----------------------------------------------------------------------------------------------


def _up_killed(name: str):
    def run(seed: int, random: Random, options: object, say) -> tuple[dict[str, float], list[str]]:
        """`orders up` in a folder of its own; one of its servers is killed; then orders are made and applied again."""
        with (
            tempfile.TemporaryDirectory(prefix="orders-faults-", ignore_cleanup_errors=True) as folder,
            _up(Path(folder)) as (url, key, log),
        ):
            data, wrong = Path(folder) / "state", []
            with httpx.Client(
                base_url=url, timeout=10, trust_env=False, headers={"Authorization": f"Bearer {key}"}
            ) as client:
                if (first := _made(client, "before", 30)) is None:
                    return {"lost": 0}, ["no order was made before the fault"]
                sleep(random.random())
                pid = (Postgres if name == "postgres" else Valkey)(data).answers()
                if pid is None:
                    return {"lost": 0}, [f"{name} does not answer before its end"]
                for process in family(psutil.Process(pid)):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                began = monotonic()
                back = _made(client, "after", AGAIN_S)
                took = monotonic() - began
                kept = _kept(client, "before")
                told = log.read_text(errors="replace")
            if back is None:
                wrong.append(f"no order is made and paid {AGAIN_S:.0f} s after {name} was killed")
            if not kept:
                wrong.append("the order of before is not found")
            if running(data) is None:
                wrong.append(f"{name} was not started again")
            elif not re.search(r"(?i)(valkey|postgres\w*)\b.*\bagain", told):
                wrong.append("`orders up` says nothing of the server that it started again")
            figures = {
                "lost": 0 if kept else 1,
                "acknowledged": 1 + (back is not None),
                "first order s": round(first, 1),
            }
            if back is not None:
                figures["recovery_s"] = round(took, 2)
            return figures, wrong

    return run


@contextmanager
def _up(data: Path) -> Iterator[tuple[str, str, Path]]:
    """`orders up`: its API's URL, the secret key that it showed, and what it prints."""
    said, port = data / "up.log", free_port(None)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ORDERS_", "DATABASE_URL", "REDIS_URL"))
    }
    command = [sys.executable, "-m", "cli", "up", "--workers", "1", "--port", str(port), "--data", str(data / "state")]
    with said.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=kept, start_new_session=True)
    below: list[psutil.Process] = []
    try:
        until = monotonic() + START_S
        while not (found := _KEY.search(said.read_text(errors="replace"))):
            if process.poll() is not None or monotonic() > until:
                raise RuntimeError(f"`orders up` does not come up: {said.read_text(errors='replace')[-1000:]}")
            sleep(0.1)
        below = family(psutil.Process(process.pid))
        yield f"http://127.0.0.1:{port}", found[0], said
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        for each in {*below, *_left(data)}:
            with suppress(psutil.Error):
                each.kill()
        process.wait(10)


def _left(data: Path) -> list[psutil.Process]:
    """Whoever works in the folder still."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(data) in word for word in process.cmdline()):
                found.append(process)
    return found


def _made(client: httpx.Client, tag: str, within_s: float) -> float | None:
    """Seconds until an order is made, and applied by the workers; both servers are needed for that, or readiness says so."""
    began = monotonic()
    body = {
        "orderNumber": f"up-{tag}", "totalAmount": 5000,
        "customerSnapshot": {"name": "Kim", "email": "kim@example.com"},
        "shippingAddress": {"recipientName": "Kim", "address1": "1 Road"},
        "orderProducts": [{"product": "mug", "quantity": 1, "unitPrice": 5000}], "paymentId": f"pi_up_{tag}",
    }  # fmt: skip
    key = str(uuid4())
    while monotonic() < began + within_s:
        with suppress(httpx.TransportError):
            answer = client.post("/api/orders", json=body, headers={"Idempotency-Key": key})
            if answer.is_success and client.get("/health/ready").json()["status"] == "ok":
                return monotonic() - began
        sleep(0.2)
    return None


def _kept(client: httpx.Client, tag: str) -> bool:
    with suppress(httpx.TransportError):
        found = client.get(f"/api/orders?where[orderNumber][equals]=up-{tag}")
        return found.is_success and found.json()["totalDocs"] == 1
    return False


FAULTS: tuple[Fault | Trial, ...] = (
    Fault(
        "disk-full",
        "the logs' disk full for 8 s",
        "strangers",
        disk_full,
        0,
        scope="caller",
        needs=("small disk", "hosts"),
    ),
    Trial("up-postgres-killed", "the embedded PostgreSQL killed under `orders up`", "up", _up_killed("postgres")),
    Trial("up-valkey-killed", "the embedded Valkey killed under `orders up`", "up", _up_killed("valkey")),
)
