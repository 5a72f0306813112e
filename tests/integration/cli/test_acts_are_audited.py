"""Each act of an operator and its row of the audit commit together, or not at all: for every command that changes something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.builders import ORDER, asked_back, canceled, created, delivered, line, paid, shipped, told
from tests.docs.test_commands import COMMANDS

WHY = ("--why", "a test")
VAN: dict[str, Any] = {"carrier": "Our Van", "trackingNumber": "4711"}
# Commands that change nothing of the shop, run it, bring events of others, or look at it.
NO_ACTS = {
    "demo", "up", "ingest", "account", "show", "list", "why", "dwell", "preflight", "verify", "balance", "refunds list",
    "refunds show", "parcels", "given-up list", "given-up causes", "given-up show", "given-up replays", "dlq list", "dlq show",
    "overdue", "parked list", "pauses", "reconcile", "audit list", "audit export", "findings list", "findings show",
    "trackers list", "trackers carriers", "keys list", "operators list", "top", "webhooks list", "webhooks deliveries",
    "webhooks test", "schema", "doctor", "migrate", "worker", "beat", "api",
}  # fmt: skip

Do = Callable[..., Any]
Stage = Callable[[Any, Do], None]


@dataclass(frozen=True)
class Act:
    """A command on a shop that `stage` has made so that it can be done; `{name}` stands for what `{name: SQL}` finds."""

    arguments: str
    stage: Stage
    named: Mapping[str, str] | None = None


def placed(shop: Any, orders: Do) -> None:
    shop.tell(
        created(line("mug", 2), customer="c-1", customerSnapshot={"name": "Lee"}), paid(10_000, provider="stripe")
    )


def short(shop: Any, orders: Do) -> None:
    shop.tell(created(), paid(4_000))


def held(shop: Any, orders: Do) -> None:
    placed(shop, orders)
    orders("hold", ORDER)


def sent(shop: Any, orders: Do) -> None:
    placed(shop, orders)
    shop.tell(shipped("box", **VAN))


def back(shop: Any, orders: Do) -> None:
    sent(shop, orders)
    shop.tell(delivered("box"), asked_back("R"))


def poisoned(shop: Any, orders: Do) -> None:
    shop.tell(created(), paid(10_000, currency="USD"))


def edited(shop: Any, orders: Do) -> None:
    poisoned(shop, orders)
    assert orders("given-up", "edit", "--order", ORDER, "--set", "data.currency=KRW", *WHY, "--yes").code == 0


def halted(shop: Any, orders: Do) -> None:
    poisoned(shop, orders)
    shop.tell(paid(10_000, "pay-2", currency="USD"))
    assert orders("given-up", "replay", "--order", ORDER, *WHY, "--yes").code == 1


def running(shop: Any, orders: Do) -> None:
    halted(shop, orders)
    shop.do("update replays set state = 'running'")


def refused(shop: Any, orders: Do) -> None:
    placed(shop, orders)
    shop.tell(canceled())
    shop.do("update effects set state = 'dead', last_error = 'no'")
    shop.do(
        "insert into dead_letters (id, effect_id, reason) select gen_random_uuid(), id, 'refund_refused' from effects"
    )


def asked_for(shop: Any, orders: Do) -> None:
    placed(shop, orders)
    shop.tell(canceled())
    shop.do("update effects set state = 'staff'")


def wrong(shop: Any, orders: Do) -> None:
    placed(shop, orders)
    shop.do("update orders set status = 'shipped'")


def made_elsewhere(shop: Any, orders: Do) -> None:
    placed(shop, orders)
    shop.tell(told("PaymentRefunded", paymentId="pay", refund="re_1", amount="500", version=2))


def retired(shop: Any, orders: Do) -> None:
    placed(shop, orders)
    shop.do("insert into trackers (id, order_id, key, carrier, tracking_number, finished, last_error) "
            "select gen_random_uuid(), id, 'tracking:van:9', 'van', '9', true, 'silent' from orders")  # fmt: skip


def differing(shop: Any, orders: Do) -> None:
    shop.do("insert into findings (id, provider, kind, subject, digest, payment_id, theirs, ours, state, done) "
            "values (gen_random_uuid(), 'stripe', 'amount_differs', 'pi', '', 'pi', '{}', '{}', 'open', '')")  # fmt: skip


def subscribed(shop: Any, orders: Do) -> None:
    placed(shop, orders)
    shop.do("insert into subscriptions (id, url, secrets, collections, operations) "
            "values (gen_random_uuid(), 'https://s.example', '{whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}', '{orders}', '{create}')")  # fmt: skip
    shop.do("insert into deliveries (id, subscription_id, order_id, collection, operation, document, at, state, last_error) "
            "select gen_random_uuid(), s.id, o.id, 'orders', 'create', '{}', now(), 'dead', 'no' from subscriptions s, orders o")  # fmt: skip


def unsubscribed(shop: Any, orders: Do) -> None:
    subscribed(shop, orders)
    shop.do("update subscriptions set state = 'disabled'")


def keyed(shop: Any, orders: Do) -> None:
    orders("keys", "add", "secret")


def staffed(shop: Any, orders: Do) -> None:
    orders("operators", "add", "kim")


def paused(shop: Any, orders: Do) -> None:
    orders("pause", "outward", "--reason", "x")


def nothing(shop: Any, orders: Do) -> None:
    pass


LETTER = {"seq": "select seq from dead_letters"}
REPLAY = {"rpl": "select id from replays"}
REFUND = {"rfd": "select id from refund_documents"}
SUBSCRIPTION = {"sub": "select id from subscriptions"}
ACTS = {
    "edit": Act(f"edit {ORDER} --name Kim", placed),
    "cancel-items": Act(f"cancel-items {ORDER} --item mug=1", placed),
    "refund": Act(f"refund {ORDER} 500 --reason goodwill", placed),
    "refunds retry": Act("refunds retry rfd_{rfd}", refused, REFUND),
    "refunds settle": Act("refunds settle rfd_{rfd} --method cash", refused, REFUND),
    "refunds allocate": Act("refunds allocate re_1 --reason goodwill", made_elsewhere),
    "refunds release": Act("refunds release rfd_{rfd}", asked_for, REFUND),
    "accept": Act(f"accept {ORDER}", short),
    "hold": Act(f"hold {ORDER}", placed),
    "release": Act(f"release {ORDER}", held),
    "correct-fulfillment": Act(f"correct-fulfillment {ORDER} box --status delivered", sent),
    "scan": Act("scan VAN 4711 delivered", sent),
    "returns withdraw": Act("returns withdraw ret_{ret}", back, {"ret": "select id from returns"}),
    "returns received": Act("returns received ret_{ret}", back, {"ret": "select id from returns"}),
    "given-up edit": Act("given-up edit {seq} --set data.currency=KRW --why x", poisoned, LETTER),
    "given-up discard": Act("given-up discard {seq} --why x", poisoned, LETTER),
    "given-up discard a delivery": Act("given-up discard --kind delivery --why x --yes", subscribed),
    "given-up replay": Act("given-up replay {seq} --why x", edited, LETTER),
    "given-up stop": Act("given-up stop rpl_{rpl} --why x", running, REPLAY),
    "given-up resume": Act("given-up resume rpl_{rpl} --why x", halted, REPLAY),
    "dlq edit": Act("dlq edit {seq} --set data.currency=KRW", poisoned, LETTER),
    "dlq replay": Act("dlq replay {seq}", poisoned, LETTER),
    "dlq discard": Act("dlq discard {seq} --why x", poisoned, LETTER),
    "replay": Act("replay --reason currency_mismatch --why x --yes", edited),
    "replay --rebuild": Act(f"replay --rebuild {ORDER} --why x --yes", wrong),
    "privacy export": Act("privacy export c-1", placed),
    "privacy erase": Act("privacy erase c-1 --reason x --yes", placed),
    "pause": Act("pause outward --reason x", nothing),
    "resume": Act("resume outward", paused),
    "findings resolve": Act("findings resolve fnd_{fnd} --note x", differing, {"fnd": "select id from findings"}),
    "trackers resume": Act("trackers resume 9", retired),
    "keys add": Act("keys add secret", nothing),
    "keys revoke": Act("keys revoke key_{key}", keyed, {"key": "select id from api_keys"}),
    "operators add": Act("operators add kim", nothing),
    "operators disable": Act("operators disable kim", staffed),
    "operators link": Act("operators link kim", staffed),
    "webhooks add": Act("webhooks add https://127.0.0.1/x --collections orders", nothing),
    "webhooks rotate": Act("webhooks rotate sub_{sub}", subscribed, SUBSCRIPTION),
    "webhooks enable": Act("webhooks enable sub_{sub}", unsubscribed, SUBSCRIPTION),
    "webhooks disable": Act("webhooks disable sub_{sub}", subscribed, SUBSCRIPTION),
    "webhooks remove": Act("webhooks remove sub_{sub}", subscribed, SUBSCRIPTION),
    "webhooks replay": Act("webhooks replay --subscription sub_{sub} --state dead", subscribed, SUBSCRIPTION),
}
LOOKS = {"privacy export"}  # the row of the audit is all that they leave
OF_THEIR_OWN = {"audit", "alembic_version", "heartbeats", "leases", "policies"}  # tables that no act is about
FULL = """
    create function audit_is_full() returns trigger language plpgsql as
        $$ begin raise exception 'the audit is full' using errcode = '53100'; end $$;
    create trigger full_audit before insert on audit for each row execute function audit_is_full()
