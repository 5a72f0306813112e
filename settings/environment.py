"""Settings of a process: the environment, read once at the entry point, checked, frozen.

From the process environment, else from a `.env` in the working directory. An unknown `ORDERS_…` name stops the start
with the nearest spelling: a misspelt period must not mean the default. Secrets have no place in a printed setting, nor
in an error: URLs are shown without credentials. Providers declare their own settings (`providers.registry`).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from domain.legal_clock import MOST_DAYS, BusinessDays, LegalClock
from domain.order import Status
from domain.policy import Policy
from events.money import MoneyError, exponent
from providers.carriers.names import NAMES as CARRIER_NAMES
from providers.registry import Registry, registry
from settings.countries import check_country, legal_clock
from settings.fields import (
    Setting,
    SettingsError,
    Values,
    authority,
    check_address,
    choice,
    fernet_keys,
    number,
    period,
    quoted,
    text,
)

__all__ = ["Setting", "Settings", "SettingsError", "known", "read"]

TOKEN_SECRET_CHARS = 32  # of ORDERS_TOKEN_SECRET at least: HMAC-SHA256 wants a key of its own size (RFC 7518, 3.2)
MINUTE = timedelta(minutes=1)
TICK = timedelta(milliseconds=10)  # the shortest pace of a chore
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Read by others, and they may stand in the same shell: the Python client's examples.
_CLIENTS = frozenset(("ORDERS_URL", "ORDERS_SECRET_KEY", "ORDERS_PUBLISHABLE_KEY"))


# -- parsers of our own --------------------------------------------------------------------------------------


def _postgres_url(value: str) -> str:
    """A URL as libpq takes it; several hosts are written as SQLAlchemy reads them, in the query."""
    value = value.strip()
    if not re.match(r"postgres(?:ql)?(?:\+[a-z0-9]+)?://", value):
        raise ValueError("must start with postgresql://")
    check_address(value, needs_host=False)
    scheme, _, rest = value.partition("://")
    netloc = authority(value)
    user, at, hosts = netloc.rpartition("@")
    if "," in hosts:
        path, _, query = rest.removeprefix(netloc).partition("?")
        listed = "&".join(
            f"host={host if ':' in host.rpartition(']')[2] else f'{host}:5432'}" for host in hosts.split(",")
        )
        value = f"{scheme}://{user}{at}{path or '/'}?{listed}{'&' if query else ''}{query}"
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError("cannot be read; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE") from None
    return value


def _redis_url(value: str) -> str:
    """A URL of Redis or Valkey; valkey:// is another name for redis://."""
    value = re.sub(r"^valkey(s?)://", lambda match: "rediss://" if match[1] else "redis://", value.strip())
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://")
    check_address(value, needs_host=False)
    if not value.startswith("unix:") and not re.fullmatch(r"/?[0-9]{0,4}", urlsplit(value).path):
        raise ValueError("must end with the number of a database, such as redis://HOST:6379/0")
    from redis.connection import parse_url

    try:
        parse_url(value)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError):
        raise ValueError("cannot be read; write redis://HOST:6379/0") from None
    return value


def _currency(value: str) -> str:
    try:
        exponent(value)
    except MoneyError:
        raise ValueError(f"is {quoted(value)}, which is no currency; use a code of ISO 4217 such as KRW") from None
    return value


def _refund_within(value: str) -> BusinessDays | timedelta | None:
    if match := re.fullmatch("([0-9]{1,4})bd", value.strip().lower()):
        if int(match[1]) > MOST_DAYS:
            raise ValueError(f"is {quoted(value)}, which is too long; {MOST_DAYS}bd are the most")
        return BusinessDays(int(match[1]))
    try:
        return period()(value)
    except ValueError as error:
        raise ValueError(f"{error}; or 3bd, which are business days") from None


def _dwell_targets(value: str) -> Mapping[str, timedelta]:
    """`paid=1h,preparing=2d`: status → period."""
    found: dict[str, timedelta] = {}
    for part in filter(None, (each.strip() for each in value.split(","))):
        status, equals, given = part.partition("=")
        if not equals or status.strip() not in [str(each) for each in Status]:
            raise ValueError(f"has {quoted(part)}, which is no STATUS=PERIOD; write paid=1h,preparing=2d")
        found[status.strip()] = period(off=False)(given.strip()) or timedelta(0)
    return found


