"""The state of a server's port, before anything is asked of it: where the way to it ends, the cure is another."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from operations.health.deadline import Late

CONNECT_S = 1.0


@dataclass(frozen=True, slots=True)
class Unreached:
    """The reason why nobody can be asked there, and the remedy."""

    says: str
    remedy: str


def unreached(url: str, setting: str, start: str) -> Unreached | None:
    """The reason why no connection can be had at `url`, None if its port takes one (or is no port). `start`: how to start it.

    Asks for at most CONNECT_S, and as long as the name of the host takes to be found.
    """
    at = urlsplit(url)
    if not at.hostname or "," in at.netloc or "/" in at.hostname:
        return None  # a socket in the file system, or several hosts: the driver knows better
    host, port = at.hostname, at.port or (5432 if at.scheme.startswith("postgres") else 6379)
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except socket.gaierror as error:
        return Unreached(
            f"its host {host} is unknown: {error.strerror}", f"correct the host in {setting}, or mend the name service"
        )
    except ConnectionRefusedError:
        return Unreached(
            f"nothing listens on {host}:{port} (connection refused)",
            start if "`orders up`" in start else f"{start}, or correct {setting}",
        )
    except TimeoutError:
        return Unreached(
            f"{host}:{port} gives no sign within {CONNECT_S:.0f} s: the host is away, or a firewall drops what goes there",
            f"see that the host runs and can be reached from here (`nc -vz {host} {port}`), or correct {setting}",
        )
    except OSError as error:
        return Unreached(
            f"{host}:{port} cannot be reached: {error.strerror or error}", f"mend the way there, or correct {setting}"
        )
    return None


class Door:
    """One server's way in: looked at before it is asked, so that silence can be told from absence."""

    def __init__(self, what: str, url: str, setting: str, start: str) -> None:
        self._what, self._url, self._setting, self._start = what, url, setting, start
        self._passed = False

    def unreached(self) -> Unreached | None:
        """The function of that name, its answer remembered."""
        found = unreached(self._url, self._setting, self._start)
        self._passed = found is None
        return found

    def late(self) -> Late:
        """The words for a server that has given no answer when the time is over."""
        if not self._passed:
            return Late(
                "its host could not be found in time",
                f"correct the host in {self._setting}, or mend the name service",
            )
        return Late(
            "takes connections and gives no answer: it is stopped (SIGSTOP), frozen or overloaded",
            f"on its host: `kill -CONT PID` where `ps` shows its state as T; else see its log and the load there, "
            f"and restart {self._what}",
        )
