"""Worker hosts, and a stranger's, as network namespaces; connections that die without a word. For root on Linux, with
`ip` and `nft`.

Each host is a namespace with a veth to a bridge; servers, API and the outside world listen at the bridge's address.
A host is cut off by taking its end of the veth down; connections die by packet filters that drop what arrives on
them, in both directions and without a sign, while new connections pass. Nothing of it outlives `close`, and what a
killed run left behind is removed by the next one's `open`.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

BRIDGE = "orders-faults"
ADDRESS = "10.213.57.1"  # of the bridge, in a range that hardly anybody uses
NAMES = ("a", "b")  # worker hosts
STRANGER = "stranger"  # whoever attacks the API, from an address of its own
_TABLE = "orders_faults"
_CLONE_NEWNET = 0x40000000
_ESTABLISHED = "01"  # in /proc/net/tcp


def why_not() -> str | None:
    """The reason why there can be no hosts here; None where there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need root on Linux"
    if missing := [name for name in ("ip", "nft") if shutil.which(name) is None]:
        return f"{' and '.join(missing)} not found (Debian: apt install iproute2 nftables)"
    try:
        _run("ip", "netns", "add", "orders-faults-try")
        _run("ip", "netns", "del", "orders-faults-try")
    except RuntimeError as error:
        return f"no network namespaces here: {error}"
    return None


def enter(name: str) -> None:
    """Make the namespace `name` this process's."""
    with Path(f"/run/netns/{name}").open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {name}")


@dataclass(slots=True)
class Hosts:
    """The worker hosts of one deployment."""

    dead: list[str] = field(default_factory=list)  # namespaces with a filter; "" is this one

    def open(self) -> None:
        """Lay the bridge and plug the hosts in."""
        self.close()
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
        _run("ip", "addr", "add", f"{ADDRESS}/24", "dev", BRIDGE)
        _run("ip", "link", "set", BRIDGE, "up")
        for place, name in enumerate((*NAMES, STRANGER), 11):
            space, outer = namespace(name), _outer(name)
            _run("ip", "netns", "add", space)
            _run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
            _run("ip", "link", "set", outer, "master", BRIDGE)
            _run("ip", "link", "set", outer, "up")
            _run("ip", "-n", space, "addr", "add", f"10.213.57.{place}/24", "dev", "eth0")
            _run("ip", "-n", space, "link", "set", "lo", "up")
            _run("ip", "-n", space, "link", "set", "eth0", "up")

    def close(self) -> None:
        """Take everything away; whatever is gone already stays gone."""
        self.revive()
        _quietly("nft", "delete", "table", "inet", _TABLE)
        for name in (*NAMES, STRANGER):
            _quietly("ip", "link", "del", _outer(name))
            _quietly("ip", "netns", "del", namespace(name))
        _quietly("ip", "link", "del", BRIDGE)

    @contextmanager
    def cut_off(self, name: str) -> Iterator[None]:
        """The host's cable is out; nobody is told. It is in again at the end."""
        _run("ip", "link", "set", _outer(name), "down")
        try:
            yield
        finally:
            _run("ip", "link", "set", _outer(name), "up")

    def kill_connections(self, port: int, pids: Iterable[int], spare: Sequence[int]) -> int:
        """Have every connection of `pids` to `port` swallow its packets; how many that were. `spare`: local ports."""
        ends = sorted(ends_of(pids, port) - {(address, each) for each in spare for address in (ADDRESS, "127.0.0.1")})
        if not ends:
            return 0
        elements = ", ".join(f"{address} . {own}" for address, own in ends)
        rules = f"""
            table inet {_TABLE} {{
                set dead {{ type ipv4_addr . inet_service; elements = {{ {elements} }} }}
                chain arriving {{
                    type filter hook input priority -150; policy accept;
                    ip saddr . tcp sport @dead tcp dport {port} drop
                    ip daddr . tcp dport @dead tcp sport {port} drop
                }}
            }}
        """
        for space in ("", *map(namespace, NAMES)):
            prefix = ("ip", "netns", "exec", space) if space else ()
            _run(*prefix, "nft", "-f", "-", given=rules)
            self.dead.append(space)
        return len(ends)

    def revive(self) -> None:
        """Take the filters away."""
        while self.dead:
            space = self.dead.pop()
            prefix = ("ip", "netns", "exec", space) if space else ()
            _quietly(*prefix, "nft", "delete", "table", "inet", _TABLE)


def namespace(name: str) -> str:
    """The namespace of a host."""
    return f"orders-faults-{name}"


def ends_of(pids: Iterable[int], port: int) -> set[tuple[str, int]]:
    """Address and port of our ends of the established connections that `pids` have to `port`, in whatever namespace.

    Out of /proc/PID/net/tcp, which is that of the process's own namespace; psutil reads that of ours.
    """
    found = set()
    for pid in pids:
        with suppress(OSError):  # it has gone
            sockets = {link for fd in Path(f"/proc/{pid}/fd").iterdir() if (link := _link(fd)).startswith("socket:[")}
            for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
                _, local, remote, state, *_, inode = line.split()[:10]
                if state == _ESTABLISHED and int(remote.split(":")[1], 16) == port and f"socket:[{inode}]" in sockets:
                    address, own = local.split(":")
                    found.add((socket.inet_ntoa(struct.pack("=I", int(address, 16))), int(own, 16)))
    return found


def _link(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:  # closed since
        return ""


def _outer(name: str) -> str:
    return f"ordflt-{name}"


def _run(*command: str, given: str | None = None) -> None:
    done = subprocess.run(command, input=given, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


def _quietly(*command: str) -> None:
    """For what may be gone already."""
    if shutil.which(command[0]):
        subprocess.run(command, capture_output=True)
