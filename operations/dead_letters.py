"""Dead letters and an operator's means: list, show, edit, replay, discard.

    DeadLetterError
    ├── LetterUnknown      nothing in the dead letters has this name
    ├── NameAmbiguous      several have it
    ├── LetterClosed       it was replayed or discarded already: nothing to edit
    └── EditRefused        what the edit makes of it would die again

An event keeps its id, its place in the journal and its original body; an edit is laid over it. A replay
takes its result away, so that it is undecided as on its first day: the caller publishes the entries after
the commit, and should that fail the relay finds them. Every operation may be repeated: what is not open any more
stays as it is, and is named as unchanged. Whatever changes something leaves a row of `audit`.
Locks are taken in one order: effects, dead letters, relay marks, results, each sorted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from domain.ids import format_id
from domain.outcome import REASONS
from events.errors import OrdersError
from journal.entries import Entry, read
from operations import edits
from operations.letter_names import ids_of
from outbound.refunds import release
from storage import audit
from storage.pg_arrays import array

SHOWN = 100  # how many a list has, unless told otherwise


class DeadLetterError(OrdersError):
    """This cannot be done to the dead letters; nothing was changed."""

    code = "dead_letters"
    remedy = "See `orders dlq list`."


class LetterUnknown(DeadLetterError):
    """Nothing in the dead letters has this name."""

    code = "dead_letter_unknown"
    remedy = "Give a number, an id or an event's id, as `orders dlq list` shows them."
    status = 404

    def __init__(self, ref: str) -> None:
        super().__init__(
            f"{ref}: no dead letter has this name; give its number, its id, or the event's id (`orders dlq list` shows "
            "them); a payment look-up's number works with `dlq replay` and `dlq discard` alone. Nothing was changed"
        )
        self.ref = ref


class NameAmbiguous(DeadLetterError):
    """Several dead letters have this name."""

    code = "dead_letter_ambiguous"
    remedy = "Give the number; the message lists those that have the name."
    status = 409

    def __init__(self, ref: str, matches: Sequence[Letter]) -> None:
        names = "; ".join(f"{match.seq or match.id} is {match.name}" for match in matches)
        super().__init__(f"{ref} may be each of {len(matches)}: {names}. Give the number. Nothing was changed")
        self.ref, self.matches = ref, list(matches)


class LetterClosed(DeadLetterError):
    """It was replayed or discarded already: its event is decided elsewhere, and an edit would falsify that."""

    code = "dead_letter_closed"
    remedy = "Nothing: its event is decided. `orders show` tells what became of it."
    status = 409

    def __init__(self, letter: Letter) -> None:
        super().__init__(
            f"{letter.name} was {letter.state} on {letter.died_at:%Y-%m-%d %H:%M} UTC; nothing was changed"
        )
        self.letter = letter


class EditRefused(DeadLetterError):
    """The event would die again with this edit."""

    code = "edit_refused"
    remedy = "Edit the field that the message names so that it fits its type."
    status = 409

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: with this edit it would die again ({why}); nothing was changed")
        self.why = why


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: of an event (`seq` and what follows), or of an effect (`effect_id`, `payment_id`)."""

    id: str
    seq: int | None
    effect_id: str | None
    source: str | None
    event_id: str | None
    type: str  # an effect's is "Refund"
    subject: str | None  # the order's number, as corrected
    payment_id: str | None
    reason: str
    detail: str | None
    state: str  # open, replayed or discarded
    deaths: int
    created_at: datetime  # it died first
    died_at: datetime  # it died last; of one that is closed, when that was
    corrected: bool

    @property
    def name(self) -> str:
        """The letter's name for people, and a reference that every operation takes."""
        return f"{self.source}/{self.event_id}" if self.effect_id is None else format_id("effects", self.effect_id)

    @property
    def ref(self) -> str:
        """The name that lists show and the audit keeps: an event's journal number, a refund's id."""
        return str(self.seq) if self.effect_id is None else format_id("effects", self.effect_id)

    @property
    def text(self) -> str:
        """The reason in words, with what to do about it."""
        return REASONS.get(self.reason, self.detail or self.reason)


@dataclass(frozen=True, slots=True)
class Shown:
    """A letter with all there is to know. `original` is None for an effect; `corrected` unless it was edited."""

    letter: Letter
    original: dict[str, Any] | None  # subject and data, as they were accepted
    corrected: dict[str, Any] | None  # subject, data, by, at
    history: list[dict[str, Any]]  # what operators did: at, actor, action, detail


