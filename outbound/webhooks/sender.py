"""One webhook out: signed per Standard Webhooks, posted to an address that was judged, within ten seconds in all.

The specification (standardwebhooks.com): `webhook-id` is the same at every attempt, `webhook-timestamp` is the
attempt's, `webhook-signature` holds `v1,` and the HMAC-SHA256 of "id.timestamp.body" once a secret, separated by
spaces. Redirects are answers like any other that is not 2xx, as it says: following one would need its target judged
too, and a receiver that moved should be subscribed where it is. Nothing is taken from the environment's proxies, which
would connect to addresses that nobody judged. Every attempt opens a connection of its own.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from socket import IPPROTO_TCP, TCP_NODELAY, AddressFamily, socket
from threading import Thread
from time import monotonic
from typing import Any

import httpcore
import httpx
from standardwebhooks.webhooks import Webhook

from outbound.webhooks.ssrf_guard import PORTS, Address, Forbidden, Resolve, parse, vet
from telemetry import traces

TOTAL_S = 10.0  # from looking up the host to the last byte that is read
CONNECT_S = 3.0  # an address; then the host's next is tried
MOST_BYTES = 64 * 1024  # of an answer's body; the rest is not read


@dataclass(frozen=True, slots=True)
class Reply:
    """Outcome of one attempt to deliver."""

    status: int | None  # None: nobody answered
    error: str | None  # None: taken (2xx); it never holds the answer's body, which may repeat personal data
    body: bytes = b""  # as far as it was read


def _of_the_host() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  an adapter has no other; workers bring PostgreSQL's


class Sender:
    """Posts webhooks; may be shared by threads.

    `allow_private` lets them go inside one's own network; `clock` is what their signatures are dated by.
    """

    def __init__(
        self,
        allow_private: bool,
        resolve: Resolve | None = None,
        total_s: float = TOTAL_S,
        clock: Callable[[], datetime] = _of_the_host,
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._total_s = total_s
        self._clock = clock
        self._tls = httpx.create_ssl_context()  # certifi's authorities, or those of SSL_CERT_FILE

    def check(self, url: str) -> None:
        """Refuse a `url` that no webhook may go to, as its host's addresses are now. Errors: Forbidden, OSError.

        Takes as long as the system's resolver.
        """
        vet(parse(url), self._allow_private, self._resolve)

    def post(self, url: str, secrets: Sequence[str], webhook_id: str, body: bytes) -> Reply:
        """Sign and post `body` once. Whatever the network does is told in the reply."""
        until = monotonic() + self._total_s
        try:
            target = parse(url)
            addresses = self._vetted(target, until)
            headers = [
                (b"Host", target.netloc),
                (b"Content-Type", b"application/json"),
                (b"Content-Length", str(len(body)).encode()),
                (b"User-Agent", b"order-lifecycle-workers"),
                (b"Connection", b"close"),
                *signed(secrets, webhook_id, body, self._clock()),
            ]
            if (trace := traces.here()) is not None:
                headers.append((b"traceparent", trace.encode()))
            return self._exchange(target, addresses, headers, body, until)
        except Forbidden as error:
            return Reply(None, str(error))
        except TimeoutError:
            return Reply(None, f"no answer within {self._total_s:.0f} s")
        except (OSError, httpcore.ProtocolError, httpcore.NetworkError) as error:
            return Reply(None, f"{type(error).__name__}: {error}")

    def _vetted(self, target: httpx.URL, until: float) -> Sequence[Address]:
        """`vet` in a thread of its own, left behind where it takes too long: a look-up cannot be interrupted."""
        found: Future[Sequence[Address]] = Future()

        def look() -> None:
            try:
                found.set_result(vet(target, self._allow_private, self._resolve))
            except BaseException as error:  # raised again in the thread that asked
                found.set_exception(error)

        Thread(target=look, name="look-up", daemon=True).start()
        return found.result(_left(until))

    def _exchange(
        self,
        target: httpx.URL,
        addresses: Sequence[Address],
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        until: float,
    ) -> Reply:
        port = target.port or PORTS[target.scheme]
        origin = httpcore.Origin(target.raw_scheme, target.raw_host, port)
        where = httpcore.URL(scheme=target.raw_scheme, host=target.raw_host, port=port, target=target.raw_path)
        backend = _Judged(addresses, until)
        connection = httpcore.HTTPConnection(origin, ssl_context=self._tls, network_backend=backend)
        try:
            with connection.stream("POST", where, headers=headers, content=body) as answer:
                error = None if 200 <= answer.status < 300 else _refusal(answer)
                return Reply(answer.status, error, _read(answer))
        finally:
            connection.close()


def signed(secrets: Sequence[str], webhook_id: str, body: bytes, at: datetime) -> list[tuple[bytes, bytes]]:
    """The three headers; a signature a secret, so that a receiver may know any one of them."""
    text = body.decode()
    signatures = " ".join(Webhook(secret).sign(webhook_id, at, text) for secret in secrets)
    stamp = str(int(at.timestamp()))
    names = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
    return list(zip(names, (webhook_id.encode(), stamp.encode(), signatures.encode()), strict=True))


def _refusal(answer: httpcore.Response) -> str:
    if 300 <= answer.status < 400:
        return f"answered {answer.status}, a redirect, and none is followed: subscribe the address that it leads to"
    return f"answered {answer.status}"


def _read(answer: httpcore.Response) -> bytes:
    """The body's beginning; the status stands whatever becomes of the rest."""
    found = b""
    try:
        for chunk in answer.iter_stream():
            found += chunk
            if len(found) >= MOST_BYTES:
                break
    except (OSError, httpcore.ProtocolError, httpcore.NetworkError):
        return found[:MOST_BYTES]
    return found[:MOST_BYTES]


