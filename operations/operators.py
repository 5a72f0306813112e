"""Operators: the people who use the console; made and disabled by the command line, let in by a password or a link.

    OperatorError
    ├── OperatorUnknown    nobody has this name
    └── LoginRefused       name, password or link is wrong
        └── LoginTooSoon   too many tries were wrong: the next is looked at later

A password is kept as its Argon2id hash (OWASP, Password Storage Cheat Sheet: 19 MiB, two passes). What a link or a cookie
holds is 256 random bits, of which only the SHA-256 is kept. Nobody learns whether a name is known: an unknown one
takes as long, counts its failures alike, and is refused in the same words. After FREE failures in a row the next try has to
wait, twice as long each time, per name and per address; a link is not slowed down by that, so nobody can lock an operator out.

    session   begins with a login; ends after LASTS, after IDLE without a request, by a logout, a new password, or `disable`
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Engine, Row, text

from domain.ids import fresh
from events.errors import OrdersError
from storage import audit
from storage.tables.logins import ROLES

Role = Literal["viewer", "operator", "admin"]
ACTING: tuple[Role, ...] = ("operator", "admin")  # who may change something
LASTS, IDLE = timedelta(hours=12), timedelta(hours=2)  # of a session
LINK_FOR = timedelta(minutes=30)
SEEN_EVERY = timedelta(minutes=1)  # a session's row is written no more often
FREE = 5  # failures in a row without a wait
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=15)
FORGOTTEN = timedelta(days=1)  # failures of so long ago
PASSWORD_CHARS = (12, 1024)
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


class OperatorError(OrdersError):
    """This cannot be done about an operator; nothing was changed."""

    code = "operator_refused"
    remedy = "Do as the message says; `orders operators list` shows the names."
    status = 400


class OperatorUnknown(OperatorError):
    """No operator has this name."""

    code = "operator_unknown"
    remedy = "See `orders operators list` for the names."
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"no operator is called {name!r}; `orders operators list` shows them all")


class LoginRefused(OperatorError):
    """Name, password or link is wrong, or has run out."""

    code = "login_refused"
    remedy = "Try again, or have a link made: `orders operators link NAME`."
    status = 401

    def __init__(self, message: str = "Name or password is wrong.") -> None:
        super().__init__(message)


class LoginTooSoon(LoginRefused):
    """Too many tries were wrong; the next is looked at later."""

    code = "login_too_soon"
    remedy = "Wait, or have a link made: `orders operators link NAME`."
    status = 429

    def __init__(self, wait_s: int) -> None:
        super().__init__(
            f"Too many tries were wrong. Wait {wait_s} s, or have a link made: `orders operators link NAME`."
        )
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who may log in, unless `disabled_at` is set."""

    id: str
    name: str
    role: Role
    has_password: bool
    created_at: datetime
    disabled_at: datetime | None
    last_login_at: datetime | None  # of the sessions that are kept


@dataclass(frozen=True, slots=True)
class Session:
    """A login that is under way."""

    operator_id: str
    name: str
    role: Role
    way: str  # password or link
    has_password: bool
    expires_at: datetime

    @property
    def actor(self) -> str:
        """The name that events, audit and log have for who did it."""
        return f"console:{self.name}"

    @property
    def acts(self) -> bool:
        """True of a role that may change something."""
        return self.role in ACTING

    @property
    def administers(self) -> bool:
        """True of a role that may do what cannot be undone to a person's data."""
        return self.role == "admin"


# -- by the command line -----------------------------------------------------------------------------------------

_COLUMNS = """
    o.id, o.name, o.role, o.password is not null as has_password, o.created_at, o.disabled_at,
    (select max(created_at) from operator_sessions s where s.operator_id = o.id) as last_login_at
"""
_LIST = text(f"select {_COLUMNS} from operators o order by o.name")
_ONE = text(f"select {_COLUMNS} from operators o where o.name = :name")
_ADD = text("""
    insert into operators (id, name, role, created_at) values (:id, :name, :role, :now)
    on conflict (name) do update set role = excluded.role, password = null, link_digest = null, disabled_at = null
        where operators.disabled_at is not null
    returning id
""")
_LINK = text(
    "update operators set link_digest = :digest, link_until = :until where name = :name and disabled_at is null"
)
_DISABLE = text("""
    update operators set disabled_at = :now, password = null, link_digest = null
    where name = :name and disabled_at is null returning id
""")
_END_ALL = text("delete from operator_sessions where operator_id = cast(:id as uuid)")