@dataclass(slots=True)
class Done:
    """The result of an operation. Publish `entries` after the commit."""

    changed: list[Letter] = field(default_factory=list)  # as they were before
    unchanged: list[tuple[Letter, str]] = field(default_factory=list)  # with the reason
    entries: list[Entry] = field(default_factory=list)


# -- looking -----------------------------------------------------------------------------------------------

_LETTER = """
    select d.id, d.seq, d.effect_id, j.source, j.event_id, coalesce(j.type, 'Refund') as type,
           case when d.seq is null then o.order_number when c.seq is not null then c.subject else j.subject
           end as subject, e.payment_id, d.reason, d.detail, d.state, d.deaths, d.created_at, d.updated_at as died_at,
           c.seq is not null as corrected
    from dead_letters d left join journal j on j.seq = d.seq left join corrections c on c.seq = d.seq
    left join effects e on e.id = d.effect_id left join orders o on o.id = e.order_id
"""
_OPEN = """
    where d.state = 'open' and (cast(:type as text) is null or coalesce(j.type, 'Refund') = :type)
    and (cast(:reason as text) is null or d.reason = :reason)
    and (cast(:since as timestamptz) is null or d.updated_at >= :since)
"""
_LIST = text(_LETTER + _OPEN + " order by d.updated_at desc, d.id limit :most")
_BY_ID = text(_LETTER + " where d.id = any(cast(:ids as uuid[])) order by d.id")
_BY_ID_OR_EFFECT = text(
    _LETTER + " where d.id = any(cast(:ids as uuid[])) or d.effect_id = any(cast(:ids as uuid[])) order by d.id"
)
_LOCK_EFFECTS = text(
    "select from effects where id in (select effect_id from dead_letters where id = any(cast(:ids as uuid[]))) "
    "order by id for update"
)
_LOCK = text("select from dead_letters where id = any(cast(:ids as uuid[])) order by id for update")
_BODIES = text(
    "select j.subject, j.data, c.subject as new_subject, c.data as new_data, c.by, c.at "
    "from journal j left join corrections c using (seq) where j.seq = :seq"
)
_HISTORY = text(
    "select at, actor, action, reason, before, after, detail from audit "
    "where target = any(cast(:targets as text[])) order by id"
)


def list_open(
    conn: Connection,
    *,
    type: str | None = None,
    reason: str | None = None,
    since: datetime | None = None,
    limit: int = SHOWN,
) -> list[Letter]:
    """The letters that wait for an operator, the last to die first; `since` is when it died."""
    found = conn.execute(_LIST, {"type": type, "reason": reason, "since": since, "most": limit})
    return [Letter(**row) for row in found.mappings()]


def find(conn: Connection, refs: Sequence[str]) -> list[Letter]:
    """The letters of these names, closed ones too: journal number, id, effect's id, source/id or event id.

    Errors: LetterUnknown, NameAmbiguous.
    """
    return list({letter.id: letter for letter in named(conn, refs).values()}.values())


def named(conn: Connection, refs: Sequence[str]) -> dict[str, Letter]:
    """The letter that each of these names means, by the name. Errors: as `find`."""
    wanted = list(dict.fromkeys(refs))
    if not wanted:
        return {}
    matches = ids_of(conn, wanted)
    letters = _letters(conn, {id for ids in matches.values() for id in ids})
    for ref in wanted:
        if ref not in matches:
            raise LetterUnknown(ref)
        if len(matches[ref]) > 1:
            raise NameAmbiguous(ref, sorted((letters[id] for id in matches[ref]), key=lambda one: one.seq or 0))
    return {ref: letters[matches[ref][0]] for ref in wanted}


def show(conn: Connection, ref: str) -> Shown:
    """One letter with its event's body, its correction and what operators did. Errors: as `find`."""
    [letter] = find(conn, [ref])
    history = [dict(row) for row in conn.execute(_HISTORY, {"targets": [letter.ref, _old_target(letter)]}).mappings()]
    if letter.seq is None:
        return Shown(letter, None, None, history)
    row = conn.execute(_BODIES, {"seq": letter.seq}).one()
    corrected = None
    if letter.corrected:
        corrected = {"subject": row.new_subject, "data": row.new_data, "by": row.by, "at": row.at}
    return Shown(letter, {"subject": row.subject, "data": row.data}, corrected, history)


