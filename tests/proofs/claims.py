"""The cost of claiming parcels that are due, in a small table and in a large one: by time and by pages that are looked at."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from outbound.tracking.claims import claim
from providers.carriers.limits import Limits
from tests.chaos.harness import a_shop
from tests.proofs.proof import Finding, Say

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
NAME = "van 1"  # of ten carriers
CLAIM = 64  # parcels of one claim
DUE = 2_000  # of all ten carriers together
ROUNDS = 60
APART = 0.2  # that times may differ, either way
_FILL = text("""
    insert into trackers (id, key, carrier, tracking_number, next_at, finished)
    select gen_random_uuid(), 'tracking:' || n, 'van ' || n % 10, cast(n as text),
           cast(:now as timestamptz) + make_interval(secs => case when n <= :due then -n else n end), n % 3 = 0 and n > :due
    from generate_series(1, :count) n
""")
_PAGES = text("""
    explain (analyze, buffers, format json)
    select id from trackers where not finished and coalesce(provider, carrier) = :name and next_at <= :now
    order by next_at limit :most for update skip locked
""")


class Cost(NamedTuple):
    """The cost of one claim."""

    ms: float  # median
    pages: int  # that finding what is due looks at


def claims(small: int, large: int, say: Say) -> Finding:
    """The same claims among so many parcels, and among so many more; of each as many are due."""
    with tempfile.TemporaryDirectory(prefix="orders-claims-") as data, a_shop(Path(data)) as shop:
        costs: dict[int, list[Cost]] = {small: [], large: []}
        for count in (small, large, small, large):  # in turns: whatever slows this machine slows both
            say(f"{count:,} parcels")
            fill(shop.engine, count)
            costs[count].append(cost(shop.engine))
    best = {count: min(found) for count, found in costs.items()}
    less, more = best[small], best[large]
    figures = (
        f"a claim of {CLAIM}: {less.ms:.2f} ms among {small:,}, {more.ms:.2f} ms among {large:,} "
        f"({more.ms / less.ms - 1:+.0%}); pages to find what is due: {less.pages} and {more.pages}"
    )
    wrong = [] if abs(more.ms / less.ms - 1) <= APART else [f"the times are further apart than {APART:.0%}"]
    if more.pages > less.pages + CLAIM:
        wrong.append("the large table has more pages looked at")
    return Finding(figures, wrong)


def fill(engine: Engine, count: int) -> None:
    """Have `count` parcels, a third of them over, of which DUE are due."""
    with engine.begin() as conn:
        conn.execute(text("truncate trackers"))
        conn.execute(_FILL, {"now": NOW, "due": DUE, "count": count})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("vacuum (analyze) trackers"))
        conn.execute(text("checkpoint"))


def cost(engine: Engine) -> Cost:
    """The median of many claims, each rolled back, so that all find the same table."""
    times = sorted(_once(engine) for _ in range(ROUNDS))
    with engine.begin() as conn:
        return Cost(median(times), _pages(conn))


def _once(engine: Engine) -> float:
    with engine.connect() as conn:
        begun = perf_counter()
        found = claim(conn, NAME, Limits(), NOW, CLAIM)
        took = (perf_counter() - begun) * 1000
        assert len(found.polls) == CLAIM, len(found.polls)
        conn.rollback()
    return took


def _pages(conn: Connection) -> int:
    plan = conn.execute(_PAGES, {"name": NAME, "now": NOW, "most": CLAIM}).scalar_one()[0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])