class _Judged(httpcore.NetworkBackend):
    """Connects to the addresses given, whatever host is asked for, until a moment of the monotonic clock."""

    def __init__(self, addresses: Sequence[Address], until: float) -> None:
        self._addresses = addresses
        self._until = until

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: OSError | None = None
        for family, address in self._addresses:
            within = min(CONNECT_S, _left(self._until))  # outside the try: a used-up limit is no fault of the address
            try:
                return _Line(_connected(family, address, within), self._until)
            except OSError as error:
                failed = error
        raise httpcore.ConnectError(f"no connection: {failed}") from failed


def _connected(family: AddressFamily, address: tuple[Any, ...], within: float) -> socket:
    """A socket to `address`. Errors: OSError, also where this kernel does not know the family (no IPv6)."""
    line = socket(family)
    try:
        line.settimeout(within)
        line.connect(address)
        line.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    except BaseException:
        line.close()
        raise
    return line


class _Line(httpcore.NetworkStream):
    """A socket whose every step must be over at one moment, however slowly the other side drips."""

    def __init__(self, line: socket, until: float) -> None:
        self._line = line
        self._until = until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._line.settimeout(_left(self._until))
        return self._line.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        with _told_as_write_error():
            while rest:
                self._line.settimeout(_left(self._until))
                rest = rest[self._line.send(rest) :]

    def close(self) -> None:
        self._line.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            self._line.settimeout(_left(self._until))
            return _Line(ssl_context.wrap_socket(self._line, server_hostname=server_hostname), self._until)
        except BaseException:
            self._line.close()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._line if info == "ssl_object" and isinstance(self._line, ssl.SSLSocket) else None


@contextmanager
def _told_as_write_error() -> Iterator[None]:
    """A receiver that answers and closes before it has read everything is still heard: httpcore reads on then."""
    try:
        yield
    except TimeoutError:
        raise
    except OSError as error:
        raise httpcore.WriteError(str(error)) from error


def _left(until: float) -> float:
    """Seconds until then. Errors: TimeoutError where there are none."""
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
