"""The audit's pages: every act once, narrowed by who, what and order, and never more looked at than a page may."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from operations import audit
from storage.audit import Act, record_all

MANY = 230  # more than two pages


@pytest.fixture(scope="module", autouse=True)
def acts(module_shop, console):
    """Many acts of one replay, after an edit and a resume with its reason."""
    with module_shop.doors.engine.begin() as conn:
        record_all(conn, [
            Act("console:eve", "given-up edit", "17", "the sender means won", {"currency": "USD"}, {"currency": "KRW"}, "A-17"),
            Act("console:eve", "replay resume", "rpl_00000000000000000000000000000001", "the sender was told"),
            *(Act("console:eve", "given-up replay", str(n), "mended", {"given up for": "bug"}, {"outcome": "applied"}) for n in range(MANY)),
        ])  # fmt: skip


def subjects(page: str) -> list[str]:
    return re.findall(r'<td data-title="about">(?:<a [^>]*>)?<bdi>([^<]*)</bdi>', page)


def further(page: str) -> str:
    """The address of the next page; none at the end."""
    found = re.search(r'href="/console(/audit\?[^"]*)">Further back', page)
    return "" if found is None else html.unescape(found[1])


def test_pages_of_the_audit_have_every_act_once(console):
    address, pages = "/audit?actor=console:eve", 0
    found: list[str] = []
    while address:
        page = console.page(address)
        found += subjects(page)
        address, pages = further(page), pages + 1
    assert found == [*map(str, reversed(range(MANY))), "rpl_00000000000000000000000000000001", "17"]
    assert pages == 3


def test_a_kind_of_act_is_found_under_hundreds_of_others(console):
    page = console.page("/audit?act=replay resume")
    assert subjects(page) == ["rpl_00000000000000000000000000000001"]
    assert "the sender was told" in page
    assert '<a href="/console/given-up/replays/rpl_00000000000000000000000000000001">' in page
    assert 'value="replay resume"' in console.page("/audit"), "it is offered"
    assert "currency: USD → KRW" in console.page("/audit?order=A-17")
    assert "Nobody did such a thing" in console.page("/audit?act=replay resume&actor=console:nobody")


def test_a_page_looks_at_so_many_acts_and_says_how_far_back_it_came(console, monkeypatch):
    monkeypatch.setattr(audit, "SCANNED", 50)
    page, pages = console.page("/audit?act=given-up edit"), 1
    assert "This page looked at 50 acts, back to 20" in page
    while not subjects(page):
        page, pages = console.page(further(page)), pages + 1
    assert (subjects(page), pages) == (["17"], 5)


def test_the_audit_is_read_from_a_time_on(console, module_shop):
    with module_shop.doors.reader.connect() as conn:
        at = conn.execute(text("select at from audit where target = '100' and actor = 'console:eve'")).scalar_one()
        found = audit.page(conn, audit.Key(at), actor="console:eve", most=2)
    assert [each.subject for each in found.entries] == ["99", "98"]
    later = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M}"
    assert subjects(console.page(f"/audit?actor=console:eve&until={later}"))[0] == str(MANY - 1)
    assert "Nobody did such a thing" in console.page("/audit?until=2020-01-01T00:00")
    assert subjects(console.page("/audit?actor=console:eve&after=rubbish&until=rubbish"))[0] == str(MANY - 1)


def test_all_acts_upon_one_thing_are_told_in_their_order(module_shop):
    with module_shop.doors.reader.connect() as conn:
        (found,) = audit.about(conn, "rpl_00000000000000000000000000000001")
    assert (found.act, found.reason) == ("replay resume", "the sender was told")
