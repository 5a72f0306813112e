"""`orders doctor`: every setting with its source, and what is wrong, with the way to mend it.

A *problem* keeps events from being accepted, applied or kept; it ends the command with exit code 1, which
makes it a health check. A *warning* waits for a person and stops nobody: dead letters, a refund given up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import redis
import typer
from rich.markup import escape
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from cli.opening import Servers, find_servers, stop_at_sigterm
from cli.options import Data, Json, out, print_json
from cli.showing import put, table
from domain.ids import shown
from embedded import ServerError
from journal import subscriptions
from journal.effects import counts
from journal.streams import Streams, connect
from storage import engine as engines
from storage import migrate
from storage.settings import KNOWN, Settings, SettingsError, read

OK, WARNING, PROBLEM = "ok", "warning", "problem"
POSTGRES, REDIS = 16, 7  # the oldest major versions that the code is tested on
ALIVE_S = 20  # the timers' chore beats every five seconds
SLOW_S, STUCK_S = 60, 900  # the oldest undecided event: a warning, a problem
LATE_S = 300  # a refund or parked event that is so much past its time
SKEW_S, WRONG_S = 2, 60  # between this host's clock and the database's: a warning, a problem
FAILURES = 3  # of a tracker, or of one webhook's questions, in a row
_COLORS = {OK: "green", WARNING: "yellow", PROBLEM: "red"}
_CREDENTIALS = re.compile(r"://[^/@\s,]+@")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what to do where it is not well."""

    name: str
    level: str
    says: str
    remedy: str | None = None


def doctor(data: Data = None, json: Json = False) -> None:
    """Print the settings with their sources, and check servers, workers and what waits; exit 1 at a problem."""
    stop_at_sigterm()
    checks: list[Check] = []
    settings: Settings | None = None
    whose = None
    try:
        settings = read()
        if data is not None:
            named = {"ORDERS_DATA": str(data)}
            sources = {**settings.sources, "ORDERS_DATA": "--data"}
            settings = replace(settings, data=data, values={**settings.values, **named}, sources=sources)
        with find_servers(data) as found:
            whose = found.whose
            for check in _examine(found):
                checks.append(check)
    except SettingsError as error:
        checks.append(Check("settings", PROBLEM, str(error), "correct it in the environment or in .env"))
    except ServerError as error:
        checks.append(Check("embedded servers", PROBLEM, str(error)))
    healthy = all(check.level != PROBLEM for check in checks)
    if json:
        document = {"healthy": healthy, "servers": whose, "settings": _settings(settings)}
        print_json({**document, "checks": [asdict(check) for check in checks]})
    else:
        _print(settings, whose, checks)
    if not healthy:
        raise typer.Exit(1)


# -- checks ------------------------------------------------------------------------------------------------


def _examine(found: Servers) -> Iterator[Check]:
    """All checks; one that cannot be made for want of a server is left out."""
    settings = found.settings
    with ExitStack() as stack:
        engine = engines.connect(settings.database_url or "", pinned=True, pool=1, application="orders doctor")
        stack.callback(engine.dispose)
        client = connect(settings.redis_url or "")
        stack.callback(client.close)
        database = list(_postgres(engine, found))
        yield from database
        server = list(_redis(client))
        yield from server
        if all(check.level != PROBLEM for check in server):
            yield from _streams(client, settings)
        if any(check.name in ("PostgreSQL", "schema") and check.level == PROBLEM for check in database):
            return
        works = found.whose != "started"
        for look in _LOOKS:
            try:
                with engine.connect() as conn:
                    yield from look(conn, settings, works)
            except SQLAlchemyError as error:
                yield Check(_name(look), PROBLEM, f"could not be looked at: {_first_line(error)}")


