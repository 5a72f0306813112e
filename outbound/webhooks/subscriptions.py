"""Subscriptions: who is told of changes, where, and with which secrets; operators' steps leave a row of `audit`.

A subscription is *active*, or *disabled*: by a person, by its receiver (410 Gone), or by us after three days of
nothing but failure, with a notice that says so. What waits for a disabled one stays; what changes meanwhile is not
recorded for it. Enabled again, it goes on with what waits.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from domain.ids import WrongKind, format_id, fresh, parse_id
from events.errors import OrdersError
from journal.change_capture import COLLECTIONS, OPERATIONS
from outbound.webhooks import deliveries
from outbound.webhooks.deliveries import DEAD, DUE, GONE, Result
from storage import audit
from storage.pg_arrays import array, columns, unnest

ACTIVE, DISABLED = "active", "disabled"
GIVES_UP_AFTER = timedelta(days=3)  # of nothing but failure
SECRET_BYTES = 32  # Standard Webhooks: 24 to 64


class SubscriptionError(OrdersError, ValueError):
    """This cannot be done to a subscription; nothing was changed."""

    code = "subscription_refused"
    remedy = "See `orders webhooks list` for ids, `orders webhooks add --help` for collections and operations."


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as it stands, without its secrets."""

    id: str
    url: str
    collections: list[str]
    operations: list[str]
    state: str
    rotating: bool  # the secret before the present one signs too
    failing_since: datetime | None
    notice: str | None
    created_at: datetime
    due: int  # deliveries that wait
    dead: int


_LIST = """
    select s.id, s.url, s.collections, s.operations, s.state, cardinality(s.secrets) > 1 as rotating,
           s.failing_since, s.notice, s.created_at, coalesce(d.due, 0) as due, coalesce(d.dead, 0) as dead
    from subscriptions s left join (
        select subscription_id, count(*) filter (where state = 'due') as due,
               count(*) filter (where state = 'dead') as dead
        from deliveries where state <> 'done' group by subscription_id
    ) d on d.subscription_id = s.id {where} order by s.id
"""
_ALL = text(_LIST.format(where=""))
_ONE = text(_LIST.format(where="where s.id = cast(:id as uuid)"))
_SECRETS = text("select secrets from subscriptions where id = cast(:id as uuid) for update")
_ADD = text("""
    insert into subscriptions (id, url, collections, operations, secrets)
    values (:id, :url, cast(:collections as text[]), cast(:operations as text[]), cast(:secrets as text[]))
""")
_KEEP_SECRETS = text(
    "update subscriptions set secrets = cast(:secrets as text[]), updated_at = now() where id = cast(:id as uuid)"
)
_SWITCH = text("""
    update subscriptions set state = :state, failing_since = null, notice = null, updated_at = now()
    where id = cast(:id as uuid) and state <> :state
""")
_REMOVE_DELIVERIES = text("delete from deliveries where subscription_id = cast(:id as uuid)")
_LOCK = text("select from subscriptions where id = cast(:id as uuid) for update")
_REMOVE = text("delete from subscriptions where id = cast(:id as uuid)")


def listed(conn: Connection) -> list[Subscription]:
    """All of them, the oldest first."""
    return [Subscription(**row) for row in conn.execute(_ALL).mappings()]


def find(conn: Connection, name: str) -> Subscription:
    """The one of that id (`sub_…`). Errors: SubscriptionError."""
    try:
        row = conn.execute(_ONE, {"id": parse_id("subscriptions", name)}).mappings().one_or_none()
    except WrongKind as error:
        raise SubscriptionError(f"{error}; `orders webhooks list` shows them all") from None
    if row is None:
        raise SubscriptionError(f"there is no subscription {name}; `orders webhooks list` shows them all")
    return Subscription(**row)


def secrets_of(conn: Connection, subscription: Subscription) -> Sequence[str]:
    """The secrets that sign for it, the newest first."""
    return list(conn.execute(_SECRETS, {"id": subscription.id}).scalar_one())


def add(
    conn: Connection, url: str, collections: Sequence[str], operations: Sequence[str], actor: str, now: datetime
) -> tuple[Subscription, str]:
    """Tell `url` of changes from here on; the subscription, and its secret, which is shown this once.

    Whether a webhook may go to `url` at all is for the caller to check. Errors: SubscriptionError.
    """
    wanted = _chosen("collections", collections, COLLECTIONS)
    told = _chosen("operations", operations, OPERATIONS)
    new_id, secret = fresh(now), _secret()
    values = {"collections": array(wanted, "text"), "operations": array(told, "text")}
    conn.execute(_ADD, {"id": new_id, "url": url, **values, "secrets": array([secret], "text")})
    _note(conn, actor, "webhooks add", new_id, after={"url": url, "collections": wanted, "operations": told})
    return find(conn, new_id), secret


def rotate(conn: Connection, name: str, actor: str) -> str:
    """A new secret, shown this once; the one before signs too until `finish_rotation`. Errors: SubscriptionError."""
    found = find(conn, name)
    kept = secrets_of(conn, found)
    if len(kept) > 1:
        raise SubscriptionError(
            f"{format_id('subscriptions', found.id)} rotates already: give its receiver the new secret, then "
            f"`orders webhooks rotate {format_id('subscriptions', found.id)} --finish`"
        )
    secret = _secret()
    conn.execute(_KEEP_SECRETS, {"id": found.id, "secrets": array([secret, *kept], "text")})
    _note(conn, actor, "webhooks rotate", found.id, before={"secrets": 1}, after={"secrets": 2})
    return secret


