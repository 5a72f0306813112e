"""Webhooks in, over HTTP: which answer each gets, and that a 2xx means committed."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from api.app import create_app
from api.body_middleware import LIMIT
from api.resources import open_doors
from settings.environment import read
from tests.integration.api.webhooks_in.conftest import NOWHERE
from tests.simulators import a_paid_order, an_event
from tests.webhooks import (
    as_easypost,
    as_standard,
    as_stripe,
    now,
    packed,
    portone_event,
    real_stripe,
    stripe_event,
    stripe_paid,
    stripe_signature,
    toss_event,
)


def test_new_is_202_and_again_is_200_and_another_body_under_the_id_is_told(door):
    paid = stripe_paid("pi_1", 500)
    first, again, other = (
        door.post("payments/stripe", as_stripe(document))[0]
        for document in (paid, paid, {**paid, "data": {"object": {**paid["data"]["object"], "amount_received": 501}}})
    )
    assert (first.status_code, first.json()) == (202, {"id": paid["id"], "status": "accepted"})
    assert (again.status_code, again.json()) == (200, {"id": paid["id"], "status": "duplicate"})
    assert (other.status_code, other.json()["reason"]) == (200, "body_differs")
    assert door.counts("accepted", "duplicate", "body_differs") == (3, 2, 1)


def test_what_was_answered_is_committed(door):
    async def run():
        async with door.application() as (_, client):
            body, headers = as_stripe(stripe_paid("pi_1", 500))
            answer = await client.post("/webhooks/payments/stripe", content=body, headers=headers)
            assert answer.status_code == 202
            assert len(door.journaled("stripe")) == 1  # seen by another connection, at once

    asyncio.run(run())


def test_the_whole_application_has_these_doors_and_tells_of_them(door):
    with TestClient(create_app(open_doors(read(door.environment, NOWHERE)))) as client:
        body, headers = as_stripe(stripe_paid("pi_1", 500))
        assert client.post("/webhooks/payments/stripe", content=body, headers=headers).status_code == 202
        assert client.post("/webhooks/payments/stripe", content=body, headers=headers).status_code == 200
        assert client.post("/webhooks/payments/stripe", content=body).status_code == 401
        assert client.post("/webhooks/payments/stripe", content=b"x" * (LIMIT + 1)).status_code == 413
        paths = client.get("/openapi.json").json()["paths"]
    assert {"202", "200", "400", "401", "404", "413"} <= set(
        paths["/webhooks/payments/{provider}"]["post"]["responses"]
    )
    assert door.counts("accepted", "duplicate") == (2, 1)


def test_stale_wrong_missing_several_and_rotated_signatures(door):
    def signed(header):
        return body, ({"Stripe-Signature": header} if header is not None else {})

    body = packed(stripe_paid("pi_1", 500))
    bad = [
        None,
        "",
        "t=1,v1=00",
        stripe_signature(body, at=now() - 301),
        stripe_signature(body, at=now() + 310),
        stripe_signature(body, "whsec_other"),
        stripe_signature(body + b" "),
        stripe_signature(body, scheme="v0"),
    ]
    answers = door.post("payments/stripe", *map(signed, bad))
    assert {answer.status_code for answer in answers} == {401}
    for answer in answers:
        assert answer.json()["errors"][0]["message"].startswith("stripe: ")
        assert "whsec" not in answer.text
    assert door.account()["accepted"] == 0
    good = [
        stripe_signature(body, "whsec_rotated_out"),
        stripe_signature(body, "whsec_other", "whsec_stripe_one"),
        stripe_signature(body) + ",v0=00",
    ]
    assert sorted(door.stripe(*map(signed, good))) == [200, 200, 202]


@pytest.mark.shared_data
def test_every_real_body_of_stripes_is_taken_and_accounted_for(door):
    bodies = real_stripe()
    assert set(door.stripe(*map(as_stripe, bodies.values()))) == {202}
    assert set(door.stripe(*map(as_stripe, bodies.values()))) == {200}
    door.shop.work()
    found = door.account()
    assert found["accepted"] == 2 * len(bodies)
    assert (found["duplicate"], found["dead"], found["waiting"]) == (len(bodies), 0, 0)
    assert found["ignored"] == sum(
        kind["ignored"] for name, kind in found["by_type"].items() if name.startswith("stripe.")
    )
    assert found["ignored"] == 2  # charge.failed, payment_intent.created
    assert found["parked"] == len(bodies) - 2  # no order names their payments


def test_who_is_not_known_here_is_404(door):
    for path in ("payments/paypal", "payments/easypost", "carriers/stripe", "carriers/ups", "payments/STRIPE"):
        assert door.statuses(path, as_stripe(stripe_paid("pi_1", 500))) == [404], path


OPENS = {
    "payments/stripe": "ORDERS_STRIPE_SECRETS",
    "payments/portone": "ORDERS_PORTONE_SECRETS",
    "payments/standard": "ORDERS_STANDARD_SECRETS",
    "payments/toss": "ORDERS_TOSS_API_KEY",
    "carriers/easypost": "ORDERS_EASYPOST_SECRETS",
}


def test_a_door_that_is_not_configured_is_404_and_says_what_opens_it(door):
    for path, setting in OPENS.items():
        answer = door.post(path, as_stripe(stripe_paid("pi_1", 500)), **{setting: ""})[0]
        assert answer.status_code == 404
        assert setting in answer.json()["errors"][0]["message"]


def test_a_toss_webhook_needs_the_key_it_is_asked_for_with_and_not_only_a_security_key(door):
    plain: tuple[bytes, dict[str, str]] = packed(toss_event("k", "o", "DONE", 5)), {}
    settings = {"ORDERS_TOSS_SECRETS": "security", "ORDERS_TOSS_API_KEY": ""}
    assert door.statuses("payments/toss", plain, **settings) == [404]
    forged = plain[0], {"tosspayments-webhook-signature": "v1:AAAA", "tosspayments-webhook-transmission-time": "x"}
    assert door.statuses("payments/toss", plain, forged, ORDERS_TOSS_SECRETS="security") == [202, 401]


def test_get_is_not_how_webhooks_come(door):
    async def run():
        async with door.application() as (_, client):
            return (await client.get("/webhooks/payments/stripe")).status_code

    assert asyncio.run(run()) == 405


def test_a_body_over_one_mebibyte_is_413_before_its_signature_is_looked_at(door):
    fits = stripe_event("customer.updated", {"id": "cus_1", "metadata": {"pad": ""}})
    fits["data"]["object"]["metadata"]["pad"] = "x" * (LIMIT - len(packed(fits)))
    body, headers = as_stripe(fits)
    assert len(body) == LIMIT
    assert door.stripe((body, headers), (body + b" ", {}), as_stripe(body + b" ")) == [202, 413, 413]

    async def in_chunks():
        async def chunks():
            for _ in range(20):
                yield b"x" * (1 << 16)

        async with door.application() as (_, client):
            return (await client.post("/webhooks/payments/stripe", content=chunks())).status_code

    assert asyncio.run(in_chunks()) == 413


DEEP = b'{"id": "evt_d", "type": "x", "created": 1, "data": {"object": {"a": ' + b"[" * 2000 + b"]" * 2000 + b"}}}"


MALFORMED = [
        b"", b"{", b"no json", b"null", b"[]", b'"text"', b"\xff\xfe", b"\x00", b"{}", b"1" * 5000, DEEP,
        b'{"id": "evt_1", "type": "x\\u0000", "created": 1, "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "x", "created": 1, "data": {"object": {"a\\u0000": 1}}}',
        b'{"id": "evt_1", "type": "x", "created": 1, "data": {"object": {"a": "\\u0000"}}}',
        b'{"id": "evt_1", "type": "x", "created": 1, "data": {"object": {"a": "\\ud800"}}}',
        b'{"id": "evt_1", "type": "x", "created": -99999999999999999, "data": {"object": {}}}',
        json.dumps(stripe_event("x", {}, own_id="e" * 256)).encode(),
    ]  # fmt: skip


def test_what_is_malformed_is_400_and_leaves_nothing(door):
    for body, answer in zip(MALFORMED, door.post("payments/stripe", *map(as_stripe, MALFORMED)), strict=True):
        assert answer.status_code == 400, body[:80]
        assert answer.json()["errors"][0]["message"]
    assert door.account()["accepted"] == 0


def test_no_json_says_so_as_everywhere(door):
    assert door.post("payments/stripe", as_stripe(b"{"))[0].json() == {"errors": [{"message": "Invalid JSON"}]}


ODD = [
        {"amount_received": 10**18}, {"amount_received": 10**60}, {"amount_received": -1}, {"amount_received": 1e308},
        {"currency": "k" * 300}, {"currency": "\ud7ff"}, {"id": "p" * 300}, {"id": 7}, {"id": None}, {"id": ""},
        {"metadata": {"orderNumber": "x" * 500}}, {"metadata": []}, {"payment_method_types": [{}]},
        {"payment_method_types": ["x" * 10_000]},
    ]  # fmt: skip


def test_huge_and_odd_values_are_kept_and_end_somewhere_visible(door):
    told = []
    for about in ODD:
        paid = stripe_paid("pi_1", 500)
        paid["data"]["object"] |= about
        told.append(paid)
    assert set(door.stripe(*map(as_stripe, told))) == {202}
    door.shop.work()
    assert door.counts("accepted", "waiting") == (len(told), 0)


def test_an_order_is_paid_once_whether_its_webhook_came_before_it_or_after(door):
    for number, early in (("before", True), ("after", False)):
        [created, _] = a_paid_order(number, 500, payment=f"pi_{number}")
        paid = stripe_paid(f"pi_{number}", 500)
        charge = {"id": "ch", "payment_intent": f"pi_{number}", "captured": True, "amount_captured": 500}
        also = stripe_event("charge.succeeded", {**charge, "currency": "krw"})
        if not early:
            door.shop.tell(created)
        assert door.stripe(as_stripe(paid), as_stripe(paid), as_stripe(also)) in ([202, 200, 202], [200, 202, 202])
        door.shop.work()
        if early:
            door.shop.tell(created)
        assert door.status(number) in ("paid", "preparing")
        money = "select amount, refund_target from transactions where payment_id = :payment"
        assert [tuple(map(int, row)) for row in door.shop.rows(money, payment=f"pi_{number}")] == [(500, 0)]


def test_metadata_leads_a_payment_that_no_order_names_to_its_order(door):
    [created, _] = a_paid_order("N1", 500, payment="another")
    door.shop.tell(created)
    assert door.stripe(as_stripe(stripe_paid("pi_1", 500, metadata={"orderNumber": "N1"}))) == [202]
    door.shop.work()
    assert door.status("N1") in ("paid", "preparing")


def test_our_own_events_come_through_the_standard_door(door):
    [created, paid] = a_paid_order("N1", 500)
    door.shop.tell(created)
    assert door.statuses("payments/standard", as_standard(paid.as_document())) == [202]
    assert door.statuses("payments/standard", as_standard(paid.as_document())) == [200]
    assert door.statuses("payments/standard", as_standard(created.as_document())) == [400]
    door.shop.work()
    assert door.status("N1") in ("paid", "preparing")
    assert [row.source for row in door.journaled("standard/%")] == ["standard/test"]


def scan(status, hour):
    """A scan of today: the parcel is named now, and no scan from long before that is its own."""
    return {"status": status, "datetime": f"{datetime.now(UTC):%Y-%m-%d}T{hour:02}:00:00Z", "message": status}


def tracker(own_id, *scans):
    about = {"carrier": "cj logistics", "tracking_code": "TRK-1", "status": scans[-1]["status"]}
    about["tracking_details"] = list(scans)
    return {"id": own_id, "description": "tracker.updated", "created_at": "2026-11-20T12:00:00Z", "result": about}


def test_a_parcels_scans_move_its_order_and_each_counts_once(door):
    parcel = {"fulfillment": "box", "carrier": "CJ  Logistics", "trackingNumber": "TRK-1"}
    door.shop.tell(*a_paid_order("N1", 500), an_event("FulfillmentCreated", "N1", **parcel))
    label, moving, there = scan("pre_transit", 1), scan("in_transit", 5), scan("delivered", 9)
    before = door.account()["accepted"]

    def post(*scans):
        return door.statuses("carriers/easypost", as_easypost(tracker(f"evt_{len(scans)}", *scans)))

    assert post(label) == [202]
    assert post(label) == [200]
    assert post(label, moving, there) == [202]  # `moving` was never delivered on its own
    assert post(label, moving) == [200]  # late
    door.shop.work()
    assert door.status("N1") == "delivered"
    shipped = door.shop.rows("select shipped_at, delivered_at from fulfillments where reference = 'box'")[0]
    assert [time.hour for time in shipped] == [5, 9]
    found = door.account()
    assert found["accepted"] - before == 5  # four webhooks, and one scan that came along
    assert found["by_type"]["TrackingUpdated"]["duplicate"] == 2


def test_portone_and_toss_are_kept_under_their_own_names_and_ignored(door):
    door.statuses("payments/portone", as_standard(portone_event("Paid", "p-1")))
    door.statuses("payments/toss", (packed(toss_event("k-1", "o-1", "DONE", 500)), {}))
    door.shop.work()
    found = door.account()["by_type"]
    assert found["portone.Transaction.Paid"]["ignored"] == 1
    assert found["toss.PAYMENT_STATUS_CHANGED"]["ignored"] == 1
    assert len(door.shop.rows("select from inbox where state = 'due'")) == 2


def test_a_thin_webhook_that_comes_again_is_asked_for_once(door):
    signed = as_standard(portone_event("Paid", "p-1"))
    assert sorted(door.statuses("payments/portone", signed, signed, signed)) == [200, 200, 202]
    assert [tuple(row) for row in door.shop.rows("select provider, state from inbox")] == [("portone", "due")]


def test_without_postgresql_it_is_503_with_a_time_to_come_back_and_taken_once_it_is_there(door, postgres_url):
    from storage import engine as engines

    name = door.shop.engine.url.database
    admin = engines.connect(postgres_url).execution_options(isolation_level="AUTOCOMMIT")
    paid = as_stripe(stripe_paid("pi_1", 500))

    async def run():
        async with door.application() as (_, client):

            async def post():
                return await client.post("/webhooks/payments/stripe", content=paid[0], headers=paid[1])

            with admin.connect() as conn:
                conn.execute(text(f'alter database "{name}" allow_connections false'))
                conn.execute(
                    text("select pg_terminate_backend(pid) from pg_stat_activity where datname = :n"), {"n": name}
                )
                away = await post()
                conn.execute(text(f'alter database "{name}" allow_connections true'))
            return away, await post()

    away, back = asyncio.run(run())
    admin.dispose()
    assert (away.status_code, int(away.headers["retry-after"]) > 0) == (503, True)
    assert back.status_code == 202
    assert door.account()["accepted"] == 1
