"""`orders bench console`: how long each page of the console takes in a large shop, and what watching its first page costs PostgreSQL.

The shop is that of the API's query, copied from drained lives, with a share of flagged orders and of events that were given
up or are parked. One `orders api` process serves it; a page's time is from the request to its last byte, over this machine's
own network; beside it stands the CPU of the API and the servers, which another's load does not change. The first page is then
watched as a browser does, which asks for its figures every two seconds and for its checks every half minute, and the CPU of
PostgreSQL's processes compared with that of seconds in which nobody watches. What waits is counted every LONGEST_S at the
latest: a full run watches for as long, so that each thing that watching costs is in it as often as it is in a day.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import psutil
import psycopg
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from api.console.checks import EVERY_S, LONGEST_S
from bench import api_process, api_queries
from bench.measure import cpu_s
from bench.run import Say
from bench.servers import BenchError, Servers
from domain.ids import format_id
from operations import operators
from operations.figures import PACE_S
from storage import engine as engines
from storage.clock import clock

PAGE_MS = 100.0  # of each page's p95, at most
WATCH_PERCENT = 1.0  # of a core that watching costs PostgreSQL, at most
IDLE_S = 60.0  # in which nobody watches, at most
WARM = 5  # calls of each page before it is timed

# One order in 200 has a flag; one event in 500 was given up, of five causes, and one in 1,000 is parked.
_TROUBLE = (
    "update orders set flags = '{held}' where id in (select id from orders order by order_number limit :orders / 200)",
    """insert into dead_letters (id, seq, reason, detail)
       select gen_random_uuid(), seq, (array['bad_data', 'currency_mismatch', 'unknown_order', 'bad_amount', 'not_permitted'])[1 + seq / 500 % 5],
              'data.currency: of the bench' from journal where seq % 500 = 7""",
    """update results r set outcome = 'dead', reason = d.reason, order_id = case when d.reason = 'unknown_order' then null else order_id end
       from dead_letters d where d.seq = r.seq""",
    """insert into parked (seq, order_id, reason, until) select seq, order_id, 'unknown_order', now() + interval '72 hours'
       from results where seq % 1000 = 11""",
)
_STATEMENTS = """
    select coalesce(sum(total_exec_time), 0), coalesce(sum(calls), 0) from pg_stat_statements s
    join pg_database d on d.oid = s.dbid where datname = %s
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """The amounts of a run."""

    orders: int = 50_000
    calls: int = 100  # of each page
    watch_s: float = LONGEST_S


QUICK = Plan(orders=10_000, calls=40, watch_s=30.0)


def run(servers: Servers, plan: Plan, machine: dict[str, Any], say: Say) -> dict[str, Any]:
    """All of it, as `--json` answers it. Errors: BenchError where a page is not what it must be."""
    shop = api_queries.grown(servers, api_queries.seeded(servers), max(plan.orders, api_queries.SEED), say)
    engine = engines.connect(shop.database_url)
    sizes = _troubled(engine, say)
    with engine.begin() as conn:
        operators.add(conn, "bench", "operator", "bench", clock())
        token = operators.link(conn, "bench", "bench", clock())
    try:
        with api_process.api(servers, shop, "console") as (port, process):
            browser = Browser(port)
            browser.enter(token)
            began = time.perf_counter()
            browser.get("")
            first_ms = _ms(time.perf_counter() - began)
            busy = [process, *servers.processes().values()]
            pages = {name: _timed(browser, path, plan.calls, busy) for name, path in _addresses(engine)}
            slowest = max(pages, key=lambda name: pages[name]["p95"])
            say(f"console: slowest {slowest}, p95 {pages[slowest]['p95']} ms")
            say(f"console: watching the first page for {plan.watch_s:.0f} s")
            watched = _watched(servers, shop.database_url, browser, plan.watch_s)
            say(f"console: watching takes {watched['percent_of_a_core']} % of a core of PostgreSQL")
    finally:
        engine.dispose()
    found = {
        **sizes,
        "pages": pages,
        "first_look_ms": first_ms,
        "watched": watched,
        "plan": asdict(plan),
        "machine": machine,
    }
    return found | {"targets": list(_targets(found))}


class Browser:
    """One connection that keeps the session's cookie."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers: dict[str, str] = {}

    def enter(self, token: str) -> None:
        """Log in by a one-time link's token."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", "/console/enter", urlencode({"token": token}), form)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 303:
            raise BenchError(f"the console answers {answer.status} to a login")
        self._headers["Cookie"] = (answer.headers["Set-Cookie"] or "").partition(";")[0]

    def get(self, path: str) -> bytes:
        """A page of the console. Errors: BenchError where it is not there."""
        self._connection.request("GET", f"/console{path}", headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise BenchError(f"/console{path} answers {answer.status}: {body[:300]!r}")
        return body


def _troubled(engine: Engine, say: Say) -> dict[str, int]:
    """Give the shop what a person looks at; how much there is of each."""
    with engine.begin() as conn:
        orders, events = conn.execute(
            text("select (select count(*) from orders), (select count(*) from journal)")
        ).one()
        flagged, given_up, _, parked = [conn.execute(text(each), {"orders": orders} if ":orders" in each else {}).rowcount
                                     for each in _TROUBLE]  # fmt: skip
        refunds = int(conn.execute(text("select count(*) from refund_documents")).scalar_one())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("vacuum (analyze)"))
        conn.execute(text("checkpoint"))
    say(f"of them {flagged:,} flagged; {given_up:,} events given up, {parked:,} parked")
    return {
        "orders": orders,
        "events": events,
        "flagged": flagged,
        "given_up": given_up,
        "parked": parked,
        "refunds": refunds,
    }


