r"""Text made harmless: control characters, half surrogate pairs and what turns or hides text, spelled out.

What stays is text; what is not is shown as `\x1b`. For whatever comes from outside, before a terminal or a log has it.
"""

from __future__ import annotations

import re

# Control characters (C0 but line ends and tabs, C1 too: U+009B begins a sequence as ESC [ does), half surrogate pairs,
# which no stream can write, line separators, and what turns the direction of all that follows or stands there unseen.
# Zero-width joiners stay: scripts and emoji need them.
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""A text with all that a terminal would obey, or not show, spelled out.

    >>> visible("a\x1b[2Jb\u202e")
    'a\\x1b[2Jb\\u202e'
    """
    return UNSEEN.sub(lambda found: _spelled(ord(found[0])), text)


def in_a_line(text: str) -> str:
    r"""The same on one line: line ends and tabs are spelled out, too.

    >>> in_a_line("one\ntwo")
    'one\\ntwo'
    """
    return visible(text).replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def visible_json(text: str) -> str:
    """JSON with the same characters escaped as JSON does it; those below U+0020 are already."""
    return UNSEEN.sub(_escaped, text)


def _spelled(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
