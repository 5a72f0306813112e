"""The reasons of people's acts, by one rule, for whoever reads the audit later: one line of printable characters.

An act that needs a reason takes `checked_reason`, one that may have one `reason_if_said`; both stand in the act itself, so
that the command line, the API and the console cannot differ.
"""

from __future__ import annotations

from events.errors import OrdersError

MOST_REASON = 500  # characters
_SHOWN = 40  # characters of a reason that is refused


class ReasonAbsent(OrdersError):
    """An act says no reason, or one that is too long; nothing was changed."""

    code = "act_reason_absent"
    remedy = "Say in a sentence why: `--why` or `--reason`, or `reason` over HTTP."
    status = 400
    exit_code = 2

    def __init__(self, said: str) -> None:
        super().__init__(
            f"{said[:_SHOWN]!r} is no reason: say why, in 1 to {MOST_REASON} characters; those who look later read it. "
            "Nothing was changed"
        )


def checked_reason(reason: str) -> str:
    """The reason of an act as one line: line breaks and what cannot be printed are blanks, none around it.

    Errors: ReasonAbsent.

    >>> checked_reason(" sent\\ttwice,\\n by the shop\\u202e ")
    'sent twice, by the shop'
    """
    said = _in_a_line(reason)
    if not 0 < len(said) <= MOST_REASON:
        raise ReasonAbsent(said)
    return said


def reason_if_said(reason: str | None) -> str | None:
    """The same of an act that needs none; None where nothing was said. Errors: ReasonAbsent for one that is too long."""
    return None if reason is None or not _in_a_line(reason) else checked_reason(reason)


def _in_a_line(reason: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in reason).split())