def _postgres(engine: Engine, found: Servers) -> Iterator[Check]:
    try:
        with engine.connect() as conn:
            number = int(conn.execute(text("show server_version_num")).scalar_one())
            version = conn.execute(text("show server_version")).scalar_one()
            durable = {
                name: conn.execute(text(f"show {name}")).scalar_one() for name in ("fsync", "synchronous_commit")
            }
            asked = datetime.now(UTC)
            theirs = conn.execute(text("select clock_timestamp()")).scalar_one()
            ours = asked + (datetime.now(UTC) - asked) / 2
    except SQLAlchemyError as error:
        yield Check(
            "PostgreSQL",
            PROBLEM,
            f"does not answer: {_first_line(error)}",
            "start it, or correct DATABASE_URL; until then nothing can be accepted",
        )
        return
    if number // 10_000 < POSTGRES:
        yield Check("PostgreSQL", PROBLEM, f"version {version}", f"upgrade it to {POSTGRES} or newer")
    else:
        yield Check("PostgreSQL", OK, f"version {version}")
    if durable["fsync"] == "off":
        yield Check("durability", PROBLEM, "fsync is off: a crash loses what was accepted", "set fsync = on")
    elif durable["synchronous_commit"] == "off":
        says = "synchronous_commit is off: a crash loses what was accepted last"
        yield Check("durability", PROBLEM, says, "set synchronous_commit = on")
    else:
        yield Check("durability", OK, f"fsync on, synchronous_commit {durable['synchronous_commit']}")
    yield _clock((ours - theirs).total_seconds())
    yield from _schema(engine, found)


def _clock(skew: float) -> Check:
    says = f"this host is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the database"
    if abs(skew) < SKEW_S:
        return Check("clock", OK, f"within {SKEW_S} s of the database")
    return Check("clock", PROBLEM if abs(skew) >= WRONG_S else WARNING, says, "set both clocks by NTP")


def _schema(engine: Engine, found: Servers) -> Iterator[Check]:
    url, shards = found.settings.database_url or "", found.settings.shards
    try:
        if found.whose != "yours":  # the embedded database follows the code by itself
            migrate.upgrade(url, shards)
        waiting = migrate.pending(url)
        if waiting:
            yield Check("schema", PROBLEM, f"lacks {', '.join(waiting)}", "run `orders migrate`")
            return
        with engine.connect() as conn:
            fixed = migrate.shards_fixed(conn)
    except (migrate.StorageError, SQLAlchemyError) as error:
        yield Check("schema", PROBLEM, _first_line(error))
        return
    yield Check("schema", OK, "up to date")
    if fixed == shards:
        yield Check("shards", OK, f"{fixed}, as this database was made with")
    else:
        says = f"ORDERS_SHARDS={shards}, but this database was made with {fixed}"
        yield Check("shards", PROBLEM, says, f"set ORDERS_SHARDS={fixed} for every process")


def _redis(client: redis.Redis) -> Iterator[Check]:
    try:
        info: Any = client.info()
    except (redis.RedisError, OSError) as error:
        remedy = "start it, or correct REDIS_URL; events are accepted meanwhile, and applied once it is back"
        yield Check("Redis", PROBLEM, f"does not answer: {error}", remedy)
        return
    version = str(info.get("redis_version", "0"))
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {version}"
    if int(version.split(".")[0]) < REDIS:
        yield Check("Redis", PROBLEM, name, f"upgrade it to {REDIS} or newer")
    else:
        yield Check("Redis", OK, f"{name}, {info.get('used_memory_human', '?')} in use")
    policy, most = info.get("maxmemory_policy", "?"), int(info.get("maxmemory", 0))
    if most and policy != "noeviction":
        says = f"maxmemory-policy is {policy}: streams may be evicted, and are published again only later"
        yield Check("Redis memory", WARNING, says, "set maxmemory-policy noeviction")
    else:
        yield Check("Redis memory", OK, f"maxmemory-policy {policy}" if most else f"no limit (policy {policy})")


