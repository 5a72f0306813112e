"""Declaration of one setting, and what its text may be.

A `Setting` is one name of the environment: its default, what it is for, whether it is secret, and the function that
turns its text into a value. Each provider declares its own beside its code; those of the application stand in
`settings.environment`. A parser raises ValueError with the end of a sentence that begins with the setting's name
("must be …"). It never repeats a text that may be secret: a URL may hold a password, so URLs are not repeated.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

from events.errors import OrdersError

T = TypeVar("T")

SECRET_CHARS = 8  # of a webhook secret at least; providers' own have 20 and more
KEY_BYTES = 24  # of a key in base64 at least (Standard Webhooks, "Signature scheme": 24 to 64 bytes)
FERNET_BYTES = 32  # of a key: 16 sign, 16 encrypt
LONGEST = timedelta(days=36_500)  # of a period; beyond lies no date that a timer could have
SHOWN = 80  # characters of a wrong value that are repeated

_PERIOD = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)(ms|s|m|h|d)")
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PLAIN_NAME = re.compile(r"[\w][\w .-]{0,99}")
# A comma ends a URL in a sentence and in a list of NAME=URL; in a password it does not.
_URL_IN_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)((?:(?!,(?:\s|$|[\w .-]+=[A-Za-z]+://))\S)*)")
_QUERY_VALUE = re.compile(r"([?&;][^=&;\s]*=)[^&;\s]+")
_MASKED = r"\1***"


class SettingsError(OrdersError, ValueError):
    """A setting that cannot be; the message names it, its value unless that may be secret, and what it may be."""

    code = "setting_refused"
    remedy = "Correct the setting in the environment or in .env, and start the command again."
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One name of the environment. `about` are lines for `.env.example`, where `meaning` does not say enough.

    A default of "" is that of a list without entries. `example` is a value that the setting takes, for documentation and tests; the default stands for it where there is
    one. `url` says that its value is a URL, or holds some: it is printed without credentials.
    """

    name: str
    default: str | None
    meaning: str
    parse: Callable[[str], T]
    secret: bool = False
    example: str | None = None
    about: tuple[str, ...] = ()
    url: bool = False

    def read(self, text: str) -> T:
        """The value of `text`. Errors: SettingsError, which names the setting."""
        try:
            if not text.isprintable():
                raise ValueError("holds a line break or another character that cannot be printed; write it anew")
            return self.parse(text)
        except ValueError as error:
            raise SettingsError(f"{self.name} {error}") from None
        except Exception as error:  # a provider's own parser, which may fail at anything
            raise SettingsError(f"{self.name} cannot be read: {type(error).__name__} in its parser") from None

    def shown(self, text: str | None) -> str:
        """Its text as a report shows it: nothing of a secret, no credentials of a URL."""
        text = text or self.default
        if not text:
            return "-"
        if self.url:
            return without_credentials(text)
        return "***" if self.secret else text


