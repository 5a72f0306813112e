"""The environment, read once at the entry point, checked, frozen.

From the process environment, else from a `.env` in the working directory. An unknown `ORDERS_…`
name stops the start with the nearest spelling: a misspelt period must not mean the default.
Secrets have no place in a printed setting: URLs are shown without their password.
"""

from __future__ import annotations

import difflib
import os
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlalchemy.engine import make_url

from domain.policy import Policy
from events.money import MoneyError, exponent

_PERIOD = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

WEBHOOKS = ("stripe", "portone", "toss", "standard", "easypost")  # who may call us, with ORDERS_…_SECRETS
_BASE64 = ("portone", "standard")  # their secrets are keys in base64, as Standard Webhooks has it

TOKEN_SECRET_CHARS = 32  # of ORDERS_TOKEN_SECRET at least: HMAC-SHA256 wants a key of its own size (RFC 7518, 3.2)


class SettingsError(ValueError):
    """A setting that cannot be; the message names it, its value, and what it may be."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One name of the environment: its default as text, and what it is for."""

    name: str
    default: str | None
    meaning: str
    secret: bool = False


KNOWN = (
    Setting("DATABASE_URL", None, "PostgreSQL, postgresql://…; without it the embedded server", True),
    Setting("REDIS_URL", None, "Redis or Valkey, redis://…; without it the embedded server", True),
    Setting("ORDERS_DATA", ".orders", "where the embedded servers keep their files"),
    Setting("ORDERS_SHARED_DATA", None, "the tests' real inputs"),
    Setting("ORDERS_CURRENCY", "KRW", "where an event or order names none (ISO 4217)"),
    Setting("ORDERS_SHARDS", "64", "fixed at the first migration"),
    Setting(
        "ORDERS_RETURNS",
        "auto",
        "auto: a request inside the window is approved by itself; staff: a person does",
    ),
    Setting("ORDERS_UNPAID_AFTER", "24h", "an unpaid order expires after this; off: never"),
    Setting("ORDERS_CONFIRM_AFTER", "7d", "a delivered order is confirmed after this; off: never"),
    Setting(
        "ORDERS_RETURN_WINDOW",
        "30d",
        "how long after delivery a return may be requested; off: for ever",
    ),
    Setting("ORDERS_PARKED_FOR", "72h", "how long an event that came too early waits; off: for ever"),
    Setting("ORDERS_GRACE", "1h", "timers wait at least this long after we learned of their cause"),
    Setting("ORDERS_REFUNDS", "auto", "auto, or staff: each refund waits for a person"),
    Setting("ORDERS_SWEEP", "30s", "how often parked events are examined again, as a net; off: never"),
    Setting("ORDERS_TRACKING_PACE", "15m", "how often a parcel on its way is asked for"),
    Setting(
        "ORDERS_CARRIERS",
        None,
        "carriers to poll, NAME=URL comma-separated (the simulated carrier's protocol)",
    ),
    Setting(
        "ORDERS_REFUND_URL",
        None,
        "the refund API that refunds go to (the simulated provider's protocol)",
    ),
    Setting(
        "ORDERS_CELERY_REMOTE_CONTROL",
        "off",
        "on: workers answer `celery inspect` and `celery control`, and Flower sees them",
    ),
    Setting(
        "ORDERS_WEBHOOKS_ALLOW_PRIVATE",
        "off",
        "on: outgoing webhooks may go to private addresses, by http too; off: to public ones, by https",
    ),
    Setting(
        "ORDERS_TOKEN_SECRET",
        None,
        "signs customer tokens, 32 characters or more; the embedded servers make one",
        True,
    ),
    Setting("ORDERS_RATE_LIMIT", "6000", "requests a minute that one API key may make; off: any number"),
    Setting(
        "ORDERS_ALLOWED_ORIGINS",
        None,
        "web pages that may call the API from a browser, https://HOST comma-separated; without it none",
    ),
    Setting(
        "ORDERS_STRIPE_SECRETS", None, "Stripe's webhook secrets (whsec_…), comma-separated while they rotate", True
    ),
    Setting("ORDERS_PORTONE_SECRETS", None, "PortOne's webhook secrets (whsec_…), comma-separated", True),
    Setting("ORDERS_PORTONE_API_KEY", None, "PortOne's V2 API secret; without it amounts are the orders' own", True),
    Setting("ORDERS_PORTONE_API_URL", "https://api.portone.io", "where PortOne's API is asked"),
    Setting("ORDERS_TOSS_SECRETS", None, "Toss Payments' security keys, for the webhooks that it signs", True),
    Setting("ORDERS_TOSS_API_KEY", None, "Toss Payments' secret key; its webhooks are asked for with it", True),
    Setting("ORDERS_TOSS_API_URL", "https://api.tosspayments.com", "where Toss Payments' API is asked"),
    Setting("ORDERS_STANDARD_SECRETS", None, "secrets (whsec_…) of providers that send our own events, signed", True),
    Setting("ORDERS_EASYPOST_SECRETS", None, "EasyPost's webhook secrets, comma-separated", True),
)
_NAMES = {setting.name for setting in KNOWN}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. `database_url` and `redis_url` are None for the embedded servers."""

    database_url: str | None = field(repr=False)  # they carry passwords
    redis_url: str | None = field(repr=False)
    data: Path
    shared_data: Path | None
    shards: int
    policy: Policy
    sweep: timedelta | None
    tracking_pace: timedelta
    carriers: Mapping[str, str]
    refund_url: str | None
    celery_remote_control: bool
    webhooks_allow_private: bool
    token_secret: str | None = field(repr=False)
    rate_limit: int | None  # requests a minute and key; None: any number
    allowed_origins: tuple[str, ...]
    webhook_secrets: Mapping[str, tuple[str, ...]] = field(repr=False)  # by provider or carrier; () where none
    portone_api_key: str | None = field(repr=False)
    portone_api_url: str
    toss_api_key: str | None = field(repr=False)
    toss_api_url: str
    sources: Mapping[str, str]  # name → "environment", ".env" or "default"
    values: Mapping[str, str]  # name → what it says, fit to print


def read(environment: Mapping[str, str] | None = None, dotenv: Path | None = None) -> Settings:
    """The settings; SettingsError at the first thing that is wrong."""
    environment = os.environ if environment is None else environment
    told = {**_dotenv(dotenv or Path(".env")), **{k: v for k, v in environment.items() if _ours(k)}}
    for name in told:
        if _ours(name) and name not in _NAMES:
            near = difflib.get_close_matches(name, _NAMES, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else "see `orders doctor` for the names that exist"
            raise SettingsError(f"{name} is no setting; {hint}")
    texts = {s.name: told.get(s.name) or s.default for s in KNOWN}
    grace = _period(texts, "ORDERS_GRACE") or timedelta(0)
    pace = _period(texts, "ORDERS_TRACKING_PACE")
    if pace is None:
        raise SettingsError("ORDERS_TRACKING_PACE cannot be off; leave ORDERS_CARRIERS empty to poll nobody")
    policy = Policy(
        currency=_currency(texts),
        returns=_choice(texts, "ORDERS_RETURNS", ("auto", "staff")),
        refunds=_choice(texts, "ORDERS_REFUNDS", ("auto", "staff")),
        unpaid_after=_period(texts, "ORDERS_UNPAID_AFTER"),
        confirm_after=_period(texts, "ORDERS_CONFIRM_AFTER"),
        return_window=_period(texts, "ORDERS_RETURN_WINDOW"),
        parked_for=_period(texts, "ORDERS_PARKED_FOR"),
        grace=grace,
    )
    shared = texts["ORDERS_SHARED_DATA"]
    return Settings(
        database_url=_url(texts, "DATABASE_URL", ("postgresql", "postgres")),
        redis_url=_url(texts, "REDIS_URL", ("redis", "rediss", "valkey", "unix")),
        data=Path(texts["ORDERS_DATA"] or ".orders"),
        shared_data=Path(shared) if shared else None,
        shards=_shards(texts),
        policy=policy,
        sweep=_period(texts, "ORDERS_SWEEP"),
        tracking_pace=pace,
        carriers=_carriers(texts),
        refund_url=texts["ORDERS_REFUND_URL"],
        celery_remote_control=_choice(texts, "ORDERS_CELERY_REMOTE_CONTROL", ("on", "off")) == "on",
        webhooks_allow_private=_choice(texts, "ORDERS_WEBHOOKS_ALLOW_PRIVATE", ("on", "off")) == "on",
        token_secret=_token_secret(texts),
        rate_limit=_rate_limit(texts),
        allowed_origins=_origins(texts),
        webhook_secrets={name: _secrets(texts, name) for name in WEBHOOKS},
        portone_api_key=texts["ORDERS_PORTONE_API_KEY"],
        portone_api_url=_http(texts, "ORDERS_PORTONE_API_URL"),
        toss_api_key=texts["ORDERS_TOSS_API_KEY"],
        toss_api_url=_http(texts, "ORDERS_TOSS_API_URL"),
        sources={n: "environment" if n in environment else ".env" if n in told else "default" for n in sorted(_NAMES)},
        values={s.name: _printable(s, texts[s.name]) for s in KNOWN},
    )


# What the Python client's examples read; it may stand in the same shell.
_CLIENTS = frozenset(("ORDERS_URL", "ORDERS_SECRET_KEY", "ORDERS_PUBLISHABLE_KEY"))


def _ours(name: str) -> bool:
    return (name.startswith("ORDERS_") and name not in _CLIENTS) or name in ("DATABASE_URL", "REDIS_URL")


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.strip().removeprefix("export ")
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise SettingsError(f"{path}:{number}: {line!r} is no NAME=VALUE")
        if _ours(name.strip()):
            found[name.strip()] = value.strip().strip("'\"")
    return found


def _period(texts: Mapping[str, str | None], name: str) -> timedelta | None:
    value = (texts[name] or "").strip().lower()
    if value == "off":
        return None
    match = _PERIOD.fullmatch(value)
    if not match:
        raise SettingsError(f"{name}={value!r} is no duration; write 30s, 15m, 24h, 7d or off")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


def _choice(texts: Mapping[str, str | None], name: str, allowed: tuple[str, ...]) -> str:
    value = texts[name] or ""
    if value not in allowed:
        raise SettingsError(f"{name}={value!r} must be {' or '.join(allowed)}")
    return value


def _currency(texts: Mapping[str, str | None]) -> str:
    code = texts["ORDERS_CURRENCY"] or ""
    try:
        exponent(code)
    except MoneyError as error:
        raise SettingsError(f"ORDERS_CURRENCY: {error}") from None
    return code


def _shards(texts: Mapping[str, str | None]) -> int:
    value = texts["ORDERS_SHARDS"] or ""
    if not value.isdigit() or not 1 <= int(value) <= 1024:
        raise SettingsError(f"ORDERS_SHARDS={value!r} must be a number from 1 to 1024")
    return int(value)


def _url(texts: Mapping[str, str | None], name: str, schemes: tuple[str, ...]) -> str | None:
    value = texts[name]
    if value is None:
        return None
    scheme = value.split("://")[0].split("+")[0]
    if "://" not in value or scheme not in schemes:
        raise SettingsError(f"{name} must start with {schemes[0]}://")
    return value


def _carriers(texts: Mapping[str, str | None]) -> dict[str, str]:
    found = {}
    for pair in filter(None, (texts["ORDERS_CARRIERS"] or "").split(",")):
        name, equals, url = pair.partition("=")
        if not equals or "://" not in url:
            raise SettingsError(f"ORDERS_CARRIERS: {pair!r} is no NAME=URL")
        found[" ".join(name.casefold().split())] = url.strip()
    return found


def _token_secret(texts: Mapping[str, str | None]) -> str | None:
    value = texts["ORDERS_TOKEN_SECRET"]
    if value is not None and len(value) < TOKEN_SECRET_CHARS:
        raise SettingsError(
            f"ORDERS_TOKEN_SECRET has {len(value)} characters and needs {TOKEN_SECRET_CHARS} or more; "
            f"make one with `openssl rand -hex 32`"
        )
    return value


def _rate_limit(texts: Mapping[str, str | None]) -> int | None:
    value = (texts["ORDERS_RATE_LIMIT"] or "").lower()
    if value == "off":
        return None
    if not value.isdecimal() or not 1 <= int(value) <= 10_000_000:
        raise SettingsError(f"ORDERS_RATE_LIMIT={value!r} must be a number from 1 to 10000000 (a minute), or off")
    return int(value)


def _origins(texts: Mapping[str, str | None]) -> tuple[str, ...]:
    found = [each.strip() for each in (texts["ORDERS_ALLOWED_ORIGINS"] or "").split(",") if each.strip()]
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            raise SettingsError(f"ORDERS_ALLOWED_ORIGINS: {origin!r} is no origin; write https://shop.example")
    return tuple(found)


def _secrets(texts: Mapping[str, str | None], provider: str) -> tuple[str, ...]:
    name = f"ORDERS_{provider.upper()}_SECRETS"
    found = tuple(filter(None, map(str.strip, (texts[name] or "").split(","))))
    if provider in _BASE64:
        for place, secret in enumerate(found, 1):
            try:
                key = b64decode(secret.removeprefix("whsec_") + "==", validate=False)
            except ValueError:
                key = b""
            if not key:
                raise SettingsError(f"{name}: secret {place} is no whsec_ with base64 behind it; copy it anew")
    return found


def _http(texts: Mapping[str, str | None], name: str) -> str:
    value = texts[name] or ""
    if not value.startswith(("https://", "http://")):
        raise SettingsError(f"{name} must start with https:// (or http://, on this machine)")
    return value.rstrip("/")


def _printable(setting: Setting, value: str | None) -> str:
    if value is None:
        return "-"
    if not setting.secret:
        return value
    return make_url(value).render_as_string(hide_password=True) if setting.name.endswith("_URL") else "***"
