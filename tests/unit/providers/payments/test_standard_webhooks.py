"""Standard Webhooks: PortOne's thin ones, and our own events from others."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from events.envelope import EnvelopeError
from providers.base import BadSignature
from providers.payments import portone, standard_webhooks
from tests.webhooks import STANDARD, as_standard, packed, portone_event

OTHER = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()
EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "our-bank",
    "type": "PaymentSucceeded",
    "time": "2026-11-01T12:00:00+09:00",
    "subject": "261101000001",
    "data": {"paymentId": "p-1", "amount": "500"},
}


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def receive(signed, secrets=(STANDARD,), adapter=standard_webhooks, now=None):
    body, headers = signed
    return adapter.receive(body, lower(headers), secrets, now or datetime.now(UTC))


def changed(signed, **headers):
    return signed[0], {**signed[1], **{name.replace("_", "-"): value for name, value in headers.items()}}


def test_one_of_our_events_comes_from_behind_the_door_that_it_came_through():
    event = receive(as_standard(EVENT)).envelope
    assert (event.source, event.id, event.type) == ("standard/our-bank", "e-1", "PaymentSucceeded")
    assert (event.subject, event.data["amount"]) == ("261101000001", "500")
    assert event.time == datetime(2026, 11, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize("source", ["stripe", "portone/api", "carrier:cj"])
def test_nobody_poses_as_another_door(source):
    assert receive(as_standard({**EVENT, "source": source})).envelope.source == f"standard/{source}"


@pytest.mark.parametrize("source", ["order-lifecycle", "order-lifecycle/timers"])
def test_nobody_poses_as_us(source):
    with pytest.raises(EnvelopeError, match="events of our own"):
        receive(as_standard({**EVENT, "source": source}))


@pytest.mark.parametrize("kind", ["OrderCreated", "OrderCanceled", "FulfillmentShipped", "stripe.x"])
def test_only_payments_come_through_this_door(kind):
    with pytest.raises(EnvelopeError, match="not for this door"):
        receive(as_standard({**EVENT, "type": kind}))


@pytest.mark.parametrize("secrets", [(STANDARD,), (OTHER, STANDARD), (STANDARD.removeprefix("whsec_"),)])
def test_any_secret_may_match_any_signature(secrets):
    assert receive(as_standard(EVENT, OTHER, STANDARD), secrets).envelope.id == "e-1"
    assert receive(as_standard(EVENT, STANDARD), secrets).envelope.id == "e-1"


def test_other_versions_of_signatures_count_nothing():
    signed = as_standard(EVENT)
    both = f"v1a,xyz {signed[1]['webhook-signature']} v2,AAAA"
    assert receive(changed(signed, webhook_signature=both)).envelope.id == "e-1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook_signature": ""},
        {"webhook_signature": "v1"},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "v1,not base64!"},
        {"webhook_signature": "v1,AAAA"},
        {"webhook_id": "another"},
        {"webhook_id": ""},
        {"webhook_timestamp": "soon"},
        {"webhook_timestamp": ""},
    ],
)
def test_a_wrong_signature_is_no_signature(wrong):
    with pytest.raises(BadSignature):
        receive(changed(as_standard(EVENT), **wrong))


@pytest.mark.parametrize("off", [-301, 301, -86400])
def test_neither_the_past_nor_the_future_is_believed(off):
    now = datetime(2026, 11, 1, 12, tzinfo=UTC)
    with pytest.raises(BadSignature, match="clock"):
        receive(as_standard(EVENT, at=int(now.timestamp()) + off), now=now)
    assert receive(as_standard(EVENT, at=int(now.timestamp()) + (200 if off > 0 else -200)), now=now)


def test_another_secret_and_another_body_are_refused():
    body, headers = as_standard(EVENT)
    for signed, secrets in (
        ((body, headers), (OTHER,)),
        ((body + b" ", headers), (STANDARD,)),
        ((b"\xff", headers), (STANDARD,)),
    ):
        with pytest.raises(BadSignature):
            receive(signed, secrets)


# -- PortOne -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Paid", "Failed", "Cancelled", "PartialCancelled"])
def test_what_may_move_an_order_is_to_be_asked_for(kind):
    notice = receive(as_standard(portone_event(kind, "p-1"), own_id="wh-1"), adapter=portone)
    assert notice.thin
    assert (notice.envelope.source, notice.envelope.id) == ("portone", "wh-1")
    assert notice.envelope.type == f"portone.Transaction.{kind}"
    assert notice.envelope.data["paymentId"] == "p-1"
    assert notice.envelope.time == datetime(2026, 11, 20, 10, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["Ready", "CancelPending", "Confirm", "New"])
def test_what_moves_nothing_is_kept(kind):
    assert not receive(as_standard(portone_event(kind, "p-1")), adapter=portone).thin


def test_only_ids_are_kept():
    note = portone_event("Paid", "p-1")
    note["data"]["customer"] = {"name": "Kim"}
    assert set(receive(as_standard(note), adapter=portone).envelope.data) == {"paymentId", "storeId", "transactionId"}


@pytest.mark.parametrize(
    "note",
    [
        b"{", b"[]", {}, {"type": "Transaction.Paid"},
        {"payment_id": "p-1", "tx_id": "t", "status": "Paid"},  # of version 2024-01-01
        {"type": "Transaction.Paid", "timestamp": "2026-11-20T10:00:00Z", "data": {}},
        {"type": "Transaction.Paid", "timestamp": "2026-11-20T10:00:00Z", "data": {"paymentId": "a\x00b"}},
        {"type": "Transaction.Paid", "timestamp": "2026-11-20T10:00:00", "data": {"paymentId": "p"}},
        {"type": "Transaction.Paid", "timestamp": 7, "data": {"paymentId": "p"}},
        {"type": "x\x00", "timestamp": "2026-11-20T10:00:00Z", "data": {"paymentId": "p"}},
    ],
)  # fmt: skip
def test_what_is_none_of_portones_names_the_field(note):
    with pytest.raises(EnvelopeError):
        receive(as_standard(packed(note)), adapter=portone)
