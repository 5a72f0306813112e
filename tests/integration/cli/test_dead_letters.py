"""`orders dlq`, `orders parked`: a dead letter, and the way back for it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from domain.ids import format_id
from tests.builders import ORDER, canceled, created, paid, told


@pytest.fixture
def poisoned(shop):
    """An order whose payment came in dollars; the number of the dead event."""
    shop.tell(created(), paid(10_000, currency="USD"))
    return shop


def only(orders) -> dict:
    [letter] = orders("dlq", "list", "--json").json["letters"]
    return letter


def status(orders) -> str:
    return str(orders("show", ORDER, "--json").json["status"])


def test_nothing_is_dead_and_nothing_waits(shop, orders):
    assert "no dead letter and no payment look-up waits" in orders("dlq", "list").out
    assert orders("dlq", "list", "--json").json == {"letters": [], "webhooks": [], "waiting": []}
    assert "nothing is parked" in orders("parked", "list").out


def test_list_and_show_tell_why(poisoned, orders):
    letter = only(orders)
    assert (letter["type"], letter["reason"], letter["subject"]) == ("PaymentSucceeded", "currency_mismatch", ORDER)
    text = orders("dlq", "list").out
    assert "currency_mismatch" in text
    assert letter["ref"] in text
    shown = orders("dlq", "show", letter["ref"])
    assert '"USD"' in shown.out
    assert orders("dlq", "show", letter["event_id"], "--json").json["original"]["data"]["currency"] == "USD"
    assert "nothing there fits" in orders("dlq", "list", "--reason", "bug").out


def test_edited_and_replayed_it_applies(poisoned, orders):
    ref = only(orders)["ref"]
    assert status(orders) == "pending"
    edited = orders("dlq", "edit", ref, "--set", "data.currency=KRW", "--set", "data.amount=10000")
    assert edited.code == 0, edited.err
    assert f"orders dlq replay {ref}" in edited.out
    assert only(orders)["corrected"]
    done = orders("dlq", "replay", ref)
    assert done.code == 0, done.err
    assert "1 replayed" in done.out
    assert sum(poisoned.opened.streams.look().lengths) == 1, "it was not published"
    poisoned.work()
    assert status(orders) == "preparing"
    history = orders("dlq", "show", ref, "--json").json["history"]
    assert [row["action"] for row in history] == ["dlq edit", "dlq replay"]
    assert all(row["actor"].startswith("cli:") for row in history)
    assert orders("verify").code == 0
    again = orders("dlq", "replay", ref)
    assert (again.code, "unchanged" in again.err) == (0, True)


def test_a_whole_body_comes_from_a_file(poisoned, orders, tmp_path):
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"paymentId": "pay", "amount": "10000"}))
    ref = only(orders)["ref"]
    after = orders("dlq", "edit", ref, "--data-file", str(body), "--json").json
    assert after["correction"]["data"] == {"paymentId": "pay", "amount": "10000"}
    moved = orders("dlq", "edit", ref, "--subject", "another", "--json").json
    assert moved["correction"]["subject"] == "another"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "--set"),
        (("--set", "amount=1"), 2, "data.amount"),
        (("--set", "subject=1"), 2, "--subject"),
        (("--set", "data.amount"), 2, "PATH=VALUE"),
        (("--set", "data.amount.x=1"), 2, "has no fields"),
        (("--data-file", "/nowhere.json"), 2, "No such file"),
        (("--set", "data.amount=a lot"), 1, "would die again"),
    ],
)
def test_an_edit_that_cannot_be_changes_nothing(poisoned, orders, arguments, code, says):
    answer = orders("dlq", "edit", only(orders)["ref"], *arguments)
    assert answer.code == code, answer.err
    assert says in answer.err
    assert not only(orders)["corrected"]


def test_an_editor_is_opened_on_a_terminal(poisoned, orders, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "sed -i s/USD/KRW/")
    answer = orders("dlq", "edit", only(orders)["ref"], "--json")
    assert answer.code == 0, answer.err
    assert answer.json["correction"]["data"]["currency"] == "KRW"
    monkeypatch.setenv("EDITOR", "true")
    assert "nothing was changed" in orders("dlq", "edit", only(orders)["ref"]).err
    monkeypatch.setenv("EDITOR", "no-such-editor")
    assert "set EDITOR" in orders("dlq", "edit", only(orders)["ref"]).err


def test_discarded_it_counts_as_ignored(poisoned, orders):
    done = orders("dlq", "discard", only(orders)["ref"], "--why", "paid in cash")
    assert "1 discarded" in done.out
    account = orders("account", "--json").json
    assert (account["dead"], account["ignored"]) == (0, 1)
    assert "no dead letter and no payment look-up waits" in orders("dlq", "list").out


def test_an_unknown_name_is_a_problem(poisoned, orders):
    for command in ("show", "replay", "discard"):
        answer = orders("dlq", command, "nobody")
        assert answer.code == 1
        assert "orders dlq list" in answer.err


# -- refunds, parked ---------------------------------------------------------------------------------------


def test_a_refund_that_waits_for_staff_is_listed_and_released(shop, orders):
    shop.tell(created(), paid(), canceled())
    shop.do("update effects set state = 'staff'")
    [waiting] = orders("dlq", "list", "--json").json["waiting"]
    assert waiting["ref"].startswith("eff_")
    assert "wait for a person" in orders("dlq", "list").out
    refused = orders("dlq", "discard", waiting["ref"])
    assert (refused.code, "waits for a person" in refused.err) == (1, True)
    assert "goes out next" in orders("dlq", "replay", waiting["ref"]).out
    assert shop.do("select state from effects") == [("due",)]
    assert "no dead letter and no payment look-up waits" in orders("dlq", "list").out


def test_a_refund_given_up_is_a_dead_letter(shop, orders):
    shop.tell(created(), paid(), canceled())
    shop.do("update effects set state = 'dead', last_error = 'no'")
    shop.do(
        "insert into dead_letters (id, effect_id, reason, detail) "
        "select gen_random_uuid(), id, 'refund_refused', 'the provider said no' from effects"
    )
    letter = only(orders)
    assert (letter["type"], letter["ref"]) == ("Refund", letter["effect_id"])
    assert "the provider said no" in orders("dlq", "show", letter["ref"]).out
    assert f"orders given-up show {letter['ref']}" in orders("show", ORDER).out
    orders("dlq", "replay", letter["ref"])
    assert shop.do("select state from effects") == [("due",)]


def test_parked_tells_what_each_waits_for(shop, orders):
    shop.tell(paid(subject=None, payment="pay-x"), told("OrderConfirmed", subject="later"))
    found = orders("parked", "list", "--json").json["parked"]
    assert [(each["type"], each["reason"]) for each in found] == [
        ("PaymentSucceeded", "payment_unknown"),
        ("OrderConfirmed", "order_unknown"),
    ]
    text = orders("parked", "list").out
    assert "payment:pay-x" in text
    assert "waits for OrderCreated of that number" in text


@pytest.fixture
def given_up(shop):
    """The journal numbers of two webhooks whose provider told nothing."""
    shop.tell(*(told("toss.PAYMENT_STATUS_CHANGED", subject="N1", paymentId=f"p-{n}") for n in range(2)))
    shop.do(
        "insert into inbox (id, provider, seq, state, attempts, last_error) "
        "select gen_random_uuid(), 'toss', seq, 'dead', 3, 'toss does not know it' from journal"
    )
    return [str(row[0]) for row in shop.do("select seq from journal order by seq")]


def test_webhooks_whose_provider_told_nothing_are_listed_and_asked_for_again_or_let_be(shop, orders, given_up):
    first, second = given_up
    text = orders("dlq", "list").out
    assert "toss does not know it" in text
    assert "orders dlq replay REF" in text
    listed = orders("dlq", "list", "--type", "toss.PAYMENT_STATUS_CHANGED", "--json").json["webhooks"]
    assert {(row["ref"], row["payment_id"]) for row in listed} == {(first, "p-0"), (second, "p-1")}
    assert orders("dlq", "list", "--reason", "bug", "--json").json["webhooks"] == []
    done = orders("dlq", "replay", first)
    assert (done.code, f"payment look-up {first} is replayed; its provider is asked again" in done.out) == (0, True), (
        done.err
    )
    assert orders("dlq", "discard", second, "--why", "made up", "--json").json["webhooks"] == [second]
    assert [tuple(row) for row in shop.do("select state, attempts from inbox order by seq")] == [
        ("due", 0),
        ("done", 3),
    ]
    assert orders("dlq", "list", "--json").json["webhooks"] == []
    noted = [tuple(row) for row in shop.do("select action, target, reason, before, after from audit order by id")]
    refs = {seq: format_id("lookups", id) for seq, id in shop.do("select cast(seq as text), id from inbox")}
    assert noted == [
        ("dlq replay", refs[first], None, {"state": "dead"}, {"state": "due"}),
        ("dlq discard", refs[second], "made up", {"state": "dead"}, {"state": "done"}),
    ]
    again = orders("dlq", "replay", first)
    assert (again.code, f"{first}: no dead letter has this name" in again.err) == (1, True)


def test_it_shows_what_its_help_says_the_part_of_the_one_list_without_deliveries(shop, orders, given_up):
    shop.tell(created(), paid(10_000, currency="USD"))
    help_ = " ".join(orders("dlq", "--help").out.split())
    assert "dead letters (events, refunds) and payment look-ups" in help_
    assert "`orders given-up` is the whole list" in help_
    whole = orders("given-up", "list", "--json").json["docs"]
    part = orders("dlq", "list", "--json").json
    assert {each["kind"] for each in whole} == {"event", "lookup"}
    assert {(each["seq"], each["type"]) for each in whole} == {
        (each["seq"], each["type"]) for each in part["letters"] + part["webhooks"]
    }
    listed = orders("dlq", "list").out
    assert "payment look-ups that were given up" in listed
    assert "orders dlq replay REF looks a payment up again" in listed


def test_where_one_name_is_wrong_no_webhook_is_asked_for_again_either(shop, orders, given_up):
    assert orders("dlq", "replay", given_up[0], "unheard-of").code == 1
    assert {row[0] for row in shop.do("select state from inbox")} == {"dead"}


@pytest.fixture
def namesake(shop, given_up):
    """A webhook's number that is also the id of a dead event, from the source `shop`."""
    shop.tell(created(), replace(paid(currency="USD"), id=given_up[0]))
    return given_up[0]


