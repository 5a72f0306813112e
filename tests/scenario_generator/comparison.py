"""Expected against found, field by field: one readable line for each difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.scenario_generator.life import UNSTATED, Life


def differences(expected: Any, found: Any) -> list[str]:
    """Lines such as `items.tea.shipped: expected 1, found 0`; none: all is as it must be.

    An UNSTATED value may be anything, and `found` may have fields of which the oracle knows
    nothing, but no payment, parcel, return or item of which it knows nothing. `flags` may be found
    as a mapping or as the names that are set; those the oracle does not name are left alone.
    """
    raised = _raised(found.get("flags"))
    flags = {name: value for name, value in expected.get("flags", {}).items() if value is not UNSTATED}
    expected = {**expected, "flags": flags}
    found = {**found, "flags": {name: name in raised for name in flags}}
    return _record(expected, found, "")


def given_back(life: Life, found: Any) -> list[str]:
    """Money that is to go back although it pays for the order, or stays although it is due; what went back, counts."""
    if life.due_back is UNSTATED:
        return []
    each = found["transactions"].values()
    aimed = sum((max(one["refundTarget"], one["refundedAmount"]) for one in each), life.by_hand)
    right = max(life.due_back, sum((one["refundedAmount"] for one in each), life.by_hand))
    return [] if aimed == right else [f"Σ of what is to go back, or has: expected {right}, found {aimed}"]


def _record(expected: Mapping[str, Any], found: Mapping[str, Any], at: str) -> list[str]:
    """A mapping of fields, each with a meaning of its own."""
    lines = []
    for name, value in expected.items():
        if isinstance(value, Mapping):
            lines += _table(value, found.get(name), f"{at}{name}")
        elif value is not UNSTATED and (name not in found or found[name] != value):
            there = _plain(found[name]) if name in found else "nothing"
            lines.append(f"{at}{name}: expected {_plain(value)}, found {there}")
    return lines


def _table(expected: Mapping[str, Any], found: Any, at: str) -> list[str]:
    """A mapping from names to like things; one too many is as wrong as one too few."""
    if not isinstance(found, Mapping):
        return [f"{at}: expected {_plain(expected)}, found {_plain(found)}"]
    lines = []
    for name in [*expected, *(name for name in found if name not in expected)]:
        want, got = expected.get(name), found.get(name)
        if isinstance(want, Mapping) and isinstance(got, Mapping):
            lines += _record(want, got, f"{at}.{name}.")
        elif want != got or (name in expected) != (name in found):
            want_text = _plain(want) if name in expected else "nothing"
            got_text = _plain(got) if name in found else "nothing"
            lines.append(f"{at}.{name}: expected {want_text}, found {got_text}")
    return lines


def _raised(flags: Any) -> set[str]:
    if isinstance(flags, Mapping):
        return {name for name, raised in flags.items() if raised}
    return set(flags or ())


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = (f"{key}: {_plain(one)}" for key, one in value.items())
        return "{" + ", ".join(inner) + "}"
    return str(value) if hasattr(value, "year") or hasattr(value, "quantize") else repr(value)
