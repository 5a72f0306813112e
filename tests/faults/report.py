"""`python -m tests.faults.report RESULTS [--write]`: docs/reference/faults.md's table out of the results of tries.

Of each fault the last so many tries: median and worst. Without --write the table is printed; with it the rows of these
faults in docs/reference/faults.md are replaced, and those of faults that were not tried stay.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.faults.fault import CALLER
from tests.faults.rates import median

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "faults.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"
TRIES = 5  # of each fault at most, the newest
HEAD = ("fault", "tries", "during", "recovery", "lost", "besides")


def load(results: Path) -> dict[str, list[dict[str, Any]]]:
    """Fault → its newest tries, from a folder of JSON lines."""
    found = {}
    for file in sorted(results.glob("*.jsonl")):
        tries = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
        if tries:
            found[tries[-1]["fault"]] = tries[-TRIES:]
    return found


def table(results: dict[str, list[dict[str, Any]]], titles: dict[str, str], before: str = "") -> str:
    """The table, in Markdown: faults in the order of `titles` (name → title), those without a result as `before` has them."""
    rows = {title: line for line in before.splitlines() for title in titles.values() if line.startswith(f"| {title} |")}
    rows |= {titles[name]: "| " + " | ".join(row(tries)) + " |" for name, tries in results.items()}
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    return "\n".join([*lines, *(rows[title] for title in titles.values() if title in rows)])


def row(tries: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The cells of one fault."""
    first = tries[0]
    wrong = sum(1 for each in tries if each["wrong"])
    count = str(len(tries)) if not wrong else f"{len(tries)}, {wrong} not as it must"
    lost = sum(each["lost"] for each in tries)
    return (first["title"], count, _during(tries), _recovery(tries), f"{lost} of {_whole(tries)}", _besides(tries))


def _whole(tries: Iterable[dict[str, Any]]) -> str:
    return f"{sum(each['acknowledged'] for each in tries):,}"


def _during(tries: Sequence[dict[str, Any]]) -> str:
    shares = [each["others"] if each["others"] is not None else each["during"] for each in tries]
    whom = "others " if tries[0]["others"] is not None else ""
    return f"{whom}{median(shares):.0%}, worst {min(shares):.0%}"


def _recovery(tries: Sequence[dict[str, Any]]) -> str:
    back = [each["recovery_s"] for each in tries if each["recovery_s"] is not None]
    never = len(tries) - len(back)
    since = " from its beginning" if tries[0]["from_begin"] else ""
    shown = f"{median(back):.1f} s, worst {max(back):.1f} s{since}" if back else ""
    return ", ".join(filter(None, (shown, f"never: {never}" if never else "")))


def _besides(tries: Sequence[dict[str, Any]]) -> str:
    """What was measured besides: the quiet rate, each figure's worst, and the callers' 99th percentiles where those are judged."""
    figures: dict[str, list[float]] = {}
    for each in tries:
        for name, value in each["figures"].items():
            if name not in ("verify s", "api MB before"):
                figures.setdefault(name, []).append(value)
    shown = [f"at {median([each['baseline'] for each in tries]):,.0f}/s"] if tries[0]["baseline"] else []
    shown += [
        f"{name} {max(values):,.0f}" if max(values) >= 10 else f"{name} {max(values):.2g}"
        for name, values in figures.items()
    ]
    if tries[0]["scope"] == CALLER and (latencies := tries[-1]["latencies"]):
        shown += [f"99th percentile of {kind} {at[1]:.0f} ms, quiet {at[3]:.0f} ms" for kind, at in latencies.items()]
    return "; ".join(shown)


def main() -> int:
    """Print, or write, the table; 1 where a try was not as it must be."""
    from tests.faults.catalogue import FAULTS

    parser = argparse.ArgumentParser(prog="python -m tests.faults.report", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--write", action="store_true", help="into docs/reference/faults.md")
    options = parser.parse_args()
    results = load(options.results)
    titles = {fault.name: fault.title for fault in FAULTS}
    if options.write:
        page = PAGE.read_text()
        before, rest = page.split(BEGIN)
        made = table(results, titles, rest.split(END)[0])
        PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.split(END)[1]}")
    else:
        print(table(results, titles))
    return 1 if any(each["wrong"] for tries in results.values() for each in tries) else 0


if __name__ == "__main__":
    sys.exit(main())
