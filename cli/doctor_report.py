"""An examination's report, in a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from cli.options import out, print_json
from cli.render import put, table
from cli.terminal import safe
from operations.health.check import OK, PROBLEM, WARNING, Check, some
from settings.environment import Settings, known

_COLORS = {OK: "green", WARNING: "yellow", PROBLEM: "red"}
_WHOSE = {"found": "which `orders up` runs", "stopped": "which nobody runs"}


def print_document(settings: Settings | None, whose: str | None, checks: Sequence[Check]) -> None:
    """One JSON document: `healthy`, `servers` (yours, found, stopped, or null where no setting could be read), `settings`
    (name, value, source, meaning) and `checks` (id, name, level, says, remedy, alert, docs; of one id there may be several)."""
    healthy = all(check.level != PROBLEM for check in checks)
    document = {"healthy": healthy, "servers": whose, "settings": _settings(settings)}
    found = [{"id": check.id, **asdict(check), "alert": check.alert, "docs": check.page} for check in checks]
    print_json({**document, "checks": found})


def print_tables(settings: Settings | None, whose: str | None, checks: Sequence[Check]) -> None:
    """Two tables for a person, and the verdict."""
    rows = table("setting", "value", "from", "meaning")
    for each in _settings(settings):
        source = each["source"] if each["source"] == "default" else f"[bold]{each['source']}[/]"
        rows.add_row(each["name"], safe(each["value"]), source, f"[dim]{safe(each['meaning'])}[/]")
    put(rows)
    if settings is not None and whose in _WHOSE:
        out.print(f"\nembedded servers in {safe(str(settings.data))}, {_WHOSE[whose]}")
    rows = table("check", "", "says", "what to do", title="checks")
    for check in checks:
        color = _COLORS[check.level]
        docs = "" if check.level == OK else f" [dim](docs: {check.page})[/]"
        rows.add_row(check.name, f"[{color}]{check.level}[/]", safe(check.says), safe(check.remedy or "") + docs)
    put(rows)
    problems, warnings = (sum(check.level == level for check in checks) for level in (PROBLEM, WARNING))
    verdict = f"[red]{some(problems, 'problem')}[/]" if problems else "[green]no problem[/]"
    out.print(f"\n{verdict}" + (f", {some(warnings, 'warning')}" if warnings else ""))


def _settings(settings: Settings | None) -> list[dict[str, str]]:
    """Every name with what it says, where from, and what it is for. No password stands in it."""
    found = []
    for each in known():
        value = settings.values[each.name] if settings else each.default or "-"
        source = settings.sources[each.name] if settings else "-"
        found.append({"name": each.name, "value": value, "source": source, "meaning": each.meaning})
    return found
