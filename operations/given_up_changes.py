"""Changes to what was given up: one edit over one event or thousands, and discards, each with an author and a reason.

Both take things as `given_up.chosen` finds them, and do all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from operations import acts, dead_letters, edits
from operations.given_up import GivenUpError, Thing
from operations.reasons import DELIVERY, EVENT, LOOKUP, REFUND
from outbound import payment_lookups
from outbound.webhooks import deliveries
from storage import audit


class NotEditable(GivenUpError):
    """Only events have a body that an edit may change."""

    code = "given_up_not_editable"
    remedy = "Replay or discard it; narrow a filter by `--kind event`."
    status = 409

    def __init__(self, thing: Thing, count: int) -> None:
        more = f", as {count} of those chosen are" if count > 1 else ""
        super().__init__(f"{thing.ref} is a {thing.kind} and no event{more}: it cannot be edited. Nothing was changed")


def preview(conn: Connection, things: Sequence[Thing], patch: edits.Patch) -> list[edits.Edit]:
    """The edits that a patch would make of these events; `fault` of each that would die again. Errors: NotEditable, PatchRefused."""
    return edits.preview(conn, events_of(things), patch)


def fitting(conn: Connection, things: Sequence[Thing], patch: edits.Patch) -> list[Thing]:
    """Those of these events that would not die again with the patch. Errors: NotEditable, PatchRefused."""
    made = preview(conn, things, patch)
    return [thing for thing, each in zip(things, made, strict=True) if each.fault is None]


def edit(conn: Connection, things: Sequence[Thing], patch: edits.Patch, *, by: str, reason: str) -> list[edits.Edit]:
    """Lay one patch over these events, as a new version of each: all, or none. They stay dead until they are replayed.

    Errors: NotEditable, PatchRefused, ReasonAbsent; `dead_letters.EditRefused` names the first that would die again;
            LetterClosed where one was replayed meanwhile.
    """
    why, steps = acts.checked_reason(reason), edits.checked_patch(patch)
    events_of(things)
    letters = dead_letters.lock(conn, [each.id for each in things])
    for letter in letters:
        if letter.state != "open":
            raise dead_letters.LetterClosed(letter)
    return dead_letters.edit_events(conn, letters, steps, by, why, "given-up")


def discard(conn: Connection, things: Sequence[Thing], *, by: str, reason: str) -> list[Thing]:
    """Give these up for good; those that were. Events end as ignored (discarded), refunds are owed still and made by nobody,
    look-ups and deliveries are let be.

    Errors: ReasonAbsent.
    """
    why = acts.checked_reason(reason)
    letters = [each for each in things if each.kind in (EVENT, REFUND)]
    done: set[str] = set()
    if letters:
        discarded = dead_letters.discard_letters(conn, [each.id for each in letters], by, why, "given-up")
        done |= {letter.effect_id or letter.id for letter in discarded.changed}
    lookups = {each.seq: each.id for each in things if each.kind == LOOKUP and each.seq is not None}
    if lookups:
        done |= {lookups[seq] for seq in payment_lookups.discard(conn, sorted(lookups), by, why, "given-up discard")}
    sent = {each.id: each for each in things if each.kind == DELIVERY}
    if sent:
        let_be = deliveries.discard(conn, list(sent))
        was, now = {"state": "dead"}, {"state": "discarded"}
        audit.record_all(
            conn,
            [
                audit.Act(by, "given-up discard", sent[each].ref, why, was, now, sent[each].order_number)
                for each in let_be
            ],
        )
        done |= set(let_be)
    return [each for each in things if each.id in done]


def events_of(things: Sequence[Thing]) -> list[int]:
    """The journal numbers of these events. Errors: NotEditable where one is none."""
    others = [each for each in things if each.kind != EVENT]
    if others:
        raise NotEditable(others[0], len(others))
    return [each.seq for each in things if each.seq is not None]
