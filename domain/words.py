"""Closed sets of texts, each with the words that a person reads beside it: statuses, outcomes, reasons, flags.

They are stored and sent as their texts, and a text that comes from storage equals its member.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Worded(StrEnum):
    """A text of a closed set, and its meaning in words."""

    words: str

    def __new__(cls, value: str, words: str = "") -> Self:
        """A member out of `"text", "what it means"`; a member without words stops the import."""
        if not words:
            raise TypeError(f"{value}: say what it means, too")
        member = str.__new__(cls, value)
        member._value_ = value
        member.words = words
        return member
