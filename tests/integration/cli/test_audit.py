"""`orders audit`, and the audit of what the command line does to an order."""

from __future__ import annotations

import json

from tests.builders import created


def _placed(shop) -> None:
    shop.tell(created(subject="7", customerSnapshot={"name": "Lee", "email": "lee@shop.example"}))


def test_a_hold_is_listed_with_who_why_and_the_change_and_shown_on_the_order(orders, shop):
    _placed(shop)
    assert orders("hold", "7", "--reason", "fraud?").code == 0
    (act,) = orders("audit", "list", "--order", "7", "--json").json["audit"]
    assert (act["act"], act["subject"], act["reason"]) == ("OrderHeld", "orders/7", "fraud?")
    assert act["actor"].startswith("cli:")
    assert (act["before"]["holds"], act["after"]["holds"]) == ([], ["staff"])
    listed = orders("audit", "list", "--order", "7").out
    assert "holds: none → staff" in listed
    assert "OrderHeld" in orders("show", "7").out
    assert orders("show", "7", "--json").json["audit"] == [act]


def test_a_look_at_personal_data_is_noted_and_one_at_none_is_not(orders, shop):
    _placed(shop)
    orders("show", "7")
    assert orders("audit", "list", "--json").json["audit"] == []
    assert orders("show", "7", "--json").json["customerSnapshot"]["name"] == "Lee"
    (look,) = orders("audit", "list", "--json").json["audit"]
    assert (look["act"], look["subject"]) == ("look at personal data", "orders/7")
    assert "customerSnapshot" in look["reason"]
    assert "Lee" not in str(look)


def test_the_export_has_every_act_oldest_first_as_lines_or_as_one_document(orders, shop):
    _placed(shop)
    orders("hold", "7", "--hold", "a")
    orders("release", "7", "--hold", "a")
    document = orders("audit", "export", "--json").json
    assert [each["act"] for each in document["audit"]] == ["OrderHeld", "OrderReleased"]
    assert document["total"] == 2
    lines = [json.loads(line) for line in orders("audit", "export").out.splitlines()]
    assert lines == document["audit"]
    assert orders("audit", "export", "--act", "OrderHeld", "--json").json["total"] == 1
