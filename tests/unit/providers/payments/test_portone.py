"""PortOne's API: what each of its answers says of a payment; no sockets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from providers.base import NoAnswer, NotTold
from providers.payments.portone import PortOneUnasked
from providers.payments.portone_api import PortOne
from providers.simulators import portone as simulated

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)


def ask(answer, payment="p-1", kind="Paid", told_at=AT, **data):
    handler = answer if callable(answer) else lambda request: httpx.Response(200, json=answer)
    source = PortOne("http://portone", "key", transport=httpx.MockTransport(handler))
    return source.ask(f"portone.Transaction.{kind}", told_at, {"paymentId": payment, **data})


def test_the_question_carries_the_key_and_the_id_whatever_it_holds():
    seen = []

    def answer(request):
        seen.append((request.url.raw_path, request.headers["authorization"]))
        return httpx.Response(200, json=simulated.payment("a/../b ?", "PAID", 5, AT))

    ask(answer, "a/../b ?")
    assert seen == [(b"/payments/a%2F..%2Fb%20%3F", "PortOne key")]


def test_paid():
    told = ask(simulated.payment("p-1", "PAID", 1250, AT, currency="USD"))
    assert (told.captured_at, told.captured, told.currency) == (AT, Decimal("12.50"), "USD")
    assert (told.refunded_at, told.ended, told.method) == (None, None, "Card")


@pytest.mark.parametrize(("status", "back"), [("CANCELLED", 500), ("PARTIAL_CANCELLED", 200)])
def test_what_went_back_is_cumulative(status, back):
    told = ask(simulated.payment("p-1", status, 500, AT, back=back), kind="PartialCancelled")
    assert (told.captured, told.refunded, told.refunded_at) == (Decimal(500), Decimal(back), AT)


def test_canceled_before_anything_was_captured():
    told = ask(simulated.payment("p-1", "CANCELLED", 500, AT, paid=False), kind="Cancelled")
    assert (told.captured_at, told.refunded_at, told.ended) == (None, None, "PaymentCanceled")


def test_failed_says_why():
    told = ask(simulated.payment("p-1", "FAILED", 500, AT))
    assert (told.captured_at, told.ended, told.ended_at) == (None, "PaymentFailed", AT)
    assert (told.code, told.message) == ("CARD_DECLINED", "declined")


@pytest.mark.parametrize("status", ["READY", "PAY_PENDING", "VIRTUAL_ACCOUNT_ISSUED", "NEW"])
def test_what_is_open_since_the_webhook_says_nothing(status):
    told = ask(simulated.payment("p-1", status, 500, AT), kind="Failed", told_at=AT - timedelta(seconds=1))
    assert (told.captured_at, told.refunded_at, told.ended) == (None, None, None)
    assert (told.pending == "awaiting_deposit") == (status == "VIRTUAL_ACCOUNT_ISSUED")


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        ("Paid", ["READY", "PAY_PENDING", "VIRTUAL_ACCOUNT_ISSUED"]),
        ("Failed", ["READY", "PAY_PENDING", "VIRTUAL_ACCOUNT_ISSUED"]),
        ("PartialCancelled", ["READY", "PAID"]),
        ("Cancelled", ["READY", "PAID", "PARTIAL_CANCELLED"]),
    ],
)
@pytest.mark.parametrize("stamped", [True, False], ids=["with its time", "without"])
def test_an_api_that_lags_behind_its_webhook_is_asked_again(kind, statuses, stamped):
    for status in statuses:
        document = simulated.payment("p-1", status, 500, AT - timedelta(minutes=1))
        if not stamped:
            del document["statusChangedAt"]
        with pytest.raises(NoAnswer, match=rf"still says {status} of payment p-1, whose webhook said .*\.{kind}"):
            ask(document, kind=kind)


def canceled_in_part(*cancellations):
    """A payment of 500 of which 200 went back so far; (id, status) of each cancellation."""
    document = simulated.payment("p-1", "PARTIAL_CANCELLED", 500, AT, back=200)
    [one] = document["cancellations"]
    return {**document, "cancellations": [{**one, "id": id, "status": status} for id, status in cancellations]}


@pytest.mark.parametrize("second", [[], [("c-2", "REQUESTED")]], ids=["unlisted", "requested"])
def test_a_second_partial_cancellation_that_the_api_does_not_show_yet_is_asked_again(second):
    behind = canceled_in_part(("c-1", "SUCCEEDED"), *second)
    with pytest.raises(NoAnswer, match=r"cancellation c-2 of payment p-1 yet, .*\.PartialCancelled"):
        ask(behind, kind="PartialCancelled", cancellationId="c-2")
    assert ask(behind, kind="PartialCancelled", cancellationId="c-1").refunded == Decimal(200)


@pytest.mark.parametrize(
    ("document", "data"),
    [
        (canceled_in_part(("c-1", "SUCCEEDED"), ("c-2", "SUCCEEDED")), {"cancellationId": "c-2"}),
        (canceled_in_part(("c-1", "SUCCEEDED"), ("c-2", "FAILED")), {"cancellationId": "c-2"}),  # the API's to say
        (canceled_in_part(("c-1", "SUCCEEDED")), {}),
        (canceled_in_part((None, "SUCCEEDED")), {"cancellationId": "c-2"}),
    ],
    ids=["shown", "failed", "a webhook without the id", "an API without ids"],
)
def test_a_partial_cancellation_counts_as_the_api_has_it(document, data):
    assert ask(document, kind="PartialCancelled", **data).refunded == Decimal(200)


@pytest.mark.parametrize(
    ("kind", "status", "stands"),
    [
        ("Paid", "FAILED", (False, "PaymentFailed")),
        ("Paid", "CANCELLED", (True, "PaymentCanceled")),
        ("Failed", "PAID", (True, None)),
        ("Cancelled", "FAILED", (False, "PaymentFailed")),
    ],
)
def test_what_contradicts_the_webhook_counts(kind, status, stands):
    told = ask(simulated.payment("p-1", status, 500, AT - timedelta(minutes=1)), kind=kind)
    assert (told.captured_at is not None, told.ended) == stands


def raising(error):
    def answer(request):
        raise error

    return answer


def says(status, **more):
    return lambda request: httpx.Response(status, **more)


@pytest.mark.parametrize(
    "answer",
    [
        raising(httpx.ConnectError("no")), raising(httpx.ReadTimeout("no")), raising(httpx.RemoteProtocolError("no")),
        says(500), says(429, headers={"retry-after": "7"}), says(401, json={"type": "UNAUTHORIZED"}), says(204),
        says(404), says(404, json={"message": "no such page"}), says(404, content=b"<html>"),
        says(200, content=b"<html>"), says(200, content=b"[" * 100_000), says(200, json=[]), says(200, json={}),
        says(200, content=b"NaN"), says(200, json=simulated.payment("p-2", "PAID", 5, AT)),
        says(200, json={**simulated.payment("p-1", "PAID", 5, AT), "currency": "won"}),
        says(200, json={**simulated.payment("p-1", "PAID", 5, AT), "paidAt": "0001-01-01T00:00:00Z"}),
        says(200, json=simulated.payment("p-1", "PAID", -5, AT)),
    ],
)  # fmt: skip
def test_all_else_is_no_answer(answer):
    with pytest.raises(NoAnswer) as caught:
        ask(answer)
    assert caught.value.retry_after in (None, 7)


def test_a_payment_that_the_api_does_not_know_is_asked_for_again_since_its_webhook_was_signed():
    with pytest.raises(NoAnswer, match=r"does not know payment p-1, .* ORDERS_PORTONE_API_KEY"):
        ask(says(404, json={"type": "PAYMENT_NOT_FOUND", "message": "no"}))


def test_without_a_key_there_is_only_the_webhooks_word():
    def word(kind):
        return PortOneUnasked().ask(f"portone.Transaction.{kind}", AT, {"paymentId": "p-1"})

    assert (word("Paid").captured_at, word("Paid").captured) == (AT, None)
    assert word("Failed").ended == "PaymentFailed"
    assert (word("Cancelled").refunded_at, word("Cancelled").refunded) == (AT, None)
    with pytest.raises(NotTold, match="ORDERS_PORTONE_API_KEY"):
        word("PartialCancelled")
