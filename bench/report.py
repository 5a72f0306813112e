"""The report of a bench: one document, and the table, the chart and the Markdown page made from it."""

from __future__ import annotations

from collections.abc import Iterable
from math import log10
from statistics import median
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from bench.peers import PEERS
from bench.run import Measured, Plan, typical

TITLES = {
    "naive": "(a) a task per event, ORM",
    "psycopg": "(b) the same, psycopg",
    "noop": "(c) tasks of nothing",
    "drain": "(d) ours, drain only",
    "full": "(d) ours, full path",
    "ceiling": "(e) PostgreSQL's ceiling",
    **{name: peer.title for name, peer in PEERS.items()},
}
# (what, over what, at least so many times)
RATIOS = (
    ("drain", "naive", 40.0),
    ("drain", "psycopg", 18.0),
    ("drain", "ceiling", 0.45),
    ("ceiling", "naive", 100.0),
    ("full", "naive", 25.0),
    ("full", "noop", 10.0),
)
MOST_STATEMENTS = 20  # a batch
P99_TIMES, P99_MS = 1.5, 100  # at 50 events/s over (a)'s; at 500
BAR = 36


def document(measured: Measured, plan: Plan, machine: dict[str, Any]) -> dict[str, Any]:
    """All of it as JSON."""
    systems = measured.systems
    rates = {name: round(median(measured.rates[name]), 1) for name in systems}
    ratios = {f"{one}/{other}": round(rates[one] / rates[other], 2) for one, other, _ in RATIOS}
    found: dict[str, Any] = {
        "events_per_second": rates,
        "range": {n: [round(min(measured.rates[n]), 1), round(max(measured.rates[n]), 1)] for n in systems},
        "rounds": {name: [round(rate, 1) for rate in measured.rates[name]] for name in systems},
        "ratios": ratios,
        "latency_ms": measured.latencies,
        "per_event": {name: typical(measured.costs[name]) for name in systems},
        "memory_mb": measured.memory,
        "batches": measured.batches,
        "batch": plan.batch,
        "orders": {"ours": plan.orders, "rivals": plan.rival_orders},
        "events_a_round": measured.deliveries,
        "follow_ups_a_round": measured.follow_ups,
        "orders_checked": measured.checked,
        "machine": machine,
        "command": plan.command,
    }
    if measured.peers:
        found["peers"] = {n: {"version": PEERS[n].version(), "orders": plan.peer_orders(n)} for n in measured.peers}
    found["targets"] = list(_targets(found))
    return found


