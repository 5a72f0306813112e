"""A proof by its name and title, and what it finds: figures for a reader, and whatever was not as it must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one run; `wrong` is empty where all is as promised."""

    figures: str
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Proof:
    """Something that is shown at full size; `run` tells its progress by `Say`."""

    name: str
    title: str
    run: Callable[[Say], Finding]
