"""`orders reconcile` and `orders findings`: what differs between a provider and us, on a simulated Stripe."""

from __future__ import annotations

from datetime import timedelta

import pytest

from outbound.reconciliation import run, runs
from providers.simulators.start import KEYS
from tests.integration.outbound.reconciliation.conftest import Here, contents, provider


@pytest.fixture
def there(tmp_path, monkeypatch):
    with provider("stripe", tmp_path, "--mishap", "rate_limit=0.2") as made:
        monkeypatch.setenv("ORDERS_STRIPE_API_KEY", KEYS["stripe"])
        monkeypatch.setenv("ORDERS_STRIPE_API_URL", made.url)
        yield made


class Rows:
    """The shop of these tests, as the makers of the neighbours' events know one."""

    def __init__(self, shop):
        self.shop = shop

    def rows(self, query, **values):
        return self.shop.do(query, **values)

    def tell(self, *envelopes):
        self.shop.take(*envelopes)
        self.shop.work()


@pytest.fixture
def differing(shop, there):
    """A lost webhook, a refund by hand, and an amount that differs; one payment is the same on both sides."""
    here = Here(Rows(shop), "stripe", there.when)
    for name in ("same", "lost", "hand", "amount"):
        there.pays(name)
        here.shop.tell(here.order(f"N-{name}", name))
        if name != "lost":
            here.shop.tell(here.paid(name, "9.00" if name == "amount" else "10.00"))
    there.refunds("hand")
    return here.shop


def test_dry_then_for_real_then_nothing_but_what_waits(differing, orders):
    before = contents(differing)
    dry = orders("reconcile", "--dry-run", "--since", "3h")
    assert dry.code == 1
    for words in (
        "payment_there",
        "refund_there",
        "amount_differs",
        "paid 10 USD",
        "4 payments, 1 refunds, 0 disputes",
    ):
        assert words in dry.out
    assert "2 would heal by an event, 1 wait for a person" in dry.out
    assert "nothing was changed" in dry.out
    assert contents(differing) == before

    real = orders("reconcile", "--since", "3h")
    assert real.code == 1
    assert "2 heal by an event, 1 wait for a person" in real.out
    assert "no workers run here" in real.err
    differing.shop.work()

    again = orders("reconcile", "--provider", "stripe", "--since", "3h", "--json")
    assert (again.code, [each["kind"] for each in again.json["findings"]]) == (1, ["amount_differs"])
    (told,) = again.json["runs"]
    assert {name: told[name] for name in ("provider", "payments", "refunds", "healed", "waiting")} == {
        "provider": "stripe", "payments": 4, "refunds": 1, "healed": 0, "waiting": 1,
    }  # fmt: skip


def test_findings_are_listed_shown_and_resolved(differing, orders):
    orders("reconcile", "--since", "3h")
    differing.shop.work()
    found = orders("findings", "list", "--json").json["findings"]
    assert [(each["kind"], each["state"], each["orderNumber"]) for each in found] == [
        ("amount_differs", "open", "N-amount")
    ]
    own_id = found[0]["id"]
    assert own_id in orders("findings", "list").out
    assert orders("findings", "list", "--state", "healed", "--json").json["findings"][0]["events"]
    shown = orders("findings", "show", own_id)
    for words in ("not the same amount", "there: status paid, amount 10", "here: status paid, amount 9", "to do:"):
        assert words in shown.out
    resolved = orders("findings", "resolve", own_id, "--note", "cash for the rest", "--json")
    assert (resolved.code, resolved.json["state"], resolved.json["note"]) == (0, "resolved", "cash for the rest")
    again = orders("findings", "resolve", own_id, "--note", "x")
    assert again.code == 1
    assert "waits for nobody" in again.err
    assert "no finding waits" in orders("findings", "list").out
    assert orders("reconcile", "--since", "3h").code == 0


