"""`orders simulate easypost` and `tracker-delivery`: with what they print a shop follows parcels, and is told of scans."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from graphql import build_schema, execute_sync, parse

from events.envelope import Envelope
from providers.base import PATH_SECRET, NoAnswer, RateLimited
from providers.carriers.tracker_delivery_api import TRACK
from providers.registry import registry
from providers.simulators.parcels import MISHAPS
from settings.environment import read
from storage.clock import clock
from tests.integration.api.webhooks_in.conftest import NOWHERE
from tests.scripted_http import Answer, Asked, answering
from tests.simulators import ROOT
from tests.webhooks import shared

COMMAND = [sys.executable, "-m", "cli", "simulate"]
SERVICES = ("easypost", "tracker-delivery")  # which follow the parcels of many carriers


@contextlib.contextmanager
def simulated(service: str, *options: object) -> Iterator[dict[str, Any]]:
    """A simulator as a process, and the JSON that it printed at its start; ended afterwards."""
    command = [*COMMAND, service, "--port", "0", "--json", *map(str, options)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode in (0, -signal.SIGTERM)


def carrier(told: dict[str, Any], **more: str) -> Any:
    """A client for the example's carrier, made of the settings that were printed."""
    values = read({**told["settings"], **more}, NOWHERE).providers
    route = registry().routes(values)(told["carrier"])
    assert route is not None
    assert [*route] == [told["provider"], told["carrierId"]]
    client: Any = registry().tracking_clients(values)[route.provider]
    return client.of_carrier(route.carrier_id)


def until_it_ends(client: Any, number: str, most_s: float = 20) -> list[Any]:
    """The scans of a parcel, once it is delivered or back."""
    until = time.monotonic() + most_s
    scans: list[Any] = []
    while not scans or scans[-1].status not in ("delivered", "return_to_sender"):
        assert time.monotonic() < until, scans
        with contextlib.suppress(NoAnswer):
            scans = client.track(number)
        time.sleep(0.05)
    return scans


@pytest.mark.parametrize("service", SERVICES)
def test_with_what_it_prints_a_parcel_is_followed_to_its_end(service):
    with simulated(service, "--pace", 0.1) as told:
        scans = until_it_ends(carrier(told), told["trackingNumber"])
        assert (scans[0].status, scans[-1].status) == ("pending", "delivered")
        shown = httpx.get(told["parcels"], trust_env=False).json()
        assert len(shown[f"{told['carrierId']} {told['trackingNumber']}"]) == len(scans)


@pytest.mark.parametrize("service", SERVICES)
def test_its_mishaps_are_met_and_the_parcel_ends_all_the_same(service):
    often = [
        word
        for kind in ("unavailable", "rate_limit", "cut", "page", "shape", "twice")
        for word in ("--mishap", f"{kind}=0.2")
    ]
    with simulated(service, "--pace", 0.1, *often, "--mishap", "returned=1", "--mishap", "missing=1") as told:
        client = carrier(told)
        met = set()
        for _ in range(40):
            try:
                client.track(told["trackingNumber"])
            except NoAnswer as error:
                met.add(str(error)[:40])
        assert len(met) >= 3, met
        statuses = [scan.status for scan in until_it_ends(client, told["trackingNumber"])]
        assert "return_to_sender" in statuses
        assert "out_for_delivery" not in statuses[statuses.index("return_to_sender") :]


def test_a_carrier_is_simulated_too_with_limits_that_can_be_changed():
    with simulated("carrier", "--pace", 0.1, "--rate", 1000) as told:
        values = read(told["settings"], NOWHERE).providers
        client: Any = registry().tracking_clients(values)["simulated"]
        assert until_it_ends(client, told["trackingNumber"])[-1].status == "delivered"
        asked = httpx.get(told["limits"], trust_env=False).json()
        assert (asked["rate"], asked["over_rate"]) == (1000, 0)
        assert asked["questions"] >= asked["most"] > 0
        changed = httpx.put(told["limits"], json={"quota": asked["questions"]}, trust_env=False).json()
        with pytest.raises(RateLimited) as refused:
            client.track(told["trackingNumber"])
        assert (changed["quota"], refused.value.retry_after) == (asked["questions"], 3600)


@pytest.mark.parametrize(
    ("service", "fate"), [(service, fate) for service in SERVICES for fate in ("contradicted", "reused", "quiet")]
)
def test_parcels_with_a_fate_are_told_in_the_service_s_own_words(service, fate):
    with simulated(service, "--pace", 0.05, "--mishap", f"{fate}=1") as told:
        client, until = carrier(told), time.monotonic() + 20
        scans: list[Any] = []
        while sum(scan.status == "delivered" for scan in scans) < (2 if fate == "reused" else 1):
            assert time.monotonic() < until, scans
            scans = client.track(told["trackingNumber"])
            time.sleep(0.05)
        statuses = [scan.status for scan in scans]
        assert ("delivery_failed" in statuses) == (fate == "contradicted")
        assert (scans[0].time < clock() - timedelta(days=300)) == (fate == "reused")


