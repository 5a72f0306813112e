"""Checks of what waits for others: refunds, payment look-ups, subscribers; and of the keys of those who come in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, text

from domain.ids import format_id
from operations import waiting_rows
from operations.health import trackers
from operations.health.check import OK, PROBLEM, WARNING, Check, Look, Place, ago, some
from operations.overdue_refunds import count_overdue
from outbound.refund_routes import DueRefunds, configured_routes, due
from providers.base import ABILITIES
from providers.registry import registry
from settings.fields import without_credentials
from storage.clock import clock
from storage.tables import EFFECT_STATES

LATE_S = 300  # a refund that waits, or fails, for so long: a problem; before, a warning
FAILURES = 3  # of one webhook's questions, in a row
ASKED_FOR_S = 900  # a payment that is asked for in vain for so long: a problem
FAILING_S, DOWN_S = 300, 3600  # a subscriber that takes nothing: a warning, a problem
STALE_S = 86_400  # a comparison that is late, or fails, for so long
ERROR = 160  # characters of an error that are shown

# Refunds that wait for nobody but the provider. Their time is that of the cause: an order canceled, a return completed.
_FAILING = text("""
    select count(*) as n, extract(epoch from clock_timestamp() - min(e.created_at)) as since, min(e.next_at) as next_at,
           string_agg(distinct coalesce(t.provider, 'the provider'), ' and ') as providers,
           (array_agg(e.last_error order by e.updated_at desc) filter (where e.last_error is not null))[1] as error
    from effects e join transactions t on t.id = e.transaction_id
    where e.state in ('due', 'in_flight', 'unknown') and (e.last_error is not null or e.attempts > 1)
""")
_STATES = text(f"select state, count(*) from {waiting_rows.REFUNDS} group by state")
# Of the index of what waits for a person: what died without having gone out is counted among the effects.
_FAILED_LATER = text("""
    select count(*) from refunds r join effects e on e.transaction_id = r.transaction_id
    where r.attention is not null and e.state not in ('dead', 'held')
""")
_INBOX = text(f"""
    select provider, count(*) as due, count(*) filter (where attempts >= :failures) as failing,
           extract(epoch from clock_timestamp() - min(created_at) filter (where attempts >= :failures)) as since,
           max(last_error) filter (where attempts >= :failures) as error
    from {waiting_rows.LOOKUPS} and state = 'due' group by provider order by provider
""")
_INBOX_DEAD = text(f"select count(*) from {waiting_rows.LOOKUPS} and state = 'dead'")
_SUBSCRIPTIONS = text(f"""
    select s.id, s.url, s.state, s.notice, s.failing_since, coalesce(d.due, 0) as due, coalesce(d.dead, 0) as dead
    from subscriptions s left join (
        select subscription_id, count(*) filter (where state = 'due') as due,
               count(*) filter (where state = 'dead') as dead
        from {waiting_rows.DELIVERIES} group by subscription_id
    ) d on d.subscription_id = s.id order by s.id
""")
_LAST_ERROR = text("""
    select last_error from deliveries where subscription_id = cast(:id as uuid) and state = 'due' and last_error is not null
    order by updated_at desc limit 1
""")
_RECONCILIATIONS = text("""
    select l.provider, r.last_error, extract(epoch from clock_timestamp() - coalesce(r.created_at, l.until)) as since_s,
           extract(epoch from clock_timestamp() - l.until) as late_s
    from (select provider, max(until) filter (where scheduled and state = 'done') as until from reconciliations group by 1) l
    left join reconciliations r on r.provider = l.provider and r.state = 'running' order by l.provider
""")
_FINDINGS = text("""
    select provider, count(*) as n, (array_agg(kind order by id desc))[1] as kind,
           (array_agg(subject order by id desc))[1] as subject
    from findings where state = 'open' group by provider order by provider
