"""Tables of what operators make of what was given up: versions of edited events, replays, and their items."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.columns import METADATA, at, one_of, stamps, uuid

REPLAY_STATES = ("running", "stopped", "halted", "done")
ITEM_STATES = ("waiting", "taken", "ended")
MOST_DEATHS = 50  # that a dead letter remembers
_FIRST = "'at', dead_letters.created_at, 'reason', dead_letters.reason, 'detail', left(dead_letters.detail, 500)"
_THIS = "'at', now(), 'reason', excluded.reason, 'detail', left(excluded.detail, 500)"
# What `on conflict` does to the row of a dead letter whose subject dies again: the death joins its history.
DIED_AGAIN = f"""
    history = case jsonb_array_length(dead_letters.history) when 0 then jsonb_build_array(jsonb_build_object({_FIRST}))
            when {MOST_DEATHS} then dead_letters.history - 1 else dead_letters.history end
        || jsonb_build_array(jsonb_build_object({_THIS})),
    reason = excluded.reason, detail = excluded.detail, state = 'open', deaths = dead_letters.deaths + 1, updated_at = now()
"""
KINDS = ("event", "refund", "lookup", "delivery")

correction_versions = Table(
    "correction_versions",
    METADATA,
    Column("seq", BigInteger, ForeignKey("journal.seq"), primary_key=True, autoincrement=False),
    Column(
        "version", Integer, primary_key=True, autoincrement=False, comment="1 is the first edit; 0 is the journal's"
    ),
    Column("subject", Text),
    Column("data", JSONB, nullable=False),
    Column("diff", JSONB, nullable=False, comment="JSON Patch (RFC 6902) from the version before"),
    Column("by", Text, nullable=False),
    Column("reason", Text),
    at("at", nullable=False, server_default=text("clock_timestamp()")),
    comment="Every version of an edited event, append-only; `corrections` has the one that counts.",
)

replays = Table(
    "replays",
    METADATA,
    uuid("id", primary_key=True),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("chosen", JSONB, nullable=False, comment="the filter or the names that it was begun with"),
    Column("state", Text, nullable=False, server_default="running"),
    Column("step", Integer, nullable=False, server_default="0", comment="the step under way; 0: none yet"),
    Column("size", Integer, nullable=False, server_default="0", comment="of that step, in items"),
    Column("rate", Integer, comment="items per second; null: as fast as it goes"),
    Column("halt_above", Double, nullable=False, comment="share of a step's items that may fail; more stop the replay"),
    Column("note", Text, comment="why it stopped, in words"),
    *stamps(),
    one_of("state", REPLAY_STATES),
    Index("replays_running_idx", "id", postgresql_where=text("state = 'running'")),
    comment="Replays of what was given up: one row each, with how far it has come.",
)

replay_items = Table(
    "replay_items",
    METADATA,
    uuid("replay_id", ForeignKey("replays.id"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False, comment="in which they are taken"),
    Column("kind", Text, nullable=False),
    uuid("target", nullable=False, comment="the dead letter, effect, look-up or delivery"),
    Column("seq", BigInteger, comment="the event's number in the journal"),
    Column("order_number", Text),
    Column("type", Text, nullable=False),
    Column("reason", Text, nullable=False, comment="why it had been given up"),
    Column("field", Text, comment="the field at fault then"),
    Column("later", Boolean, nullable=False, server_default="false", comment="taken along: it came later of its order"),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("step", Integer, comment="that took it"),
    Column("outcome", Text, comment="what became of it"),
    Column("new_reason", Text, comment="why it was given up again"),
    Column("detail", Text),
    at("taken_at"),
    at("ended_at"),
    one_of("kind", KINDS),
    one_of("state", ITEM_STATES),
    comment="Items of replays: what each was given up for, and what its replay came to.",
)
