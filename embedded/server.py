"""One server kept in a folder: find it, start it, stop it, whichever server it is.

What the data directory holds for a server called `x`, readable by its user alone:

    x/        the server's own files
    x.url     its port and password: written before it starts, kept for the next start
    x.alive   empty; the server, not its owner, holds a lock on it for as long as it lives
    x.log     what it printed

A pid proves little: by now it may be a zombie's, or another program's. The lock on `x.alive` is
inherited by the server and its children, and the kernel drops it with the last of them.
"""

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import IO, ClassVar
from urllib.parse import urlsplit

from embedded.host import free, free_port, hold, private, write_private

START_S = 120  # a crashed PostgreSQL may have 2 GB of log to read again
STOP_S = 60  # the last checkpoint, on a slow disk
POLL_S = 0.05
TAIL = 16_384  # bytes of a log's end that are read
FULL_MB = 16  # a disk with less has no room for a segment of PostgreSQL's log
LAST_WORDS = (
    "No space left|Out Of Memory|out of memory|Cannot allocate",
    "PANIC",
    "FATAL|Fatal|could not|Can't|CRASHED",
    "ERROR",
)
KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # no PG… and none of our keys


class ServerError(RuntimeError):
    """An embedded server cannot be run; the message says why and what to do instead."""


class Server(ABC):
    """The part that PostgreSQL and Valkey share."""

    title: ClassVar[str]
    name: ClassVar[str]  # of its files in the data directory
    package: ClassVar[str]  # the wheel that brings its program
    setting: ClassVar[str]  # the variable that names a server of one's own instead
    stop_signals: ClassVar[tuple[str, ...]]  # the polite one first

    def __init__(self, data: Path) -> None:
        self.data = data
        self.home = data / self.name
        self.log = data / f"{self.name}.log"
        self.prefix: Sequence[str] = ()  # a command that becomes the server
        self.uid: int | None = None  # when it is not ours
        self._url_file = data / f"{self.name}.url"
        self._child: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._logged = 0  # bytes of the log before it was started last
        self._over = threading.Event()  # its owner goes: wait for nothing more

    @abstractmethod
    def program(self) -> Path:
        """The path of the program in its wheel; ServerError if there is none for this platform."""

    @abstractmethod
    def prepare(self, port: int, password: str, alive: IO[str]) -> Sequence[str | Path]:
        """Lay out what it needs in `home`; return the command that runs it."""

    @abstractmethod
    def address(self, port: int, password: str) -> str:
        """The URL that clients use."""

    @abstractmethod
    def answers(self) -> int | None:
        """The pid of this folder's server if it answers at `url`, else None."""

    @property
    def url(self) -> str | None:
        """The address where the server listens, or listened last."""
        try:
            return self._url_file.read_text()
        except FileNotFoundError:
            return None
        except PermissionError as problem:
            raise ServerError(
                f"{problem}. The servers in {self.data} are another user's: run as that user, "
                f"or choose another data directory"
            ) from problem

    @contextlib.contextmanager
    def started(self) -> Iterator[str]:
        """Run it until the block ends. Only for the one owner of the data directory."""
        owner = os.getpid()
        try:
            yield self._start()
        finally:
            if os.getpid() == owner:  # a fork of the owner may leave this block too
                self._stop()

    def ended(self) -> bool:
        """True if the server that was started here, or taken over, no longer runs."""
        if self._child is not None:
            return self._child.poll() is not None
        return self._pid is not None and self._gone(within=0)

    def restart(self, over: threading.Event) -> None:
        """Start it again after its end, on its port, when the last of its processes has gone.

        Errors: ServerError where it cannot be, or `over` is set before it answers.
        """
        self._child, self._pid, self._over = None, None, over
        self._start(same_port=True)

    def why_it_ended(self) -> str:
        """The likely cause of its end, in a line: its exit, the end of its log, its disk."""
        code = self._child.poll() if self._child is not None else None
        told = [
            f"signal {-code} ({signal.Signals(-code).name})" if code is not None and code < 0 else f"exit code {code}"
        ]
        if code == -signal.SIGKILL:
            told.append("killed by hand, or by the kernel for want of memory (`dmesg` tells)")
        if (free_mb := shutil.disk_usage(self.data).free // 2**20) < FULL_MB:
            told.append(f"No space left on device: {free_mb} MB are free in {self.data}; free some there")
        elif code != -signal.SIGKILL and (line := self._last_words()):
            told.append(f"its log: {line}")
        return "; ".join(told if self._child is not None else told[1:] or ["it is gone"])

    def _last_words(self) -> str | None:
        """The last line since its start that tells of a failure."""
        try:
            with self.log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(self._logged if self._logged <= size else 0, size - TAIL))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return None
        for words in LAST_WORDS:
            for line in reversed(lines):
                if re.search(words, line):
                    return line.strip()[:300]
        return None

    def wheel(self) -> Path:
        """The installed package's folder; it is never imported."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise self.absent()
        return Path(spec.submodule_search_locations[0])

    def absent(self) -> ServerError:
        """The error of a server whose wheel is not installed."""
        return ServerError(
            f"No embedded {self.title} here: pip install 'order-lifecycle-workers[embedded]', "
            f"or set {self.setting} to a server of your own (some platforms have no wheel)"
        )

    def error(self, what: str) -> ServerError:
        """The error of a server, with the end of its log."""
        try:
            tail = self.log.read_text(errors="replace")[-4000:].splitlines()[-10:]
        except OSError:
            tail = []
        return ServerError(
            "\n  ".join([f"{self.title} in {self.data} {what}. The end of {self.log}:", *tail])
            + f"\nRemove the cause and start again, choose another data directory, or set "
            f"{self.setting} to a server of your own"
        )

    def spawn(self, command: Sequence[str | Path], cwd: Path, alive: IO[str]) -> subprocess.Popen[bytes]:
        """Run a program of the wheel, out of reach of the terminal's Ctrl-C.

        Of our open files it gets `alive` alone.
        """
        kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        try:
            with open(self.log, "ab", opener=private) as log:
                return subprocess.Popen(
                    [*self.prefix, *command], cwd=cwd, env={**kept, "LC_ALL": "C"},
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[alive.fileno()],
                    start_new_session=True, umask=0o077,
                    user=self.uid, group=self.uid, extra_groups=None if self.uid is None else [],
                )  # fmt: skip
        except OSError as problem:
            raise self.error(f"cannot be run: {problem}") from problem

    def _start(self, *, same_port: bool = False) -> str:
        """Reuse what a killed owner left running, else start anew; `same_port`: where it was, or not at all."""
        until = monotonic() + START_S
        while monotonic() < until and not self._over.is_set():
            if (pid := self.answers()) and (url := self.url):
                self._pid = pid
                return url
            if self._child and self._child.poll() is not None:
                if same_port or free(urlsplit(self.url or "").port or 0):
                    raise self.error(f"ended while starting (exit code {self._child.returncode})")
                self._child = None  # another program took the port before us: take the next
            if not self._child:
                with self._alive() as alive:
                    if hold(alive):  # else one is still starting, recovering or stopping
                        try:
                            self._launch(alive, same_port)
                        except OSError as problem:  # no room for its files
                            raise self.error(f"cannot be started: {problem}") from problem
            self._over.wait(POLL_S)
        raise self.error("was not waited for" if self._over.is_set() else f"does not answer after {START_S} s")

    def _launch(self, alive: IO[str], same_port: bool) -> None:
        last = urlsplit(self.url or "")
        self._logged = self.log.stat().st_size if self.log.exists() else 0
        if same_port and last.port and last.password:  # known to clients that run; a full disk takes no new file
            port, password = last.port, last.password
        else:
            port = free_port(last.port)  # the same again, so that clients find it after a restart
            password = last.password or secrets.token_urlsafe(24)
            write_private(self._url_file, self.address(port, password))
        command = self.prepare(port, password, alive)
        self._child = self.spawn(command, self.home, alive)
        self._pid = self._child.pid

    def _stop(self) -> None:
        if self._pid is None:
            return
        signals, patience = iter(self.stop_signals), 0
        while not self._gone(within=patience):  # else the pid may be another's by now
            if (name := next(signals, None)) is None:
                raise self.error(f"does not stop; its pid is {self._pid}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.Signals[name])
            patience = STOP_S
        if self._child:
            self._child.wait()

    def _gone(self, within: float) -> bool:
        until = monotonic() + within
        with self._alive() as alive:
            while not hold(alive):
                if monotonic() >= until:
                    return False
                sleep(POLL_S)
        return True

    def _alive(self) -> IO[str]:
        return open(self.data / f"{self.name}.alive", "a", opener=private)
