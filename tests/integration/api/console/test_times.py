"""Times that a person writes in the console are UTC, whatever zone the host has."""

from __future__ import annotations

import time

import pytest


@pytest.fixture(autouse=True)
def seoul(monkeypatch):
    """A host nine hours ahead."""
    monkeypatch.setenv("TZ", "Asia/Seoul")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_filter_of_orders_is_in_utc(console, module_shop):
    number = module_shop.paid()["orderNumber"]
    later = module_shop.one("select to_char((now() + interval '1 hour') at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI')")
    assert number not in console.page(f"/orders?since={later}"), "an hour ahead"
    before = module_shop.one("select to_char((now() - interval '1 hour') at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI')")
    assert number in console.page(f"/orders?since={before}")


@pytest.mark.parametrize(
    ("told", "hours"), [("2126-12-01T09:00", 9), ("2126-12-01T09:00Z", 9), ("2126-12-01T09:00-05:00", 14)]
)
def test_the_end_of_a_pause_is_in_utc_unless_it_says_otherwise(console, module_shop, told, hours):
    form = {"kind": "event_type", "name": "TrackingUpdated", "reason": "a test"}
    answer = console.post("/pauses", {**form, "until": told})
    assert answer.status_code == 303, answer.text
    assert (
        module_shop.one("select extract(hour from until at time zone 'UTC') from pauses where until is not null")
        == hours
    )
    assert console.post("/pauses/resume", form).status_code == 303


def test_an_unknown_language_changes_nothing(console):
    answer = console.client.post("/console/language", data={"language": "tlh", "next": "/console/orders"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/orders")
    assert "orders_language" not in answer.headers.get("set-cookie", "")
