"""docs/reference/lifecycle.md is what the tables say, and the tables say enough to draw it."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain import diagrams, order, outcome

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "lifecycle.md"
BY_KIND = pytest.mark.parametrize(
    ("where", "model"), [kind[1:] for kind in diagrams.KINDS], ids=[kind[0] for kind in diagrams.KINDS]
)


def test_the_page_is_what_the_tables_say():
    assert PAGE.read_text() == diagrams.page(), "docs/reference/lifecycle.md is stale; run `make docs`"


@BY_KIND
def test_every_status_has_words_on_the_page(where, model):
    page = diagrams.page()
    assert [status for status in where.Status if f"| `{status}` | {status.words} |" not in page] == []


@BY_KIND
def test_the_page_shows_every_row_of_every_table(where, model):
    page = diagrams.page()
    for event, sources, dest, *guards in where.LIFECYCLE:
        for source in sources:
            assert f"    {source} --> {dest} : {event}\n" in page
        assert all(f"`{guard}`: {diagrams.asks(model, guard)}" in page for guard in guards)


def test_every_reason_stands_under_one_outcome():
    listed = diagrams.reasons()
    assert set(listed) == set(outcome.Kind)
    assert sorted(name for names in listed.values() for name in names) == sorted(outcome.Reason)


def test_a_final_status_leads_out_of_the_diagram():
    drawn = diagrams.page()
    assert "    canceled --> [*]\n" in drawn
    assert "    paid --> [*]\n" not in drawn


def test_a_guard_is_told_without_the_word_guard():
    assert diagrams.asks(order.Order, "is_delivered") == "every item has arrived"
