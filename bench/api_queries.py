"""A customer's newest orders over HTTP, where the shop has few orders and where it has very many.

Every customer has the same number of orders in both, so what differs is the shop's size alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from random import Random
from typing import Any

from sqlalchemy import text

from bench import api_process, history_seed, product, workload
from bench.api_calls import Line
from bench.api_workload import percentiles
from bench.drain_process import Hand
from bench.run import Say
from bench.servers import BenchError, Servers
from storage import engine as engines
from storage.migrate import upgrade

SEED = 1_000  # orders of the play that is copied
EACH = 20  # orders of a customer
TURN = 50  # calls to one shop before it is the other's turn
WARM = 200
_CUSTOMERS = text("""
    update orders set customer = 'cus_' || n.place % :customers
    from (select id, row_number() over (order by id) as place from orders) n where n.id = orders.id
""")


def run(servers: Servers, sizes: Sequence[int], calls: int, say: Say) -> dict[str, Any]:
    """So many calls to shops of each of `sizes` orders, in turns."""
    with ExitStack() as stack:
        seed = seeded(servers)
        shops = {size: grown(servers, seed, size, say) for size in sizes}
        lines: dict[int, Line] = {}
        for size, shop in shops.items():
            port, _ = stack.enter_context(api_process.api(servers, shop, f"query{size}"))
            lines[size] = stack.enter_context(Line(port, shop.headers))
        drawn = Random("customers")
        for size, line in lines.items():
            _ask(line, size, WARM, drawn, "warm")
        for _ in range(0, calls, TURN):
            for size, line in lines.items():
                _ask(line, size, TURN, drawn, "ask")
    found = {str(size): percentiles(sorted(line.took["ask"])) for size, line in lines.items()}
    say("query: " + "  ·  ".join(f"{int(size):,} orders: p50 {of['p50']} ms" for size, of in found.items()))
    few, many = found[str(min(sizes))], found[str(max(sizes))]
    return {"orders": found, "orders_a_customer": EACH, "p50_ratio": round(many["p50"] / few["p50"], 2)}


def _ask(line: Line, size: int, calls: int, drawn: Random, name: str) -> None:
    for _ in range(calls):
        customer = f"cus_{drawn.randrange(size // EACH)}"
        path = f"/api/orders?where[customer][equals]={customer}&sort=-createdAt&limit=10&depth=1"
        status, found = line.call(name, "GET", path)
        if status != 200 or len(found["docs"]) != 10 or found["totalDocs"] != EACH:
            raise BenchError(f"{customer} has {EACH} orders, of which ten were to be found; got {status}: {found}")


def seeded(servers: Servers) -> str:
    """The URL of a database in which SEED lives were played and drained, to be copied by `grown`."""
    url = servers.database("query-seed")
    upgrade(url, product.SHARDS)
    play, redis_url = workload.play(SEED, "q", duplicates=0), servers.redis_database()
    product.pour(redis_url, product.filled(url, play), product.SHARDS)
    hand = Hand(0, servers.folder)
    try:
        product.work([hand], product.drain_commands([hand], url, redis_url, 256))
    finally:
        hand.close()
    return url


def grown(servers: Servers, seed: str, size: int, say: Say) -> api_process.Shop:
    """A shop of `size` orders, a multiple of SEED: those of the database `seed`, copied; each customer has EACH of them."""
    url = servers.database(f"query{size}", seed)
    engine = engines.connect(url)
    with engine.connect() as conn:
        events = int(conn.execute(text("select count(*) from journal")).scalar_one())
    history_seed.grow(engine, events * size // SEED, say)
    with engine.begin() as conn:
        changed = conn.execute(_CUSTOMERS, {"customers": size // EACH}).rowcount
    if changed != size:
        raise BenchError(f"the shop should have {size} orders, and has {changed}")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("vacuum (analyze) orders"))
        conn.execute(text("checkpoint"))
    engine.dispose()
    say(f"a shop of {size:,} orders")
    return api_process.with_key(url, servers.redis_database())