def _streams(client: redis.Redis, settings: Settings) -> Iterator[Check]:
    streams = Streams(client, settings.shards, lambda shard: None)
    try:
        look = streams.look()
    except (redis.RedisError, OSError) as error:
        yield Check("streams", PROBLEM, f"could not be read: {error}")
        return
    lengths, behind = look.lengths, len(look.behind)
    says = f"{sum(lengths):,} entries in {sum(map(bool, lengths))} of {len(lengths)} shards"
    yield Check("streams", OK, f"{says}; {behind} shards have a backlog in PostgreSQL" if behind else says)


# Each looks at one thing in the database; `works` is whether somebody should be working on it now: not where
# the servers run for this command alone.
Look = Callable[[Connection, Settings, bool], Iterator[Check]]

_HEARTBEAT = text("""
    select extract(epoch from clock_timestamp() - at), gap_end + make_interval(secs => :grace)
    from heartbeats where name = 'timers'
""")
_OPEN = text("""
    select count(*), coalesce(extract(epoch from clock_timestamp() - min(accepted_at)), 0) from undecided
""")
_PARKED = text("""
    select count(*), count(*) filter (where until < clock_timestamp() - make_interval(secs => :late)), min(until)
    from parked
""")
_DEAD = text("select reason, count(*) from dead_letters where state = 'open' group by reason order by 2 desc, 1")
_LATE_EFFECTS = text("""
    select count(*) from effects
    where state in ('due', 'in_flight', 'unknown') and next_at < clock_timestamp() - make_interval(secs => :late)
""")
_TRACKERS = text("""
    select count(*) filter (where failures >= :failures and not finished),
           count(*) filter (where finished and last_error is not null), max(last_error)
    from trackers where failures >= :failures
""")
_INBOX_DUE = text("""
    select provider, count(*), count(*) filter (where attempts >= :failures),
           max(last_error) filter (where attempts >= :failures)
    from inbox where state = 'due' group by provider order by provider
""")
_INBOX_DEAD = text("select count(*) from inbox where state = 'dead'")
_KEYS = text("select kind, count(*) from api_keys where revoked_at is null group by kind order by kind desc")


def _workers(conn: Connection, settings: Settings, works: bool) -> Iterator[Check]:
    row = conn.execute(_HEARTBEAT, {"grace": settings.policy.grace.total_seconds()}).one_or_none()
    remedy = "start `orders up`, or `orders worker` and `orders beat`"
    if not works:
        yield Check("workers", WARNING, "none run: the servers were started for this command alone", remedy)
        return
    if row is None:
        yield Check("workers", PROBLEM, "none was ever here", remedy)
        return
    age, resting = float(row[0]), row[1]
    if age > ALIVE_S:
        remedy = f"{remedy}; both must run, and reach the same servers"
        yield Check("workers", PROBLEM, f"the last heartbeat is {_ago(age)} old", remedy)
    elif resting is not None and resting > datetime.now(UTC):
        says = f"alive; timers rest until {resting:%H:%M} UTC, a grace after our own silence"
        yield Check("workers", OK, says)
    else:
        yield Check("workers", OK, f"alive: heartbeat {age:.0f} s ago")


def _undecided(conn: Connection, settings: Settings, works: bool) -> Iterator[Check]:
    row = conn.execute(_OPEN).one()
    count, age = int(row[0]), float(row[1])
    says = f"{count:,} undecided, the oldest {_ago(age)} old"
    remedy = "see that workers run, and read their log"
    if not count:
        yield Check("events", OK, "every one is decided")
    elif age < SLOW_S:
        yield Check("events", OK, says)
    else:
        yield Check("events", PROBLEM if age >= STUCK_S and works else WARNING, says, remedy)


