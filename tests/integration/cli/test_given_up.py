"""`orders given-up`, `orders replay`: one list of what was given up, its edit, discard and replay, as a person uses them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.builders import ORDER, canceled, created, paid

WHY = ("--why", "a test")
HOSTILE = "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>[red]\u202egnp\u2028\x9b31m"


@pytest.fixture
def poisoned(shop):
    """An order with three payments in dollars and one without an amount; and one refund that its provider refused."""
    shop.tell(created(), *(paid(10_000, f"pay-{n}", currency="USD") for n in range(3)))
    shop.tell(paid(10_000, "pay-x", subject=ORDER))
    return shop


@pytest.fixture
def refused(shop):
    """An order whose refund was refused."""
    shop.tell(created(), paid(), canceled())
    shop.do("update effects set state = 'dead', last_error = 'no'")
    shop.do(
        "insert into dead_letters (id, effect_id, reason, detail) "
        "select gen_random_uuid(), id, 'refund_refused', 'the provider said no' from effects"
    )
    return shop


def test_the_audit_names_a_thing_as_given_up_show_takes_it(poisoned, orders):
    change = ("--reason", "currency_mismatch", "--set", "data.currency=KRW")
    assert orders("given-up", "edit", *change, *WHY, "--yes").code == 0
    edited = [act["subject"] for act in orders("audit", "list", "--json").json["audit"]]
    assert len(edited) == 3
    for ref in edited:
        seen = orders("given-up", "show", ref)
        assert (seen.code, "given-up edit" in seen.out) == (0, True), seen.err
    assert orders("given-up", "discard", edited[0], *WHY).code == 0
    gone = orders("given-up", "show", edited[0])
    assert (gone.code, f"`orders dlq show {edited[0]}` shows it" in gone.err) == (1, True), gone.err
    assert "given-up discard" in orders("dlq", "show", edited[0]).out


def test_acts_that_the_audit_named_by_an_older_name_are_shown_still(poisoned, orders):
    thing = listed(orders)[0]
    older = f"dead-letters/{thing['id']}"
    poisoned.do(
        f"insert into audit (actor, action, target, reason) values ('cli:lee', 'dlq edit', '{older}', 'long ago')"
    )
    assert "long ago" in orders("given-up", "show", thing["ref"]).out
    assert "dlq edit" in orders("dlq", "show", thing["ref"]).out


def listed(orders, *conditions: str) -> list[dict]:
    found = orders("given-up", "list", "--json", *conditions)
    assert found.code == 0, found.err
    return list(found.json["docs"])


def test_nothing_was_given_up(shop, orders):
    assert "nothing was given up" in orders("given-up", "list").out
    assert orders("given-up", "list", "--json").json == {"total": 0, "docs": []}
    assert orders("given-up", "causes", "--json").json == {"causes": []}
    assert orders("given-up", "replays", "--json").json == {"replays": []}


def test_causes_group_what_the_list_shows(poisoned, orders):
    assert len(listed(orders)) == 3
    [group] = orders("given-up", "causes", "--json").json["causes"]
    assert (group["reason"], group["type"], group["field"], group["count"]) == (
        "currency_mismatch",
        "PaymentSucceeded",
        "currency",
        3,
    )
    assert "edit the event" in group["remedy"]
    text = orders("given-up", "causes").out
    assert "currency_mismatch" in text
    assert group["refs"][0] in text


NARROWED = (
    (("--order", ORDER), 3),
    (("--order", "another"), 0),
    (("--type", "PaymentSucceeded", "--reason", "currency_mismatch", "--field", "currency"), 3),
    (("--reason", "bug"), 0),
    (("--text", "PAY-1"), 1),
    (("--text", "%"), 0),
    (("--kind", "refund"), 0),
    (("--since", "1h"), 3),
    (("--until", "1h"), 0),
    (("--provider", "nobody"), 0),
)


def test_the_list_is_narrowed_by_each_condition(poisoned, orders):
    for conditions, found in NARROWED:
        assert len(listed(orders, *conditions)) == found, conditions


def test_one_is_shown_with_what_a_replay_would_do(poisoned, orders):
    ref = listed(orders, "--text", "pay-1")[0]["ref"]
    found = orders("given-up", "show", ref, "--json").json
    assert found["came"]["data"]["currency"] == "USD"
    assert [each["what"] for each in found["history"]] == ["died"]
    then = found["ifReplayedNow"]
    assert then["outcomes"] == {"dead: currency_mismatch": 1}
    assert then["orders"] == []
    text = orders("given-up", "show", ref).out
    assert "if it were replayed now" in text
    assert "Nothing was changed" in text
    assert len(listed(orders)) == 3


def test_one_edit_over_all_that_match_is_previewed_checked_and_kept_as_a_version(poisoned, orders):
    many = ("--reason", "currency_mismatch", "--set", "data.currency=KRW")
    dry = orders("given-up", "edit", *many, "--dry-run")
    assert (dry.code, "replace /data/currency" in dry.out) == (0, True), dry.err
    assert not any(each["edited"] for each in listed(orders))
    unsure = orders("given-up", "edit", *many, *WHY)
    assert (unsure.code, "--yes" in unsure.err) == (2, True)
    wrong = orders("given-up", "edit", "--reason", "currency_mismatch", "--set", "data.amount=", "--dry-run", "--json")
    assert wrong.code == 1
    assert all("amount" in each["fault"] for each in wrong.json["edits"])
    done = orders("given-up", "edit", *many, *WHY, "--yes", "--json")
    assert (done.code, done.json["edited"]) == (0, 3), done.err
    ref = listed(orders)[0]["ref"]
    [group] = orders("given-up", "causes", "--json").json["causes"]
    assert (group["count"], group["edited"]) == (3, 3)
    assert "edited" in orders("given-up", "causes").out
    assert orders("given-up", "edit", ref, "--set", "data.amount=9000", *WHY).code == 0
    versions = orders("given-up", "show", ref, "--json").json["versions"]
    assert [each["version"] for each in versions] == [1, 2]
    assert versions[0]["diff"] == [{"op": "replace", "path": "/data/currency", "value": "KRW"}]
    assert all(each["by"].startswith("cli:") and each["reason"] == "a test" for each in versions)
    assert orders("given-up", "show", ref, "--json").json["came"]["data"]["currency"] == "USD"


def test_a_patch_comes_from_a_file_and_must_be_one(poisoned, orders, tmp_path):
    file, ref = tmp_path / "patch.json", listed(orders)[0]["ref"]
    file.write_text(json.dumps([{"op": "add", "path": "/data/currency", "value": "KRW"}]))
    assert orders("given-up", "edit", ref, "--patch", str(file), *WHY).code == 0
    for patch in (
        [],
        [{"op": "copy", "from": "/data", "path": "/data/x"}],
        [{"op": "add", "path": "", "value": {}}],
        "x",
    ):
        file.write_text(json.dumps(patch))
        answer = orders("given-up", "edit", ref, "--patch", str(file), *WHY)
        assert (answer.code, "patch_refused" in answer.err) == (1, True), patch


def test_a_dry_run_tells_what_a_replay_then_does(poisoned, orders):
    orders("given-up", "edit", "--order", ORDER, "--set", "data.currency=KRW", *WHY, "--yes")
    chosen = ("--order", ORDER)
    dry = orders("given-up", "replay", *chosen, "--dry-run", "--json").json
    assert dry["outcomes"] == {"applied": 3}
    [order] = dry["orders"]
    assert (order["number"], order["after"]) == (ORDER, order["before"])
    assert sum(float(each["amount"]) for each in dry["refunds"]) == 30_000
    assert len(listed(orders)) == 3
    done = orders("given-up", "replay", *chosen, *WHY, "--yes", "--json")
    assert done.code == 0, done.err
    assert (done.json["state"], done.json["outcomes"], done.json["total"]) == ("done", {"applied": 3}, 3)
    assert sum(row[0] for row in poisoned.do("select target from effects")) == 30_000
    assert listed(orders) == []
    assert orders("verify").code == 0
    shown = orders("given-up", "replays", done.json["id"])
    assert "3 in all: 3 applied" in shown.out
    kept = [tuple(row) for row in poisoned.do("select action, count(*) from audit group by 1 order by 1")]
    assert kept == [("given-up edit", 3), ("given-up replay", 3), ("replay begin", 1), ("replay done", 1)]


def test_a_replay_stops_by_itself_where_the_cause_comes_back_and_goes_on_when_told_to(poisoned, orders):
    done = orders("given-up", "replay", "--reason", "currency_mismatch", *WHY, "--yes", "--json")
    assert done.code == 1
    assert (done.json["state"], done.json["outcomes"], done.json["left"]) == ("halted", {"same_cause": 1}, 2)
    assert "1 of 1 was given up again" in done.json["note"]
    name = done.json["id"]
    assert orders("given-up", "stop", name, *WHY).code == 1
    again = orders("given-up", "resume", name, *WHY, "--json")
    assert (again.json["state"], again.json["outcomes"]) == ("halted", {"same_cause": 2})
    orders("given-up", "edit", "--order", ORDER, "--set", "data.currency=KRW", *WHY, "--yes")
    last = orders("given-up", "resume", name, *WHY, "--json").json
    assert (last["state"], last["outcomes"]) == ("done", {"same_cause": 2, "applied": 1})
    assert len(listed(orders)) == 2
    history = orders("given-up", "show", listed(orders)[0]["ref"], "--json").json["history"]
    assert sorted(each["what"] for each in history) == ["died", "died", "given-up edit", "given-up replay"]


def test_a_refund_is_released_and_waits_for_the_workers(refused, orders):
    [thing] = listed(orders, "--kind", "refund")
    assert thing["ref"].startswith("eff_")
    shown = orders("given-up", "show", thing["ref"])
    assert "refund_refused" in shown.out
    assert "refunds are asked for again" in shown.out
    cannot = orders("given-up", "edit", thing["ref"], "--set", "data.amount=1", *WHY)
    assert (cannot.code, "no event" in cannot.err) == (1, True)
    done = orders("given-up", "replay", thing["ref"], *WHY)
    assert "no workers run here" in done.err
    assert "1 being tried" in done.out
    assert refused.do("select state from effects") == [("due",)]


def test_discarded_they_are_listed_no_more(poisoned, orders):
    refs = [each["ref"] for each in listed(orders)]
    one = orders("given-up", "discard", refs[0], *WHY, "--json")
    assert one.json["discarded"] == 1
    rest = orders("given-up", "discard", "--order", ORDER, *WHY, "--yes")
    assert "2 discarded" in rest.out
    assert listed(orders) == []
    assert orders("account", "--json").json["ignored"] == 3


CANNOT_BE = (
    (("discard",), 2, "say why"),
    (("discard", *WHY), 1, "say which"),
    (("replay", *WHY), 1, "say which"),
    (("replay", "--dry-run"), 1, "say which"),
    (("replay", "--reason", "bug", *WHY, "--yes"), 1, "nothing that was given up fits"),
    (("edit", *WHY), 2, "say what to change"),
    (("edit", "--set", "data", *WHY), 2, "PATH=VALUE"),
    (("show", "nobody"), 1, "given_up_unknown"),
    (("stop", "rpl_x", *WHY), 1, "no such replay"),
    (("list", "--kind", "letters"), 2, "give one of event"),
    (("list", "--since", "lately"), 2, "2h"),
)


def test_what_cannot_be_done_is_said(poisoned, orders):
    for arguments, code, says in CANNOT_BE:
        answer = orders("given-up", *arguments)
        assert (answer.code, says in answer.err) == (code, True), answer.err
    assert len(listed(orders)) == 3


def test_more_than_one_act_takes_is_refused_and_not_cut_off(poisoned, orders, monkeypatch):
    monkeypatch.setattr("operations.given_up.MOST", 2)
    for command in (
        ("discard", *WHY, "--yes"),
        ("replay", *WHY, "--yes"),
        ("edit", "--set", "data.currency=KRW", *WHY, "--yes"),
    ):
        answer = orders("given-up", *command, "--reason", "currency_mismatch")
        assert (answer.code, "given_up_too_many" in answer.err) == (1, True), answer.err
    assert len(listed(orders)) == 3


def test_orders_replay_is_the_same_with_fewer_conditions(poisoned, orders):
    assert orders("replay", *WHY).code == 1
    dry = orders("replay", "--type", "PaymentSucceeded", "--dry-run", "--json").json
    assert dry["outcomes"] == {"dead: currency_mismatch": 3}
    orders("given-up", "edit", "--order", ORDER, "--set", "data.currency=KRW", *WHY, "--yes")
    done = orders("replay", "--since", "1h", *WHY, "--yes", "--json")
    assert (done.code, done.json["outcomes"]) == (0, {"applied": 3})


def test_an_order_is_rebuilt_from_the_journal_and_nothing_is_sent(shop, orders):
    shop.tell(created(), paid())
    shop.do("update orders set status = 'shipped'")
    dry = orders("replay", "--rebuild", ORDER, "--dry-run")
    assert (dry.code, "stored shipped, by the journal preparing" in dry.out) == (0, True), dry.err
    assert shop.do("select status from orders") == [("shipped",)]
    unsure = orders("replay", "--rebuild", ORDER, *WHY)
    assert (unsure.code, "--yes" in unsure.err) == (2, True)
    done = orders("replay", "--rebuild", ORDER, *WHY, "--yes", "--json").json
    assert (done["rebuilt"], len(done["differences"])) == (True, 1)
    assert shop.do("select status from orders") == [("preparing",)]
    assert [row[0] for row in shop.do("select action from audit")] == ["order rebuild"]
    assert "nothing was changed" in orders("replay", "--rebuild", ORDER, *WHY, "--yes").out


EVERYWHERE = (  # where others' texts stand in what was given up
    "update journal set source = 'h' || :text, event_id = seq || :text, type = 't' || :text, subject = :text, "
    "data = jsonb_build_object('paymentId', :text, :text, :text)",
    "update dead_letters set detail = :text, reason = 'bug' || left(:text, 40)",
    "update effects set payment_id = :text, last_error = :text",
    "update transactions set provider = :text",
    "update inbox set last_error = :text, provider = :text, reason = :text",
    "update deliveries set last_error = :text, collection = :text",
    "update subscriptions set url = 'https://' || :text",
    "update orders set order_number = right(cast(id as text), 6) || :text",
)


def test_what_others_wrote_harms_no_terminal(refused, orders):
    refused.tell(replace(created(), subject="second"), paid(10_000, "pay-h", currency="USD", subject="second"))
    refused.do("delete from corrections")
    refused.do(
        "insert into inbox (id, provider, seq, state, last_error) "
        "select gen_random_uuid(), 'toss', max(seq), 'dead', 'x' from journal"
    )
    refused.do(
        "with s as (insert into subscriptions (id, url, collections, operations, secrets) "
        "values (gen_random_uuid(), 'https://a', '{orders}', '{create}', '{x}') returning id) "
        "insert into deliveries (id, subscription_id, order_id, collection, operation, document, at, state) "
        "select gen_random_uuid(), s.id, o.id, 'orders', 'create', '{}', now(), 'dead' from s, orders o limit 1"
    )
    assert {each["kind"] for each in listed(orders)} == {"event", "refund", "lookup", "delivery"}
    for text in (HOSTILE, "x" * 1_000_000):
        for statement in EVERYWHERE:
            refused.do(
                statement,
                text=text if "journal set" not in statement and "orders set" not in statement else text[:500],
            )
        shown = [("show", each["ref"]) for each in listed(orders)]
        assert len(shown) == 4
        dry = ("replay", "--since", "1h", "--dry-run")
        for command in (("list",), ("causes",), *shown, dry, ("list", "--json")):
            answer = orders("given-up", *command)
            assert answer.code == 0, (command, answer.err[:500])
            assert not set(answer.out) & set("\x1b\x07\x9b\u202e\u2028"), command
            assert len(answer.out) < (20_000_000 if "--json" in command else 60_000), command
    discarded = orders("given-up", "discard", "--since", "1h", "--why", HOSTILE, "--yes")
    assert (discarded.code, "4 discarded" in discarded.out) == (0, True), discarded.err
    assert not set(orders("audit", "list").out) & set("\x1b\x07\x9b\u202e\u2028")
