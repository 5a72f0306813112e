"""Before an order expires its payment's provider is asked, on a simulated one: paid there, not paid, unknown, silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from events.envelope import Envelope
from journal.timers import Askable
from journal.timers import run_due as fire
from outbound import expiry_questions, payment_lookups
from outbound.expiry_questions import OUTSTANDING, PER_ROUND
from providers.base import NoAnswer
from settings.environment import read
from tests.integration.outbound.reconciliation.conftest import PROVIDERS, Here, provider
from tests.simulators import SHARDS, AShop, a_shop

DAY = timedelta(days=1)
LATE = 2 * DAY  # the unpaid timer is over
NOBODY = Askable()


@pytest.fixture(scope="module", params=PROVIDERS)
def there(request, tmp_path_factory):
    with provider(request.param, tmp_path_factory.mktemp("books")) as made:
        yield made


@pytest.fixture
def here(shop: AShop, there) -> Here:
    return Here(shop, there.name, there.when)


@pytest.fixture
def shop(database_url, redis_url):
    with a_shop(database_url, redis_url) as made:
        yield made


def asked_for(there, *others: str) -> Askable:
    names = (there.name, *others)
    return Askable(names, unnamed=len(names) == 1)


def rounds(shop: AShop, there, askable: Askable, *, client=None, later=LATE, times: int = 1) -> None:
    """The chores as the beat sends them: the timers, then the questions and their answers."""
    for _ in range(times):
        now = datetime.now(UTC) + later
        shop.do(
            "insert into heartbeats (name, at) values ('timers', :at) on conflict (name) do update set at = :at", at=now
        )
        fire(shop.engine, shop._drain.policy, shop._drain.shop, now, askable)
        shop.work()
        expiry_questions.ask(shop.engine, shop.streams, SHARDS, there.name, askable, now)
        lookups = {there.name: client or there.client}
        payment_lookups.run_due(shop.engine, shop.streams, SHARDS, lookups, timedelta(hours=72), now)
        shop.work()


def pending(payment: str, until: str) -> Envelope:
    data = {"paymentId": payment, "kind": "processing", "until": until}
    return Envelope(f"pending-{payment}", "test", "PaymentPending", datetime.now(UTC), None, data)


def status(shop: AShop, number: str) -> str:
    return str(shop.rows("select status from orders where order_number = :n", n=number)[0][0])


def questions(shop: AShop) -> list[str]:
    return [
        row[0] for row in shop.rows("select data ->> 'paymentId' from journal where type like '%.AskedBeforeExpiry'")
    ]


def test_paid_there_is_paid_here_not_paid_or_unknown_expires(shop, there, here):
    there.pays("paid-there")
    there.pays("failed-there", state="failed")
    for name in ("paid-there", "failed-there", "unknown-there"):
        shop.tell(here.order(f"N-{name}", name))
    rounds(shop, there, asked_for(there), later=timedelta(0), times=2)
    assert questions(shop) == [], "nothing is due"
    rounds(shop, there, asked_for(there), times=3)
    assert sorted(questions(shop)) == ["failed-there", "paid-there", "unknown-there"]
    assert status(shop, "N-paid-there") == "preparing"
    assert {status(shop, f"N-{name}") for name in ("failed-there", "unknown-there")} == {"canceled"}
    told = shop.rows(
        "select type, event_id, subject from journal where source = 'reconciliation' and type = 'PaymentSucceeded'"
    )
    assert [tuple(row) for row in told] == [("PaymentSucceeded", f"{there.name}:paid-there:paid", told[0].subject)]
    assert shop.rows("select count(*) from inbox where state <> 'done'")[0][0] == 0, (
        "an unknown payment is no dead letter"
    )
    assert shop.rows("select provider from transactions where payment_id = 'paid-there'")[0][0] == there.name


def test_without_an_answer_the_order_waits_visibly_and_a_person_can_let_it_go(shop, there, here):
    class Silent:
        def ask(self, kind, time, data):
            raise NoAnswer("answered 503")

    shop.tell(here.order("N1", "p1"))
    rounds(shop, there, asked_for(there), client=Silent(), times=4)
    assert status(shop, "N1") == "pending"
    (row,) = shop.rows("select state, last_error from inbox")
    assert tuple(row) == ("due", "answered 503")
    rounds(shop, there, asked_for(there), client=Silent(), later=LATE + timedelta(hours=73), times=2)
    with shop.engine.begin() as conn:
        (given_up,) = payment_lookups.given_up(conn)
        assert (given_up.payment_id, given_up.subject) == ("p1", "N1")
        assert status(shop, "N1") == "pending"
        payment_lookups.discard(conn, [given_up.seq], "cli:kim", "an abandoned cart")
    rounds(shop, there, asked_for(there), later=LATE + timedelta(hours=74))
    assert status(shop, "N1") == "canceled"


def test_whoever_cannot_be_asked_holds_up_nothing(shop, there, here):
    shop.tell(here.order("N1", "p1"), here.order("N2", "p2", provider="other"))
    rounds(shop, there, NOBODY)
    assert {status(shop, number) for number in ("N1", "N2")} == {"canceled"}
    assert questions(shop) == []


def test_of_several_who_can_be_asked_the_one_that_the_order_names(shop, there, here):
    there.pays("named-there")
    shop.tell(here.order("N1", "named-there", provider=there.name.upper()), here.order("N2", "nameless"))
    several = asked_for(there, "another")
    rounds(shop, there, several, times=3)
    assert questions(shop) == ["named-there"]
    assert (status(shop, "N1"), status(shop, "N2")) == ("preparing", "canceled")


def test_a_payment_under_way_and_a_paid_order_are_not_asked_about(shop, there, here):
    until = (datetime.now(UTC) + 10 * DAY).isoformat()
    shop.tell(here.order("N1", "p1"), pending("p1", until))
    shop.tell(here.order("N2", "p2"), here.paid("p2"))
    rounds(shop, there, asked_for(there), times=2)
    assert questions(shop) == []
    assert (status(shop, "N1"), status(shop, "N2")) == ("pending", "preparing")


def test_a_few_are_asked_per_round_and_few_wait_at_once(shop, there, here):
    class Silent:
        def ask(self, kind, time, data):
            raise NoAnswer("no answer")

    shop.tell(*[here.order(f"N{n}", f"q{n}") for n in range(OUTSTANDING + 20)])
    rounds(shop, there, asked_for(there), client=Silent())
    assert len(questions(shop)) == PER_ROUND
    rounds(shop, there, asked_for(there), client=Silent(), times=OUTSTANDING // PER_ROUND + 3)
    assert len(questions(shop)) == OUTSTANDING


def test_who_can_be_asked_follows_from_the_settings():
    nowhere = Path("/nowhere")

    def of(**settings: str) -> Askable:
        return expiry_questions.askable(read(settings, nowhere))

    stripe, toss = {"ORDERS_STRIPE_API_KEY": "key"}, {"ORDERS_TOSS_API_KEY": "key"}
    bare = {"ORDERS_PORTONE_SECRETS": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}
    assert of() == Askable([])
    assert of(**bare) == Askable([]), "a webhook's bare word is nobody's answer"
    assert of(**stripe) == Askable(["stripe"], unnamed=True)
    assert of(**stripe, **toss) == Askable(["stripe", "toss"], unnamed=False)