def _country(value: str) -> str:
    code = value.strip().upper()
    # The default is not looked up: that takes 0.1 s, and settings are read at every start.
    if code != COUNTRY.default and (why := check_country(code)):
        raise ValueError(f"is {quoted(value)}, {why}")
    return code


def _token_secret(value: str) -> str:
    if len(value) < TOKEN_SECRET_CHARS:
        raise ValueError(
            f"has {len(value)} characters and needs {TOKEN_SECRET_CHARS} or more; make one with `openssl rand -hex 32`"
        )
    return value


def _rate_limit(value: str) -> int | None:
    if value.strip().lower() == "off":
        return None
    try:
        return number(1, 10_000_000)(value)
    except ValueError as error:
        raise ValueError(f"{error} (a minute), or off") from None


def _origins(value: str) -> tuple[str, ...]:
    found = [each.strip() for each in value.split(",") if each.strip()]
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"names {quoted(origin)}, which is no origin; write https://shop.example")
        check_address(origin, needs_host=True)
    return tuple(found)


# -- what there is to be set ---------------------------------------------------------------------------------

DATABASE_URL = Setting(
    "DATABASE_URL", None, "PostgreSQL, postgresql://…; without it the embedded server", _postgres_url, secret=True, url=True,
    example="postgresql://orders:orders@localhost:5432/orders",
    about=("Servers of your own. Without these the embedded ones are used (`orders up`).",),
)  # fmt: skip
REDIS_URL = Setting(
    "REDIS_URL", None, "Redis or Valkey, redis://…; without it the embedded server", _redis_url, secret=True, url=True,
    example="redis://localhost:6379/0",
)  # fmt: skip
DATA = Setting("ORDERS_DATA", ".orders", "where the embedded servers keep their files", text)
SHARED_DATA = Setting("ORDERS_SHARED_DATA", None, "the tests' real inputs (pytest marker `shared_data`)", text)
CURRENCY = Setting("ORDERS_CURRENCY", "KRW", "where an event or order names none (ISO 4217)", _currency)
SHARDS = Setting(
    "ORDERS_SHARDS", "64", "slices that orders are spread over, fixed at the first migration", number(1, 1024)
)
RETURNS = Setting(
    "ORDERS_RETURNS", "auto", "auto: a request inside the window is approved by itself; staff: a person does",
    choice("auto", "staff"),
)  # fmt: skip
REFUNDS = Setting(
    "ORDERS_REFUNDS", "auto", "auto: made as soon as they are due; staff: each refund waits for a person",
    choice("auto", "staff"),
)  # fmt: skip
REFUND_WITHIN = Setting(
    "ORDERS_REFUND_WITHIN", "3bd",
    "how long a refund may take from when it is due, in business days (3bd) or plainly (14d), before doctor calls it overdue; off: for ever",
    _refund_within,
)  # fmt: skip
DWELL_TARGETS = Setting(
    "ORDERS_DWELL_TARGETS", "paid=1h,preparing=2d,shipped=7d,return_requested=1d,return_processing=7d",
    "how long an order should stay in a status at most, STATUS=PERIOD comma-separated, for `orders dwell`", _dwell_targets,
)  # fmt: skip
COUNTRY = Setting("ORDERS_COUNTRY", "KR", "whose business days those are (ISO 3166)", _country)
UNPAID_AFTER = Setting("ORDERS_UNPAID_AFTER", "24h", "an unpaid order expires after this; off: never", period())
CONFIRM_AFTER = Setting("ORDERS_CONFIRM_AFTER", "7d", "a delivered order is confirmed after this; off: never", period())
RETURN_WINDOW = Setting(
    "ORDERS_RETURN_WINDOW", "30d", "how long after delivery a return may be requested; off: for ever", period()
)
PARKED_FOR = Setting("ORDERS_PARKED_FOR", "72h", "how long an event that came too early waits; off: for ever", period())
GRACE = Setting(
    "ORDERS_GRACE", "1h", "timers wait at least this long after we learned of their cause", period(),
    about=("Extra time that a timer leaves for events that we learned of late: after a backfill, after an outage.",),
)  # fmt: skip
SWEEP = Setting("ORDERS_SWEEP", "30s", "how often parked events are examined again, as a net; off: never", period(TICK))
TRACKING_PACE = Setting(
    "ORDERS_TRACKING_PACE", "15m", "how often a parcel on its way is asked for", period(TICK, off=False)
)
RECONCILE = Setting(
    "ORDERS_RECONCILE", "24h",
    "how often what payment providers list is compared with ours; off: never (docs/howto/reconcile.md)", period(MINUTE),
)  # fmt: skip
RECONCILE_BACK = Setting(
    "ORDERS_RECONCILE_BACK", "72h",
    "how far each comparison reaches back, at least ORDERS_RECONCILE, so that they overlap", period(MINUTE, off=False),
    about=("What is told late (a capture, a refund that fails) is found by the comparisons that still reach back to it.",),
)  # fmt: skip
CELERY_REMOTE_CONTROL = Setting(
    "ORDERS_CELERY_REMOTE_CONTROL", "off",
    "on: workers answer `celery inspect` and `celery control`, and Flower sees them (docs/howto/celery-tools.md)",
    choice("on", "off"),
)  # fmt: skip
ALLOW_PRIVATE = Setting(
    "ORDERS_WEBHOOKS_ALLOW_PRIVATE", "off",
    "on: outgoing webhooks may go to private addresses, by http too; off: to public ones, by https",
    choice("on", "off"),
)  # fmt: skip
ACCOUNT_KEYS = Setting(
    "ORDERS_ACCOUNT_KEYS", "", "encrypt the bank accounts that refunds go to, comma-separated: the first one does, all can decrypt",
    fernet_keys, secret=True, example="MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    about=("Bank accounts for refunds. `openssl rand -base64 32 | tr +/ -_` makes a key. The embedded servers make one.",),
)  # fmt: skip
TOKEN_SECRET = Setting(
    "ORDERS_TOKEN_SECRET", None, "signs customer tokens, 32 characters or more; the embedded servers make one",
    _token_secret, secret=True, about=("The HTTP API. `openssl rand -hex 32` makes a secret.",),
)  # fmt: skip
RATE_LIMIT = Setting(
    "ORDERS_RATE_LIMIT", "6000", "requests per minute that one API key may make; off: any number", _rate_limit
)
ALLOWED_ORIGINS = Setting(
    "ORDERS_ALLOWED_ORIGINS", "",
    "web pages that may call the API from a browser, https://HOST comma-separated; without it none",
    _origins, example="https://shop.example",
)  # fmt: skip

