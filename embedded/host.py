"""Services of the machine: private files, locks that outlive nobody, free ports."""

import os
import shutil
import socket
from pathlib import Path
from random import SystemRandom
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: it has no Valkey wheel either, and `servers` looks for that first
    fcntl = None  # type: ignore[assignment]


def hold(file: IO[str], *, shared: bool = False) -> bool:
    """Lock an open file unless another process has it; the kernel unlocks it on any death. `shared`: beside others who do."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def private(path: str, flags: int) -> int:
    """An `opener` for files that nobody else may read."""
    return os.open(path, flags, 0o600)


def write_private(path: Path, text: str) -> None:
    """Replace a private file in one step, surely on disk."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open(new, "x", opener=private) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


PORTS = range(20_000, 30_000)  # below those that the kernel gives to whoever names no port (Linux: 32768 on)


def free_port(wish: int | None) -> int:
    """The wished port if it is free, else one that is: out of PORTS, so that only who asks for that port takes it before us."""
    if wish and free(wish):
        return wish
    draw = SystemRandom()  # not by a seed, which test processes have in common
    while not free(port := draw.choice(PORTS)):
        pass
    return port


def free(port: int) -> bool:
    """True if nobody listens on this port of 127.0.0.1."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


LOG_BYTES = 8 * 2**20


def bound_log(log: Path, most: int = LOG_BYTES) -> None:
    """Keep a log at `most` bytes, and as much of what came before in NAME.log.1. Its writers must append (O_APPEND).

    They keep the file open, so it is copied and emptied, not moved; a line that is written in that moment is lost. On a
    full disk there is no room for the copy: then what came before is lost.
    """
    try:
        if log.stat().st_size <= most:
            return
        before = log.with_name(f"{log.name}.1")
        try:
            shutil.copyfile(log, before)
            before.chmod(0o600)
        except OSError:
            before.unlink(missing_ok=True)
        os.truncate(log, 0)
    except FileNotFoundError:
        return  # nobody has written yet
