"""Every kind of finding, at every provider, on real servers: dry, for real, and once more when all has healed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from outbound.reconciliation import findings, run, runs
from outbound.reconciliation.kinds import NEXT_STEP, Kind
from tests.integration.outbound.reconciliation.conftest import PROVIDERS, Here, There, contents, provider
from tests.simulators import SHARDS, AShop

K = Kind
HEALS = set(Kind) - set(NEXT_STEP)


@pytest.fixture(scope="module", params=PROVIDERS)
def there(request, tmp_path_factory):
    with provider(request.param, tmp_path_factory.mktemp("books")) as made:
        yield made


def plain_cases(there: There, here: Here) -> dict[str, Kind | None]:
    """Payments on both sides; subject → the kind that is to be found, None for nothing."""
    tell, o, p = here.shop.tell, here.order, here.paid
    for name in ("same", "amount", "sum", "hand", "ended", "failed", "unknown", "differs"):
        tell(o(f"N-{name}", name), p(name, "9.00" if name == "amount" else "10.00"))
        there.pays(name)
    for name in ("lost", "tried", "currency"):
        tell(o(f"N-{name}", name))
        there.pays(name, state="failed" if name == "tried" else "paid", currency="EUR" if name == "currency" else "USD")
    tell(o("N-number"), o("N-twice", "first"), p("first", provider="other"))
    there.pays("number", number="N-number")
    there.pays("twice", number="N-twice")
    there.pays("stranger", number="N-stranger")
    tell(o("N-here", "here"), p("here"))
    by_number = there.name != "portone"  # which has no room for it
    refund = there.refunds
    found: dict[str, Kind | None] = {
        "same": None, "amount": K.AMOUNT_DIFFERS, "lost": K.PAYMENT_THERE, "tried": K.PAYMENT_ENDED_THERE,
        "currency": K.CURRENCY_DIFFERS, "number": K.PAYMENT_THERE if by_number else K.ORDER_UNKNOWN,
        "twice": K.ORDER_PAID_OTHERWISE if by_number else K.ORDER_UNKNOWN, "stranger": K.ORDER_UNKNOWN,
        "here": K.PAYMENT_HERE, refund("hand"): K.REFUND_THERE, refund("lost"): K.REFUND_THERE,
        refund("sum"): None, refund("stranger"): K.ORDER_UNKNOWN,
    }  # fmt: skip
    tell(here.told("PaymentRefunded", paymentId="sum", refundedAmount="4.00"))
    for name, status, kind, amount in (
        ("ended", "pending", K.REFUND_ENDED_THERE, "4.00"),
        ("failed", "succeeded", K.REFUND_FAILED_THERE, "4.00"),
        ("differs", "succeeded", K.REFUND_DIFFERS, "3.00"),
    ):
        own_id = refund(name, status="failed" if name == "failed" else "succeeded")
        requested = (here.when + timedelta(seconds=60)).isoformat()
        tell(
            here.told(
                "PaymentRefunded", paymentId=name, refund=own_id, amount=amount, status=status, requestedAt=requested
            )
        )
        found[own_id] = kind
    tell(here.told("PaymentRefunded", paymentId="unknown", refund="re_nobody", amount="2.00", status="succeeded"))
    return {**found, "re_nobody": K.REFUND_HERE}


def dispute_cases(there: There, here: Here) -> dict[str, Kind | None]:
    """Disputes on both sides, as far as the provider tells of any, and how they ended."""
    for name in ("asked", "decided", "alone", "contradicted"):
        here.shop.tell(here.order(f"N-{name}", name), here.paid(name))
        there.pays(name)
    for name in ("decided", "alone"):
        here.shop.tell(here.told("PaymentDisputed", paymentId=name, dispute=f"dp_{name}"))
    here.shop.tell(here.told("PaymentDisputed", paymentId="contradicted", dispute="dp_contradicted", outcome="won"))
    there.disputes("asked")
    there.disputes("decided", "lost")
    there.disputes("contradicted", "lost")
    if there.name == "toss":  # its API tells of none
        return {}
    says_how = there.name != "portone"
    return {
        "dp_asked": K.DISPUTE_THERE,
        "dp_decided": K.DISPUTE_ENDED_THERE if says_how else K.DISPUTE_DIFFERS,
        "dp_alone": K.DISPUTE_HERE,
        "dp_contradicted": K.DISPUTE_DIFFERS if says_how else None,
    }


def judged(pages):
    return [each for page in pages for each in page.judged]


def no_waiting(error, attempts):
    raise error


def clock():
    return datetime.now(UTC)


def window(there: There) -> tuple[datetime, datetime]:
    return there.when - timedelta(minutes=5), there.when + timedelta(minutes=30)


def compared(shop, there):
    """One whole comparison; what it found."""
    since, until = window(there)
    mine = run.holder()
    with shop.engine.begin() as conn:
        runs.keep(conn, there.name, mine)
        at = runs.begin(conn, there.name, since, until, clock(), scheduled=False)
    found = judged(run.compare(shop.engine, shop.streams, SHARDS, there.client, at, mine, clock, no_waiting))
    shop.work()
    return found


def test_every_kind_dry_for_real_and_once_more(shop: AShop, there: There):
    here = Here(shop, there.name, there.when)
    cases = {**plain_cases(there, here), **dispute_cases(there, here)}
    expected = {(subject, kind) for subject, kind in cases.items() if kind is not None}

    before = contents(shop)
    dry = judged(run.try_out(shop.engine, there.name, there.client, *window(there), clock, no_waiting))
    assert contents(shop) == before, "a dry run changes no row of any table"
    assert {(each.difference.subject, each.difference.kind) for each in dry} == expected

    found = compared(shop, there)
    assert {(each.difference.subject, each.difference.kind) for each in found} == expected
    for each in found:
        assert (each.state == "healed") == (each.difference.kind in HEALS), each
    events = shop.rows("select type, event_id from journal where source = 'reconciliation' order by seq")
    assert len(events) == len([kind for kind in cases.values() if kind in HEALS])
    outcomes = shop.rows(
        "select r.outcome, r.reason from results r join journal j using (seq) where j.source = 'reconciliation'"
    )
    assert {outcome for outcome, _ in outcomes} == {"applied"}

    again = compared(shop, there)
    assert {(each.difference.subject, each.difference.kind) for each in again} == {
        (subject, kind) for subject, kind in expected if kind not in HEALS
    }
    assert shop.rows("select count(*) from journal where source = 'reconciliation'")[0][0] == len(events)
    with shop.engine.connect() as conn:
        open_ones = findings.listed(conn)
    assert len(open_ones) == len(again), "found twice, and one finding each"
    healed(shop, there)


def healed(shop: AShop, there: There) -> None:
    """All that healed stands as the provider has it."""
    transactions = {
        row.payment_id: row
        for row in shop.rows("select t.*, o.order_number from transactions t join orders o on o.id = t.order_id")
    }
    assert transactions["lost"].amount == 10
    assert transactions["lost"].refunded_amount == 4, "its refund came with it"
    assert transactions["lost"].provider == there.name
    assert transactions["tried"].status == "failed"
    assert transactions["hand"].refunded_amount == 4
    assert transactions["sum"].refunded_amount == 4, "counted once"
    assert transactions["ended"].refunded_amount == 4
    assert transactions["failed"].refunded_amount == 0, "owed again"
    if there.name in ("stripe", "standard"):
        assert transactions["asked"].dispute == "open"
        assert transactions["decided"].dispute == "lost"
    if there.name != "portone":
        assert transactions["number"].order_number == "N-number"
