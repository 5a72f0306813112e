"""Bank accounts that refunds go to: asked for, kept encrypted, sent to the provider, erased; asked for anew after a failure."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from outbound import refund_accounts, refund_routes, refunds
from outbound.refund_accounts import (
    ERASED_AFTER,
    UNUSED_FOR,
    AccountInUse,
    AccountNeeded,
    AccountsOff,
    Vault,
    erase_due,
    put,
    told,
)
from outbound.refund_attempt import Refunder
from providers.base import RefundAccountRefused
from providers.movements import RefundAccount
from providers.payments.portone_api import PortOne
from providers.payments.toss_api import Toss
from tests.pg_waits import wait_until_blocked
from tests.refund_services import Service
from tests.simulators import SHARDS, a_shop, an_event, running

OLD_KEY, KEY = (Fernet.generate_key().decode() for _ in range(2))
VAULT = Vault((KEY,))
HOUR = timedelta(hours=1)
CLIENTS: dict[str, Any] = {"portone": (PortOne, "VirtualAccount", "SHINHAN"), "toss": (Toss, "가상계좌", "88")}
NUMBER = "110123456789"


@pytest.fixture
def shop(database_url, redis_url):
    with a_shop(database_url, redis_url) as shop:
        yield shop


@pytest.fixture(scope="module", params=CLIENTS)
def bank(request):
    """A provider that took a deposit, its client, its name for the method, and the account in its own words."""
    make, method, code = CLIENTS[request.param]
    with running(request.param) as (_, url):
        client = make(url, {"portone": "test_secret", "toss": "test_sk"}[request.param])
        yield request.param, Service(request.param, url, client), method, RefundAccount(code, NUMBER, "Kim Haneul")


@pytest.fixture
def payment(request):
    return f"va-{abs(hash(request.node.name)) % 10**8}"


def run(shop, bank, later=timedelta(0), vault=VAULT, client=None):
    name, service, _, _ = bank
    refunder = Refunder(name, client or service.client)
    taken = refunds.run_due(shop.engine, shop.streams, SHARDS, refunder, datetime.now(UTC) + later, vault=vault)
    shop.work()
    return taken


def owed(shop, bank, payment, amount=12_000):
    """A canceled order whose deposit is to go back."""
    name, service, method, _ = bank
    service.capture(payment, str(amount), "KRW", method="virtual_account")
    item = {"item": "a", "product": "tea", "quantity": 1, "unitPrice": str(amount)}
    shop.tell(an_event("OrderCreated", "1", items=[item], totalAmount=str(amount), paymentIds=[payment]))
    paid = {"paymentId": payment, "amount": str(amount), "currency": "KRW", "provider": name, "paymentMethod": method}
    shop.tell(an_event("PaymentSucceeded", None, **paid), an_event("OrderCanceled", "1"))
    return shop.rows("select id from orders")[0][0]


def tell(shop, order_id, account, vault=VAULT):
    with shop.engine.begin() as conn:
        return put(conn, vault, order_id, "1", account, "api:test")


def effect(shop):
    return shop.rows("select * from effects")[0]


def kept(shop):
    return shop.rows("select * from refund_accounts")


def test_refund_of_a_virtual_account_without_and_with_account(shop, bank, payment):
    _, service, _, account = bank
    order_id = owed(shop, bank, payment)
    assert run(shop, bank) == 1
    waiting = effect(shop)
    assert (waiting.state, waiting.idempotency_key, "bank account" in waiting.last_error) == (
        "account_needed",
        None,
        True,
    )
    assert service.books(payment) == []
    assert run(shop, bank, later=HOUR) == 0, "it waits for the account, and is not tried"
    assert tell(shop, order_id, account) == {"bank": account.bank, "number": "***6789", "holderName": "K***"}
    assert run(shop, bank, later=HOUR) == 1
    assert effect(shop).state == "done"
    assert [(each.amount, each.status) for each in service.books(payment)] == [(12_000, "succeeded")]


def test_an_account_that_is_told_before_lets_the_refund_go_out_at_once(shop, bank, payment):
    order_id = owed(shop, bank, payment)
    tell(shop, order_id, bank[3])
    run(shop, bank)
    assert effect(shop).state == "done"


def test_it_is_encrypted_in_the_database_and_in_no_event_audit_or_error(shop, bank, payment):
    order_id = owed(shop, bank, payment)
    tell(shop, order_id, bank[3])
    run(shop, bank)
    tables = [
        row[0] for row in shop.rows("select table_name from information_schema.tables where table_schema = 'public'")
    ]
    for table in tables:
        text = " ".join(row[0] for row in shop.rows(f"select t::text from {table} t"))
        assert NUMBER not in text, table
        assert "Haneul" not in text, table
    assert NUMBER not in repr(bank[3])


def test_it_is_erased_two_weeks_after_the_refund_and_not_before(shop, bank, payment):
    order_id = owed(shop, bank, payment)
    tell(shop, order_id, bank[3])
    with shop.engine.begin() as conn:
        assert erase_due(conn, datetime.now(UTC) + timedelta(days=365)) == 0, "the refund has not gone out"
    run(shop, bank)
    for after, left in ((ERASED_AFTER - HOUR, 1), (ERASED_AFTER + HOUR, 0)):
        with shop.engine.begin() as conn:
            erase_due(conn, datetime.now(UTC) + after)
        assert len(kept(shop)) == left


def test_one_that_no_refund_ever_needed_is_erased_after_half_a_year(shop, bank, payment):
    item = {"item": "a", "product": "tea", "quantity": 1, "unitPrice": "500"}
    shop.tell(an_event("OrderCreated", "1", items=[item], totalAmount="500", paymentIds=[payment]))
    tell(shop, shop.rows("select id from orders")[0][0], bank[3])
    for after, left in ((UNUSED_FOR - HOUR, 1), (UNUSED_FOR + HOUR, 0)):
        with shop.engine.begin() as conn:
            erase_due(conn, datetime.now(UTC) + after)
        assert len(kept(shop)) == left


def test_a_refund_that_was_made_by_hand_waits_for_no_account(shop, bank, payment):
    owed(shop, bank, payment)
    run(shop, bank)
    shop.tell(an_event("PaymentRefunded", "1", paymentId=payment, refundedAmount="12000"))
    with shop.engine.begin() as conn:
        refund_routes.give_up(conn, refund_routes.Routes({bank[0]: bank[1].client}, {}), datetime.now(UTC))
    assert (effect(shop).state, effect(shop).made) == ("done", 12_000)


class Refuses:
    """A provider that cannot pay into an account, the first time."""

    def __init__(self, real):
        self.real, self.rules, self.left = real, real.rules, 1

    def refund(self, request):
        self.left -= 1
        if self.left >= 0:
            raise RefundAccountRefused("INVALID_REFUND_ACCOUNT_NUMBER", "no such account")
        return self.real.refund(request)

    def refunds(self, payment_id):
        return self.real.refunds(payment_id)


def test_an_account_that_the_provider_refuses_is_erased_and_asked_for_anew(shop, bank, payment):
    order_id, client = owed(shop, bank, payment), Refuses(bank[1].client)
    tell(shop, order_id, bank[3])
    run(shop, bank, client=client)
    assert (effect(shop).state, kept(shop)) == ("account_needed", [])
    assert "no such account" in effect(shop).last_error
    tell(shop, order_id, replace(bank[3], number="999900001111"))
    run(shop, bank, later=HOUR, client=client)
    assert effect(shop).state == "done"


def test_an_account_that_a_refund_failed_with_later_is_asked_for_anew(shop, bank, payment):
    """The refund succeeded, and failed three days later: whoever tries again needs another account."""
    order_id = owed(shop, bank, payment)
    tell(shop, order_id, bank[3])
    run(shop, bank)
    [(refund,)] = shop.rows("select data ->> 'refund' from journal where type = 'PaymentRefunded'")
    shop.tell(an_event("RefundFailed", "1", paymentId=payment, refund=refund, amount="12000"))
    shop.do("update effects set state = 'due', made = 0, next_at = now()")  # a person tries again
    run(shop, bank)
    assert effect(shop).state == "account_needed"
    assert "failed" in effect(shop).last_error


def test_a_refund_that_is_under_way_keeps_the_account_that_it_went_out_with(shop, bank, payment):
    order_id = owed(shop, bank, payment)
    tell(shop, order_id, bank[3])
    shop.do("update effects set state = 'unknown', idempotency_key = gen_random_uuid()::text, asked = target")
    with pytest.raises(AccountInUse):
        tell(shop, order_id, replace(bank[3], number="999900001111"))
    with shop.engine.begin() as conn:
        refund_accounts.keep_no_longer(conn, order_id, datetime.now(UTC) - timedelta(days=30))
        assert erase_due(conn, datetime.now(UTC)) == 0


def test_keys_rotate_and_a_lost_one_says_what_to_do(shop, bank, payment):
    order_id = owed(shop, bank, payment)
    tell(shop, order_id, bank[3], Vault((OLD_KEY,)))
    run(shop, bank)
    assert (effect(shop).state, "ORDERS_ACCOUNT_KEYS" in effect(shop).last_error) == ("account_needed", True)
    shop.do("update effects set state = 'due', next_at = now()")
    run(shop, bank, vault=Vault((KEY, OLD_KEY)))
    assert effect(shop).state == "done"


def test_without_a_key_no_account_is_taken():
    with pytest.raises(AccountsOff):
        Vault(()).seal(RefundAccount("88", NUMBER, "Kim"))
    with pytest.raises(AccountNeeded):
        Vault(()).open(VAULT.seal(RefundAccount("88", NUMBER, "Kim")))


def test_a_refund_that_is_due_no_more_waits_for_no_account(shop, bank, payment):
    owed(shop, bank, payment)
    run(shop, bank)
    shop.tell(an_event("PaymentReversed", "1", paymentId=payment))
    assert effect(shop).state == "done"


@pytest.mark.parametrize("bank", ["portone"], indirect=True)
def test_an_account_that_is_told_while_its_refund_is_claimed_is_not_overlooked(shop, bank, payment, monkeypatch):
    """The claim has read that there is none, and does not say so yet: else the refund would wait for ever."""
    order_id, (_, service, _, account) = owed(shop, bank, payment), bank
    there, go_on = threading.Event(), threading.Event()

    def read(conn, ids):
        found = told(conn, ids)
        there.set()
        assert go_on.wait(20)
        return found

    monkeypatch.setattr(refund_accounts, "told", read)
    with ThreadPoolExecutor(2) as pool:
        claimed = pool.submit(run, shop, bank)
        assert there.wait(20)
        kept = pool.submit(tell, shop, order_id, account)
        with shop.engine.connect() as conn:
            wait_until_blocked(conn)
        go_on.set()
        claimed.result(20)
        kept.result(20)
    run(shop, bank, HOUR)
    assert [(each.amount, each.status) for each in service.books(payment)] == [(12_000, "succeeded")]
