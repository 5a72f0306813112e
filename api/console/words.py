"""The words of the console in every language that it has: English texts are the keys, one table has the others.

A template says `t("Log in")`; Python that hands a text to a template says `word("Log in")`. A test finds every text that is
said so, and every text of a closed set of the domain (statuses, reasons, flags), in the table; and nothing else in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

from api.console.korean import KOREAN
from api.console.korean_audit import KOREAN_AUDIT
from api.console.korean_causes import KOREAN_CAUSES
from api.console.korean_domain import KOREAN_DOMAIN
from api.console.korean_refusals import KOREAN_REFUSALS

LANGUAGES = {"en": "English", "ko": "한국어"}
TABLES: dict[str, dict[str, str]] = {"ko": KOREAN | KOREAN_AUDIT | KOREAN_DOMAIN | KOREAN_CAUSES | KOREAN_REFUSALS}
_NAME = re.compile("[a-z]+(?:_[a-z]+)+")
Teller = Callable[..., str]


def word(text: str) -> str:
    """A text for a template, which tells it in the page's language."""
    return text


def teller(language: str) -> Teller:
    """The function that tells a text in `language`; values fill its {places}. A text of others is told as it is."""
    table = TABLES.get(language, {})

    def tell(text: str, **values: Any) -> str:
        told = table.get(str(text)) or _plain(str(text))
        if any(isinstance(value, Markup) for value in values.values()):
            return escape(told).format(**values)  # which escapes the other values: a page shows no tag of ours as text
        return told.format(**values) if values else told

    return tell


# What is wrong with a form, in a few words, by the code of the error: the error's own sentence has values in it, and is English.
LEADS = {
    "console_edit": word("The edit cannot be read"),
    "patch_refused": word("The edit cannot be made"),
    "edit_refused": word("With this edit it would be given up again"),
    "given_up_not_editable": word("Only events can be edited"),
    "given_up_too_many": word("More things fit than one act takes"),
    "dead_letter_closed": word("It was replayed or discarded meanwhile"),
    "replay_empty": word("Nothing of it is given up any more"),
    "replay_over": word("The replay cannot be asked for this now"),
    "act_reason_absent": word("A reason is missing, or is too long"),
    "console_field": word("A field holds what cannot be taken"),
    "console_note": word("The note is missing, or is too long"),
    "console_erasure": word("What was typed is not the id of this customer"),
}


def error_told(error: object, tell: Teller) -> str:
    """The sentence of an error; in another language than English after its lead out of LEADS, as its particulars stay as they are."""
    message, lead = tell(error), LEADS.get(getattr(error, "code", ""), "")
    return message if tell(lead) == lead else f"{tell(lead)}: {message}"


def _plain(text: str) -> str:
    """A text in English: of a name of several words, such as return_requested, its words."""
    return text.replace("_", " ") if _NAME.fullmatch(text) else text


# The pages of the menu: address below /console, and title.
PAGES = (
    ("", word("Now")),
    ("/orders", word("Orders")),
    ("/given-up", word("Given up")),
    ("/flagged", word("Flagged")),
    ("/parked", word("Parked")),
    ("/refunds", word("Refunds")),
    ("/deliveries", word("Deliveries")),
    ("/trackers", word("Trackers")),
    ("/findings", word("Findings")),
    ("/workers", word("Workers")),
    ("/pauses", word("Pauses")),
    ("/audit", word("Audit")),
    ("/privacy", word("Privacy")),
)
