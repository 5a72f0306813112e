"""The words of the console in every language that it has: English texts are the keys, one table has the others.

A template says `t("Log in")`; Python that hands a text to a template says `word("Log in")`. A test finds every text that is
said so, and every text of a closed set of the domain (statuses, reasons, flags), in the table; and nothing else in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from api.console.korean import KOREAN
from api.console.korean_audit import KOREAN_AUDIT
from api.console.korean_causes import KOREAN_CAUSES
from api.console.korean_domain import KOREAN_DOMAIN

LANGUAGES = {"en": "English", "ko": "한국어"}
TABLES: dict[str, dict[str, str]] = {"ko": KOREAN | KOREAN_AUDIT | KOREAN_DOMAIN | KOREAN_CAUSES}
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
        return told.format(**values) if values else told

    return tell


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