def test_an_access_token_that_is_not_believed_any_more_costs_nothing():
    with simulated("tracker-delivery", "--pace", 0.1, "--mishap", "expired=0.3") as told:
        client = carrier(told)
        answered = 0
        for _ in range(30):
            with contextlib.suppress(NoAnswer):  # two in a row
                answered += bool(client.track(told["trackingNumber"]))
        assert answered >= 20


def test_scans_without_a_time_are_told_without_one():
    with simulated("tracker-delivery", "--pace", 0.05, "--mishap", "no_time=1") as told:
        scans = until_it_ends(carrier(told), told["trackingNumber"])
        assert {scan.time is None for scan in scans if scan.status == "in_transit"} == {True}
        assert {scan.time is None for scan in scans if scan.status != "in_transit"} == {False}


def test_easyposts_webhooks_are_those_that_we_take():
    with answering(lambda asked: Answer(status=202)) as (url, asked):
        with simulated("easypost", "--pace", 0.1, "--webhook", url) as told:
            until_it_ends(carrier(told), told["trackingNumber"])
            until = time.monotonic() + 5
            while not any(b'"status":"delivered"' in each.body for each in asked):
                assert time.monotonic() < until
                time.sleep(0.05)
        receive = registry().receivers("carrier", read(told["settings"], NOWHERE).providers)["easypost"]
        notices = [receive(each.body, each.headers, clock()) for each in asked]
    newest: Envelope = notices[-1].envelope
    assert (newest.data["carrier"], newest.data["trackingNumber"]) == ("UPS", told["trackingNumber"])
    assert newest.data["status"] == "delivered"


def test_tracker_deliverys_callbacks_come_where_the_shop_registered_them():
    with (
        answering(lambda asked: Answer(status=202)) as (url, asked),
        simulated("tracker-delivery", "--pace", 0.1) as told,
    ):
        client = carrier(told, ORDERS_TRACKER_DELIVERY_CALLBACK_URL=url)
        scans = until_it_ends(client, told["trackingNumber"])
        until = time.monotonic() + 5
        while not asked or len(asked) < 2:
            assert time.monotonic() < until, scans
            time.sleep(0.05)
        values = read(told["settings"], NOWHERE).providers
        receive = registry().receivers("carrier", values)["tracker_delivery"]
        call: Asked = asked[0]
        beginning, _, secret = call.path.rpartition("/")
        assert beginning == "/webhooks/carriers/tracker_delivery"
        notice = receive(call.body, {**call.headers, PATH_SECRET: secret}, clock())
        assert notice.parcel == (told["carrierId"], told["trackingNumber"])


@pytest.mark.shared_data
def test_tracker_deliverys_answer_is_one_of_its_schema():
    schema = build_schema(shared("tracker-delivery", "schema.graphql").read_text())
    with simulated("tracker-delivery", "--pace", 0.05, "--mishap", "returned=0.5", "--mishap", "no_time=0.5") as told:
        until_it_ends(carrier(told), told["trackingNumber"])
        settings = told["settings"]
        auth = (settings["ORDERS_TRACKER_DELIVERY_CLIENT_ID"], settings["ORDERS_TRACKER_DELIVERY_CLIENT_SECRET"])
        form = {"grant_type": "client_credentials"}
        token = httpx.post(f"{told['url']}/oauth2/token", data=form, auth=auth, trust_env=False).json()["access_token"]
        about = {"carrierId": told["carrierId"], "trackingNumber": told["trackingNumber"], "last": 100}
        headers = {"Authorization": f"Bearer {token}"}
        sent = {"query": TRACK, "variables": about}
        data = httpx.post(f"{told['url']}/graphql", json=sent, headers=headers, trust_env=False).json()["data"]
    read_again = execute_sync(schema, parse(TRACK), root_value=data, variable_values=about)
    assert read_again.errors is None
    assert read_again.data is not None
    edges = data["track"]["events"]["edges"]
    assert len(read_again.data["track"]["events"]["edges"]) == len(edges) > 1


@pytest.mark.parametrize(
    ("service", "arguments", "says"),
    [
        ("easypost", ("--mishap", "refused=0.5"), "'refused' is none; there are missing, returned"),
        ("easypost", ("--mishap", "cut=5"), "cut=5 has no share from 0 to 1"),
        ("easypost", ("--webhook", "localhost"), "no URL; write http://127.0.0.1:8000/webhooks/carriers/easypost"),
        ("easypost", ("--pace", "0"), "write 1 for seven seconds"),
        ("easypost", ("--state", "books"), "keeps no books; leave it out"),
        ("tracker-delivery", ("--webhook", "http://127.0.0.1:1"), "callback is registered by the shop"),
        ("tracker", (), "there are stripe, portone, toss, standard, carrier, easypost, tracker-delivery"),
        ("carrier", ("--webhook", "http://127.0.0.1:1"), "sends none, it is asked"),
        ("stripe", ("--rate", "5"), "stripe has no parcels; leave them out"),
    ],
)
def test_wrong_use_is_one_sentence_with_what_there_is(orders, service, arguments, says):
    answer = orders("simulate", service, *arguments)
    assert answer.code == 2
    assert says in answer.err


def test_its_help_names_every_mishap(orders):
    told = orders("simulate", "--help").out
    assert [kind for kind in MISHAPS if kind not in told] == []
