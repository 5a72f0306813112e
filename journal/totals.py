"""The account of everything accepted (promise 4): nothing is dropped, and the counts prove it.

Every delivery from outside is a row of the journal or of `duplicates`, and every row of the journal
has a result or is waiting; so the six outcomes add up to `accepted` by construction, not by luck.
Events that we made ourselves (follow-ups and timers) are counted apart.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

from domain.outcome import REASONS
from events.envelope import OWN_SOURCE
from storage.tables import EFFECT_STATES

OUTCOMES = ("applied", "duplicate", "ignored", "parked", "dead", "waiting")
BODY_DIFFERS = "body_differs"
_TEXTS = {**REASONS, BODY_DIFFERS: "delivered again under the same id with another body; the first one counts"}

# One statement is one snapshot: what is accepted or decided meanwhile is in all of its numbers or in none.
_COUNT = text("""
    with ours as (
        select seq, type, source = :own or source like :own || '/%' as own from journal
    ), counted as (
        select o.own, o.type, coalesce(r.outcome, 'waiting') as outcome, r.reason, count(*) as n
        from ours o left join results r using (seq) group by 1, 2, 3, 4
        union all
        select o.own, o.type, 'duplicate', case when d.body_differs then cast(:body_differs as text) end, count(*)
        from duplicates d join ours o using (seq) group by 1, 2, 3, 4
    )
    select (select coalesce(json_agg(json_build_array(own, type, outcome, reason, n)), '[]') from counted),
           (select json_build_array(count(*), count(*) filter (where held)) from timers),
           (select coalesce(json_object_agg(state, n), '{}') from (select state, count(*) n from effects group by 1) e)
""")


def account(conn: Connection) -> dict[str, Any]:
    """The account as one document of one consistent snapshot, in one statement.

    accepted and the six outcomes, of deliveries from outside; `body_differs` (of the duplicates);
    `by_type`: type → the same seven; `by_reason`: outcome, reason, count and the reason's text;
    `own`: the same of our own events; `timers`; `effects`, by state; `held`: what history holds back.
    """
    names = {"own": OWN_SOURCE, "body_differs": BODY_DIFFERS}
    rows, (timers, held_timers), effects = conn.execute(_COUNT, names).one()
    by_state = {state: int(effects.get(state, 0)) for state in EFFECT_STATES}
    return {
        **_summary([row[1:] for row in rows if not row[0]]),
        "own": _summary([row[1:] for row in rows if row[0]]),
        "timers": {"set": timers, "held": held_timers},
        "effects": by_state,
        "held": {"timers": held_timers, "effects": by_state["held"]},
    }


def _summary(rows: list[Any]) -> dict[str, Any]:
    """Rows of (type, outcome, reason, count) added up."""
    total = _zeros()
    by_type: dict[str, dict[str, int]] = {}
    by_reason: dict[tuple[str, str], int] = {}
    for kind, outcome, reason, count in rows:
        for counts in (total, by_type.setdefault(kind, _zeros())):
            counts["accepted"] += count
            counts[outcome] += count
        if reason is not None:
            by_reason[outcome, reason] = by_reason.get((outcome, reason), 0) + count
    reasons = sorted(by_reason.items(), key=lambda found: (OUTCOMES.index(found[0][0]), -found[1], found[0][1]))
    return {
        **total,
        BODY_DIFFERS: by_reason.get(("duplicate", BODY_DIFFERS), 0),
        "by_type": {kind: by_type[kind] for kind in sorted(by_type)},
        "by_reason": [
            {"outcome": outcome, "reason": reason, "count": count, "text": _TEXTS.get(reason, reason)}
            for (outcome, reason), count in reasons
        ],
    }


def _zeros() -> dict[str, int]:
    return dict.fromkeys(("accepted", *OUTCOMES), 0)
