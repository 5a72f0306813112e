"""Edits of dead events: each is a new version with its author and its difference, and the original stays.

An edit is a JSON Patch (RFC 6902, https://www.rfc-editor.org/rfc/rfc6902) of `{"subject", "data"}`: one patch edits one
event or thousands. What it makes of each is checked as if it came in at the door, and against its type's schema; where
any of them would die again, none is edited. Names, addresses and notes go to the side table, as when an event is accepted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jsonpatch
import jsonpointer
import orjson
from sqlalchemy import Connection, text

from domain.ids import fresh
from events.catalogue import PERSONAL_FIELDS, decode
from events.envelope import Envelope
from events.errors import OrdersError
from journal.entries import Entry, read
from storage.clock import clock
from storage.pg_arrays import array, cast, columns, unnest

NO_OBJECT = "data: must be an object"
MOST_STEPS = 100  # of a patch
STEPS = frozenset(("add", "replace", "remove", "move", "test"))  # without copy: a few of those fill any memory

_QUOTED = re.compile(r"'[^']*'")  # a value of one event, in a message

ABSENT = object()  # the value of a place that an event does not have

Patch = Sequence[Mapping[str, Any]]


class PatchRefused(OrdersError):
    """The patch is none, or does not fit an event that it is for; nothing was changed."""

    code = "patch_refused"
    remedy = "Write a JSON Patch of paths under /data, or /subject; add, replace, remove, move and test are its steps."
    status = 400


@dataclass(frozen=True, slots=True)
class Edit:
    """One event before and after a patch; `fault` says why it would die again, None where it would not."""

    seq: int
    name: str  # SOURCE/ID
    version: int  # that it becomes; 1 is the first edit
    before: dict[str, Any]  # subject and data
    after: dict[str, Any]
    diff: list[dict[str, Any]]  # the JSON Patch from one to the other
    personal: dict[str, Any]  # fields for the side table
    fault: str | None = None
    cause: str | None = None  # of the fault: what it is, without what stands in this event alone

    @property
    def is_needless(self) -> bool:
        """True where the patch changes nothing of it."""
        return not self.diff and not self.personal


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an edited event: what it changed, who made it, and why."""

    version: int
    subject: str | None
    data: dict[str, Any]
    diff: list[dict[str, Any]]
    by: str
    reason: str | None
    at: datetime


_VERSIONS = text("""
    select version, subject, data, diff, by, reason, at from correction_versions where seq = :seq order by version
""")
_NEXT = text("""
    select v.seq, coalesce(max(c.version), 0) + 1 from unnest(cast(:seqs as bigint[])) v(seq)
    left join correction_versions c using (seq) group by 1
""")
_NAMES = ("seq", "version", "subject", "data", "diff", "by", "reason")
_TYPES = ("bigint", "integer", "text", "jsonb", "jsonb", "text", "text")
_PICKED = ", ".join(cast(name, kind) for name, kind in zip(_NAMES, _TYPES, strict=True))
_KEEP = text(f"""
    with kept as (
        insert into correction_versions ({", ".join(_NAMES)}) select {_PICKED} from {unnest(_NAMES, _TYPES)}
        returning seq, subject, data, by
    )
    insert into corrections (seq, subject, data, by) select seq, subject, data, by from kept
    on conflict (seq) do update set subject = excluded.subject, data = excluded.data, by = excluded.by, at = now()
""")
_MOMENT = text("select now()")  # which `corrections.at` holds
_KEEP_PERSONAL = text(
    f"insert into personal (id, fields) select v.id, cast(v.fields as jsonb) "
    f"from {unnest(('id', 'fields'), ('uuid', 'jsonb'))} "
    "on conflict (id) do update set fields = personal.fields || excluded.fields"
)


def versions(conn: Connection, seq: int) -> list[Version]:
    """The versions of an event, the first edit first; none where it was never edited."""
    return [Version(**row) for row in conn.execute(_VERSIONS, {"seq": seq}).mappings()]