def _parked(conn: Connection, settings: Settings, works: bool) -> Iterator[Check]:
    count, late, until = conn.execute(_PARKED, {"late": LATE_S}).one()
    if not count:
        yield Check("parked", OK, "none")
    elif late and works:
        says = f"{count:,} wait, {late:,} of them past their time"
        yield Check("parked", WARNING, says, "the sweep gives them up: see that the beat runs, and ORDERS_SWEEP")
    else:
        first = f", the first until {until:%Y-%m-%d %H:%M} UTC" if until else ""
        yield Check("parked", OK, f"{count:,} wait{first}; see `orders parked list`")


def _dead(conn: Connection, settings: Settings, works: bool) -> Iterator[Check]:
    rows = conn.execute(_DEAD).all()
    if not rows:
        yield Check("dead letters", OK, "none")
        return
    says = f"{sum(row[1] for row in rows):,} open: {', '.join(f'{row[1]:,} {row[0]}' for row in rows[:5])}"
    yield Check("dead letters", WARNING, says, "`orders dlq list`; edit, replay or discard each")


def _refunds(conn: Connection, settings: Settings, works: bool) -> Iterator[Check]:
    found = counts(conn)
    waiting = found["due"] + found["in_flight"] + found["unknown"]
    late = conn.execute(_LATE_EFFECTS, {"late": LATE_S}).scalar_one()
    told = ", ".join(f"{count:,} {state}" for state, count in found.items() if count) or "none"
    if found["dead"]:
        yield Check("refunds", WARNING, told, "`orders dlq list --type Refund`; mend the cause, then replay each")
    elif waiting and settings.refund_url is None:
        yield Check("refunds", WARNING, told, "set ORDERS_REFUND_URL, else no refund goes out")
    elif late and works:
        yield Check("refunds", WARNING, f"{told}; {late:,} of them late", "see that the beat and workers run")
    elif found["staff"]:
        yield Check("refunds", WARNING, told, "`orders dlq list` shows those that wait for a person")
    else:
        yield Check("refunds", OK, told)


def _trackers(conn: Connection, settings: Settings, works: bool) -> Iterator[Check]:
    failing, given_up, error = conn.execute(_TRACKERS, {"failures": FAILURES}).one()
    if not failing and not given_up:
        yield Check("tracking", OK, "no carrier fails" if settings.carriers else "no carrier is polled")
        return
    says = f"{failing:,} parcels cannot be asked for, {given_up:,} were given up; such as: {error or 'unknown'}"
    yield Check("tracking", WARNING, says, "see ORDERS_CARRIERS and the carrier's status")


def _api(conn: Connection, settings: Settings, works: bool) -> Iterator[Check]:
    """Neither is a fault: a shop may do without the HTTP API, and without pages of its customers."""
    found = {row[0]: row[1] for row in conn.execute(_KEYS)}
    keys = ", ".join(f"{_some(count, f'{kind} key')}" for kind, count in found.items())
    if "secret" in found:
        yield Check("API keys", OK, keys)
    else:
        yield Check("API keys", OK, keys or "none", "`orders keys add secret`, where the HTTP API is to be used")
    if settings.token_secret is None:
        yield Check("customer tokens", OK, "not to be had", "set ORDERS_TOKEN_SECRET, where customers' pages need them")
    else:
        yield Check("customer tokens", OK, "can be signed")


