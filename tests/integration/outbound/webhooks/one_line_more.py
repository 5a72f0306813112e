"""A process of its own whose table of fields has one line more; prints where the new field is found.

python -m tests.integration.outbound.webhooks.one_line_more DATABASE_URL REDIS_URL
"""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path

LINE = '        "provider": text("provider"),\n        "paidAt"'  # of a payment
ONE_MORE = '        "dispute": text("dispute"),\n'


def add_the_line() -> None:
    """Load `queries/schema.py` with the line, before anybody else loads it."""
    spec = importlib.util.find_spec("queries.schema")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    assert source.count(LINE) == 1
    assert ONE_MORE not in source
    module = importlib.util.module_from_spec(spec)
    sys.modules["queries.schema"] = module
    exec(
        compile(
            source.replace(LINE, LINE.replace('        "paidAt"', ONE_MORE + '        "paidAt"')), spec.origin, "exec"
        ),
        vars(module),
    )


def main(database_url: str, redis_url: str) -> None:
    from api import asyncapi
    from api.app import without_doors
    from journal.verify import as_known_at
    from outbound.webhooks import deliveries, subscriptions
    from queries.documents import of_order
    from queries.json_encoder import encode
    from queries.parser import parse
    from queries.repository import find
    from tests.builders import ORDER, created, disputed, paid
    from tests.simulators import a_shop

    with a_shop(database_url, redis_url) as shop:
        with shop.engine.begin() as conn:
            found, _ = subscriptions.add(
                conn, "https://shop.example/hook", ["transactions"], ["create", "update"], "test", datetime.now(UTC)
            )
        for event in (created(), paid(), disputed()):
            shop.tell(event)
        posted = [row[0] for row in shop.rows("select document from deliveries order by number")][-1]
        with shop.engine.begin() as conn:
            subscription = subscriptions.listed(conn)[0].id
            [claim] = deliveries.claim(conn, {subscription: 1}, datetime.now(UTC))
            query = parse("where[dispute][equals]=open&sort=-dispute&depth=0")
            answered = find(conn, "transactions", query)["docs"]
            over = find(conn, "transactions", parse("where[dispute][equals]=lost"))["docs"]
            known = as_known_at(shop.engine, ORDER, datetime.now(UTC))
            assert known is not None
            folded = of_order(conn, known)["transactions"]["docs"][0]
    openapi, told_outside = without_doors().openapi()["components"]["schemas"], asyncapi.document()
    report = {
        "posted": posted,
        "claimed": claim.document,
        "answered": answered,
        "other": over,
        "folded": folded,
        "openapi": openapi["TransactionDocument"]["properties"],
        "required": openapi["TransactionChanged"]["properties"]["doc"]["allOf"][1]["required"],
        "where": openapi["TransactionWhere"]["properties"],
        "asyncapi": told_outside["components"]["schemas"]["TransactionDocument"],
        "subscription": found.id,
    }
    sys.stdout.buffer.write(encode(report))


if __name__ == "__main__":
    add_the_line()
    main(*sys.argv[1:])
