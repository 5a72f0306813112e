"""Text made harmless for a terminal: values from outside that it takes for no order, and rich for no markup.

`safe` is the one function that every value goes through on its way into what is printed: names, providers' and
receivers' answers, what was typed, what a file holds. What stays is text; what is not is shown as `\\x1b`. Consoles
of the class here do the same for control characters once more, so that one that was forgotten does no harm.
"""

from __future__ import annotations

import re
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

MOST = 1_000  # characters of a value that are printed; --json has all of it

# Control characters (C0 but line ends and tabs, C1 too: U+009B begins a sequence as ESC [ does), half surrogate pairs,
# which no stream can write, line separators, and what turns the direction of all that follows or stands there unseen.
# Zero-width joiners stay: scripts and emoji need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""A text with all that a terminal would obey, or not show, spelled out.

    >>> visible("a\x1b[2Jb\u202e")
    'a\\x1b[2Jb\\u202e'
    """
    return _UNSEEN.sub(lambda found: _spelled(ord(found[0])), text)


def _spelled(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible_json(text: str) -> str:
    """JSON with the same characters escaped as JSON does it; those below U+0020 are already."""
    return _UNSEEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


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