def by_ids(conn: Connection, ids: Sequence[str]) -> list[Letter]:
    """Letters by id, or by their refunds' (effects') ids, closed ones too; what is none is left out."""
    wanted = {"ids": array(sorted(ids), "uuid")}
    return [Letter(**row) for row in conn.execute(_BY_ID_OR_EFFECT, wanted).mappings()] if ids else []


# -- changing ----------------------------------------------------------------------------------------------

_LOCK_MARKS = text(
    "select from relay_marks where shard in (select shard from journal where seq = any(cast(:seqs as bigint[]))) "
    "order by shard for update"
)
# Below the oldest event that is undecided again; and below where it stood in any case, so that a relay that
# looked before we commit, and saw all decided, finds another mark than it read and leaves it alone.
_LOWER_MARKS = text(
    "update relay_marks m set seq = least(m.seq, v.seq) - 1 from "
    "(select shard, min(seq) as seq from journal where seq = any(cast(:seqs as bigint[])) group by shard) v "
    "where m.shard = v.shard"
)
_UNDECIDE = text("delete from results where seq = any(cast(:seqs as bigint[])) and outcome = 'dead' returning seq")
_DISCARD = text(
    "update results set outcome = 'ignored', reason = 'discarded', detail = :why, decided_at = clock_timestamp() "
    "where seq = any(cast(:seqs as bigint[])) and outcome = 'dead' returning seq"
)
_CLOSE = text(
    "update dead_letters set state = :state, updated_at = clock_timestamp() where id = any(cast(:ids as uuid[]))"
)


def edit(conn: Connection, ref: str, data: Mapping[str, Any] | None, subject: str | None, actor: str) -> Shown:
    """Lay another body, or another order number, over a dead event; None leaves that part as it is.

    The journal keeps the original. The event stays dead until it is replayed. Names, addresses and notes go to the
    side table, as when an event is accepted.
    Errors: EditRefused where it would die again, LetterClosed, and those of `find`.
    """
    [found] = find(conn, [ref])
    [letter] = _locked(conn, [found])
    if letter.state != "open":
        raise LetterClosed(letter)
    if letter.seq is None:
        raise EditRefused(letter.name, "it is no event; replay or discard it")
    patch: list[dict[str, Any]] = [] if data is None else [{"op": "replace", "path": "/data", "value": dict(data)}]
    patch += [] if subject is None else [{"op": "add", "path": "/subject", "value": subject}]
    if not patch:
        return show(conn, letter.id)
    edit_events(conn, [letter], patch, actor, None)
    return show(conn, letter.id)


def edit_events(
    conn: Connection,
    letters: Sequence[Letter],
    patch: edits.Patch,
    actor: str,
    reason: str | None,
    command: str = "dlq",
) -> list[edits.Edit]:
    """Lay one patch over these open events, as a new version of each: all of them, or none. The audit names the `command`.

    Errors: EditRefused names the first that would die again, and says how many would; PatchRefused.
    """
    made = edits.preview(conn, [letter.seq for letter in letters if letter.seq is not None], patch)
    refused = [each for each in made if each.fault is not None]
    if refused:
        more = f"; {len(refused)} of {len(made)} events are refused" if len(made) > 1 else ""
        raise EditRefused(refused[0].name, f"{refused[0].fault}{more}")
    edits.keep(conn, made, actor, reason)
    by_seq = {letter.seq: letter for letter in letters}
    noted = [_edited(each, by_seq[each.seq], actor, reason, command) for each in made if not each.is_needless]
    audit.record_all(conn, noted)
    return made


def _edited(made: edits.Edit, letter: Letter, actor: str, reason: str | None, command: str) -> audit.Act:
    changed = edits.changes(made)
    was, now = ({name: pair[side] for name, pair in changed.items()} for side in (0, 1))
    detail = {"name": letter.name, "version": made.version, "personal": sorted(made.personal)}
    return audit.Act(actor, f"{command} edit", letter.ref, reason, was, now, letter.subject, detail)


def replay(conn: Connection, refs: Sequence[str], actor: str) -> Done:
    """Give dead letters another chance: events become undecided, effects due. Publish `entries` after the commit.

    Errors: as `find`; then nothing was changed.
    """
    return _replay(conn, find(conn, refs), actor)


