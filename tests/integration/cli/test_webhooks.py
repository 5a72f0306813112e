"""`orders webhooks …`: subscribe, look, rotate, switch, replay, try; and what `orders doctor` says of it."""

from __future__ import annotations

import pytest

from tests.builders import created
from tests.integration.outbound.webhooks.conftest import receiving, verified

PUBLIC = "https://93.184.216.34/hook"  # judged by its number: nothing is looked up, and nothing is sent there
DELIVERY = """
    insert into deliveries (id, subscription_id, order_id, collection, operation, document, at, state, attempts,
                            last_status, last_error)
    select gen_random_uuid(), s.id, o.id, 'orders', 'create', '{}', now(), :state, 10, 500, 'answered 500'
    from subscriptions s, orders o
"""


@pytest.fixture
def private(monkeypatch):
    monkeypatch.setenv("ORDERS_WEBHOOKS_ALLOW_PRIVATE", "on")


def subscribe(orders, url=PUBLIC, *more) -> dict:
    answer = orders("webhooks", "add", url, "--collections", "orders,returns", *more, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def test_a_subscription_is_made_and_its_secret_shown_once(shop, orders):
    made = subscribe(orders)
    assert made["id"].startswith("sub_")
    assert made["secret"].startswith("whsec_")
    assert (made["url"], made["collections"], made["operations"]) == (
        PUBLIC,
        ["orders", "returns"],
        ["create", "update"],
    )
    [listed] = orders("webhooks", "list", "--json").json["subscriptions"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    text = orders("webhooks", "add", PUBLIC, "--collections", "transactions", "--operations", "create")
    assert "whsec_" in text.out
    assert "this once" in text.err
    shown = orders("webhooks", "list")
    assert "whsec_" not in shown.out
    assert "transactions.create" in shown.out
    assert [row[0] for row in shop.do("select action from audit")] == ["webhooks add"] * 2
    assert shop.do("select from audit where audit::text like '%whsec%'") == []


@pytest.mark.parametrize(
    ("url", "more", "says"),
    [
        ("http://93.184.216.34/", (), "https://"),
        ("https://127.0.0.1/", (), "ORDERS_WEBHOOKS_ALLOW_PRIVATE=on"),
        ("https://[::ffff:169.254.169.254]/", (), "no address that a receiver can have"),
        ("https://me:pw@93.184.216.34/", (), "password"),
        (PUBLIC, ("--collections", "carts"), "choose from orders, order-items"),
        (PUBLIC, ("--collections", ""), "no collections"),
        (PUBLIC, ("--operations", "delete"), "choose from create, update"),
    ],
)
def test_what_cannot_be_told_is_refused_with_a_remedy(shop, orders, url, more, says):
    answer = orders("webhooks", "add", url, "--collections", "orders", *more)
    assert (answer.code, says in answer.err) == (2, True), answer.err
    assert shop.do("select from subscriptions") == []


def test_a_host_that_is_nowhere_just_now_is_a_problem(shop, orders, monkeypatch):
    def nowhere(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr("outbound.webhooks.ssrf_guard.socket.getaddrinfo", nowhere)
    answer = orders("webhooks", "add", "https://nowhere.example/", "--collections", "orders")
    assert (answer.code, "no address just now" in answer.err) == (1, True)


def test_a_secret_rotates_in_two_steps(shop, orders):
    made = subscribe(orders)
    first = orders("webhooks", "rotate", made["id"], "--json").json
    assert first["rotating"]
    assert first["secret"] != made["secret"]
    again = orders("webhooks", "rotate", made["id"])
    assert (again.code, "--finish" in again.err) == (1, True)
    assert orders("webhooks", "list", "--json").json["subscriptions"][0]["rotating"]
    assert orders("webhooks", "rotate", made["id"], "--finish", "--json").json == {"id": made["id"], "rotating": False}
    assert shop.do("select secrets from subscriptions") == [([first["secret"]],)]
    assert "as before" in orders("webhooks", "rotate", made["id"], "--finish").out


def test_disabled_enabled_removed(shop, orders):
    shop.tell(created())
    made = subscribe(orders)
    shop.do(DELIVERY, state="due")
    assert "keeps 1 delivery" in orders("webhooks", "disable", made["id"]).out
    assert "disabled by hand" in orders("webhooks", "list").out
    assert orders("webhooks", "enable", made["id"], "--json").json["state"] == "active"
    assert shop.do("select attempts from deliveries") == [(0,)]
    assert "with 1 delivery" in orders("webhooks", "remove", made["id"]).out
    assert "no subscriptions" in orders("webhooks", "list").out
    for command in ("disable", "enable", "remove", "rotate", "test"):
        answer = orders("webhooks", command, made["id"])
        assert (answer.code, "orders webhooks list" in answer.err) == (1, True)


def test_deliveries_are_listed_and_replayed(shop, orders):
    shop.tell(created())
    made = subscribe(orders)
    for state in ("dead", "dead", "done"):
        shop.do(DELIVERY, state=state)
    found = orders("webhooks", "deliveries", "--state", "dead", "--json").json["deliveries"]
    assert [(each["state"], each["last_error"], each["subscription_id"]) for each in found] == [
        ("dead", "answered 500", made["id"])
    ] * 2
    assert len(orders("webhooks", "deliveries", "--subscription", made["id"], "--json").json["deliveries"]) == 3
    assert "more: --limit" in orders("webhooks", "deliveries", "--limit", "1").out
    assert "answered 500" in orders("webhooks", "deliveries").out
    one = orders("webhooks", "replay", found[0]["id"], "--json")
    assert one.json == {"replayed": 1, "missing": []}
    rest = orders("webhooks", "replay", "--subscription", made["id"], "--state", "dead")
    assert rest.out.startswith("sent again: 1 delivery")
    assert sorted(row[0] for row in shop.do("select state from deliveries")) == ["done", "due", "due"]
    missing = orders("webhooks", "replay", "msg_" + "0" * 32)
    assert (missing.code, "orders webhooks deliveries" in missing.err) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("replay", "msg_1", "--subscription", "sub_1"),
        ("replay", "msg_1", "--state", "dead"),
        ("replay", "--subscription", "sub_1", "--state", "lost"),
        ("deliveries", "--state", "lost"),
        ("add", PUBLIC),
    ],
)
def test_wrong_use_is_told(shop, orders, arguments):
    assert orders("webhooks", *arguments).code == 2


def test_a_ping_is_signed_and_its_answer_printed(shop, orders, private):
    with receiving() as receiver:
        made = subscribe(orders, receiver.url)
        receiver.decide = lambda post: (200, {}, b"thank you")
        answer = orders("webhooks", "test", made["id"])
        assert (answer.code, "answered 200" in answer.out, "thank you" in answer.out) == (0, True, True)
        assert verified(receiver.posts[0], made["secret"])
        assert receiver.posts[0].body["collection"] == "ping"
        receiver.decide = lambda post: (500, {}, b"")
        failed = orders("webhooks", "test", made["id"], "--json")
        assert (failed.code, failed.json["status"], failed.json["error"]) == (1, 500, "answered 500")
    assert orders("webhooks", "test", made["id"]).code == 1
    assert shop.do("select from deliveries") == []


def test_the_doctor_names_what_was_given_up(shop, orders):
    made = subscribe(orders)
    shop.do("insert into heartbeats (name, at) values ('timers', clock_timestamp())")

    def checks():
        answer = orders("doctor", "--json")
        return [check for check in answer.json["checks"] if check["name"] == "webhooks"]

    [fine] = checks()
    assert (fine["level"], fine["says"]) == ("ok", "1 subscription, 0 of them failing")
    orders("webhooks", "disable", made["id"])
    assert [check["level"] for check in checks()] == ["ok"], "a person knows what he did"
    shop.do("update subscriptions set notice = 'answered 410'")
    shop.tell(created())
    shop.do(DELIVERY, state="dead")
    disabled, dead = checks()
    assert disabled["level"] == dead["level"] == "problem"
    assert disabled["says"] == f"{made['id']} is disabled: answered 410"
    assert f"orders webhooks enable {made['id']}" in disabled["remedy"]
    assert dead["says"] == f"{made['id']}: 1 delivery given up"
