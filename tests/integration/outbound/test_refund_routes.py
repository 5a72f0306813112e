"""Refunds go to the provider that took the payment; what nobody here can give back is told, with its remedy."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from domain.ids import format_id
from outbound import refund_routes, refunds
from outbound.refund_routes import Routes
from outbound.refund_routes import configured_routes as routes_of
from providers.payments.standard import StandardRefunds
from providers.registry import registry
from settings.environment import read
from tests.simulators import SHARDS, a_shop, an_event, running

NOWHERE = Path("/nonexistent/.env")
OTHERS = {"toss": "set ORDERS_TOSS_API_KEY"}


@pytest.fixture
def shop(database_url, redis_url):
    with a_shop(database_url, redis_url) as shop:
        yield shop


@pytest.fixture(scope="module")
def two_banks():
    """Two services that give money back, each with books of its own."""
    with running("standard") as (_, one), running("standard") as (_, other):
        yield one, other


@pytest.fixture
def clients(two_banks):
    one, other = two_banks
    with closing(StandardRefunds(one)) as first, closing(StandardRefunds(other)) as second:
        yield {"stripe": first, "bank": second}


def cancel(shop, number, provider):
    """An order that `provider` was paid for, and that was canceled."""
    item = {"item": "a", "product": "tea", "quantity": 1, "unitPrice": "500"}
    paid = {"paymentId": f"pay-{number}", "amount": "500", "currency": "KRW"}
    if provider is not None:
        paid["provider"] = provider
    shop.tell(
        an_event("OrderCreated", number, items=[item], totalAmount="500", paymentIds=[f"pay-{number}"]),
        an_event("PaymentSucceeded", None, **paid),
        an_event("OrderCanceled", number),
    )


def run(shop, routes):
    """Each provider's chore, the one without a provider, then the drain."""
    for name in routes.clients:
        refunds.run_due(shop.engine, shop.streams, SHARDS, routes.refunder(name), datetime.now(UTC))
    with shop.engine.begin() as conn:
        died = refund_routes.give_up(conn, routes, datetime.now(UTC))
    shop.work()
    return died


def books(url):
    found = httpx.get(f"{url}/_simulator/books", trust_env=False).json()["payments"]
    return {name: Decimal(made["amount"]) for name, kept in found.items() for made in kept["refunds"]}


def states(shop):
    sql = "select o.order_number, e.state from effects e join orders o on o.id = e.order_id order by 1"
    return dict(tuple(row) for row in shop.rows(sql))


def test_each_payment_is_refunded_by_the_provider_that_took_it(shop, clients, two_banks):
    for number, provider in (("route-1", "stripe"), ("route-2", "bank"), ("route-3", "Stripe")):
        cancel(shop, number, provider)
    assert run(shop, Routes(clients, OTHERS)) == 0
    assert set(states(shop).values()) == {"done"}
    stripe, bank = map(books, two_banks)
    assert (stripe["pay-route-1"], stripe["pay-route-3"], bank["pay-route-2"]) == (500, 500, 500)
    assert "pay-route-2" not in stripe
    assert not {"pay-route-1", "pay-route-3"} & bank.keys()
    assert shop.rows("select distinct status, refunded_amount from transactions") == [("canceled", 500)]


def test_a_provider_that_is_not_configured_leaves_its_refunds_due_and_is_named(shop, clients):
    cancel(shop, "wait-1", "toss")
    routes = Routes(clients, OTHERS)
    assert run(shop, routes) == 0
    assert states(shop) == {"wait-1": "due"}
    with shop.engine.connect() as conn:
        (told,), late = refund_routes.due(conn, routes, 300)
    assert (told[:2], late) == (("toss", 1), 0)
    assert told.remedy == "set ORDERS_TOSS_API_KEY"
    run(shop, Routes({**clients, "toss": clients["bank"]}, {}))
    assert states(shop) == {"wait-1": "done"}


def test_without_any_refund_client_all_that_could_have_one_waits(shop):
    cancel(shop, "none-1", None)
    routes = Routes({}, OTHERS)
    assert run(shop, routes) == 0
    with shop.engine.connect() as conn:
        (told,), late = refund_routes.due(conn, routes, 300)
    assert (told.provider, told.refunds, told.remedy, late) == (None, 1, "set ORDERS_TOSS_API_KEY", 0)


def test_a_payment_that_names_no_provider_is_refunded_by_the_only_one_there_is(shop, clients, two_banks):
    cancel(shop, "only-1", None)
    assert run(shop, Routes({"bank": clients["bank"]}, OTHERS)) == 0
    assert books(two_banks[1])["pay-only-1"] == 500
    assert states(shop) == {"only-1": "done"}


@pytest.mark.parametrize(
    ("provider", "says"),
    [("kakaopay", "nobody gives back here what 'kakaopay' took"), (None, "names no provider, and bank and stripe")],
)
def test_what_nobody_here_gives_back_is_dead_with_its_remedy(shop, clients, two_banks, provider, says):
    number = f"dead-{provider}"
    cancel(shop, number, provider)
    routes = Routes(clients, OTHERS)
    assert run(shop, routes) == 1
    assert run(shop, routes) == 0
    assert states(shop) == {number: "dead"}
    (letter,) = shop.rows("select effect_id, reason, detail, state from dead_letters")
    assert (letter.reason, letter.state) == ("refund_no_client", "open")
    for part in (says, "500 KRW", f"pay-{number}", f"orders given-up replay {format_id('effects', letter.effect_id)}"):
        assert part in letter.detail
    assert not {f"pay-{number}"} & (books(two_banks[0]).keys() | books(two_banks[1]).keys())


