"""`orders pause`, `resume`, `pauses`: visible wherever one looks, while something rests."""

from __future__ import annotations

from journal import pause_end
from tests.builders import created, paid


def test_a_pause_is_seen_in_its_list_on_its_order_by_the_doctor_and_among_the_parked(orders, shop):
    shop.tell(created(subject="7"))
    told = orders("pause", "order", "7", "--reason", "fraud?", "--until", "2h")
    assert "order 7 is paused until" in told.out
    shop.tell(paid(subject="7"))
    (listed,) = orders("pauses", "--json").json["pauses"]
    assert (listed["kind"], listed["name"], listed["reason"], listed["waitingEvents"]) == ("order", "7", "fraud?", 1)
    assert "fraud?" in orders("pauses").out
    assert "fraud?; 1 events wait" in orders("show", "7").out
    (line,) = [each for each in orders("doctor", "--json").json["checks"] if each["name"] == "pauses"]
    assert line["level"] == "warning"
    assert "order 7 is paused" in line["says"]
    assert "orders resume order 7" in line["remedy"]
    assert "an operator paused it" in orders("parked", "list").out


def test_a_resumed_pause_says_what_is_worked_off_and_ends(orders, shop):
    shop.tell(created(subject="7"))
    orders("pause", "order", "7", "--reason", "fraud?")
    shop.tell(paid(subject="7"))
    assert "1 events that waited are being applied" in orders("resume", "order", "7", "--reason", "cleared").out
    assert orders("pauses", "--json").json["pauses"][0]["state"] == "resuming"
    pause_end.run_due(shop.opened.engine, shop.opened.settings.policy, shop.opened.shop)
    assert orders("pauses").out == "nothing is paused\n"
    acts = orders("audit", "list", "--order", "7", "--json").json["audit"]
    assert [(each["act"], each["reason"]) for each in acts] == [("resume", "cleared"), ("pause", "fraud?")]


def test_what_cannot_be_paused_or_resumed_is_a_sentence(orders, shop):
    assert "say why, in 1 to 500" in orders("pause", "outward").err
    assert "orders cannot be paused; these can: order" in orders("pause", "orders", "7", "--reason", "r").err
    assert "provider toss is not paused; `orders pauses` lists" in orders("resume", "provider", "toss").err
    assert orders("pauses", "--json").json == {"pauses": []}