"""


def test_every_command_that_changes_something_is_looked_at_here():
    leaves = {name for name, command in COMMANDS.items() if not getattr(command, "commands", None)}
    unknown = {name for name in leaves if name.split()[0] not in ("bench", "simulate")} - NO_ACTS - set(ACTS)
    assert unknown == set(), "is it an act? Then say above how it is done"
    assert leaves >= NO_ACTS


def stored(shop: Any) -> dict[str, list[str]]:
    """The rows of every table that an act may be about."""
    tables = [row[0] for row in shop.do("select tablename from pg_tables where schemaname = 'public' order by 1")]
    return {
        each: sorted(row[0] for row in shop.do(f'select cast(t as text) from "{each}" t'))
        for each in tables
        if each not in OF_THEIR_OWN
    }


@pytest.mark.parametrize("name", ACTS)
def test_an_act_and_its_row_of_the_audit_commit_together_or_not_at_all(shop, orders, monkeypatch, name):
    monkeypatch.setenv("ORDERS_WEBHOOKS_ALLOW_PRIVATE", "on")
    act = ACTS[name]
    act.stage(shop, orders)
    found = {each: str(shop.do(sql)[0][0]).replace("-", "") for each, sql in (act.named or {}).items()}
    arguments = [each.format(**found).replace("VAN", "Our Van") for each in act.arguments.split()]
    (known,) = shop.do("select count(*) from audit")[0]
    before = stored(shop)

    shop.do(FULL)
    refused = orders(*arguments)
    assert refused.code != 0, refused.out
    assert name not in LOOKS or refused.out == "", "it was shown, and nobody knows to whom"
    assert stored(shop) == before

    shop.do("drop trigger full_audit on audit")
    done = orders(*arguments)
    assert shop.do("select count(*) from audit")[0][0] > known, done.err
    if name not in LOOKS:
        assert stored(shop) != before, done.err
    if name.partition(" ")[0] in ("given-up", "dlq", "refunds"):
        # What a person did; that orders closes what is done by it is an act of its own.
        rows = shop.do("select action, actor from audit order by id offset :known", known=known)
        called = [action for action, actor in rows if actor != "orders"]
        of_replays = {"replay begin", "replay stop", "replay resume", "replay done", "replay halted", "given-up replay"}
        command = name.removesuffix(" a delivery")
        said = {command} if command not in ("given-up replay", "given-up stop", "given-up resume") else of_replays
        assert set(called) <= said, "the audit names another command than the one that was used"
        assert len(called) == len(set(called)), "one act, one row"


# Commands that take a person's own words for why, and by which option; others' --reason is a condition, or of a closed set.
WORDED = {
    **{name: "--why" for name in ACTS if "--why" in ACTS[name].arguments},
    **dict.fromkeys(("edit", "cancel-items", "accept", "hold", "release", "correct-fulfillment", "privacy export", "privacy erase", "pause", "resume"), "--reason"),
}  # fmt: skip
MANNERED = "a\x1b[31m  line\nand another\u202e "
KEPT = "a [31m line and another"


def test_every_option_that_asks_why_is_looked_at_here():
    asking = {
        name for name, command in COMMANDS.items() for each in command.params if {"--why", "--reason"} & set(each.opts)
    }
    closed = {"refund", "refunds allocate"}
    assert asking - NO_ACTS - closed == {name.removesuffix(" a delivery").removesuffix(" --rebuild") for name in WORDED}


@pytest.mark.parametrize("name", WORDED)
def test_a_reason_is_one_line_of_at_most_500_characters_wherever_it_is_said(shop, orders, monkeypatch, name):
    act, option = ACTS[name], WORDED[name]
    act.stage(shop, orders)
    found = {each: str(shop.do(sql)[0][0]).replace("-", "") for each, sql in (act.named or {}).items()}
    arguments = [
        each.format(**found) for each in act.arguments.replace(" --why x", "").replace(" --reason x", "").split()
    ]
    before = stored(shop)
    long = orders(*arguments, option, "x" * 501)
    assert (long.code, "act_reason_absent" in long.err) == (2, True), long.err
    assert stored(shop) == before
    done = orders(*arguments, option, MANNERED)
    reasons = [row[0] for row in shop.do("select reason from audit where reason is not null order by id desc")]
    assert KEPT in reasons, (done.err, reasons)
