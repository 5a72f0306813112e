"""Summaries of `orders bench scale`, `orders bench api` and `orders bench console` for a terminal; `--json` has all of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType

from bench.report import TARGET_HEADS, number, table, target_rows


def scale(found: dict[str, Any]) -> RenderableType:
    """Events per second, as the database, the workers and the shards grow; the backlog; the hot order; a customer."""
    backlog, customer = found["backlog"], found["customer"]
    sizes = [
        (f"{int(size):,}", f"{found['bytes'][size] / 1e9:.2f} GB", *_rates(rates))
        for size, rates in found["sizes"].items()
    ]
    parts: list[RenderableType] = [table(("events in the database", "its size", "events/s", "range"), sizes), ""]
    for what, of in (("worker processes", "workers"), ("shards", "shards")):
        rows = [(count, *_rates(rates)) for count, rates in found[of].items()]
        parts += [table((what, "events/s", "range"), rows), ""]
    before, after = backlog["memory_mb"]
    facts = [
        (f"a backlog of {backlog['events']:,} events", f"{backlog['events_per_second']:,.0f} events/s"),
        ("  short ones of the same worker", f"{backlog['short_events_per_second']:,.0f} events/s"),
        ("  accepted at the door", f"{backlog['accepted_per_second']:,.0f} events/s"),
        ("  Redis above empty, at most", f"{backlog['redis_mb_at_most']:.0f} MB"),
        ("  a worker process, before and after", f"{number(before)} MB, {number(after)} MB"),
        ("one hot order", f"{found['hot_order']:,} events/s"),
    ]
    facts += [
        (f"newest ten of a customer's {of['orders']:,} orders", f"{of['p50_ms']:.1f} ms (p50)")
        for of in customer.values()
    ]
    return Group(*parts, table(("besides", ""), facts), "", _where(found))


def api(found: dict[str, Any]) -> RenderableType:
    """Lives over HTTP, webhooks beside the rival's, the query in both shops, and the targets."""
    lives = found["lives"]
    calls = [(name, f"{of['p50']} ms", f"{of['p99']} ms", f"{of['calls']:,}") for name, of in lives["calls_ms"].items()]
    calls += [
        (f"query, {int(size):,} orders", f"{of['p50']} ms", f"{of['p99']} ms", f"{of['calls']:,}")
        for size, of in found["query"]["orders"].items()
    ]
    costs = lives["per_order"]
    order = [
        ("orders per second", f"{lives['orders_per_second']:,}"),
        ("statements", number(costs["statements"], 1)),
        *((f"CPU, {whose}", f"{number(ms, 2)} ms") for whose, ms in costs["cpu_ms"].items()),
    ]
    webhooks = [
        (title, f"{number(of['server_ms'], 3)} ms", f"{number(of['per_second'])}")
        for title, of in (("ours", found["webhooks"]["ours"]), ("the rival", found["webhooks"]["naive"]))
    ]
    return Group(
        table((f"{lives['orders']:,} lives, an order", ""), order), "",
        table(("calls", "p50", "p99", "calls made"), calls), "",
        table(("webhooks", "CPU of the server", "a second"), webhooks), "",
        table(TARGET_HEADS, target_rows(found)), "",
        _where(found),
    )  # fmt: skip


def console(found: dict[str, Any]) -> RenderableType:
    """Every page with its times, the cost of watching, and the targets."""
    watched = found["watched"]
    pages = [(name, f"{of['p50']} ms", f"{of['p95']} ms", f"{of['cpu_ms']} ms") for name, of in found["pages"].items()]
    facts = [
        (name.replace("_", " "), f"{found[name]:,}")
        for name in ("orders", "events", "flagged", "given_up", "parked", "refunds")
    ]
    facts += [
        ("the first look of a process", f"{found['first_look_ms']} ms"),
        ("watching: CPU of PostgreSQL", f"{number(watched['cpu_s'], 3)} s of {watched['seconds']:.0f} s"),
        ("  time in its statements", f"{number(watched['statements_s'], 3)} s"),
        ("  share of a core", f"{number(watched['percent_of_a_core'], 2)} %"),
    ]
    return Group(
        table(("page", "p50", "p95", "CPU"), pages), "", table(("the shop", ""), facts), "", table(TARGET_HEADS, target_rows(found)), "",
        _where(found),
    )  # fmt: skip


def _rates(rates: dict[str, float]) -> Iterable[str]:
    return f"{rates['median']:,}", f"{rates['least']:,}–{rates['most']:,}"


def _where(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores; took {found['seconds']:.0f} s. `--json` has all figures."