def checked_patch(patch: Any) -> list[dict[str, Any]]:
    """The patch, if it is one that may be applied. Errors: PatchRefused."""
    if not isinstance(patch, list | tuple) or not 0 < len(patch) <= MOST_STEPS:
        raise PatchRefused(f"a patch is a list of 1 to {MOST_STEPS} steps; see RFC 6902")
    for step in patch:
        if not isinstance(step, Mapping) or step.get("op") not in STEPS:
            raise PatchRefused(f"each step of a patch is an object whose op is one of {', '.join(sorted(STEPS))}")
        for place in (step.get("path"), step.get("from", "/data")):
            if not isinstance(place, str) or not (place == "/subject" or f"{place}/".startswith("/data/")):
                raise PatchRefused(
                    f"a path of a patch begins with /data, or is /subject; {str(place)[:200]!r} does not"
                )
    return [dict(step) for step in patch]


def step_at(place: str, value: str) -> dict[str, Any]:
    """A step that sets a place such as `data.items.0.quantity`, or `subject`; an empty value takes it out.

    Errors: PatchRefused where it is no place in an event.

    >>> step_at("data.currency", "KRW")
    {'op': 'add', 'path': '/data/currency', 'value': 'KRW'}
    """
    pointer = _pointer(place)
    if not value:
        return {"op": "remove", "path": pointer}
    # A list's element is replaced: to add there would move those behind it.
    op = "replace" if pointer.rpartition("/")[2].isdecimal() else "add"
    return {"op": op, "path": pointer, "value": value if pointer == "/subject" else value_of(value)}


def step_from(old: str, place: str) -> dict[str, Any]:
    """A step that gives a place the value of another, which is gone then: a field under its right name.

    Errors: PatchRefused where one is no place in an event.

    >>> step_from("data.sum", "data.amount")
    {'op': 'move', 'from': '/data/sum', 'path': '/data/amount'}
    """
    return {"op": "move", "from": _pointer(old), "path": _pointer(place)}


def value_of(told: str) -> Any:
    """A value as a person writes it: JSON, or else a text."""
    try:
        return orjson.loads(told)
    except orjson.JSONDecodeError:
        return told


def preview(conn: Connection, seqs: Sequence[int], patch: Patch) -> list[Edit]:
    """The edits that the patch makes of these events, in their order; nothing is changed. Errors: PatchRefused for no patch at all."""
    steps = checked_patch(patch)
    entries = {entry.seq: entry for entry in read(conn, list(seqs))}
    numbers = {row[0]: row[1] for row in conn.execute(_NEXT, {"seqs": array(list(seqs), "bigint")})}
    return [_edit(entries[seq], steps, numbers[seq]) for seq in seqs]


def keep(conn: Connection, edits: Sequence[Edit], by: str, reason: str | None) -> None:
    """Keep these edits as the versions that count from now on; lock the dead letters before."""
    made = [each for each in edits if each.diff]
    if made:
        rows = [
            (each.seq, each.version, each.after["subject"], _json(each.after["data"]), _json(each.diff), by, reason)
            for each in made
        ]
        conn.execute(_KEEP, columns(_NAMES, _TYPES, rows))
    personal = [(each.after["data"]["personal"], _json(each.personal)) for each in edits if each.personal]
    if personal:
        conn.execute(_KEEP_PERSONAL, columns(("id", "fields"), ("uuid", "jsonb"), personal))


def moment(conn: Connection) -> datetime:
    """The moment that everything edited in this database transaction carries, by which `given_up.Wanted.edited` finds it."""
    found: datetime = conn.execute(_MOMENT).scalar_one()
    return found


def faults(made: Sequence[Edit]) -> list[tuple[Edit, int]]:
    """(the first of them, how many) of the edits by which events would die again, by cause; the most first."""
    first: dict[str | None, Edit] = {}
    for each in made:
        if each.fault is not None:
            first.setdefault(each.cause, each)
    counts = Counter(each.cause for each in made if each.fault is not None)
    return [(first[cause], count) for cause, count in counts.most_common()]


def changes(edit: Edit) -> dict[str, list[Any]]:
    """The fields that an edit changes → what each was and what it is now; personal ones are not among them."""
    one = {**edit.before["data"], "subject": edit.before["subject"]}
    other = {**edit.after["data"], "subject": edit.after["subject"]}
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return {name: [one.get(name), other.get(name)] for name in sorted(names)}