def _addresses(engine: Engine) -> Iterator[tuple[str, str]]:
    """Pages by what they are called in the table, with their addresses."""
    with engine.connect() as conn:
        order_id, number, placed = conn.execute(text(
            "select id, order_number, placed_at from orders order by id offset (select count(*) / 2 from orders) limit 1"
        )).one()  # fmt: skip
        seq = conn.execute(text("select max(seq) from dead_letters")).scalar_one()
    own = format_id("orders", order_id)
    yield from (
        ("now", ""), ("now, its figures", "/now"), ("now, its checks", "/now/checks"), ("orders", "/orders"), ("orders, of a rare status", "/orders?status=returned"),
        ("orders, far back", "/orders?" + urlencode({"after": f"{placed.isoformat()}~{order_id}"})),
        ("orders, by a part of a number", f"/orders?q={number[:3]}"),
        ("one order", f"/orders/{own}"), ("one order, as it was known", f"/orders/{own}?event=2"), ("flagged", "/flagged"),
        ("given up", "/given-up"), ("given up, one cause", "/given-up?reason=currency_mismatch"),
        ("given up, a text in it", "/given-up?text=of+the+bench"), ("given up, one event", f"/given-up/{seq}"),
        ("parked", "/parked"), ("refunds", "/refunds"), ("refunds, that failed", "/refunds?status=failed"),
        ("deliveries", "/deliveries"), ("trackers", "/trackers"), ("findings", "/findings"), ("pauses", "/pauses"),
        ("audit", "/audit"),
    )  # fmt: skip


def _timed(browser: Browser, path: str, calls: int, processes: Sequence[psutil.Process]) -> dict[str, Any]:
    for _ in range(WARM):
        browser.get(path)
    took, cpu = [], cpu_s(processes)
    for _ in range(calls):
        began = time.perf_counter()
        browser.get(path)
        took.append(time.perf_counter() - began)
    took.sort()
    cpu = cpu_s(processes) - cpu
    return {"p50": _ms(_at(took, 50)), "p95": _ms(_at(took, 95)), "cpu_ms": _ms(cpu / calls), "calls": calls}


def _at(took: Sequence[float], percent: int) -> float:
    return took[min(len(took) - 1, len(took) * percent // 100)]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _watched(servers: Servers, url: str, browser: Browser, seconds: float) -> dict[str, Any]:
    """The CPU of PostgreSQL while the first page asks for its figures and its checks, less that of as long while nobody does."""
    processes = [process for name, process in servers.processes().items() if name == "postgres"]
    idle_s = min(seconds, IDLE_S)
    idle_cpu, _, _ = _spent(servers, url, processes, idle_s, None)
    cpu, statements_ms, calls = _spent(servers, url, processes, seconds, browser)
    if idle_cpu is not None:
        idle_cpu *= seconds / idle_s
    by_cpu = None if cpu is None or idle_cpu is None else max(cpu - idle_cpu, 0.0)
    by_statements = None if statements_ms is None else statements_ms / 1000
    spent = by_cpu if by_cpu is not None else by_statements
    return {
        "seconds": seconds,
        "polls": int(seconds / PACE_S),
        "cpu_s": by_cpu and round(by_cpu, 3),
        "idle_cpu_s": idle_cpu and round(idle_cpu, 3),
        "statements": calls,
        "statements_s": by_statements and round(by_statements, 3),
        "percent_of_a_core": None if spent is None else round(spent / seconds * 100, 2),
    }


def _spent(
    servers: Servers, url: str, processes: list[psutil.Process], seconds: float, browser: Browser | None
) -> tuple[float | None, float | None, int | None]:
    """(CPU seconds of PostgreSQL, ms in its statements, statements) while `browser` watches; None: could not be seen."""
    (ms0, calls0), cpu0 = _statements(servers, url), cpu_s(processes)
    until = time.monotonic() + seconds
    checked = float("-inf")
    while time.monotonic() < until:
        if browser is not None:
            browser.get("/now")
            if time.monotonic() >= checked + EVERY_S:
                checked = time.monotonic()
                browser.get("/now/checks")
        time.sleep(max(min(PACE_S, until - time.monotonic()), 0))
    cpu, (ms, calls) = cpu_s(processes), _statements(servers, url)
    return (
        cpu - cpu0 if processes else None,
        None if ms is None or ms0 is None else ms - ms0,
        None if calls is None or calls0 is None else calls - calls0,
    )


def _statements(servers: Servers, url: str) -> tuple[float | None, int | None]:
    with servers.admin() as conn:
        try:
            row = conn.execute(_STATEMENTS, (make_url(url).database,)).fetchone()
        except psycopg.Error:  # no pg_stat_statements here
            return None, None
    return (None, None) if row is None else (float(row[0]), int(row[1]))


def _targets(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    worst = max(of["p95"] for of in found["pages"].values())
    yield {"what": "p95 of the slowest page, ms", "limit": PAGE_MS, "found": worst, "met": worst <= PAGE_MS}
    share = found["watched"]["percent_of_a_core"]
    if share is not None:
        yield {
            "what": "watching the first page, % of a core of PostgreSQL",
            "limit": WATCH_PERCENT,
            "found": share,
            "met": share <= WATCH_PERCENT,
        }
