"""Addresses that a webhook may go to: a URL that a stranger may have chosen, against requests into our own network (SSRF).

A host is looked up once, every address of it is judged, and whoever connects does so to a judged address and looks
nothing up again: so neither a second answer of the DNS (rebinding) nor another spelling of a number (2130706433,
0x7f.1, [::ffff:127.0.0.1]) leads inside. Judged is the address, never its spelling.

    Forbidden    no webhook may go there; the message says why, and what to do
    OSError      the host has no address just now
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import httpx

from events.errors import OrdersError

MAX_URL = 2000  # characters
PORTS = {"https": 443, "http": 80}

# An address family with what `socket.connect` takes.
Address = tuple[socket.AddressFamily, tuple[Any, ...]]
Resolve = Callable[[str, int], Sequence[Address]]

_PRIVATE = [
    ip_network(each)
    for each in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7")
]
_PUBLIC_V6 = ip_network("2000::/3")  # all that IANA has given out for global unicast
_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
# Not for anybody, whatever ipaddress and the settings say: 6to4 and its relays (RFC 7526) and Teredo, which carry IPv4
# addresses to who knows where; documentation (RFC 9637), which Python 3.11 does not know as such; and what answers a cloud's machine with that machine's credentials (169.254.169.254 is
# link-local, and refused as such): Azure's wire server, Alibaba's, AWS's and Google's metadata.
_NEVER = [
    ip_network(each)
    for each in (
        "2002::/16", "192.88.99.0/24", "2001::/32", "3fff::/20",
        "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128",
    )
]  # fmt: skip


class Forbidden(OrdersError, ValueError):
    """No webhook may go to this URL; the message says why."""

    code = "webhook_url_refused"
    remedy = "Give an https:// address on the internet; your own network needs ORDERS_WEBHOOKS_ALLOW_PRIVATE=on."
    exit_code = 2


class Reach(Enum):
    """Owner of an address, as far as it matters here."""

    PUBLIC = auto()  # somebody on the internet
    PRIVATE = auto()  # this machine, or its network
    NOBODY = auto()  # link-local, multicast, reserved, in transition: no receiver is there


def reach(address: str) -> Reach:
    """Owner of `address` (numeric); an IPv4 address inside an IPv6 one is judged as itself."""
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found in _NAT64:
            found = IPv4Address(int(found) & 0xFFFFFFFF)
    if any(found in net for net in _NEVER):
        return Reach.NOBODY
    if any(found in net for net in _PRIVATE):
        return Reach.PRIVATE
    special = found.is_multicast or found.is_unspecified or found.is_link_local or found.is_reserved
    unrouted = isinstance(found, IPv6Address) and found not in _PUBLIC_V6
    return Reach.NOBODY if special or unrouted or not found.is_global else Reach.PUBLIC


def parse(url: str) -> httpx.URL:
    """A URL that may be subscribed, as far as its text tells. Errors: Forbidden."""
    if len(url) > MAX_URL or not url.isprintable():
        raise Forbidden(f"{url[:60]!r}… must be printable, and of at most {MAX_URL} characters")
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise Forbidden(f"{url[:200]!r} is no URL: {error}") from error
    if found.scheme not in PORTS or not found.host:
        raise Forbidden(f"{url[:200]!r} is no address of a receiver; write https://HOST/PATH")
    if found.port is not None and not 0 < found.port < 65536:
        raise Forbidden(f"port {found.port} is none; use one from 1 to 65535")
    if found.userinfo:
        raise Forbidden("the URL holds a user or a password; leave them out: the signature says who posts")
    if found.fragment:
        raise Forbidden("the URL holds a #fragment, which no server sees; leave it out")
    return found


def vet(url: httpx.URL, allow_private: bool, resolve: Resolve | None = None) -> Sequence[Address]:
    """The addresses that a connection to `url` may go to: all addresses of its host, looked up now.

    One address that may not be is enough to refuse the host. What is in a webhook is personal: it travels by https,
    or by http inside one's own network where `allow_private` opens that.
    Errors: Forbidden; OSError where the host has no address.
    """
    host = url.raw_host.decode("ascii")  # as it is connected and named in TLS; another IDNA may make another host of it
    found = (resolve or look_up)(host, url.port or PORTS[url.scheme])
    if not found:
        raise OSError(f"{url.host} has no address")
    reaches = {address[0]: reach(address[0]) for _, address in found}
    for address, belongs in reaches.items():
        where = url.host if url.host == address else f"{url.host} is {address}, and that"
        if belongs is Reach.NOBODY:
            raise Forbidden(f"{where} is no address that a receiver can have; use a public one")
        if belongs is Reach.PRIVATE and not allow_private:
            raise Forbidden(
                f"{where} is inside a private network; use a public address, or set ORDERS_WEBHOOKS_ALLOW_PRIVATE=on "
                "where the receivers are your own"
            )
    if url.scheme == "http" and Reach.PUBLIC in reaches.values():
        raise Forbidden(f"{url.host}: names and addresses do not travel in the clear; use https://")
    return found


def look_up(host: str, port: int) -> Sequence[Address]:
    """The answer of the system's resolver. Errors: OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is too long, or empty
        raise OSError(f"{host[:100]!r} is no host name") from error
    return [(family, address) for family, _, _, _, address in found]
