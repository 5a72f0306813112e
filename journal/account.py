"""What became of everything accepted (promise 4): nothing is dropped, and the counts prove it.

Every delivery from outside is a row of the journal or of `duplicates`, and every row of the journal
has a result or is waiting; so the six outcomes add up to `accepted` by construction, not by luck.
Events that we made ourselves (follow-ups and timers) are counted apart.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from domain.outcome import REASONS
from domain.parcels import OWN_SOURCE
from journal.timers import SOURCE as TIMERS_SOURCE
from storage.literals import array
from storage.tables import EFFECT_STATES

OUTCOMES = ("applied", "duplicate", "ignored", "parked", "dead", "waiting")
OWN_SOURCES = (OWN_SOURCE, TIMERS_SOURCE)
BODY_DIFFERS = "body_differs"
_TEXTS = {**REASONS, BODY_DIFFERS: "delivered again under the same id with another body; the first one counts"}

# One statement is one snapshot: what is accepted or decided meanwhile is in all of its numbers or in none.
_COUNT = text("""
    with again as (
        select seq, count(*) as deliveries, count(*) filter (where body_differs) as differing
        from duplicates group by seq
    ), counted as (
        select j.source = any(cast(:own as text[])) as own, j.type, coalesce(r.outcome, 'waiting') as outcome, r.reason,
               count(*) as events, coalesce(sum(a.deliveries), 0) as again, coalesce(sum(a.differing), 0) as differing
        from journal j left join results r using (seq) left join again a using (seq) group by 1, 2, 3, 4
    )
    select (select coalesce(json_agg(json_build_array(own, type, outcome, reason, events, again, differing)), '[]')
            from counted),
           (select json_build_array(count(*), count(*) filter (where held)) from timers),
           (select coalesce(json_object_agg(state, n), '{}') from (select state, count(*) n from effects group by 1) e)
""")


def account(conn: Connection) -> dict[str, Any]:
    """The account as one document of one consistent snapshot, in one statement.

    accepted and the six outcomes, of deliveries from outside; `body_differs` (of the duplicates);
    `by_type`: type → the same seven; `by_reason`: outcome, reason, count and the reason's text;
    `own`: the same of our own events; `timers`; `effects`, by state; `held`: what history holds back.
    """
    rows, (timers, held_timers), effects = conn.execute(_COUNT, {"own": array(OWN_SOURCES, "text")}).one()
    by_state = {state: int(effects.get(state, 0)) for state in EFFECT_STATES}
    return {
        **_summary([row[1:] for row in rows if not row[0]]),
        "own": _summary([row[1:] for row in rows if row[0]]),
        "timers": {"set": timers, "held": held_timers},
        "effects": by_state,
        "held": {"timers": held_timers, "effects": by_state["held"]},
    }


def _summary(rows: list[Any]) -> dict[str, Any]:
    """Rows of (type, outcome, reason, events, repeated deliveries, those with another body) added up."""
    total = _zeros()
    by_type: dict[str, dict[str, int]] = {}
    by_reason: dict[tuple[str, str], int] = {}
    differing = 0
    for kind, outcome, reason, events, again, other_body in rows:
        for counts in (total, by_type.setdefault(kind, _zeros())):
            counts["accepted"] += events + again
            counts[outcome] += events
            counts["duplicate"] += again
        if reason is not None:
            by_reason[outcome, reason] = by_reason.get((outcome, reason), 0) + events
        differing += other_body
    if differing:
        by_reason["duplicate", BODY_DIFFERS] = differing
    reasons = sorted(by_reason.items(), key=lambda found: (OUTCOMES.index(found[0][0]), -found[1], found[0][1]))
    return {
        **total,
        BODY_DIFFERS: differing,
        "by_type": {kind: by_type[kind] for kind in sorted(by_type)},
        "by_reason": [
            {"outcome": outcome, "reason": reason, "count": count, "text": _TEXTS.get(reason, reason)}
            for (outcome, reason), count in reasons
        ],
    }


def _zeros() -> dict[str, int]:
    return dict.fromkeys(("accepted", *OUTCOMES), 0)
