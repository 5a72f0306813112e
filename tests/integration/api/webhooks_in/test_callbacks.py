"""Callbacks that say only that something changed, on a path that holds a secret."""

from __future__ import annotations

import json

import pytest

from providers.registry import registry
from settings.environment import read
from tests.integration.api.webhooks_in.conftest import NOWHERE
from tests.simulators import a_paid_order, an_event

SECRET = "a word/of our own"
SECRETS = {"ORDERS_TRACKER_DELIVERY_SECRETS": f"rotated-out,{SECRET}"}
PATH = "carriers/tracker_delivery/a%20word%2Fof%20our%20own"


def callback(carrier="kr.cjlogistics", number="P1"):
    return json.dumps({"carrierId": carrier, "trackingNumber": number}).encode(), {}


def watched(door):
    """One parcel of CJ Logistics whose next poll is an hour away."""
    needed = {"ORDERS_TRACKER_DELIVERY_CLIENT_ID": "id", "ORDERS_TRACKER_DELIVERY_CLIENT_SECRET": "secret"}
    routes = registry().routes(read(needed, NOWHERE).providers)
    shipped = an_event("FulfillmentShipped", "N1", fulfillment="box", carrier="CJ대한통운", trackingNumber="P1")
    door.shop.tell(*a_paid_order("N1", 500), shipped)
    route = routes("CJ대한통운")
    assert route is not None
    door.shop.do(
        "insert into trackers (id, key, carrier, tracking_number, provider, carrier_id, next_at) "
        "select gen_random_uuid(), 'tracking:cj대한통운:P1', 'cj대한통운', 'P1', :provider, :carrier, now() + interval '1 hour'",
        provider=route.provider,
        carrier=route.carrier_id,
    )


def due(door):
    return bool(door.shop.rows("select next_at <= now() from trackers")[0][0])


def test_a_callback_makes_the_poll_of_its_parcel_due(door):
    watched(door)
    assert door.statuses(PATH, callback(number="P2"), callback("kr.epost"), **SECRETS) == [202, 202]
    assert not due(door)
    assert door.statuses(PATH, callback(), callback(), **SECRETS) == [202, 202]
    assert due(door)


def test_it_is_kept_and_moves_nothing_itself(door):
    watched(door)
    door.statuses(PATH, callback(), **SECRETS)
    door.shop.work()
    assert door.status("N1") == "shipped"
    (kept,) = door.journaled("tracker_delivery")
    assert (kept.type, kept.data) == ("tracker_delivery.changed", json.loads(callback()[0]))
    assert door.account()["by_type"]["tracker_delivery.changed"]["ignored"] == 1


@pytest.mark.parametrize(
    "path",
    ["carriers/tracker_delivery", "carriers/tracker_delivery/", "carriers/tracker_delivery/guess"],
)
def test_without_its_secret_nothing_is_taken(door, path):
    (answer,) = door.post(path, callback(), **SECRETS)
    assert answer.status_code in (401, 404, 307)
    assert door.journaled("tracker_delivery") == []
    assert SECRET not in answer.text


def test_a_header_cannot_stand_for_the_path(door):
    body, _ = callback()
    assert door.statuses("carriers/tracker_delivery", (body, {":secret": SECRET}), **SECRETS) == [401]


def test_a_door_that_is_not_configured_says_what_opens_it(door):
    (answer,) = door.post(PATH, callback())
    assert answer.status_code == 404
    assert "ORDERS_TRACKER_DELIVERY_SECRETS" in answer.text


def test_what_names_no_parcel_is_a_fault_of_the_field(door):
    (answer,) = door.post(PATH, (b'{"carrierId": "kr.cjlogistics"}', {}), **SECRETS)
    assert answer.status_code == 400
    assert "trackingNumber" in answer.text


def test_a_provider_that_signs_takes_no_secret_for_a_signature(door):
    assert door.statuses("carriers/easypost/anything", (b"{}", {})) == [401]