def discard(conn: Connection, refs: Sequence[str], actor: str, why: str) -> Done:
    """Give dead letters up for good: their events count as ignored (discarded). Errors: as `find`."""
    return _discard(conn, find(conn, refs), actor, why)


def discard_letters(conn: Connection, ids: Sequence[str], actor: str, why: str, command: str) -> Done:
    """The same for letters by id, or by their refunds' (effects') ids; the audit names the `command`."""
    return _discard(conn, by_ids(conn, ids), actor, why, command)


def lock(conn: Connection, ids: Sequence[str]) -> list[Letter]:
    """Letters by id, locked, as they are now."""
    return _locked(conn, by_ids(conn, ids))


def _discard(conn: Connection, letters: Sequence[Letter], actor: str, why: str, command: str = "dlq") -> Done:
    done, seqs = _begin(conn, letters)
    if seqs:
        settled = set(conn.execute(_DISCARD, {"seqs": array(seqs, "bigint"), "why": why}).scalars())
        _leave_out(done, settled)
    _close(conn, done.changed, "discarded")
    _note(conn, actor, f"{command} discard", done.changed, "discarded", why)
    return done


def _replay(conn: Connection, letters: Sequence[Letter], actor: str) -> Done:
    done, seqs = _begin(conn, letters)
    if seqs:
        wanted = {"seqs": array(seqs, "bigint")}
        conn.execute(_LOCK_MARKS, wanted)
        _leave_out(done, set(conn.execute(_UNDECIDE, wanted).scalars()))
        conn.execute(_LOWER_MARKS, wanted)
    for letter in done.changed:
        if letter.effect_id is not None:
            release(
                conn, letter.effect_id, actor, "dlq replay"
            )  # closes its letter and leaves the row of `audit` by itself
    events = [letter for letter in done.changed if letter.seq is not None]
    _close(conn, events, "replayed")
    _note(conn, actor, "dlq replay", events, "replayed")
    done.entries = read(conn, [each.seq for each in events if each.seq is not None])
    return done


def _begin(conn: Connection, letters: Sequence[Letter]) -> tuple[Done, list[int]]:
    """Lock them, and part those that are open from those that are not; (both, the open events' numbers)."""
    done = Done()
    for letter in _locked(conn, letters):
        if letter.state == "open":
            done.changed.append(letter)
        else:
            done.unchanged.append((letter, f"it was {letter.state} before"))
    return done, sorted(letter.seq for letter in done.changed if letter.seq is not None)


def _leave_out(done: Done, settled: set[int]) -> None:
    """An open letter without a dead result is not ours to touch; there should be none."""
    lost = [letter for letter in done.changed if letter.seq is not None and letter.seq not in settled]
    for letter in lost:
        done.changed.remove(letter)
        done.unchanged.append((letter, "its event has no dead result; see `orders verify`"))


def _close(conn: Connection, letters: Sequence[Letter], state: str) -> None:
    if letters:
        conn.execute(_CLOSE, {"state": state, "ids": array([letter.id for letter in letters], "uuid")})


def _locked(conn: Connection, letters: Sequence[Letter]) -> list[Letter]:
    """The same letters, locked, as they are now."""
    if not letters:
        return []
    wanted = {"ids": array([letter.id for letter in letters], "uuid")}
    if any(letter.effect_id is not None for letter in letters):
        conn.execute(_LOCK_EFFECTS, wanted)
    conn.execute(_LOCK, wanted)
    return list(_letters(conn, {letter.id for letter in letters}).values())


def _letters(conn: Connection, ids: set[str]) -> dict[str, Letter]:
    if not ids:
        return {}
    rows = conn.execute(_BY_ID, {"ids": array(sorted(ids), "uuid")}).mappings()
    return {row["id"]: Letter(**row) for row in rows}


def _old_target(letter: Letter) -> str:
    """The letter as rows of the audit name it that were written before they had its `ref`."""
    return f"dead-letters/{letter.id}"


def _note(conn: Connection, actor: str, act: str, done: Sequence[Letter], after: str, why: str | None = None) -> None:
    """A row of `audit` for each letter that was closed."""
    acts = [
        audit.Act(
            actor,
            act,
            each.ref,
            why,
            {"state": "open"},
            {"state": after},
            each.subject,
            {"name": each.name, "died_of": each.reason, "deaths": each.deaths},
        )
        for each in done
    ]
    audit.record_all(conn, acts)
