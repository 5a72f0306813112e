"""Tables of what happened, what waits, what was given up, and what the machine keeps of itself."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from domain.refunds import RefundState
from storage.tables.columns import METADATA, at, money, one_of, stamps, uuid

# -- what happened ------------------------------------------------------------------------------------------

JOURNAL_SEQ = Sequence("journal_seq", metadata=METADATA, cache=1)

journal = Table(
    "journal",
    METADATA,
    Column("seq", BigInteger, JOURNAL_SEQ, server_default=JOURNAL_SEQ.next_value(), primary_key=True),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    at("time", nullable=False),
    Column("subject", Text),
    Column("shard", SmallInteger, nullable=False),
    Column("held", Boolean, nullable=False, server_default="false"),
    Column("data", JSONB, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    at("accepted_at", nullable=False, server_default=func.clock_timestamp()),
    UniqueConstraint("source", "event_id"),
    Index("journal_shard_seq_idx", "shard", "seq"),
    comment="Accepted envelopes, append-only; the truth.",
)

results = Table(
    "results",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False, comment="the journal's; its rows are for ever"),
    uuid("order_id"),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column(
        "apply_number",
        Integer,
        comment="the order's, given under its row lock; null: parked, dead, or no order",
    ),
    Column("parked_number", Integer, comment="the order's version when the event was parked"),
    Column("policy_id", SmallInteger, nullable=False, comment="of policies, whose rows are for ever"),
    at("decided_at", nullable=False),
    Column("step_from", Text),
    Column("step_to", Text),
    Column("implied", Text),
    one_of("outcome", ("applied", "ignored", "parked", "dead")),
    Index("results_order_id_decided_at_idx", "order_id", "decided_at"),
    comment="What became of each event: one row an event, the net under everything.",
)

duplicates = Table(
    "duplicates",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("seq", BigInteger, ForeignKey("journal.seq"), nullable=False, index=True),
    Column("body_differs", Boolean, nullable=False),
    at("at", nullable=False, server_default=func.clock_timestamp()),
    comment="Deliveries of an event that the journal has already: counted at its door, and only there.",
)

policies = Table(
    "policies",
    METADATA,
    Column("id", SmallInteger, Identity(), primary_key=True),
    Column("body", JSONB, nullable=False, unique=True),
    comment="The settings that results were reached under.",
)

# -- what waits ---------------------------------------------------------------------------------------------

correlations = Table(
    "correlations",
    METADATA,
    Column("key", Text, primary_key=True),
    uuid("order_id", comment="set once; null while an event that names only this key waits"),
    Column(
        "members", ARRAY(Uuid(as_uuid=False)), comment="further orders that name this parcel, in no order; null: none"
    ),
)

parked = Table(
    "parked",
    METADATA,
    Column("seq", BigInteger, ForeignKey("results.seq"), primary_key=True, autoincrement=False),
    uuid("order_id", index=True),
    Column(
        "key",
        Text,
        index=True,
        comment="the payment or parcel it waits for, where no order is known",
    ),
    Column("reason", Text, nullable=False),
    at("until", comment="then it goes to the dead letters; null: never"),
)

timers = Table(
    "timers",
    METADATA,
    uuid("order_id", ForeignKey("orders.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    at("due", nullable=False),
    Column("held", Boolean, nullable=False, server_default="false"),
    one_of("kind", ("unpaid", "confirm", "hold")),
    Index("timers_due_idx", "due", postgresql_where=text("not held")),
)

EFFECT_STATES = tuple(state.value for state in RefundState)
effects = Table(
    "effects",
    METADATA,
    uuid("id", primary_key=True),
    uuid("order_id", ForeignKey("orders.id"), nullable=False, index=True),
    uuid("transaction_id", ForeignKey("transactions.id"), nullable=False, unique=True),
    Column("payment_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("target", Numeric, nullable=False, comment="cumulative: what is to have gone back in all"),
    money("made", comment="cumulative: what the provider told it has given back"),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("idempotency_key", Text, comment="of the attempt in flight, or whose answer is unknown"),
    Column("asked", Numeric, comment="the amount of that attempt"),
    at("next_at", nullable=False, server_default=func.now()),
    Column("last_error", Text),
    *stamps(),
    at("attempted_at", comment="when that attempt's key went out first: providers forget keys"),
    uuid("refund_id", comment="of the row of `refunds` that what has yet to go back will be"),
    Column("reasons", JSONB(none_as_null=True), comment="why it goes back: [{reason, amount} …]"),
    uuid("return_id"),
    uuid("personal_id", comment="of the note of whoever asked for it"),
    at("due_since", comment="null: since it was made"),
    Column(
        "asked_tax", JSONB, comment="tax-free part and VAT that the attempt was told with, of all that is to go back"
    ),
    at("account_asked_at", comment="when the payer's bank account was asked for; one of before is no good"),
    one_of("state", EFFECT_STATES),
    CheckConstraint("target >= 0 and made >= 0", "amounts"),
    Index(
        "effects_next_at_idx",
        "next_at",
        postgresql_where=text("state in ('due', 'in_flight', 'unknown')"),
    ),
    Index("effects_refund_id_idx", "refund_id", unique=True, postgresql_where=text("state <> 'done'")),
    Index("effects_for_person_idx", "refund_id", postgresql_where=text("state in ('staff', 'dead')")),
    comment="Refunds: one row a transaction, toward a cumulative target; recorded before they are made.",
)

refund_accounts = Table(
    "refund_accounts",
    METADATA,
    uuid("order_id", ForeignKey("orders.id"), primary_key=True),
    Column("sealed", Text, nullable=False, comment="bank, number and holder as a Fernet token"),
    Column("masked", JSONB, nullable=False, comment="what of it may be shown"),
    at("erase_at", comment="null: it may be needed"),
    *stamps(),
    Index("refund_accounts_erase_at_idx", "erase_at", postgresql_where=text("erase_at is not null")),
    comment="Bank accounts that refunds go to; encrypted, and erased once they are not needed.",
)

trackers = Table(
    "trackers",
    METADATA,
    uuid("id", primary_key=True),
    uuid("order_id", ForeignKey("orders.id"), comment="of a release before; null since: correlations say whose it is"),
    Column("key", Text, nullable=False, comment="the correlation key of the carrier and number"),
    Column("carrier", Text, nullable=False, comment="normalized as in the correlation key"),
    Column("tracking_number", Text, nullable=False),
    Column("status", Text, comment="the last scan's, unified"),
    Column(
        "scans",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="ids of scans taken already",
    ),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("last_error", Text),
    Column("finished", Boolean, nullable=False, server_default="false"),
    at("next_at", nullable=False, server_default=func.now()),
    *stamps(),
    Column("provider", Text, comment="who is polled; null: the carrier, by its own name"),
    Column("carrier_id", Text, comment="the carrier's id there; null where the provider is the carrier"),
    at("heard_at", comment="when something new was told last; null: never, since it is watched"),
    Index("trackers_key_idx", "key", unique=True, postgresql_where=text("order_id is null")),
    # Of a release before; whoever watches, or claims, goes by the ones before and after.
    UniqueConstraint("order_id", "key"),
    Index("trackers_next_at_idx", "next_at", postgresql_where=text("not finished")),
    Index("trackers_due_idx", text("coalesce(provider, carrier)"), "next_at", postgresql_where=text("not finished")),
    Index("trackers_retired_idx", "updated_at", postgresql_where=text("finished and last_error is not null")),
    Index("trackers_tracking_number_idx", "tracking_number", postgresql_where=text("not finished")),
)

watch_walk = Table(
    "watch_walk",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column(
        "routes",
        Text,
        nullable=False,
        comment="the fingerprint of who is polled for which carrier, which orders are looked at for",
    ),
    uuid("walked", comment="the last order that was looked at; null: none yet"),
    Column("finished", Boolean, nullable=False, server_default="false", comment="all orders were looked at"),
    at("updated_at", nullable=False, server_default=func.now()),
    comment="One row: how far open parcels were looked for that somebody is polled for by these routes, and nobody watches.",
)
polled_carriers = Table(
    "polled_carriers",
    METADATA,
    Column("name", Text, primary_key=True, comment="who is polled: a carrier, or a service that follows many"),
    at("spent_until", comment="how far ahead the rate is spent"),
    Column("month", Date, comment="that polls are counted in, its first day, UTC"),
    Column("polls", Integer, nullable=False, server_default="0", comment="in that month"),
    Column("state", Text, nullable=False, server_default="closed", comment="of its circuit breaker"),
    Column("failures", Integer, nullable=False, server_default="0", comment="in a row"),
    Column("opened", Integer, nullable=False, server_default="0", comment="how often in a row the breaker was opened"),
    at("until", comment="open: when one parcel is tried; probing: when that one counts as lost"),
    at("paused_until", comment="it asked for fewer questions"),
    Column("last_error", Text, comment="of what opened the breaker, or asked for the pause"),
    *stamps(),
    one_of("state", ("closed", "open", "probing")),
    comment="Who is polled for parcels, as all workers know him: what he may still be asked, and whether he answers.",
)

# -- what was given up, and what operators did ---------------------------------------------------------------

dead_letters = Table(
    "dead_letters",
    METADATA,
    uuid("id", primary_key=True),
    Column("seq", BigInteger, ForeignKey("journal.seq"), unique=True),
    uuid("effect_id", ForeignKey("effects.id"), unique=True),
    Column("reason", Text, nullable=False),
    Column("detail", Text),
    Column("state", Text, nullable=False, server_default="open"),
    Column("deaths", Integer, nullable=False, server_default="1"),
    *stamps(),
    Column(
        "history",
        JSONB,
        nullable=False,
        server_default="[]",
        comment="every death, once there were several: [{at, reason, detail} …]",
    ),
    Column(
        "names",
        Text,
        comment="order number that its event names, else key of the payment; cut: for finding alone",
    ),
    one_of("state", ("open", "replayed", "discarded")),
    CheckConstraint("(seq is null) <> (effect_id is null)", "one_subject"),
    Index("dead_letters_names_idx", "names", postgresql_where=text("names is not null")),
    Index("dead_letters_open_idx", "id", postgresql_where=text("state = 'open'")),
)

corrections = Table(
    "corrections",
    METADATA,
    Column("seq", BigInteger, ForeignKey("journal.seq"), primary_key=True, autoincrement=False),
    Column("subject", Text),
    Column("data", JSONB, nullable=False),
    Column("by", Text, nullable=False),
    at("at", nullable=False, server_default=func.now()),
    Index("corrections_subject_idx", "subject", postgresql_where=text("subject is not null")),
    Index("corrections_payment_idx", text("left(data ->> 'paymentId', 255)"), postgresql_where=text("subject is null")),
    comment="What an operator made of a dead event's subject and body; the journal keeps the original.",
)

# -- housekeeping --------------------------------------------------------------------------------------------

relay_marks = Table(
    "relay_marks",
    METADATA,
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column(
        "seq",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="all of the shard up to here is decided",
    ),
    Column(
        "looked",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="and above that, up to here, all but `open`: while seq is not below where it was then",
    ),
    Column("open", ARRAY(BigInteger), nullable=False, server_default="{}", comment="undecided, sorted"),
    Column(
        "above",
        BigInteger,
        Computed("case when seq >= open[1] - 1 then greatest(looked, seq) else seq end", persisted=True),
        comment="from here on nobody has looked",
    ),
)
relay_horizon = Table(
    "relay_horizon",
    METADATA,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("safe_seq", BigInteger, nullable=False, comment="every journal row up to here is visible"),
    Column(
        "next_seq",
        BigInteger,
        nullable=False,
        comment="becomes safe once no transaction older than next_at runs",
    ),
    at("next_at", nullable=False),
    Column(
        "drawn",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="becomes safe once none of `appenders` runs; next_seq and next_at are older workers'",
    ),
    Column(
        "appenders",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="virtual ids of the transactions that were appending right after `drawn` was the last number",
    ),
)
heartbeats = Table(
    "heartbeats",
    METADATA,
    Column("name", Text, primary_key=True),
    at("at", nullable=False),
    at("gap_end", comment="when our last silence of over five minutes ended"),
    Column("skew", Double, comment="seconds that a process's host is ahead of PostgreSQL; null: no process's row"),
)
leases = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False, comment="of one run; it renews while it works"),
    at("until", nullable=False, comment="by PostgreSQL's clock"),
)
fixed = Table(
    "fixed",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="Settings that the first migration fixed for good (the number of shards).",
)
