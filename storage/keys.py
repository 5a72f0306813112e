"""API keys: made, found by their digest, listed, revoked. The key itself is shown once and never stored.

A key is `sk01_` (secret) or `pk01_` (publishable) and 28 characters of base62: 166 random bits, so that a
plain SHA-256 of it needs no salt and no stretching, and can be looked up by an index. What is compared is
the digest, never the key, so the time a comparison takes tells nobody anything.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, text

from domain.ids import format_id, fresh, parse_id
from storage import audit

Kind = Literal["secret", "publishable"]
PREFIXES: dict[Kind, str] = {"secret": "sk01_", "publishable": "pk01_"}
LENGTH = 28  # characters after the prefix: log2(62) × 28 = 166 bits
HINT = 4  # of them are kept to tell one key from another
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FORM = re.compile(r"(?:sk|pk)01_[0-9A-Za-z]{28}")

_COLUMNS = "id, kind, hint, label, created_at, revoked_at"
_ADD = text(f"""
    insert into api_keys (id, kind, digest, hint, label, created_at)
    values (:id, :kind, :digest, :hint, :label, :at) returning {_COLUMNS}
""")
_FIND = text(f"select {_COLUMNS} from api_keys where digest = :digest and revoked_at is null")
_LIST = text(f"select {_COLUMNS} from api_keys order by created_at, id")
_REVOKE = text(f"""
    update api_keys set revoked_at = :at where id = :id and revoked_at is null returning {_COLUMNS}
""")
_GET = text(f"select {_COLUMNS} from api_keys where id = :id")


@dataclass(frozen=True, slots=True)
class Key:
    """The stored part of a key."""

    id: str  # uuid
    kind: Kind
    hint: str
    label: str | None
    created_at: datetime
    revoked_at: datetime | None

    @property
    def name(self) -> str:
        """`key_…`, as people see it."""
        return format_id("api-keys", self.id)


def digest(key: str) -> bytes:
    """The digest that a key is stored and found by."""
    return hashlib.sha256(key.encode()).digest()


def well_formed(key: str) -> bool:
    """True where `key` could be one of ours; what is not needs no look into the database."""
    return _FORM.fullmatch(key) is not None


def add(conn: Connection, kind: Kind, label: str | None, actor: str, now: datetime) -> tuple[str, Key]:
    """A new key: its text, to be shown once, and what is stored of it."""
    made = PREFIXES[kind] + "".join(secrets.choice(_BASE62) for _ in range(LENGTH))
    stored = {"id": fresh(now), "kind": kind, "digest": digest(made), "hint": made[-HINT:], "label": label, "at": now}
    key = Key(*conn.execute(_ADD, stored).one())
    audit.record(conn, actor, "add key", key.name, after={"kind": kind, "label": label})
    return made, key


def find(conn: Connection, key_digest: bytes) -> Key | None:
    """The key with this digest, unless it was revoked."""
    row = conn.execute(_FIND, {"digest": key_digest}).one_or_none()
    return None if row is None else Key(*row)


def every(conn: Connection) -> list[Key]:
    """All keys, revoked ones too, the oldest first."""
    return [Key(*row) for row in conn.execute(_LIST)]


def revoke(conn: Connection, name: str, actor: str, now: datetime) -> Key | None:
    """Revoke the key of this id (`key_…`); one revoked already stays as it is. None: no key has this id.

    Errors: WrongKind.
    """
    if (uuid := parse_id("api-keys", name)) is None:
        return None
    row = conn.execute(_REVOKE, {"id": uuid, "at": now}).one_or_none()
    if row is not None:
        key = Key(*row)
        audit.record(conn, actor, "revoke key", key.name, before={"revoked": None}, after={"revoked": key.revoked_at})
        return key
    row = conn.execute(_GET, {"id": uuid}).one_or_none()
    return None if row is None else Key(*row)