def test_once_a_service_is_named_for_it_a_replay_sends_it_there(shop, clients, two_banks):
    cancel(shop, "later-1", "kakaopay")
    run(shop, Routes(clients, OTHERS))
    (effect,) = shop.rows("select id from effects")
    with shop.engine.begin() as conn:
        assert refunds.release(conn, effect.id, "kim")
    run(shop, Routes({**clients, "kakaopay": clients["bank"]}, OTHERS))
    assert states(shop) == {"later-1": "done"}
    assert books(two_banks[1])["pay-later-1"] == 500


def test_a_report_of_what_was_refunded_by_hand_closes_its_dead_letter(shop, clients):
    cancel(shop, "hand-1", "kakaopay")
    routes = Routes(clients, OTHERS)
    run(shop, routes)
    shop.tell(an_event("PaymentRefunded", paymentId="pay-hand-1", refundedAmount="200"))
    run(shop, routes)
    assert states(shop) == {"hand-1": "dead"}
    shop.tell(an_event("PaymentRefunded", paymentId="pay-hand-1", refundedAmount="500"))
    run(shop, routes)
    assert states(shop) == {"hand-1": "done"}
    assert shop.rows("select state from dead_letters") == [("discarded",)]
    (effect,) = shop.rows("select id, made from effects")
    (audit,) = shop.rows("select actor, target, reason, detail from audit")
    assert effect.made == 500
    assert (audit.actor, audit.target) == ("orders", format_id("effects", effect.id))
    assert (audit.reason, audit.detail) == (
        "it went back, as its provider or a person told",
        {"payment": "pay-hand-1"},
    )


def test_one_in_doubt_whose_client_is_gone_is_asked_about_first_when_it_comes_back(shop, clients, two_banks):
    """The attempt may have happened: neither death nor replay makes it a new one."""
    cancel(shop, "doubt-1", "kakaopay")
    shop.do("update effects set state = 'unknown', made = 0, asked = 500, idempotency_key = 'refund:doubt-1'")
    assert run(shop, Routes(clients, OTHERS)) == 1
    (effect,) = shop.rows("select id, idempotency_key from effects")
    assert effect.idempotency_key == "refund:doubt-1"
    with shop.engine.begin() as conn:
        refunds.release(conn, effect.id, "kim")
    assert states(shop) == {"doubt-1": "unknown"}
    run(shop, Routes({**clients, "kakaopay": clients["bank"]}, OTHERS))
    made = httpx.get(f"{two_banks[1]}/_simulator/books", trust_env=False).json()["payments"]["pay-doubt-1"]["refunds"]
    assert [m["key"] for m in made] == ["refund:doubt-1"]


def test_the_setting_says_who_gives_back_what_which_provider_took(two_banks):
    one, other = two_banks
    settings = read({"ORDERS_REFUND_URL": f"Stripe={one},bank={other}"}, NOWHERE)
    assert set(routes_of(settings).clients) == {"stripe", "bank"}
    alone = routes_of(read({"ORDERS_REFUND_URL": one}, NOWHERE))
    assert (set(alone.clients), alone.unnamed) == ({"standard"}, "standard")
    bare = routes_of(read({}, NOWHERE))
    assert (bare.clients, set(bare.waiting)) == ({}, {"standard", "stripe", "portone", "toss"})
    assert bare.waiting["standard"] == "set ORDERS_REFUND_URL for the workers and restart them"
    assert registry().refund_clients(settings.providers)["bank"] is routes_of(settings).clients["bank"], "made once"


def test_what_a_person_noted_goes_back_by_hand_even_where_one_provider_could_have_taken_it(shop, clients):
    """Released by a person, it reaches no provider: it is a dead letter that says what to do, and a report closes it."""
    item = {"item": "a", "product": "tea", "quantity": 1, "unitPrice": "500"}
    shop.tell(an_event("OrderCreated", "1", items=[item], totalAmount="500"))
    shop.tell(an_event("PaymentSucceeded", "1", paymentId="manual:pay", amount="500", currency="KRW"))
    shop.tell(an_event("OrderCanceled", "1"))
    assert shop.rows("select state from effects") == [("staff",)]
    shop.do("update effects set state = 'due'")
    routes = Routes({"stripe": clients["stripe"]}, {})
    run(shop, routes)
    [(state,)] = shop.rows("select state from effects")
    [(reason, detail)] = shop.rows("select reason, detail from dead_letters")
    assert (state, reason) == ("dead", "refund_no_client")
    assert "a person noted it" in detail
    assert "PaymentRefunded" in detail
    shop.tell(an_event("PaymentRefunded", "1", paymentId="manual:pay", refundedAmount="500"))
    run(shop, routes)
    assert shop.rows("select state from effects") == [("done",)]
