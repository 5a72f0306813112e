"""Text made harmless for a terminal: values from outside that it takes for no order, and rich for no markup.

`safe` is the one function that every value goes through on its way into what is printed: names, providers' and
receivers' answers, what was typed, what a file holds. What stays is text; what is not is shown as `\\x1b`. Consoles
of the class here do the same for control characters once more, so that one that was forgotten does no harm.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from telemetry.harmless import UNSEEN, visible, visible_json

__all__ = ["MOST", "UNSEEN", "Terminal", "bounded", "safe", "visible", "visible_json"]

MOST = 1_000  # characters of a value that are printed; --json has all of it


def bounded(value: object, most: int = MOST) -> str:
    """`value` as text of at most `most` characters; what is left out is told by an ellipsis."""
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def safe(value: object, most: int = MOST) -> str:
    """`value` as a part of what is printed with rich's markup; see the module."""
    marked = escape(visible(bounded(value, most)))
    # An odd backslash at the end would escape the markup of ours that follows; `escape` sees to a single one alone.
    return marked + "\\" if (len(marked) - len(marked.rstrip("\\"))) % 2 else marked


class Terminal(Console):
    """A console that obeys nothing in what it prints: no control character passes, no `:name:` becomes an emoji."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of ours and of others, as rich renders it."""
        return super().render_str(visible(text), **options)
