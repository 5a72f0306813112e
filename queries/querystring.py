"""Bracketed query strings as qs writes them: `where[or][0][total][less_than]=5` → nested dicts and lists.

The official SDK writes with qs-esm 8 and `allowEmptyArrays`: an empty array arrives as `a[]` without `=`, a null
as `a=`. A name that comes twice makes a list, as in qs. Only the roots that a query reads are looked at.
Errors: QueryError, naming the parameter.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import unquote_plus

from queries.errors import QueryError, wrong

MOST_PAIRS = 3_000
MOST_LEVELS = 32  # of brackets
MOST_TEXT = 4_096  # characters of one value; a where that is JSON may be longer
MOST_JSON = 262_144

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def tree(query: str, roots: Collection[str]) -> dict[str, Any]:
    """The parameters of `query` among `roots`: texts, or dicts and lists of them where brackets follow."""
    found: dict[str, Any] = {}
    pairs = query.split("&")
    if len(pairs) > MOST_PAIRS:
        raise QueryError(f"The query has {len(pairs)} parameters; at most {MOST_PAIRS} are read")
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name, text = unquote_plus(name), unquote_plus(text)
        root = name.partition("[")[0]
        if root not in roots:
            continue
        key = _KEY.fullmatch(name)
        if key is None:
            raise wrong(name, "its brackets do not match; write name[a][b]=value")
        path = [root, *key[2][1:-1].split("][")] if key[2] else [root]
        if len(path) > MOST_LEVELS:
            raise wrong(root, f"nested over {MOST_LEVELS} levels deep")
        if len(text) > (MOST_JSON if len(path) == 1 else MOST_TEXT):
            raise wrong(name, "the value is too long")
        _put(found, path, text, empty=path[-1] == "" and not (equals and text), name=name)
    return {root: _lists(value) for root, value in found.items()}


def _put(found: dict[str, Any], path: Sequence[str], text: str, *, empty: bool, name: str) -> None:
    """Hang `text` at `path`; dicts stay dicts until all is read, whatever their keys."""
    *above, last = path[:-1] if path[-1] == "" else path
    at = found
    for part in above:
        at = at.setdefault(part, {})
        if not isinstance(at, dict):
            raise wrong(name, "is given both a value and something in brackets")
    if path[-1] == "":  # a[]: one more of a list, or an empty list
        values = at.setdefault(last, [])
        if not isinstance(values, list):
            raise wrong(name, "is given both a value and something in brackets")
        if not empty:
            values.append(text)
    elif last not in at:
        at[last] = text
    elif isinstance(at[last], dict):
        raise wrong(name, "is given both a value and something in brackets")
    else:
        at[last] = [*(at[last] if isinstance(at[last], list) else [at[last]]), text]


def _lists(value: Any) -> Any:
    """Dicts whose keys are all numbers are lists, in the order of the numbers."""
    if not isinstance(value, dict):
        return value
    made = {key: _lists(inner) for key, inner in value.items()}
    if all(key.isascii() and key.isdigit() and len(key) < 5 for key in made):
        return [made[key] for key in sorted(made, key=int)]
    return made