OWN: tuple[Setting[Any], ...] = (
    DATABASE_URL, REDIS_URL, DATA, SHARED_DATA, CURRENCY, SHARDS, RETURNS, REFUNDS, REFUND_WITHIN, DWELL_TARGETS, COUNTRY, UNPAID_AFTER, CONFIRM_AFTER,
    RETURN_WINDOW, PARKED_FOR, GRACE, SWEEP, TRACKING_PACE, CARRIER_NAMES, RECONCILE, RECONCILE_BACK,
    CELERY_REMOTE_CONTROL, ALLOW_PRIVATE, ACCOUNT_KEYS, TOKEN_SECRET, RATE_LIMIT, ALLOWED_ORIGINS,
)  # fmt: skip


def known() -> tuple[Setting[Any], ...]:
    """Every setting that exists in this process: ours, then those that providers declare."""
    return (*OWN, *registry().settings())


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one process. `database_url` and `redis_url` are None for the embedded servers."""

    database_url: str | None = field(repr=False)  # they carry passwords
    redis_url: str | None = field(repr=False)
    data: Path
    shared_data: Path | None
    shards: int
    policy: Policy
    legal_clock: LegalClock | None  # None: a refund may take for ever
    dwell_targets: Mapping[str, timedelta]  # status → how long an order should stay there at most
    sweep: timedelta | None
    tracking_pace: timedelta
    reconcile: timedelta | None  # between two comparisons with what providers list; None: none
    reconcile_back: timedelta
    celery_remote_control: bool
    webhooks_allow_private: bool
    account_keys: tuple[str, ...] = field(repr=False)  # the newest first
    token_secret: str | None = field(repr=False)
    rate_limit: int | None  # requests per minute and key; None: any number
    allowed_origins: tuple[str, ...]
    providers: Values = field(repr=False)  # what providers' own settings say
    sources: Mapping[str, str]  # name → "environment", ".env" or "default"
    values: Mapping[str, str]  # name → what it says, fit to print


def read(environment: Mapping[str, str] | None = None, dotenv: Path | None = None) -> Settings:
    """The settings; SettingsError at the first thing that is wrong."""
    environment = os.environ if environment is None else environment
    told = {**_dotenv(dotenv or Path(".env")), **{k: v for k, v in environment.items() if _ours(k)}}
    found, settings = registry(), known()
    _refuse_unknown(told, settings, found)
    of = Values.read(settings, told)
    policy = Policy(
        currency=of[CURRENCY],
        returns=of[RETURNS],
        refunds=of[REFUNDS],
        unpaid_after=of[UNPAID_AFTER],
        confirm_after=of[CONFIRM_AFTER],
        return_window=of[RETURN_WINDOW],
        parked_for=of[PARKED_FOR],
        grace=of[GRACE] or timedelta(0),
    )
    return Settings(
        database_url=of.get(DATABASE_URL),
        redis_url=of.get(REDIS_URL),
        data=Path(of[DATA]),
        shared_data=Path(of[SHARED_DATA]) if of.has(SHARED_DATA) else None,
        shards=of[SHARDS],
        policy=policy,
        legal_clock=legal_clock(within, of[COUNTRY]) if (within := of[REFUND_WITHIN]) is not None else None,
        dwell_targets=of[DWELL_TARGETS],
        sweep=of[SWEEP],
        tracking_pace=of[TRACKING_PACE] or TICK,
        reconcile=of[RECONCILE],
        reconcile_back=_reach(of),
        celery_remote_control=of[CELERY_REMOTE_CONTROL] == "on",
        webhooks_allow_private=of[ALLOW_PRIVATE] == "on",
        account_keys=of[ACCOUNT_KEYS],
        token_secret=of.get(TOKEN_SECRET),
        rate_limit=of[RATE_LIMIT],
        allowed_origins=of[ALLOWED_ORIGINS],
        providers=of,
        sources={
            each.name: "environment" if each.name in environment else ".env" if each.name in told else "default"
            for each in sorted(settings, key=lambda each: each.name)
        },
        values={each.name: each.shown(told.get(each.name)) for each in settings},
    )


def _reach(of: Values) -> timedelta:
    pace, back = of[RECONCILE], of[RECONCILE_BACK] or MINUTE
    if pace is not None and back < pace:
        raise SettingsError(
            f"ORDERS_RECONCILE_BACK reaches back {back}, and ORDERS_RECONCILE compares every {pace}: nobody would compare "
            "what lies between; set it to as much or more"
        )
    return back


def _refuse_unknown(told: Mapping[str, str], settings: tuple[Setting[Any], ...], found: Registry) -> None:
    """SettingsError for a name that nobody declares; not where a provider that cannot be loaded may have declared it."""
    names = [each.name for each in settings]
    for name in told:
        if name not in names and not found.may_belong_to_broken(name):
            near = difflib.get_close_matches(name, names, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else "see `orders doctor` for the names that exist"
            raise SettingsError(f"{quoted(name)[1:-1]} is no setting; {hint}")


def _ours(name: str) -> bool:
    return (name.startswith("ORDERS_") and name not in _CLIENTS) or name in ("DATABASE_URL", "REDIS_URL")


def _dotenv(path: Path) -> dict[str, str]:
    """Our names in a file of NAME=VALUE. A line that is none is told by its number: it may hold a secret."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; mend its permissions, or move it away") from None
    found = {}
    for place, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            line = raw.decode().strip().removeprefix("export ")
        except UnicodeDecodeError:
            raise SettingsError(f"{path}:{place} is not in UTF-8; save the file in that encoding") from None
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            raise SettingsError(f"{path}:{place} is no NAME=VALUE; correct that line, or put a # before it")
        if _ours(name.strip()):
            found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    quotes = value[:1]
    return value[1:-1] if quotes in ("'", '"') and len(value) > 1 and value.endswith(quotes) else value