WRONG = {
    "a time that is none": (("reconcile", "--since", "yesterday"), 2, "--since yesterday is no time"),
    "an end before the beginning": (("reconcile", "--since", "1h", "--until", "2h"), 2, "is not before --until"),
    "a provider that is none": (("reconcile", "--provider", "paypal"), 2, "there are portone, standard, stripe, toss"),
    "one's own without its URL": (("reconcile", "--provider", "standard"), 1, "once ORDERS_PAYMENTS_URL is set"),
    "a provider without its key": (("reconcile", "--provider", "toss"), 1, "once ORDERS_TOSS_API_KEY is set"),
    "a state that is none": (
        ("findings", "list", "--state", "odd"),
        2,
        "give one of open, healed, resolved, gone or all",
    ),
    "a kind that is none": (("findings", "list", "--kind", "odd"), 2, "--kind odd is none; give one of payment_there"),
    "an id that is none": (("findings", "show", "fnd_1"), 1, "no finding has the id 'fnd_1'"),
    "a note that says nothing": (("findings", "resolve", "fnd_1", "--note", " "), 2, "--note must say something"),
}


@pytest.mark.parametrize(("arguments", "code", "says"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_one_sentence(shop, there, orders, arguments, code, says):
    answer = orders(*arguments)
    assert (answer.code, answer.out) == (code, "")
    assert says in answer.err


def test_without_anybody_to_be_gone_through_it_names_the_settings(shop, orders, monkeypatch):
    monkeypatch.setenv("ORDERS_REFUND_URL", "http://127.0.0.1:1")
    answer = orders("reconcile")
    assert answer.code == 1
    assert "standard is not compared: set ORDERS_PAYMENTS_URL" in answer.err
    assert "ORDERS_STRIPE_API_KEY" in answer.err


def test_a_provider_that_does_not_answer_is_told_and_where_it_goes_on(shop, orders, monkeypatch):
    monkeypatch.setenv("ORDERS_STRIPE_API_KEY", "key")
    monkeypatch.setenv("ORDERS_STRIPE_API_URL", "http://127.0.0.1:1")
    monkeypatch.setattr("cli.reconcile.TRIES", 2)
    answer = orders("reconcile")
    assert answer.code == 1
    assert "asked again in" in answer.err
    assert "goes on where it stopped" in answer.err
    assert shop.do("select state from reconciliations")[0].state == "running"
    doctor_says = orders("doctor", "--json").json["checks"]
    assert [each["level"] for each in doctor_says if each["name"] == "reconciliation"] == ["ok"], "it was asked by hand"


def test_the_doctor_tells_of_findings_and_of_what_cannot_go_on(differing, orders):
    def lines():
        checks = orders("doctor", "--json").json["checks"]
        return [(each["level"], each["says"]) for each in checks if each["name"] == "reconciliation"]

    assert lines() == [("ok", "nothing was compared yet")]
    orders("reconcile", "--since", "3h")
    assert lines() == [("warning", "1 finding of stripe wait for a person, such as amount_differs of amount")]
    differing.rows("delete from findings")
    differing.rows(
        "insert into reconciliations (id, provider, since, until, scheduled, state, last_error, created_at) values "
        "(gen_random_uuid(), 'stripe', now() - interval '3 days', now(), true, 'running', 'answered 401', now() - interval '2 days')"
    )
    ((level, says),) = lines()
    assert (level, says) == ("problem", "stripe is not compared since 2 d; its last answer: answered 401")
    differing.rows(
        "update reconciliations set state = 'done', last_error = null, until = now() - interval '9 days' where scheduled"
    )
    ((level, says),) = lines()
    assert (level, says) == ("warning", "stripe was compared last 9 d ago")


def test_a_window_that_the_workers_begin_meanwhile_is_finished_first_too(differing, there, orders, monkeypatch):
    real, windows = run.compare, []

    def began(engine, days, *, scheduled):
        with engine.begin() as conn:
            since = there.when - timedelta(days=days)
            runs.begin(conn, "stripe", since, there.when, there.when, scheduled=scheduled)

    def compare(engine, *arguments):
        windows.append(arguments[3])
        yield from real(engine, *arguments)
        if len(windows) == 1:
            began(engine, 2, scheduled=True)

    monkeypatch.setattr(run, "compare", compare)
    began(differing.shop.opened.engine, 1, scheduled=False)
    answer = orders("reconcile", "--since", "3h", "--json")
    assert [round((each.until - each.since) / timedelta(hours=1)) for each in windows] == [24, 48, 3]
    assert len(answer.json["runs"]) == 3
    assert answer.err.count("which was broken off") == 2
