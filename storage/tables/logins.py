"""Tables of the people who use the console: operators, their sessions, and logins that failed."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, func

from storage.tables.columns import METADATA, at, one_of, uuid

ROLES = ("viewer", "operator", "admin")
WAYS = ("password", "link")  # by which a session began

operators = Table(
    "operators",
    METADATA,
    uuid("id", primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("password", Text, comment="its Argon2id hash; null: none was set, and a link is the only way in"),
    Column("link_digest", LargeBinary, unique=True, comment="SHA-256 of the one-time link's token"),
    at("link_until"),
    at("created_at", nullable=False, server_default=func.now()),
    at("disabled_at"),
    one_of("role", ROLES),
    comment="People who may log in to the console.",
)
operator_sessions = Table(
    "operator_sessions",
    METADATA,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the cookie's token"),
    uuid("operator_id", ForeignKey("operators.id"), nullable=False, index=True),
    Column("way", Text, nullable=False),
    at("created_at", nullable=False, server_default=func.now()),
    at("seen_at", nullable=False, server_default=func.now()),
    at("expires_at", nullable=False),
    one_of("way", WAYS),
    Index("operator_sessions_expires_at_idx", "expires_at"),
    comment="Logins that are under way; a row goes when its session ends.",
)
login_failures = Table(
    "login_failures",
    METADATA,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the name, or of the address, that was tried"),
    Column("failures", Integer, nullable=False),
    at("last_at", nullable=False, index=True),
    at("until", nullable=False, comment="no password is looked at before"),
    comment="Logins that failed in a row, per name and per address; a success, or a day, forgets them.",
)