class Values:
    """Parsed values of declared settings: `values[API_KEY]` is what ORDERS_…_API_KEY says."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    @classmethod
    def read(cls, settings: Iterable[Setting[Any]], texts: Mapping[str, str]) -> Values:
        """The values of `settings`, from texts by name. Errors: SettingsError at the first that cannot be."""
        told = {each: texts.get(each.name) or each.default for each in settings}
        return cls({each.name: each.read(text) for each, text in told.items() if text is not None})

    def __getitem__(self, setting: Setting[T]) -> T:
        """The value. Errors: SettingsError where the setting has neither a value nor a default."""
        if setting.name not in self._values:
            raise SettingsError(f"{setting.name} is not set: {setting.meaning}")
        return cast(T, self._values[setting.name])

    def get(self, setting: Setting[T]) -> T | None:
        """The value, None where the setting has neither one nor a default."""
        return cast("T | None", self._values.get(setting.name))

    def has(self, setting: Setting[Any]) -> bool:
        """True where the setting says something: it is neither without a value nor an empty list."""
        return bool(self._values.get(setting.name))


# -- what a text may be --------------------------------------------------------------------------------------


def text(value: str) -> str:
    """Any text, without the blanks around it."""
    if not (stripped := value.strip()):
        raise ValueError("must not be blank")
    return stripped


def secrets(value: str) -> tuple[str, ...]:
    """Secrets that sign webhooks, comma-separated: several while they rotate, none where none is set."""
    found = tuple(filter(None, map(str.strip, value.split(","))))
    for place, secret in enumerate(found, 1):
        if len(secret) < SECRET_CHARS:
            raise ValueError(
                f"must hold secrets of {SECRET_CHARS} characters or more: secret {place} has {len(secret)}; copy it anew"
            )
    return found


def base64_secrets(value: str) -> tuple[str, ...]:
    """Secrets as Standard Webhooks has them: whsec_, then a key in base64 of KEY_BYTES or more."""
    found = tuple(filter(None, map(str.strip, value.split(","))))
    for place, secret in enumerate(found, 1):
        try:
            key = b64decode(secret.removeprefix("whsec_") + "==", validate=False)
        except ValueError:
            key = b""
        if not key:
            raise ValueError(f"must be whsec_ and base64: secret {place} is not; copy it anew")
        if len(key) < KEY_BYTES:
            raise ValueError(
                f"must hold keys of {KEY_BYTES} bytes or more: secret {place} is one of {len(key)}; copy it anew"
            )
    return found


def fernet_keys(value: str) -> tuple[str, ...]:
    """Keys that encrypt, as Fernet has them: 32 bytes in URL-safe base64; several while they rotate."""
    found = tuple(filter(None, map(str.strip, value.split(","))))
    for place, key in enumerate(found, 1):
        try:
            size = len(urlsafe_b64decode(key.encode("ascii")))
        except ValueError:
            size = 0
        if size != FERNET_BYTES:
            raise ValueError(
                f"must hold keys of {FERNET_BYTES} bytes in URL-safe base64: key {place} is none; "
                "`openssl rand -base64 32 | tr +/ -_` makes one"
            )
    return found


def http_url(value: str) -> str:
    """The address of an API: http or https, without a slash at its end."""
    value = value.strip()
    if not value.startswith(("https://", "http://")):
        raise ValueError("must start with https:// (or http://, on this machine)")
    check_address(value, needs_host=True)
    return value.rstrip("/")


def urls_by_name(value: str) -> dict[str, str]:
    """NAME=URL, comma-separated; names in lower case, with single blanks."""
    found: dict[str, str] = {}
    for place, pair in enumerate(filter(None, map(str.strip, value.split(","))), 1):
        name, equals, url = pair.partition("=")
        plain = plain_name(name)
        if not equals or not _PLAIN_NAME.fullmatch(plain):
            raise ValueError(f"must be NAME=URL, comma-separated: entry {place} is not")
        if plain in found:
            raise ValueError(f"names {plain!r} twice; one URL per name")
        try:
            found[plain] = http_url(url)
        except ValueError as error:
            raise ValueError(f"must be NAME=URL, comma-separated: the URL of {plain!r} {error}") from None
    return found


def period(least: timedelta = timedelta(0), *, off: bool = True) -> Callable[[str], timedelta | None]:
    """A duration from `least` to LONGEST, or None for `off` where that is possible."""
    examples = "30s, 15m, 24h, 7d or off" if off else "30s, 15m, 24h or 7d; it cannot be off"

    def parse(value: str) -> timedelta | None:
        told = value.strip().lower()
        if told == "off" and off:
            return None
        match = _PERIOD.fullmatch(told)
        if not match:
            raise ValueError(f"is {quoted(value)}, which is no duration; write {examples}")
        seconds = float(match[1]) * _UNITS[match[2]]
        if seconds > LONGEST.total_seconds():
            raise ValueError(f"is {quoted(value)}, which is too long; {LONGEST.days}d is the longest")
        if seconds < least.total_seconds():
            raise ValueError(f"is {quoted(value)}, which is too short; {least.total_seconds():g}s is the shortest")
        return timedelta(seconds=seconds)

    return parse


def choice(*allowed: str) -> Callable[[str], str]:
    """One of a few words."""

    def parse(value: str) -> str:
        if value.strip() not in allowed:
            raise ValueError(f"is {quoted(value)}, and must be {' or '.join(allowed)}")
        return value.strip()

    return parse


def number(least: int, most: int) -> Callable[[str], int]:
    """A whole number in the digits 0 to 9."""

    def parse(value: str) -> int:
        told = value.strip()
        if not re.fullmatch(f"[0-9]{{1,{len(str(most))}}}", told) or not least <= int(told) <= most:
            raise ValueError(f"is {quoted(value)}, and must be a number from {least} to {most}")
        return int(told)

    return parse


# -- URLs ----------------------------------------------------------------------------------------------------


def check_address(url: str, *, needs_host: bool) -> None:
    """ValueError unless host and port of a URL can be read. Nothing of it is repeated but a port without credentials."""
    if any(map(str.isspace, url)):
        raise ValueError("is a URL with a blank in it; write it as %20")
    hosts = authority(url).rpartition("@")[2]
    for host in hosts.split(","):
        try:
            urlsplit(f"//{host}")
        except ValueError:
            raise ValueError("has an address that cannot be read; an IPv6 host is written [::1]") from None
    if needs_host and not hosts:
        raise ValueError("names no host")
    for host in hosts.split(","):
        port = host.rpartition("]")[2].partition(":")[2] if host.startswith("[") else host.partition(":")[2]
        named = ":" in (host.rpartition("]")[2] if host.startswith("[") else host)
        if named and not (re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65_535):
            what = "" if "@" in url else f" {quoted(port)}"
            raise ValueError(
                f"has a port{what} that is no number from 1 to 65535 (in a password write @ : / # ? as %40 %3A %2F %23 %3F)"
            )


def authority(url: str) -> str:
    """A URL's credentials and hosts. `urlsplit` has them too, but from Python 3.12.4 on takes no [::1] behind a comma.

    >>> authority("postgresql://me:pw@one,[::1]:7432/orders")
    'me:pw@one,[::1]:7432'
    """
    return re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0]


def without_credentials(text: str) -> str:
    """A text in which the credentials of every URL are hidden: user and password, and all that its query says.

    >>> without_credentials("at postgresql://me:hush@db/orders?sslmode=require, and redis://:a/b@r/0")
    'at postgresql://***@db/orders?sslmode=***, and redis://***@r/0'
    """

    def hide(match: re.Match[str]) -> str:
        _, at, rest = match[2].rpartition("@")
        return f"{match[1]}{'***@' if at else ''}{_QUERY_VALUE.sub(_MASKED, rest)}"

    return _URL_IN_TEXT.sub(hide, text)


def quoted(value: str) -> str:
    """A wrong value as an error repeats it: bounded, and nothing that a terminal obeys."""
    told = value if len(value) <= SHOWN else f"{value[:SHOWN]}…"
    return ascii(without_credentials(told)) if not told.isprintable() else repr(without_credentials(told))


def plain_name(name: str) -> str:
    """A name as it is compared: names differ in case and blanks only by accident.

    >>> plain_name("  CJ   Logistics ")
    'cj logistics'
    """
    return " ".join(name.casefold().split())