def add(conn: Connection, name: str, role: str, actor: str, now: datetime) -> Operator:
    """A new operator, who needs a link to come in; one that was disabled is let in again with this role.

    Errors: OperatorError for a name that is none, or taken, and for a role that is none.
    """
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise OperatorError(f"{name!r} is no name: 1 to 64 of a–z, 0–9 and . _ @ + -, the first a letter or digit")
    if role not in ROLES:
        raise OperatorError(f"{role!r} is no role; give one of {', '.join(ROLES)}")
    values = {"id": fresh(now), "name": name, "role": role, "now": now}
    if conn.execute(_ADD, values).one_or_none() is None:
        raise OperatorError(f"there is an operator {name} already; `orders operators link {name}` lets them in")
    _note(conn, actor, "operators add", name)
    return find(conn, name)


def link(conn: Connection, name: str, actor: str, now: datetime) -> str:
    """The token of a link by which the operator comes in, once, within LINK_FOR; an older link is void.

    Errors: OperatorUnknown; OperatorError for one that is disabled.
    """
    found, token = find(conn, name), secrets.token_urlsafe(32)
    if not conn.execute(_LINK, {"name": found.name, "digest": digest(token), "until": now + LINK_FOR}).rowcount:
        raise OperatorError(f"{found.name} is disabled; `orders operators add {found.name}` lets them in again")
    _note(conn, actor, "operators link", found.name)
    return token


def disable(conn: Connection, name: str, actor: str, now: datetime) -> Operator:
    """Let an operator in no more, and end their sessions; again it changes nothing. Errors: OperatorUnknown."""
    found = find(conn, name)
    if conn.execute(_DISABLE, {"name": found.name, "now": now}).one_or_none() is not None:
        conn.execute(_END_ALL, {"id": found.id})
        _note(conn, actor, "operators disable", found.name)
    return find(conn, found.name)


def listed(conn: Connection) -> Sequence[Operator]:
    """All operators by name, disabled ones too."""
    return [Operator(**row) for row in conn.execute(_LIST).mappings()]


def find(conn: Connection, name: str) -> Operator:
    """The operator of that name. Errors: OperatorUnknown."""
    row = conn.execute(_ONE, {"name": name.strip().lower()}).mappings().one_or_none()
    if row is None:
        raise OperatorUnknown(name)
    return Operator(**row)


# -- in and out --------------------------------------------------------------------------------------------------

_KNOWN = text("select id, name, password from operators where name = :name and disabled_at is null")
_BY_LINK = text("""
    update operators set link_digest = null where link_digest = :digest and link_until > :now and disabled_at is null
    returning id, name
""")
_WAITS = text("select max(until) from login_failures where digest in (:name, :address)")
# Sorted, so that two logins never wait for each other.
_FAILED = text("""
    insert into login_failures (digest, failures, last_at, until)
    select v.digest, 1, :now, :now from (values (cast(:name as bytea)), (cast(:address as bytea))) v(digest) order by 1
    on conflict (digest) do update set last_at = excluded.last_at,
        failures = case when login_failures.last_at < :forgotten then 1 else login_failures.failures + 1 end,
        until = case when login_failures.last_at < :forgotten or login_failures.failures < :free then excluded.until
            else cast(:now as timestamptz) + least(cast(:longest as interval),
                cast(:first as interval) * power(2, least(login_failures.failures - :free, 20))) end
""")
_SUCCEEDED = text("delete from login_failures where digest in (:name, :address)")
_FORGET = text("delete from login_failures where last_at < :forgotten")
_BEGIN = text("""
    insert into operator_sessions (digest, operator_id, way, created_at, seen_at, expires_at)
    values (:digest, :id, :way, :now, :now, :until)
""")
_OVER = text("delete from operator_sessions where expires_at < :now or seen_at < :idle")
_SESSION = text("""
    select o.id as operator_id, o.name, o.role, s.way, o.password is not null as has_password, s.expires_at, s.seen_at
    from operator_sessions s join operators o on o.id = s.operator_id
    where s.digest = :digest and s.expires_at > :now and s.seen_at > :idle and o.disabled_at is null
""")
_SEEN = text("update operator_sessions set seen_at = :now where digest = :digest")
_END = text("delete from operator_sessions where digest = :digest")
_END_OTHERS = text("delete from operator_sessions where operator_id = cast(:id as uuid) and digest <> :digest")
_PASSWORD = text("select password from operators where id = cast(:id as uuid)")
_SET_PASSWORD = text("update operators set password = :password where id = cast(:id as uuid)")


