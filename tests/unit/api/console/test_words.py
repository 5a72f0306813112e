"""The table of words: no text of a page is missing in any language, and none stands there for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from markupsafe import Markup

from api.console import words
from api.console.drawings import PLACES, TABLES
from api.console.given_up_acts import EditUnclear
from api.console.korean import KOREAN
from api.console.korean_audit import KOREAN_AUDIT
from api.console.korean_causes import KOREAN_CAUSES
from api.console.korean_domain import KOREAN_DOMAIN
from api.console.korean_refusals import KOREAN_REFUSALS
from api.console.lists import NoteNeeded
from api.console.order_acts import FieldRefused
from api.console.order_page import WAITS
from api.console.privacy import ErasureUnconfirmed
from api.console.sentences import SENTENCES, sentence
from domain import fulfillment, order, returns, transaction
from domain.flags import Flag
from domain.movements import RefundStatus
from domain.outcome import Kind, Reason
from domain.refunds import RefundState
from events.catalogue import CATALOGUE
from events.field_types import Allocation, GrantReason, PendingKind, TrackingStatus
from events.field_types import Reason as ReturnReason
from operations import why
from operations.acts import ReasonAbsent
from operations.dead_letters import EditRefused, LetterClosed
from operations.edits import PatchRefused
from operations.given_up import KINDS, TooMany
from operations.given_up_changes import NotEditable
from operations.pauses import SAYS
from operations.reasons import CAUSES
from operations.replays import HALTED, OUTCOMES, RUNNING, STOPPED, ReplayEmpty, ReplayOver
from storage.tables.logins import ROLES
from storage.tables.operators import PAUSE_KINDS
from storage.tables.refunds import ORIGINS, WAITS_FOR

CONSOLE = Path(__file__).parents[4] / "api" / "console"
STATUSES = (order.Status, transaction.Status, fulfillment.Status, returns.Status)
# The errors of which LEADS says in a few words what is wrong.
REFUSED = (
    EditUnclear, PatchRefused, EditRefused, NotEditable, TooMany, LetterClosed, ReplayEmpty, ReplayOver, ReasonAbsent, FieldRefused,
    NoteNeeded, ErasureUnconfirmed,
)  # fmt: skip
PLACE = re.compile(r"\{(\w+)[^}]*\}")


def said_by_pages() -> set[str]:
    """Every text that a template tells, or that Python hands to one."""
    found = set()
    for file in (CONSOLE / "templates").glob("*.html"):
        template = file.read_text()
        found |= set(re.findall(r"""\bt\(\s*"([^"]+)\"""", template)) | set(re.findall(r"\bt\(\s*'([^']+)'", template))
        found |= set(re.findall(r'else t\("([^"]+)"\)', template)) | set(re.findall(r'm\.badge\("([^"]+)"', template))
        # Values of a template's own tables: sentences, so that names of styles are none.
        found |= {text for text in re.findall(r'"\w+": "([^"]+)"', template) if " " in text}
        found |= {text for text in re.findall(r'\("\w+", "([^"]+)", ', template) if " " in text}
    for file in CONSOLE.glob("*.py"):
        found |= set(re.findall(r'\bword\(\s*"([^"]+)"', file.read_text()))
    return found


def said_by_the_domain() -> Iterator[str]:
    """Every text of a closed set that a page may show, and what it means."""
    for each in (*STATUSES, Flag, Kind, RefundStatus):
        for member in each:
            yield str(member)
            yield member.words
    yield from map(str, RefundState)  # what each means is for the command line
    for reason in Reason:
        yield reason.words
    for cause in CAUSES.values():
        yield from (cause.means, cause.remedy)
    for literal in (ReturnReason, GrantReason, Allocation, PendingKind, TrackingStatus):
        yield from get_args(literal)
    yield from (*PAUSE_KINDS, *SAYS.values())
    yield from (*ROLES, *ORIGINS, *WAITS_FOR)
    yield from SENTENCES.values()
    yield from (error.remedy for error in REFUSED)


# What the code puts together or reads elsewhere: changes of a preview, kinds of work outside, states of lists, personal fields.
OTHERS = {
    "status", "flags", "holds", "customer", "money captured", "money reversed", "money lost", "money contested",
    "money payable", "money due", "money refunded", "money refunding", "money settled", "money failed", "money owed",
    "items canceled", "items shipped", "items delivered", "items returned", "payment", "parcel", "return",
    "lookups", "refunds", "tracking", "webhooks", "accepted", "decided", "waiting",
    "open", "healed", "resolved", "gone", "active", "disabled", "due", "done", "dead", "ok", "warning", "problem", "failing",
    "customerSnapshot.name", "customerSnapshot.email", "customerSnapshot.phone", "shippingAddress.recipientName",
    "shippingAddress.phone", "shippingAddress.postalCode", "shippingAddress.address1", "shippingAddress.address2",
    "shippingAddress.deliveryMessage", "notes",
    "captured", "contested", "failed", "refunded", "paused", "resuming",
    "Type", "Reason", "Field at fault", "From or to", "Text", *KINDS, RUNNING, STOPPED, HALTED, *OUTCOMES, *OUTCOMES.values(),
}  # fmt: skip


def test_every_text_has_its_korean():
    table = words.TABLES["ko"]
    said = said_by_pages() | set(said_by_the_domain()) | OTHERS
    absent = sorted(text for text in said if not table.get(text))
    assert absent == [], "add the Korean of these to api/console/korean.py, or to a table beside it"
    other_places = [text for text in said if set(PLACE.findall(table[text])) != set(PLACE.findall(text))]
    assert other_places == [], "the same values stand in both"


def test_all_that_an_order_may_wait_for_has_its_words():
    assert set(re.findall(r'_Said\(\s*"(\w+)"', Path(why.__file__).read_text())) == WAITS.keys()


def test_no_text_stands_in_the_table_for_nothing():
    known = said_by_pages() | set(said_by_the_domain()) | OTHERS
    assert sorted(set(words.TABLES["ko"]) - known) == []
    tables = (KOREAN, KOREAN_AUDIT, KOREAN_DOMAIN, KOREAN_CAUSES, KOREAN_REFUSALS)
    assert len(words.TABLES["ko"]) == sum(map(len, tables)), "each stands in one of them"


def test_a_refusal_is_told_in_the_pages_language_with_its_particulars_as_they_are():
    assert words.LEADS.keys() == {error.code for error in REFUSED}
    error = EditUnclear("the JSON Patch is no JSON: line 1")
    assert words.error_told(error, words.teller("en")) == "the JSON Patch is no JSON: line 1"
    assert (
        words.error_told(error, words.teller("ko")) == "수정 내용을 읽을 수 없습니다: the JSON Patch is no JSON: line 1"
    )
    assert words.error_told(LookupError("no_such thing"), words.teller("ko")) == "no_such thing"


def test_every_type_of_event_has_a_sentence():
    absent = sorted(set(CATALOGUE) - SENTENCES.keys())
    assert absent == [], "say what these mean in api/console/sentences.py, and their Korean in korean_domain.py"


def test_a_sentence_names_fields_that_its_event_has():
    for kind, told in SENTENCES.items():
        fields = {each.alias or name for name, each in CATALOGUE[kind].model_fields.items()}
        assert set(PLACE.findall(told)) <= fields, kind


def test_a_sentence_leaves_out_what_its_event_does_not_say():
    tell = words.teller("en")
    data = {"paymentId": "pay_1", "amount": "12000", "provider": "toss"}
    assert sentence(tell, "PaymentSucceeded", data, "KRW") == "12,000 KRW came by payment pay_1, taken by toss"
    del data["provider"]
    assert sentence(tell, "PaymentSucceeded", data, "KRW") == "12,000 KRW came by payment pay_1"


def test_a_value_of_a_sentence_is_never_read_as_a_part_of_it():
    data = {"paymentId": "{amount}", "amount": "5", "provider": "[{paymentId}]"}
    told = sentence(words.teller("en"), "PaymentSucceeded", data, "KRW")
    assert told == "5 KRW came by payment {amount}, taken by [{paymentId}]"


@pytest.mark.parametrize("body", [{}, {"amount": "no money"}, {"items": "x"}, {"items": [1, {}]}, {"amount": [1]}])
def test_whatever_a_dead_event_holds_there_is_a_sentence(body):
    for kind in SENTENCES:
        assert sentence(words.teller("ko"), kind, body, None), kind


@pytest.mark.parametrize("kind", PLACES)
def test_every_status_has_its_place_in_the_drawing(kind):
    hidden = {"new"} if kind == "order" else set()
    assert set(PLACES[kind]) == {str(status) for status in TABLES[kind].Status} - hidden
    assert len(set(PLACES[kind].values())) == len(PLACES[kind]), "no two at one place"


def test_markup_that_fills_a_place_stays_markup_and_what_others_wrote_does_not():
    told = words.teller("en")(
        "Edited at {time} UTC, and not replayed yet: {count}.", time=Markup("<time>1</time>"), count="<b>"
    )
    assert told == "Edited at <time>1</time> UTC, and not replayed yet: &lt;b&gt;."
    assert words.teller("en")("further causes: {count}", count="<b>") == "further causes: <b>", (
        "the template escapes it"
    )