def places(body: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an event by their places, as `step_at` takes them.

    >>> places({"subject": "7", "data": {"items": [{"item": "tea"}]}})
    {'subject': '7', 'data.items.0.item': 'tea'}
    """
    found: dict[str, Any] = {}
    left = list(body.items())[::-1]
    while left:  # no recursion: whoever sent it says how deep it is
        place, value = left.pop()
        if value and isinstance(value, Mapping):
            left += [(f"{place}.{name}", each) for name, each in list(value.items())[::-1]]
        elif value and isinstance(value, list):
            left += [(f"{place}.{number}", each) for number, each in list(enumerate(value))[::-1]]
        else:
            found[place] = value
    return found


def differences(edit: Edit) -> list[tuple[str, Any, Any]]:
    """(place, before, after) of each value that an edit changes, whether it may be made or not; ABSENT where there is none."""
    one, other = places(edit.before), places(edit.after)
    found = [(place, one.get(place, ABSENT), other.get(place, ABSENT)) for place in {**one, **other}]
    return [(place, before, after) for place, before, after in found if (type(before), before) != (type(after), after)]


def current(conn: Connection, seq: int) -> dict[str, Any]:
    """The subject and data of an event as they count now; names, addresses and notes are not among them."""
    [entry] = read(conn, [seq])
    return {"subject": entry.subject, "data": entry.data}


def _pointer(place: str) -> str:
    """A place as a JSON Pointer. Errors: PatchRefused."""
    steps = place.split(".")
    if not all(steps) or steps[0] not in ("data", "subject") or (steps[0] == "data") != (len(steps) > 1):
        raise PatchRefused(f"{place[:200]!r} is no place in an event; write data.amount, data.items.0.item, or subject")
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _edit(entry: Entry, steps: list[dict[str, Any]], version: int) -> Edit:
    before = {"subject": entry.subject, "data": entry.data}
    name = f"{entry.source}/{entry.event_id}"
    try:
        patched = jsonpatch.apply_patch(deepcopy(before), steps)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, ValueError) as error:
        # A field that is not there is a cause of its own; what else such an error says is this event's.
        kind = str(error) if isinstance(error, jsonpatch.JsonPatchPathNotFound) else type(error).__name__
        return Edit(entry.seq, name, version, before, before, [], {}, f"the patch does not fit it: {error}", kind)
    data, subject = patched.get("data"), patched.get("subject")
    if not isinstance(data, dict):
        return Edit(entry.seq, name, version, before, before, [], {}, NO_OBJECT, NO_OBJECT)
    own, personal = _without_personal(data, entry.data.get("personal"))
    if personal:
        own.setdefault("personal", fresh(clock()))
    after = {"subject": subject, "data": own}
    fault = _fault(entry, own, subject)
    diff = [] if fault is not None else jsonpatch.make_patch(before, after).patch
    cause = None if fault is None else _QUOTED.sub("'…'", fault)
    return Edit(entry.seq, name, version, before, after, diff, personal, fault, cause)


def _fault(entry: Entry, data: dict[str, Any], subject: Any) -> str | None:
    """Why the event would die again as it is now: judged as it would be accepted and read."""
    if subject is not None and not isinstance(subject, str):
        return "subject: must be a text"
    corrected = Envelope(entry.event_id, entry.source, entry.type, entry.time, subject, data, entry.version)
    try:
        envelope = Envelope.parse(corrected.as_document())
        decode(envelope.type, envelope.version, envelope.subject, envelope.data)
    except ValueError as error:  # EnvelopeError, Malformed, UnknownVersion, UnknownType
        return str(error)
    return None


def _without_personal(data: dict[str, Any], kept: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the body without personal fields, which refers to the side row it always had, the personal fields)."""
    found = {name: data[name] for name in PERSONAL_FIELDS if data.get(name) is not None}
    own = {name: value for name, value in data.items() if name not in PERSONAL_FIELDS and name != "personal"}
    if kept is not None:
        own["personal"] = kept
    return own, found


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
