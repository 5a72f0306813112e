"""Summaries of `orders bench scale` and `orders bench api` in a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console, RenderableType

from bench import scale, summaries

MACHINE = {"cpu": "A Processor", "cores": 2}
RATES = [18_250.0, 16_000.0, 17_500.0]


def shown(what: RenderableType) -> list[str]:
    file = StringIO()
    Console(file=file, width=120).print(what)
    return [" ".join(line.split()) for line in file.getvalue().splitlines()]


def test_scale_shows_every_size_worker_and_shard_and_what_is_measured_besides():
    found = scale.Found(
        sizes={10_000: RATES}, bytes={10_000: 30_000_000}, workers={2: RATES}, shards={64: RATES}, hot=24_521.4,
        customer={"many": {"orders": 100_000, "p50_ms": 119.04, "p99_ms": 140.0}},
        backlog={
            "events": 507_297, "accepted_per_second": 22_389.4, "events_per_second": 15_551.2,
            "short_events_per_second": 17_123.0, "redis_mb_at_most": 12.3, "memory_mb": [105.0, None],
        },
    )  # fmt: skip
    lines = shown(summaries.scale({**scale.document(found, scale.Plan(), MACHINE), "seconds": 900.4}))
    assert "10,000 0.03 GB 17,500 16,000–18,250" in lines
    assert {"2 17,500 16,000–18,250", "64 17,500 16,000–18,250"} <= set(lines)
    assert "a backlog of 507,297 events 15,551 events/s" in lines
    assert "a worker process, before and after 105 MB, – MB" in lines
    assert "one hot order 24,521 events/s" in lines
    assert "newest ten of a customer's 100,000 orders 119.0 ms (p50)" in lines
    assert lines[-1].startswith("A Processor, 2 cores; took 900 s.")


def test_api_shows_lives_calls_webhooks_the_query_and_the_targets():
    call = {"p50": 3.1, "p99": 9.9, "calls": 4_000}
    lines = shown(
        summaries.api(
            {
                "lives": {
                    "orders": 4_000, "orders_per_second": 171.5, "calls_ms": {"create": call},
                    "per_order": {"statements": None, "cpu_ms": {"api": 5.25, "worker": None}},
                },
                "webhooks": {
                    "ours": {"server_ms": 0.412, "per_second": 1_900.2},
                    "naive": {"server_ms": 2.5, "per_second": 350.0},
                },
                "query": {"orders": {"1000000": call}},
                "targets": [{"what": "the query's p50", "limit": 1.5, "found": 1.62, "met": False}],
                "machine": MACHINE,
                "seconds": 61.0,
            }
        )
    )  # fmt: skip
    assert {"orders per second 171.5", "statements –", "CPU, api 5.25 ms", "CPU, worker – ms"} <= set(lines)
    assert {"create 3.1 ms 9.9 ms 4,000", "query, 1,000,000 orders 3.1 ms 9.9 ms 4,000"} <= set(lines)
    assert {"ours 0.412 ms 1,900", "the rival 2.500 ms 350"} <= set(lines)
    assert "the query's p50 1.62 NO" in lines
