"""`orders keys`: made and shown once, listed without the key, revoked by id."""

from __future__ import annotations

import pytest

from storage import keys


def test_a_key_is_shown_once_and_never_again(shop, orders):
    made = orders("keys", "add", "secret", "--label", "backend", "--json")
    assert made.code == 0
    assert set(made.json) == {"key", "id", "kind", "label"}
    key = made.json["key"]
    assert keys.well_formed(key)
    assert key.startswith("sk01_")
    assert (made.json["kind"], made.json["label"]) == ("secret", "backend")
    (listed,) = orders("keys", "list", "--json").json["keys"]
    assert (listed["id"], listed["hint"], listed["revokedAt"]) == (made.json["id"], key[-4:], None)
    for told in (orders("keys", "list"), orders("keys", "list", "--json"), orders("doctor", "--json")):
        assert key not in told.out + told.err


def test_without_json_the_key_stands_alone_on_stdout(shop, orders):
    made = orders("keys", "add", "publishable")
    assert keys.well_formed(made.out.strip())
    assert made.out.startswith("pk01_")
    assert "key_" in made.err


def test_a_revoked_key_stays_revoked(shop, orders):
    made = orders("keys", "add", "secret", "--json").json
    first = orders("keys", "revoke", made["id"], "--json")
    again = orders("keys", "revoke", made["id"], "--json")
    assert first.code == again.code == 0
    assert first.json == again.json
    assert first.json["revokedAt"]
    assert shop.do("select action from audit order by id") == [("add key",), ("revoke key",)]
    with shop.opened.engine.connect() as conn:
        assert keys.find(conn, keys.digest(made["key"])) is None


@pytest.mark.parametrize("id", ["key_" + "0" * 32, "ord_" + "0" * 32, "nonsense", ""])
def test_a_key_that_is_not_there_is_told_so(shop, orders, id):
    answer = orders("keys", "revoke", id)
    assert answer.code == 1
    assert "orders keys list" in answer.err


def test_wrong_use_is_told_so(shop, orders):
    assert orders("keys", "add", "master").code == 2
    assert orders("keys", "add", "secret", "--label", "x" * 101).code == 2


def test_the_doctor_tells_of_keys_and_tokens_and_finds_no_fault_in_their_absence(shop, orders, monkeypatch):
    def checks() -> dict[str, dict]:
        return {each["name"]: each for each in orders("doctor", "--json").json["checks"]}

    before = checks()
    assert (before["API keys"]["level"], before["customer tokens"]["level"]) == ("ok", "ok")
    assert "orders keys add secret" in before["API keys"]["remedy"]
    assert "ORDERS_TOKEN_SECRET" in before["customer tokens"]["remedy"]
    orders("keys", "add", "secret")
    monkeypatch.setenv("ORDERS_TOKEN_SECRET", "s" * 32)
    after = checks()
    assert after["API keys"]["says"] == "1 secret key"
    assert (after["API keys"]["remedy"], after["customer tokens"]["remedy"]) == (None, None)
