"""Ids: UUIDv7 whose random part follows from the event that made them, so that a fold repeats them.

Inside they are plain UUID texts; at the rim they carry a readable prefix (`ord_…`).
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from uuid import UUID

from events.errors import OrdersError

PREFIXES = {
    "orders": "ord",
    "order-items": "itm",
    "transactions": "txn",
    "fulfillments": "ful",
    "fulfillment-items": "fit",
    "returns": "ret",
    "return-items": "rit",
    "item-cancels": "cnl",
    "refunds": "rfd",
    "effects": "eff",
    "personal": "per",
    "carts": "crt",
    "cart-items": "cit",
    "api-keys": "key",
    "subscriptions": "sub",
    "deliveries": "msg",
    "findings": "fnd",
    "lookups": "lku",
    "replays": "rpl",
    "pauses": "pau",
}


_OF_PREFIX = {prefix: collection for collection, prefix in PREFIXES.items()}
_HEX = re.compile("[0-9a-f]{32}")
_NO_NAMES = blake2b(digest_size=10)
_CUT = itemgetter(slice(3), 3, slice(4, 7), slice(7, 19))  # 20 hex digits, the last of which is left over
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


@lru_cache(maxsize=8)
def _moment(now: datetime) -> str:
    """The first half of an id: Unix milliseconds in 48 bits, and the version."""
    at = f"{int(now.timestamp() * 1000) & 0xFFFFFFFFFFFF:012x}"
    return f"{at[:8]}-{at[8:]}-7"


def _compose(now: datetime, rest: str) -> str:
    """UUIDv7 of a moment and 20 hex digits, of which two bits give way."""
    first, variant, second, third = _CUT(rest)
    return f"{_moment(now)}{first}-{_VARIANT[variant]}{second}-{third}"


def derived(now: datetime, *names: str) -> str:
    """The id of what came to be at `now` because of `names` (an event's source and id, and a part)."""
    digest = _NO_NAMES.copy()  # half as dear as to make one
    digest.update("\x1f".join(names).encode())
    first, variant, second, third = _CUT(digest.hexdigest())  # as `_compose`, without its call: several per event
    return f"{_moment(now)}{first}-{_VARIANT[variant]}{second}-{third}"


def fresh(now: datetime) -> str:
    """A new random id, for rows that no event made."""
    return _compose(now, os.urandom(10).hex())


def first_of(moment: datetime) -> str:
    """The id that no id made at `moment` or later comes before: ids begin with the time that they were made at.

    >>> first_of(datetime.fromisoformat("1970-01-01T00:00:00.001+00:00"))
    '00000000-0001-0000-0000-000000000000'
    """
    return str(UUID(int=max(int(moment.timestamp() * 1000), 0) << 80))


def format_id(collection: str, uuid: str) -> str:
    """`0192…` of orders as `ord_0192…`, without dashes: what the outside sees."""
    return f"{PREFIXES[collection]}_{uuid.replace('-', '')}"


class WrongKind(OrdersError, ValueError):
    """An id of ours, but of another kind than the one that is wanted."""

    code = "id_of_another_kind"
    remedy = "Give the id that begins with the prefix which the message names."
    status = 400

    def __init__(self, name: str, wanted: str, given: str) -> None:
        super().__init__(
            f"{name} is an id of {given}; an id of {wanted} is wanted here, which begins with {PREFIXES[wanted]}_"
        )
        self.name, self.wanted, self.given = name, wanted, given


def parse_id(collection: str, name: str) -> str | None:
    """The UUID text of an id of this collection, or None where `name` is no id of ours. The prefix may be left out.

    Errors: WrongKind where the prefix is that of another collection.
    """
    prefix, _, _ = name.rpartition("_")
    if prefix and prefix != PREFIXES[collection]:
        given = _OF_PREFIX.get(prefix)
        if given is not None and uuid_of(name) is not None:
            raise WrongKind(name, collection, given)
        return None
    return uuid_of(name)


def uuid_of(name: str) -> str | None:
    """The UUID text in `name` (`ord_…`, with or without dashes) whatever its kind, or None where there is none.

    For the names in events, which may be anybody's, and for references that may be of several kinds.
    """
    if len(name) < 32:
        return None
    digits = name.rpartition("_")[2].replace("-", "").lower()
    if not _HEX.fullmatch(digits):
        return None
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