def log_in(engine: Engine, name: str, password: str, address: str, now: datetime) -> str:
    """The token of a new session. `address` is the caller's.

    Shape:  two short transactions; the password is looked at between them, with no connection held.
    Errors: LoginRefused; LoginTooSoon while name or address has to wait.
    """
    name = name.strip().lower()
    tried = {"name": digest(f"name {name}"), "address": digest(f"address {address}")}
    with engine.connect() as conn:
        until = conn.execute(_WAITS, tried).scalar_one()
        known = conn.execute(_KNOWN, {"name": name}).one_or_none() if _NAME.fullmatch(name) else None
    if until is not None and until > now:
        raise LoginTooSoon(max(1, round((until - now).total_seconds())))
    right = len(password) <= PASSWORD_CHARS[1] and _matches(known, password)
    with engine.begin() as conn:
        if known is None or not right:
            ways = {"free": FREE, "first": FIRST_WAIT, "longest": LONGEST_WAIT, "forgotten": now - FORGOTTEN}
            conn.execute(_FAILED, {**tried, **ways, "now": now})
        else:
            conn.execute(_SUCCEEDED, tried)
            return _begin(conn, known, "password", now)
    raise LoginRefused


def enter(conn: Connection, token: str, now: datetime) -> str:
    """The token of a new session, for that of a link, which is used up. Errors: LoginRefused."""
    known = conn.execute(_BY_LINK, {"digest": digest(token), "now": now}).one_or_none()
    if known is None:
        raise LoginRefused("This link was used, or has run out; have another made: `orders operators link NAME`.")
    return _begin(conn, known, "link", now)


def session(conn: Connection, token: str, now: datetime) -> Session | None:
    """The session of that token, if it is under way; the role is as of now."""
    row = conn.execute(_SESSION, {"digest": digest(token), "now": now, "idle": now - IDLE}).one_or_none()
    if row is None:
        return None
    if row.seen_at < now - SEEN_EVERY:
        conn.execute(_SEEN, {"digest": digest(token), "now": now})
    return Session(row.operator_id, row.name, row.role, row.way, row.has_password, row.expires_at)


def log_out(conn: Connection, token: str) -> None:
    """End the session of that token; none is ended twice."""
    conn.execute(_END, {"digest": digest(token)})


def set_password(conn: Connection, who: Session, token: str, present: str, new: str) -> None:
    """Set the operator's password; other sessions of theirs end. `present` is asked for unless a link let them in.

    Errors: OperatorError where the new one is too short or long; LoginRefused where the present one is wrong.
    """
    least, most = PASSWORD_CHARS
    if not least <= len(new) <= most or new.strip() == "":
        raise OperatorError(f"a password has {least} to {most} characters; this has {len(new)}. Nothing was changed")
    if who.has_password and who.way != "link":
        row = conn.execute(_PASSWORD, {"id": who.operator_id}).one()
        if not _matches(row, present):
            raise LoginRefused("The present password is wrong. Nothing was changed.")
    conn.execute(_SET_PASSWORD, {"id": who.operator_id, "password": _HASHER.hash(new)})
    conn.execute(_END_OTHERS, {"id": who.operator_id, "digest": digest(token)})
    _note(conn, who.actor, "operators password", who.name)


def tidy(conn: Connection, now: datetime) -> int:
    """Forget sessions that are over and failures of long ago; how many."""
    over = conn.execute(_OVER, {"now": now, "idle": now - IDLE}).rowcount
    return over + conn.execute(_FORGET, {"forgotten": now - FORGOTTEN}).rowcount


def _begin(conn: Connection, known: Row[tuple[str, str]], way: str, now: datetime) -> str:
    token = secrets.token_urlsafe(32)
    tidy(conn, now)
    conn.execute(_BEGIN, {"digest": digest(token), "id": known.id, "way": way, "now": now, "until": now + LASTS})
    _note(conn, f"console:{known.name}", f"log in by {way}", known.name)
    return token


def _matches(known: Row[tuple[str, str, str]] | None, password: str) -> bool:
    """True if it is the password; where there is none to compare it with, it takes as long and is false."""
    kept = None if known is None else known.password
    try:
        _HASHER.verify(kept or _nobodys(), password)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


@cache
def _nobodys() -> str:
    """A hash of what nobody knows: looked at where there is no other, so that it takes as long."""
    return _HASHER.hash(secrets.token_hex(16))


def digest(token: str) -> bytes:
    """The form in which a token is kept: nothing that is kept lets anybody in."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _note(conn: Connection, actor: str, action: str, name: str) -> None:
    audit.record(conn, actor, action, f"operators/{name}")
