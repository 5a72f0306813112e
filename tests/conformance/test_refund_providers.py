"""One suite that every refund provider passes: once a target, whatever happens on the way."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from urllib.parse import unquote

import httpx
import pytest

from events.money import Money
from providers.base import RefundNotMade, RefundRefused, RefundUnknown
from tests.conformance.conftest import able, named

PAYMENTS = [f"pay-{number}" for number in range(12)]
TARGETS = [Decimal("3.50"), Decimal("10.00")]  # cumulative


def dollars(amount):
    return Money(Decimal(amount), "USD")


def key_of(payment, target):
    return f"refund:{payment}:{target}"


@pytest.fixture(scope="module", params=able("refunds"), ids=named)
def subject(request):
    return request.param


@pytest.fixture(scope="module", params=[0.0, 0.5], ids=["calm", "bad days"])
def service(request, running, subject, connect, quick):
    with running("provider", "--seed", 7, "--errors", request.param) as (_, url):
        quick(request.param > 0)
        yield connect(subject, "refunds", url), url


@pytest.fixture
def provider(service):
    return service[0]


def all_refunds(url):
    return httpx.get(f"{url}/v1/refunds", trust_env=False).json()["refunds"]


def capture(url, payment, amount):
    answer = httpx.put(f"{url}/v1/payments/{payment}", json=dollars(amount).as_data(), trust_env=False)
    assert answer.status_code == 200


def settle(provider, payment, target, step, tries=60):
    """The protocol of the caller: after an unknown answer ask, then ask again with the same key."""
    unsure = False
    for _ in range(tries):
        try:
            if unsure:
                told = provider.refunded(payment)
                if told is not None and told.refunded_amount >= target:
                    return told
                unsure = False
            return provider.refund(payment, dollars(step), key_of(payment, target))
        except RefundNotMade:
            continue
        except RefundUnknown:
            unsure = True
    raise AssertionError(f"{payment} is not settled after {tries} tries")


def test_a_payment_is_refunded_once_a_target(service):
    provider, url = service
    for payment in PAYMENTS:
        before = Decimal(0)
        for target in TARGETS:
            told = settle(provider, payment, target, target - before)
            assert (told.payment_id, told.refunded_amount) == (payment, target)
            before = target
    made = [refund for refund in all_refunds(url) if refund["payment_id"] in PAYMENTS]
    assert Counter(unquote(refund["key"]) for refund in made) == Counter(
        key_of(payment, target) for payment in PAYMENTS for target in TARGETS
    )
    for payment in PAYMENTS:
        amounts = [Decimal(refund["amount"]) for refund in made if refund["payment_id"] == payment]
        assert sum(amounts) == TARGETS[-1]


def test_the_same_key_answers_the_same_refund(provider):
    first = settle(provider, "again", Decimal(5), Decimal(5))
    assert settle(provider, "again", Decimal(5), Decimal(5)) == first


def test_rivals_with_one_key_make_one_refund(service):
    provider, url = service
    with ThreadPoolExecutor(8) as rivals:
        jobs = [rivals.submit(settle, provider, "rivals", Decimal(5), Decimal(5)) for _ in range(8)]
        assert len({job.result() for job in jobs}) == 1
    assert [made["payment_id"] for made in all_refunds(url)].count("rivals") == 1


def test_the_same_key_for_another_amount_is_refused(provider):
    settle(provider, "reused", Decimal(5), Decimal(5))
    with pytest.raises(RefundRefused) as caught:
        provider_says(provider, "reused", "6", key_of("reused", Decimal(5)))
    assert caught.value.reason == "idempotency_key_reused"


def test_more_than_was_captured_is_refused_and_changes_nothing(service):
    provider, url = service
    capture(url, "small", "10")
    settle(provider, "small", Decimal(6), Decimal(6))
    with pytest.raises(RefundRefused) as caught:
        provider_says(provider, "small", "5", "too-much")
    assert caught.value.reason == "exceeds_captured"
    assert what_went_back(provider, "small").refunded_amount == 6


def test_a_payment_that_is_never_refunded_is_refused_for_good(provider):
    with pytest.raises(RefundRefused) as caught:
        provider_says(provider, "REFUSE-1", "5", "never")
    assert caught.value.reason == "refused"
    assert what_went_back(provider, "REFUSE-1") is None


def test_another_currency_is_refused(service):
    provider, url = service
    capture(url, "dollars", "10")
    with pytest.raises(RefundRefused) as caught:
        provider_says(provider, "dollars", Money(Decimal(100), "KRW"), "in-won")
    assert caught.value.reason == "currency_mismatch"


@pytest.mark.parametrize("payment", ["결제 1", "a/b?c#d", "50%"])
def test_ids_and_keys_may_hold_any_sign(provider, payment):
    assert what_went_back(provider, payment) is None
    assert settle(provider, payment, Decimal(5), Decimal(5)).payment_id == payment
    assert what_went_back(provider, payment).refunded_amount == 5


def test_a_careless_caller_does_refund_twice_on_bad_days(running, subject, connect, quick):
    """The suite can see a double: a new key after each failure makes some."""
    with running("provider", "--seed", 7, "--errors", 0.5) as (_, url):
        quick(True)
        provider = connect(subject, "refunds", url)
        for payment in PAYMENTS:
            for attempt in range(60):
                try:
                    provider.refund(payment, dollars(5), f"{payment}-{attempt}")
                    break
                except (RefundNotMade, RefundUnknown):
                    continue
        made = Counter(refund["payment_id"] for refund in all_refunds(url))
    assert max(made.values()) > 1


def test_a_provider_that_is_killed_and_restarted_forgets_nothing(running, tmp_path, subject, connect, quick):
    quick(False)
    state = ("--state", tmp_path / "provider.sqlite")
    with running("provider", *state) as (process, url):
        before = connect(subject, "refunds", url)
        first = before.refund("pay", dollars(5), "key")
        process.kill()
        process.wait()
        with pytest.raises((RefundNotMade, RefundUnknown)):
            before.refund("pay", dollars(5), "key")
        with pytest.raises(RefundNotMade):
            before.refund("pay", dollars(5), "key")
        with pytest.raises(RefundUnknown):
            before.refunded("pay")
    with running("provider", *state) as (_, url):
        after = connect(subject, "refunds", url)
        assert after.refunded("pay") == first
        assert after.refund("pay", dollars(5), "key") == first
        assert len(all_refunds(url)) == 1


def provider_says(provider, payment, amount, key, tries=60):
    """The provider's last word on one refund, asked with one key until it has one."""
    money = amount if isinstance(amount, Money) else dollars(amount)
    for _ in range(tries):
        try:
            return provider.refund(payment, money, key)
        except (RefundNotMade, RefundUnknown):
            continue
    raise AssertionError(f"no word on {payment} after {tries} tries")


def what_went_back(provider, payment, tries=60):
    """The sum that the provider has refunded, asked until it answers."""
    for _ in range(tries):
        try:
            return provider.refunded(payment)
        except RefundUnknown:
            continue
    raise AssertionError(f"no answer about {payment} after {tries} tries")