def _targets(found: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for one, other, times in RATIOS:
        has = found["ratios"][f"{one}/{other}"]
        yield {"what": f"{one} ≥ {times:g} × {other}", "found": has, "met": has >= times}
    most = max(batch["statements"]["max"] for batch in found["batches"].values())
    yield {"what": f"statements per batch ≤ {MOST_STATEMENTS}", "found": most, "met": most <= MOST_STATEMENTS}
    slow, fast = (found["latency_ms"].get(rate, {}) for rate in ("50", "500"))
    if slow:
        ours, naive = slow["ours"], slow["naive"]
        told = None not in (ours["p50"], naive["p50"])
        yield {
            "what": "p50 at 50 events/s ≤ (a)'s",
            "found": [ours["p50"], naive["p50"]],
            "met": told and ours["p50"] <= naive["p50"],
        }
        yield {
            "what": f"p99 at 50 events/s ≤ {P99_TIMES} × (a)'s",
            "found": [ours["p99"], naive["p99"]],
            "met": told and ours["p99"] <= P99_TIMES * naive["p99"],
        }
    if fast:
        p99 = fast["ours"]["p99"]
        yield {
            "what": f"p99 at 500 events/s ≤ {P99_MS} ms",
            "found": p99,
            "met": p99 is not None and p99 <= P99_MS,
        }


# -- for people ------------------------------------------------------------------------------------------------


def chart(rates: dict[str, float]) -> list[str]:
    """A bar per system, each ten times as long as the last at ten times the rate."""
    top, bottom = max(rates.values()), min(rates.values()) / 3
    lines = []
    for name, rate in rates.items():
        length = BAR * log10(rate / bottom) / log10(top / bottom)
        whole, eighths = int(length), int(length % 1 * 8)
        bar = "█" * whole + (" ▏▎▍▌▋▊▉"[eighths] if eighths else "")
        lines.append(f"{TITLES[name]:25} {bar:<{BAR + 1}} {rate:>8,.0f}")
    return lines


def _rate_rows(found: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    for name, rate in found["events_per_second"].items():
        least, most = found["range"][name]
        times = rate / found["events_per_second"]["naive"]
        yield TITLES[name], f"{rate:,.0f}", f"{least:,.0f}–{most:,.0f}", f"{times:.1f} ×"


RATE_HEADS = ("", "events/s", "range", "of (a)")


def _cost_rows(found: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    for name, cost in found["per_event"].items():
        yield (
            TITLES[name],
            number(cost["statements"], 2),
            number(cost["wal_bytes"]),
            number(cost["cpu_us"]["server"]),
            number(cost["cpu_us"]["workers"]),
            number(found["memory_mb"].get(name)),
        )


COST_HEADS = ("an event costs", "statements", "WAL bytes", "server µs", "workers µs", "MB a process")


def _latency_rows(found: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    for rate, systems in found["latency_ms"].items():
        for name, title in (("naive", "(a) Celery, ORM"), ("ours", "(d) ours")):
            one = systems[name]
            told = ("saturated", "saturated") if one.get("saturated") else (f"{one['p50']} ms", f"{one['p99']} ms")
            yield (f"{rate} events/s", title, *told, str(one["samples"]))


LATENCY_HEADS = ("rate", "", "p50", "p99", "samples")


def _batch_rows(found: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    for size, batch in found["batches"].items():
        yield (
            size,
            f"{batch['entries']['median']:g}, at most {batch['entries']['max']}",
            f"{batch['statements']['median']:g}, at most {batch['statements']['max']}",
        )


BATCH_HEADS = ("batch", "entries", "statements per batch")


def target_rows(found: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    """Rows of the targets: what should be, what is, and if that is enough."""
    for target in found["targets"]:
        has = target["found"]
        shown = " against ".join(map(str, has)) if isinstance(has, list) else str(has)
        yield (target["what"], shown, "yes" if target["met"] else "NO")


TARGET_HEADS = ("should be", "is", "met")


def printed(found: dict[str, Any]) -> RenderableType:
    """The report for a terminal."""
    drawn = "\n".join(chart(found["events_per_second"]))
    parts: list[RenderableType] = [table(RATE_HEADS, _rate_rows(found)), "", drawn, ""]
    parts += [table(COST_HEADS, _cost_rows(found)), ""]
    if found["latency_ms"]:
        parts += [table(LATENCY_HEADS, _latency_rows(found)), ""]
    parts += [table(BATCH_HEADS, _batch_rows(found)), "", table(TARGET_HEADS, target_rows(found)), ""]
    return Group(*parts, _where(found))


def markdown(found: dict[str, Any]) -> str:
    """The part of docs/reference/benchmark.md that a run writes."""
    parts = [
        _markdown(RATE_HEADS, _rate_rows(found)),
        "```text\n" + "\n".join(line.rstrip() for line in chart(found["events_per_second"])) + "\n```",
        _markdown(COST_HEADS, _cost_rows(found)),
    ]
    if found["latency_ms"]:
        parts.append(_markdown(LATENCY_HEADS, _latency_rows(found)))
    parts += [_markdown(BATCH_HEADS, _batch_rows(found)), _markdown(TARGET_HEADS, target_rows(found)), _where(found)]
    return "\n\n".join(parts) + "\n"


def _where(found: dict[str, Any]) -> str:
    m = found["machine"]
    servers = ", ".join(f"{name} {m[name]}" for name in ("postgresql", "valkey", "redis") if name in m)
    counts = found["events_a_round"]
    checked = sum(found["orders_checked"].values())
    peers = [f"{counts[n]:,} ({n} {of['version']})" for n, of in found.get("peers", {}).items()]
    return (
        f"`{found['command']}` on {m['cpu']}, {m['cores']} cores, {m['memory_gb']} GB, {m['system']}; "
        f"Python {m['python']}, {servers} ({'embedded' if m['embedded'] else 'yours'}, fsync {m['fsync']}, synchronous_commit "
        f"{m['synchronous_commit']}), Celery {m['celery']}, SQLAlchemy {m['SQLAlchemy']}, psycopg {m['psycopg']}; "
        f"load before: {m['load_before']}. {len(found['rounds']['naive'])} rounds of {counts['drain']:,} events "
        f"(ours, ceiling) and {counts['naive']:,} (rivals){''.join(f', {told}' for told in peers)}; our {found['follow_ups_a_round']:,} follow-up events a "
        f"round are work and not counted. The final states of {checked:,} orders were compared. "
        f"Took {found['seconds']:.0f} s."
    )


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    """A plain table: words to the left, figures to the right."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, head in enumerate(heads):
        made.add_column(head, justify="left" if place == 0 else "right", no_wrap=place == 0)
    for row in rows:
        made.add_row(*row)
    return made


def _markdown(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def number(value: float | None, digits: int = 0) -> str:
    """As it is read, or a dash where nobody could tell."""
    return "–" if value is None else f"{value:,.{digits}f}"