""")
_KEYS = text("select kind, count(*) from api_keys where revoked_at is null group by kind order by kind desc")


def refunds(conn: Connection, place: Place) -> Iterator[Check]:
    """Money that is owed: given up, without anybody to give it back, or in vain so far."""
    found = dict.fromkeys(EFFECT_STATES, 0) | {row[0]: row[1] for row in conn.execute(_STATES)}
    waits = found["due"] + found["in_flight"] + found["unknown"]
    told = ", ".join(f"{count:,} {state}" for state, count in found.items() if count) or "none"
    failing = conn.execute(_FAILING).one()
    well = True
    for late in _overdue(conn, place):
        well = False
        yield late
    if found["dead"]:
        well = False
        remedy = "`orders refunds list --waiting` says why; mend that, then `orders refunds retry` (or `orders given-up replay`) each, or settle it by hand"
        yield Check("refunds", PROBLEM, f"{told}: {found['dead']:,} were given up", remedy)
    if failed := conn.execute(_FAILED_LATER).scalar_one():
        well = False
        remedy = (
            "`orders refunds list --waiting` shows each with its reason; `orders refunds retry` sends it again, "
            "`orders refunds settle` notes that you paid it back by hand"
        )
        yield Check(
            "refunds", PROBLEM, f"{some(failed, 'refund')} failed after having gone out; the money is owed", remedy
        )
    routed = due(conn, configured_routes(place.settings), LATE_S) if waits else DueRefunds((), 0)
    for each in routed.waiting:
        well = False
        whose = f"{each.provider}'s" if each.provider else "payments that name no provider"
        says = f"{each.refunds:,} of {whose} wait, the oldest for {ago(each.since_s)}: nobody is set to make them"
        remedy = f"{each.remedy}: none goes out until then"
        yield Check("refunds", PROBLEM if each.since_s >= LATE_S else WARNING, says, remedy)
    if failing.n:
        well = False
        says = (
            f"{failing.n:,} of {waits:,} fail, the oldest is owed since {ago(float(failing.since))}; "
            f"{failing.providers} is tried again from {failing.next_at:%H:%M:%S} UTC; its last answer: {_short(failing.error)}"
        )
        remedy = (
            "see that the provider answers where its settings say; they go out by themselves, within the hour, "
            "and are given up after four hours"
        )
        yield Check("refunds", PROBLEM if failing.since >= LATE_S else WARNING, says, remedy)
    elif routed.late:
        well = False
        remedy = "nobody takes them up: see the lines `beat` and `worker: refunds`"
        yield Check("refunds", PROBLEM, f"{told}; {routed.late:,} of them late", remedy)
    if found["account_needed"]:
        well = False
        remedy = "ask the customers, and tell each by PUT /api/orders/ORDER/refund-account; `orders overdue` and `orders show` name them"
        yield Check("refunds", WARNING, f"{found['account_needed']:,} wait for the customer's bank account", remedy)
    if found["staff"]:
        well = False
        remedy = (
            "`orders refunds list --waiting` shows them; `orders refunds release` lets one go, or says why it cannot"
        )
        yield Check("refunds", WARNING, f"{found['staff']:,} wait for a person to release them", remedy)
    if well:
        yield Check("refunds", OK, told)


def _overdue(conn: Connection, place: Place) -> Iterator[Check]:
    """One problem where the legal clock ran out of any refund."""
    legal_clock = place.settings.legal_clock
    if legal_clock is None:
        return
    count, due_by = count_overdue(conn, legal_clock, clock())
    if due_by is not None:
        says = f"{some(count, 'refund')} overdue: the first had to go out by {due_by:%Y-%m-%d %H:%M} UTC"
        yield Check("refunds", PROBLEM, says, "`orders overdue` lists them, with what each waits for")


def keys(conn: Connection, place: Place) -> Iterator[Check]:
    """Neither is a fault: a shop may do without the HTTP API, and without pages of its customers."""
    found = {row[0]: row[1] for row in conn.execute(_KEYS)}
    told = ", ".join(some(count, f"{kind} key") for kind, count in found.items())
    if "secret" in found:
        yield Check("API keys", OK, told)
    else:
        yield Check("API keys", OK, told or "none", "`orders keys add secret`, where the HTTP API is to be used")
    if place.settings.token_secret is None:
        yield Check("customer tokens", OK, "not to be had", "set ORDERS_TOKEN_SECRET, where customers' pages need them")
    else:
        yield Check("customer tokens", OK, "can be signed")


def lookups(conn: Connection, place: Place) -> Iterator[Check]:
    """Webhooks that only say where to look. Those that are done stay for ever, and are not counted."""
    waiting = conn.execute(_INBOX, {"failures": FAILURES}).all()
    dead = conn.execute(_INBOX_DEAD).scalar_one()
    missing = registry().missing("looks_up", place.settings.providers)
    if dead:
        remedy = "`orders given-up list --kind lookup`; mend the cause, then `orders given-up replay`, or discard what was made up"
        yield Check("webhooks in", PROBLEM, f"{dead:,} dead", remedy)
    well = not dead
    for row in waiting:
        if row.provider in missing:
            well = False
            remedy = f"set {missing[row.provider]} again, else {row.provider} is not asked"
            yield Check("webhooks in", PROBLEM, f"{row.due:,} due", remedy)
        elif row.failing:
            well = False
            says = f"{row.failing:,} of {row.provider} cannot be asked for; such as: {_short(row.error)}"
            if row.since >= ASKED_FOR_S:
                says = f"{says}; for {ago(float(row.since))}"
            remedy = "mend what it names; it is asked again by itself, and given up after ORDERS_PARKED_FOR"
            yield Check("webhooks in", PROBLEM if row.since >= ASKED_FOR_S else WARNING, says, remedy)
    if well:
        due = sum(row.due for row in waiting)
        yield Check("webhooks in", OK, f"{due:,} due" if due else "none")


def reconciliation(conn: Connection, place: Place) -> Iterator[Check]:
    """Comparisons with what providers list: those that cannot go on, and what they found for a person."""
    pace, ready = place.settings.reconcile, set(registry().ready("lists", place.settings.providers))
    found = conn.execute(_RECONCILIATIONS).all()
    waiting = conn.execute(_FINDINGS).all()
    well = True
    for row in found:
        if row.provider in ready and row.last_error is not None:
            well = False
            says = f"{row.provider} is not compared since {ago(row.since_s)}; its last answer: {_short(row.last_error)}"
            level = PROBLEM if row.since_s >= STALE_S else WARNING
            yield Check("reconciliation", level, says, "mend what it names; it goes on by itself where it stopped")
        elif row.provider in ready and pace is not None and (row.late_s or 0) > STALE_S + pace.total_seconds():
            well = False
            says = f"{row.provider} was compared last {ago(row.late_s)} ago"
            yield Check("reconciliation", WARNING, says, "see the lines `beat` and `worker: lookups`")
    for row in waiting:
        well = False
        says = f"{some(row.n, 'finding')} of {row.provider} wait for a person, such as {row.kind} of {row.subject}"
        remedy = "`orders findings list`; then `orders findings resolve ID --note TEXT`"
        yield Check("reconciliation", WARNING, says, remedy)
    if well:
        told = (
            "no finding waits" if found else "nothing was compared yet" if ready and pace else "no provider is compared"
        )
        yield Check("reconciliation", OK, told)


def providers(conn: Connection, place: Place) -> Iterator[Check]:
    """The check of providers: which are set, and which installed ones cannot be used."""
    found, values = registry(), place.settings.providers
    for each in found.broken:
        remedy = f"mend or remove the package that brings it ({each.value}); all others work"
        yield Check("providers", PROBLEM, f"{each.name} is left out: {_short(each.why)}", remedy)
    for name, ability in found.unusable(values):
        says = f"{name} cannot be used: what makes its {ability!r} fails with these settings"
        yield Check("providers", PROBLEM, says, "the log of the workers or of the API has the cause")
    ready = sorted({name for ability in ABILITIES for name in found.ready(ability, values)})
    yield Check("providers", OK, ", ".join(ready) or "none is set")


def webhooks(conn: Connection, place: Place) -> Iterator[Check]:
    """Subscribers that take nothing, were given up, or lack what was given up."""
    found = conn.execute(_SUBSCRIPTIONS).all()
    well = True
    for row in found:
        name = format_id("subscriptions", row.id)
        if row.state == "disabled" and row.notice is not None:
            well = False
            remedy = f"mend its receiver, then `orders webhooks test {name}` and `orders webhooks enable {name}`"
            yield Check("webhooks", PROBLEM, f"{name} is disabled: {row.notice}", remedy)
        elif row.state == "active" and row.failing_since is not None:
            since = (datetime.now(UTC) - row.failing_since).total_seconds()
            if since < FAILING_S:
                continue
            well = False
            error = conn.execute(_LAST_ERROR, {"id": row.id}).scalar_one_or_none()
            says = (
                f"{name} ({without_credentials(row.url)}) takes nothing since {ago(since)}, {row.due:,} wait; "
                f"its last answer: {_short(error)}"
            )
            remedy = (
                f"mend its receiver, then `orders webhooks test {name}` and "
                f"`orders webhooks replay --subscription {name} --state due`; it is disabled after 3 days"
            )
            yield Check("webhooks", PROBLEM if since >= DOWN_S else WARNING, says, remedy)
        if row.dead:
            well = False
            says = f"{name}: {some(row.dead, 'delivery', 'deliveries')} given up"
            remedy = f"`orders webhooks deliveries --state dead`; `orders webhooks replay --subscription {name} --state dead`"
            yield Check("webhooks", PROBLEM, says, remedy)
    if well:
        active = sum(row.state == "active" for row in found)
        failing = sum(row.state == "active" and row.failing_since is not None for row in found)
        says = f"{some(active, 'subscription')}, {failing} of them failing" if active else "nobody is told of changes"
        yield Check("webhooks", OK, says)


LOOKS: tuple[Look, ...] = (
    (("refunds",), refunds),
    (("tracking",), trackers.tracking),
    (("webhooks in",), lookups),
    (("webhooks",), webhooks),
    (("reconciliation",), reconciliation),
    (("API keys", "customer tokens"), keys),
    (("providers",), providers),
)


def _short(error: str | None) -> str:
    told = " ".join((error or "unknown").split())
    return told if len(told) <= ERROR else f"{told[:ERROR]}…"