@pytest.mark.parametrize("command", ["replay", "discard"])
def test_a_number_that_also_names_a_dead_event_changes_neither(shop, orders, namesake, command):
    done = orders("dlq", command, namesake)
    assert (done.code, f"{namesake} is a payment look-up and also the dead event shop/{namesake}" in done.err) == (
        1,
        True,
    )
    assert {row[0] for row in shop.do("select state from inbox")} == {"dead"}
    assert only(orders)["state"] == "open"
    assert shop.do("select from audit") == []


def test_once_the_dead_event_is_settled_by_its_name_the_number_is_the_webhooks(shop, orders, namesake):
    assert orders("dlq", "discard", f"shop/{namesake}").code == 0
    assert shop.do("select from inbox where state <> 'dead'") == []
    assert orders("dlq", "replay", namesake, "--json").json["webhooks"] == [namesake]
    assert [row[0] for row in shop.do("select state from inbox order by seq")] == ["due", "dead"]


def test_a_number_in_another_writing_is_an_events_id(shop, orders, given_up):
    padded = f"00{given_up[0]}"
    shop.tell(created(), replace(paid(currency="USD"), id=padded))
    assert len(orders("dlq", "discard", padded, "--json").json["discarded"]) == 1
    assert {row[0] for row in shop.do("select state from inbox")} == {"dead"}


@pytest.mark.parametrize("command", [("show",), ("edit", "--subject", "N1")])
def test_a_webhook_is_neither_shown_nor_edited_and_that_is_said(orders, given_up, command):
    answer = orders("dlq", command[0], given_up[0], *command[1:])
    assert answer.code == 1
    assert "no dead letter has this name" in answer.err
    assert "a payment look-up's number works with `dlq replay` and `dlq discard` alone" in answer.err
