"""`orders operators` and `orders top`: who may log in to the console, and its figures in a terminal."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from cli.operators import first_link
from cli.top import picture
from operations import operators as stored
from operations.figures import Looks
from storage.clock import clock


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["token"][0]


def enters(shop, link: str) -> bool:
    try:
        with shop.opened.engine.begin() as conn:
            return bool(stored.enter(conn, token_of(link), clock()))
    except stored.LoginRefused:
        return False


def test_an_operator_is_added_listed_linked_and_disabled(shop, orders):
    made = orders("operators", "add", "Ada", "--role", "operator", "--url", "https://orders.example/", "--json")
    assert made.code == 0
    assert (made.json["name"], made.json["role"], made.json["hasPassword"]) == ("ada", "operator", False)
    assert made.json["link"].startswith("https://orders.example/console/enter?token=")
    assert enters(shop, made.json["link"])
    again = orders("operators", "link", "ada", "--json").json
    (listed,) = orders("operators", "list", "--json").json["operators"]
    assert listed["name"] == "ada"
    assert listed["lastLoginAt"]
    assert "ada" in orders("operators", "list").out
    assert orders("operators", "disable", "ada", "--json").json["disabledAt"]
    assert not enters(shop, again["link"])
    assert orders("operators", "link", "ada").code == 1
    assert orders("operators", "add", "ada").code == 0, "who was disabled may be let in again"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "Ada Lovelace"), "is no name"),
        (("add", "ada", "--role", "king"), "viewer, operator, admin"),
        (("link", "nobody"), "orders operators list"),
        (("disable", "nobody"), "orders operators list"),
    ],
)
def test_what_cannot_be_done_is_told_so(shop, orders, arguments, says):
    answer = orders("operators", *arguments)
    assert answer.code == 1
    assert says in answer.err


def test_a_name_is_taken_once(shop, orders):
    assert orders("operators", "add", "ada").code == 0
    assert "already" in orders("operators", "add", "ada").err


def test_the_first_link_is_an_admins_until_one_has_a_password(shop):
    with shop.opened.engine.begin() as conn:
        link = first_link(conn, "http://here")
        assert link is not None
        assert [each.role for each in stored.listed(conn)] == ["admin"]
        token = stored.enter(conn, token_of(link), clock())
        session = stored.session(conn, token, clock())
        assert session is not None
        stored.set_password(conn, session, token, "", "correct horse battery")
        assert first_link(conn, "http://here") is None


def test_top_prints_the_figures_of_the_console(shop, orders):
    answer = orders("top", "--once", "--json")
    assert answer.code == 0
    figures = answer.json
    assert figures["events"] == figures["settled"] + figures["parked"] + figures["dead"] + figures["waiting"]
    assert figures["accepted_rate"] is not None
    assert "events" in orders("top", "--once").out


def test_the_picture_obeys_nothing_that_a_provider_said(shop, capsys):
    from cli.options import out

    looks = Looks(shop.opened.engine)
    shop.do("insert into subscriptions (id, url, collections, operations, secrets) "
            "values (gen_random_uuid(), 'https://\x1b[2Jx', '{orders}', '{create}', '{}')")  # fmt: skip
    figures = looks.now()
    out.print(picture(figures, [figures]))
    printed = capsys.readouterr().out
    assert "\x1b[2J" not in printed
    assert "\\x1b[2J" in printed
