"""tracker.delivery's callback: believed by the secret in its path, and no more than a hint."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from events.envelope import EnvelopeError
from providers.base import PATH_SECRET, BadSignature
from providers.carriers import tracker_delivery

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
SECRETS = ("first-secret", "second-secret")
BODY = {"carrierId": "kr.cjlogistics", "trackingNumber": "640001"}


def receive(body=BODY, secret=SECRETS[0], now=NOW):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return tracker_delivery.receive(raw, {PATH_SECRET: secret}, SECRETS, now)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_callback_says_which_parcel_changed_and_nothing_of_how(secret):
    notice = receive(secret=secret)
    assert notice.parcel == ("kr.cjlogistics", "640001")
    assert (notice.envelope.source, notice.envelope.type) == ("tracker_delivery", "tracker_delivery.changed")
    assert (notice.envelope.time, notice.envelope.data, notice.envelope.subject) == (NOW, BODY, None)
    assert notice.history == ()
    assert not notice.thin


def test_each_callback_counts_since_it_has_no_id():
    assert receive().envelope.id != receive(now=NOW + timedelta(milliseconds=1)).envelope.id


@pytest.mark.parametrize("secret", ["", "third-secret", "first-secre", "é", "first-secret/"])
def test_another_secret_is_refused_before_anything_is_read(secret):
    with pytest.raises(BadSignature, match="ORDERS_TRACKER_DELIVERY_SECRETS"):
        receive(b"{", secret)
    with pytest.raises(BadSignature):
        tracker_delivery.receive(b"{}", {}, SECRETS, NOW)


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", {}, {"carrierId": "kr.cjlogistics"}, {**BODY, "trackingNumber": 7}, {**BODY, "carrierId": "\x00"},
     {**BODY, "trackingNumber": "x" * 256}, {**BODY, "trackingNumber": ""}],
)  # fmt: skip
def test_what_names_no_parcel_names_the_field(body):
    with pytest.raises(EnvelopeError):
        receive(body)