def _inbox(conn: Connection, settings: Settings, works: bool) -> Iterator[Check]:
    """Webhooks that only say where to look. Those that are done stay for ever, and are not counted."""
    waiting = conn.execute(_INBOX_DUE, {"failures": FAILURES}).all()
    dead = conn.execute(_INBOX_DEAD).scalar_one()
    missing = {}  # provider → the setting for want of which nobody asks it
    if not settings.webhook_secrets["portone"]:
        missing["portone"] = "ORDERS_PORTONE_SECRETS"
    if settings.toss_api_key is None:
        missing["toss"] = "ORDERS_TOSS_API_KEY"
    if dead:
        remedy = "`orders dlq list`; mend the cause, then replay each, or discard what was made up"
        yield Check("webhooks in", WARNING, f"{dead:,} dead", remedy)
    for provider, due, failing, error in waiting:
        if provider in missing:
            remedy = f"set {missing[provider]} again, else {provider} is not asked"
            yield Check("webhooks in", WARNING, f"{due:,} due", remedy)
        elif failing:
            says = f"{failing:,} of {provider} cannot be asked for; such as: {error or 'unknown'}"
            remedy = "mend what it names; it is asked again by itself, and given up after ORDERS_PARKED_FOR"
            yield Check("webhooks in", WARNING, says, remedy)
    if not dead and not any(provider in missing or failing for provider, _, failing, _ in waiting):
        due = sum(row[1] for row in waiting)
        yield Check("webhooks in", OK, f"{due:,} due" if due else "none")


def _webhooks(conn: Connection, settings: Settings, works: bool) -> Iterator[Check]:
    found = subscriptions.listed(conn)
    given_up = [row for row in found if row.state == "disabled" and row.notice is not None]
    dead = sum(row.dead for row in found)
    for row in given_up:
        name = shown("subscriptions", row.id)
        remedy = f"mend its receiver, then `orders webhooks test {name}` and `orders webhooks enable {name}`"
        yield Check("webhooks", WARNING, f"{name} is disabled: {row.notice}", remedy)
    if dead:
        says = f"{_some(dead, 'delivery') if dead == 1 else f'{dead:,} deliveries'} given up"
        remedy = "`orders webhooks deliveries --state dead`; `orders webhooks replay --subscription ID --state dead`"
        yield Check("webhooks", WARNING, says, remedy)
    if not given_up and not dead:
        active = sum(row.state == "active" for row in found)
        failing = sum(row.state == "active" and row.failing_since is not None for row in found)
        says = f"{_some(active, 'subscription')}, {failing} of them failing" if active else "nobody is told of changes"
        yield Check("webhooks", OK, says)


_LOOKS: tuple[Look, ...] = (_workers, _undecided, _parked, _dead, _refunds, _trackers, _api, _inbox, _webhooks)


def _name(look: Look) -> str:
    return getattr(look, "__name__", "check").lstrip("_")


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


# -- printing ----------------------------------------------------------------------------------------------


def _settings(settings: Settings | None) -> list[dict[str, str]]:
    """Every name with what it says, where from, and what it is for. No password stands in it."""
    found = []
    for known in KNOWN:
        value = settings.values[known.name] if settings else known.default or "-"
        source = settings.sources[known.name] if settings else "-"
        found.append(
            {
                "name": known.name,
                "value": _CREDENTIALS.sub("://***@", value) if not known.secret else value,
                "source": source,
                "meaning": known.meaning,
            }
        )
    return found


def _print(settings: Settings | None, whose: str | None, checks: list[Check]) -> None:
    rows = table("setting", "value", "from", "meaning")
    for each in _settings(settings):
        source = each["source"] if each["source"] == "default" else f"[bold]{each['source']}[/]"
        rows.add_row(each["name"], escape(each["value"]), source, f"[dim]{escape(each['meaning'])}[/]")
    put(rows)
    if settings is not None and whose in ("found", "started"):
        state = "which `orders up` runs" if whose == "found" else "started for this command alone"
        out.print(f"\nembedded servers in {escape(str(settings.data))}, {state}")
    rows = table("check", "", "says", "what to do", title="checks")
    for check in checks:
        color = _COLORS[check.level]
        rows.add_row(check.name, f"[{color}]{check.level}[/]", escape(check.says), escape(check.remedy or ""))
    put(rows)
    problems, warnings = (sum(check.level == level for check in checks) for level in (PROBLEM, WARNING))
    verdict = f"[red]{_some(problems, 'problem')}[/]" if problems else "[green]no problem[/]"
    out.print(f"\n{verdict}" + (f", {_some(warnings, 'warning')}" if warnings else ""))


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
