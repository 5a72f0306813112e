"""Orders of any size: lines, parcels and returns that all hold some of each line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from events.envelope import Envelope
from tests.builders import ORDER, asked_back, came_back, created, delivered, line, paid, scan, shipped
from tests.fold_helpers import NOW


def large_life(lines: int, parcels: int, returns: int, scans: int = 0, order: str = ORDER) -> list[Envelope]:
    """An order whose parcels bring one of each line each, and whose returns take one of each back."""
    names = [f"L{i}" for i in range(lines)]
    share = dict.fromkeys(names, 1)
    about: dict[str, Any] = {"subject": order}
    pay = f"pay-{order}"
    boxes = [f"{order}-{i}" for i in range(parcels)]
    story = [
        created(*(line(name, parcels, 100) for name in names), payments=(pay,), **about),
        paid(100 * lines * parcels, payment=pay, **about),
        *(shipped(box, share, carrier="CJ", trackingNumber=box, **about) for box in boxes),
        *(scan("in_transit", box, carrier="CJ", **about) for box in boxes for _ in range(scans)),
        *(delivered(box, **about) for box in boxes),
        *(asked_back(f"R{i}", share, **about) for i in range(returns)),
        *(came_back(f"R{i}", **about) for i in range(returns)),
    ]
    return [
        Envelope(each.id, each.source, each.type, NOW + timedelta(seconds=i), each.subject, each.data)
        for i, each in enumerate(story)
    ]