def finish_rotation(conn: Connection, name: str, actor: str) -> bool:
    """Let only the newest secret sign; false where it was alone. Errors: SubscriptionError."""
    found = find(conn, name)
    kept = secrets_of(conn, found)
    if len(kept) > 1:
        conn.execute(_KEEP_SECRETS, {"id": found.id, "secrets": array(kept[:1], "text")})
        _note(conn, actor, "webhooks rotate --finish", found.id, before={"secrets": len(kept)}, after={"secrets": 1})
    return len(kept) > 1


def enable(conn: Connection, name: str, actor: str, now: datetime) -> int:
    """Go on with what waits, which gets its three days anew; how many deliveries. Errors: SubscriptionError."""
    found = find(conn, name)
    if not conn.execute(_SWITCH, {"id": found.id, "state": ACTIVE}).rowcount:
        return 0
    _note(conn, actor, "webhooks enable", found.id, before={"state": found.state}, after={"state": ACTIVE})
    return deliveries.replay_where(conn, found.id, DUE, now)


def disable(conn: Connection, name: str, actor: str) -> Subscription:
    """Tell it nothing until it is enabled. Errors: SubscriptionError."""
    found = find(conn, name)
    if conn.execute(_SWITCH, {"id": found.id, "state": DISABLED}).rowcount:
        _note(conn, actor, "webhooks disable", found.id, before={"state": found.state}, after={"state": DISABLED})
    return find(conn, found.id)


def remove(conn: Connection, name: str, actor: str) -> Subscription:
    """Forget it, with all its deliveries; as it was. Errors: SubscriptionError.

    Locks: drains that tell it of a change hold its row until they commit. Most deliveries go before it is locked, so
           that drains do not wait for them; then those that were recorded meanwhile, which nothing can add to.
    """
    found = find(conn, name)
    for step in (_REMOVE_DELIVERIES, _LOCK, _REMOVE_DELIVERIES, _REMOVE):
        conn.execute(step, {"id": found.id})
    _note(conn, actor, "webhooks remove", found.id, before={"url": found.url, DUE: found.due, DEAD: found.dead})
    return found


def replayed(conn: Connection, target: str, count: int, actor: str) -> None:
    """Note that an operator let `count` deliveries go out again."""
    audit.record(conn, actor, "webhooks replay", target, detail={"deliveries": count})


def _chosen(what: str, told: Sequence[str], known: Sequence[str]) -> list[str]:
    unknown = [each for each in told if each not in known]
    if unknown or not told:
        wrong = f"{unknown[0]!r} is none of the {what}" if unknown else f"no {what}"
        raise SubscriptionError(f"--{what}: {wrong}; choose from {', '.join(known)}")
    return [each for each in known if each in told]


def _secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def _note(
    conn: Connection,
    actor: str,
    act: str,
    subscription_id: str,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    audit.record(conn, actor, act, format_id("subscriptions", subscription_id), before=before, after=after)


# -- what attempts say of them ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """An active subscription that has deliveries due, now or later."""

    id: str
    url: str
    failing: bool


_WAITING = text("""
    select s.id, s.url, s.failing_since is not null as failing from subscriptions s where s.state = 'active'
    and exists (select from deliveries d where d.subscription_id = s.id and d.state = 'due')
""")
_JUDGE_NAMES = ("id", "taken", "failed_at", "gone", "error")
_JUDGE_KINDS = ("uuid", "boolean", "timestamptz", "boolean", "text")
# The rows are locked in one order, so that two dispatchers never wait for each other.
_JUDGE = text(f"""
    with v as materialized (
        select v.*, case when v.failed_at is not null and not v.taken then coalesce(s.failing_since, v.failed_at)
                         else v.failed_at end as since, s.failing_since as before
        from subscriptions s join {unnest(_JUDGE_NAMES, _JUDGE_KINDS)} using (id)
        where s.state = 'active' order by s.id for no key update of s
    ), judged as (select v.*, v.gone or v.since <= cast(:given_up as timestamptz) as ends from v)
    update subscriptions s set failing_since = v.since, updated_at = now(),
        state = case when v.ends then 'disabled' else s.state end,
        notice = case when v.gone then v.error when v.ends then 'nothing but failure since '
            || to_char(v.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') || '; the last: ' || v.error end
    from judged v where s.id = v.id and (v.ends or v.before is distinct from v.since)
    returning s.id, s.state, s.notice
""")


def waiting(conn: Connection) -> list[Waiting]:
    """Active subscriptions that have something to be sent, now or later."""
    return [Waiting(**row) for row in conn.execute(_WAITING).mappings()]


def judge(conn: Connection, results: Sequence[Result], now: datetime) -> list[tuple[str, str]]:
    """Note what attempts, in the order they ended, say of their subscriptions; (id, notice) of those disabled."""
    rows: dict[str, tuple[str, bool, datetime | None, bool, str | None]] = {}
    for result in results:
        key = result.claim.subscription_id
        _, taken, failed_at, gone, error = rows.get(key, (key, False, None, False, None))
        if result.error is None:
            taken, failed_at = True, None
        else:
            failed_at = failed_at or result.at
        if not gone:  # that it is gone stands whatever came after it, and says why in its own words
            gone, error = result.status == GONE, result.error
        rows[key] = (key, taken, failed_at, gone, error)
    if not rows:
        return []
    values = columns(_JUDGE_NAMES, _JUDGE_KINDS, sorted(rows.values()))
    found = conn.execute(_JUDGE, {**values, "given_up": now - GIVES_UP_AFTER}).all()
    return [(row.id, row.notice) for row in found if row.state == DISABLED]
