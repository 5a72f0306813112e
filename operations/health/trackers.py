"""Checks of parcels that are followed at their carriers, and of the carriers themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from operations import waiting_rows
from operations.health.check import OK, PROBLEM, WARNING, Check, Place, some
from outbound.tracking import carriers
from outbound.tracking.allowance import next_month
from outbound.tracking.carriers import PolledCarrier
from providers.carriers.limits import names_in
from providers.registry import registry
from storage.clock import clock

FAILURES = 3  # of a tracker in a row
NEWEST = 20_000  # parcels that are looked at for carriers that nobody polls
LISTED = 3  # of such carriers by name
RECENT = timedelta(days=30)  # a parcel that was retired
LONG = 3  # times that a breaker was opened in a row, which is after some minutes: a problem; before, a warning
ERROR = 160  # characters of an error that are shown

_TRACKERS = text(f"""
    select coalesce(provider, carrier) as carrier, count(*) filter (where not finished) as watched,
           count(*) filter (where not finished and failures >= :failures) as failing,
           count(*) filter (where finished) as retired,
           (array_agg(last_error order by updated_at desc) filter (where last_error is not null))[1] as error
    from (
        select * from {waiting_rows.PARCELS}
        union all
        select * from trackers where finished and last_error is not null and updated_at >= :recent
    ) t group by 1 order by 1
""")
# Of the newest parcels, along the primary key: what is on its way is young.
_MOVING = text("""
    select carrier, count(*) as parcels from (
        select carrier, tracking_number, status from fulfillments order by id desc limit :newest
    ) f where status = 'shipped' and carrier is not null and tracking_number is not null group by 1 order by 2 desc, 1
""")


def tracking(conn: Connection, place: Place) -> Iterator[Check]:
    """A carrier that answers nothing is away; one that lacks some parcels may not know their numbers."""
    ready = set(registry().ready("tracks", place.settings.providers))
    parcels = conn.execute(_TRACKERS, {"failures": FAILURES, "recent": clock() - RECENT}).all()
    watched = {row.carrier: row.watched for row in parcels}
    known = [each for each in carriers.every(conn) if each.name in ready and watched.get(each.name)]
    away = {each.name for each in known if each.breaker.state != "closed"}
    found = [check for each in known if (check := _carrier(each, watched[each.name], place)) is not None]
    found += [check for row in parcels if row.carrier not in away and (check := _parcels(row)) is not None]
    found += [*_names_in_vain(place), *_limits_in_vain(place, ready)]
    yield from found
    if found:
        return
    if not ready:
        yield Check("tracking", OK, "no carrier is polled")
    elif by_hand := _followed_by_hand(conn, place):
        remedy = (
            "webhooks, the Server API or staff move them; ORDERS_CARRIER_NAMES says which are other names of carriers "
            "that are polled (docs/howto/follow-parcels.md)"
        )
        yield Check("tracking", OK, f"no carrier fails; {by_hand}", remedy)
    else:
        yield Check("tracking", OK, "no carrier fails")


def _carrier(carrier: PolledCarrier, watched: int, place: Place) -> Check | None:
    """What keeps all parcels of a carrier waiting, if anything does."""
    now, limits = clock(), registry().limits(carrier.name, place.settings.providers)
    wait = f"{some(watched, 'parcel')} of {carrier.name} {'waits' if watched == 1 else 'wait'}"
    if carrier.breaker.state != "closed":
        says = f"{wait}: it is away, {some(carrier.breaker.failures, 'question')} in a row had no answer; the last: {_short(carrier.last_error)}"
        remedy = f"see that {carrier.name} answers where its settings say; it is tried again by itself, at the latest every two minutes"
        return Check("tracking", PROBLEM if carrier.breaker.opened > LONG else WARNING, says, remedy)
    if carrier.allowance.quota_spent(limits, now):
        says = (
            f"{wait}: the {limits.per_month:,} questions of this month are spent, until {next_month(now):%Y-%m-%d} UTC"
        )
        remedy = "set ORDERS_TRACKING_QUOTAS to what the plan allows, or a longer ORDERS_TRACKING_PACE; webhooks still move them"
        return Check("tracking", WARNING, says, remedy)
    if carrier.paused_until is not None and carrier.paused_until > now:
        says = f"{wait} until {carrier.paused_until:%Y-%m-%d %H:%M} UTC: it wants fewer questions ({_short(carrier.last_error)})"
        remedy = "compare ORDERS_TRACKING_RATES and ORDERS_TRACKING_QUOTAS with what its plan allows"
        return Check("tracking", WARNING, says, remedy)
    return None


def _parcels(row: Any) -> Check | None:
    """Single parcels of a carrier that it does not answer for, or tells nothing new of."""
    if not row.failing and not row.retired:
        return None
    said = [f"{row.failing:,} of {row.watched:,} parcels of {row.carrier} cannot be asked for"] if row.failing else []
    if row.retired:
        said.append(f"{some(row.retired, 'parcel')} of {row.carrier} retired: nothing new was told for too long")
    says = f"{'; '.join(said)}; the last answer: {_short(row.error)}"
    if row.failing and row.failing == row.watched:
        remedy = f"see that {row.carrier} answers where its settings say; its parcels are asked for again by themselves"
        return Check("tracking", PROBLEM, says, remedy)
    kind = "retired" if row.retired else "failing"
    remedy = (
        f"`orders trackers list --{kind}`: compare the numbers with {row.carrier}'s; a scan by webhook or Server API moves "
        "them, too; `orders trackers resume NUMBER` asks again"
    )
    return Check("tracking", WARNING, says, remedy)


def _limits_in_vain(place: Place, ready: set[str]) -> Iterator[Check]:
    """Names in the settings of limits that nobody is polled by: they would limit nothing."""
    for name, setting in sorted(names_in(place.settings.providers).items()):
        if name not in ready:
            there = ", ".join(sorted(ready)) or "nobody"
            yield Check(
                "tracking",
                WARNING,
                f"{setting}: {name} is not polled, so that it limits nothing",
                f"write one of: {there}",
            )


def _names_in_vain(place: Place) -> Iterator[Check]:
    """What ORDERS_CARRIER_NAMES means, where nobody is polled for it: a name is misspelt, or a service not configured."""
    routes = registry().routes(place.settings.providers)
    for name, meant in routes.in_vain().items():
        near = routes.near(meant)
        hint = f"did you mean {near}? " if near and ":" not in meant else ""
        remedy = (
            f"{hint}Write a carrier or SERVICE:ID as docs/howto/follow-parcels.md lists them, of a service that is set"
        )
        yield Check("tracking", WARNING, f"ORDERS_CARRIER_NAMES: {name} means {meant}, whom nobody polls", remedy)


def _followed_by_hand(conn: Connection, place: Place) -> str:
    """The parcels on their way of carriers that nobody polls, in words; nothing where there are none."""
    routes = registry().routes(place.settings.providers)
    found = [row for row in conn.execute(_MOVING, {"newest": NEWEST}) if routes(row.carrier) is None]
    if not found:
        return ""
    named = ", ".join(f"{_short(row.carrier)} {row.parcels:,}" for row in found[:LISTED])
    more = f" and {len(found) - LISTED:,} more" if len(found) > LISTED else ""
    total = sum(row.parcels for row in found)
    return f"{some(total, 'parcel')} on their way of carriers that nobody polls ({named}{more})"


def _short(error: str | None) -> str:
    told = " ".join((error or "unknown").split())
    return told if len(told) <= ERROR else f"{told[:ERROR]}…"
