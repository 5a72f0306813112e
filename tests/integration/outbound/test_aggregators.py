"""Parcels of carriers that a service follows, on real servers and with the services as processes of their own."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from outbound.tracking import polls, trackers
from outbound.tracking.breaker import FAILURES
from providers.base import NoAnswer, Scan
from providers.carriers.limits import Rate
from providers.registry import registry
from settings.environment import read
from tests.integration.api.webhooks_in.conftest import NOWHERE
from tests.simulators import SHARDS, a_paid_order, a_shop, an_event, running
from workers.chores import chores

PACE = timedelta(minutes=15)
CJ = "kr.cjlogistics"
SETTINGS = {
    "easypost": ("ORDERS_EASYPOST_API_KEY=EZTKtest", "ORDERS_EASYPOST_API_URL={url}"),
    "tracker_delivery": (
        "ORDERS_TRACKER_DELIVERY_CLIENT_ID=client-of-your-own",
        "ORDERS_TRACKER_DELIVERY_CLIENT_SECRET=its-secret",
        "ORDERS_TRACKER_DELIVERY_API_URL={url}",
        "ORDERS_TRACKER_DELIVERY_AUTH_URL={url}",
    ),
}


def settings(*services, url="http://nowhere", **more):
    told = dict(each.format(url=url).split("=", 1) for service in services for each in SETTINGS[service])
    return read({**told, **more}, NOWHERE)


def routes(*services, **more):
    return registry().routes(settings(*services, **more).providers)


def shipped(number, parcel, carrier):
    event = an_event("FulfillmentShipped", number, fulfillment="box", carrier=carrier, trackingNumber=parcel)
    return [*a_paid_order(number, 500), event]


def followed(shop):
    rows = shop.rows("select carrier, provider, carrier_id from trackers order by tracking_number")
    return [tuple(row) for row in rows]


class Scripted:
    """An aggregator that answers what `parcels` holds, by (carrier's id, number), and notes what it was asked."""

    def __init__(self, **parcels):
        self.parcels, self.asked = parcels, []

    def of_carrier(self, carrier_id):
        def track(number):
            self.asked.append((carrier_id, number))
            return self.parcels[number]

        return type("One", (), {"track": staticmethod(track)})()


def poll(shop, later=timedelta(0), **clients):
    now, rules = datetime.now(UTC) + later, polls.PollRules(PACE)
    asked = [polls.run_due(shop.engine, shop.streams, SHARDS, name, each, rules, now) for name, each in clients.items()]
    shop.work()
    return sum(asked)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("service", "carriers"),
    [("easypost", ("UPS®", "fedex ground")), ("tracker_delivery", ("CJ대한통운", "Korea Post"))],
)
def test_parcels_are_followed_to_their_end_by_whatever_name_their_carrier_has(
    database_url, redis_url, service, carriers
):
    with running(service, "--pace", 0.1, "--errors", 0.2) as (_, url):
        values = settings(service, url=url).providers
        clients = registry().tracking_clients(values)
        assert set(clients) == {service}
        with a_shop(database_url, redis_url, registry().routes(values)) as shop:
            for place, carrier in enumerate(carriers):
                shop.tell(*shipped(f"N{place}", f"P{place}", carrier))
            assert {row[1] for row in followed(shop)} == {service}
            until, later = time.monotonic() + 60, timedelta(0)
            while shop.rows("select distinct status from orders") != [("delivered",)]:
                assert time.monotonic() < until
                poll(shop, later, **clients)
                later += timedelta(days=1)
                time.sleep(0.02)
            told = shop.rows("select distinct data->>'carrier' from journal where type = 'TrackingUpdated'")
            assert {row[0] for row in told} == {carrier.casefold() for carrier in carriers}  # the names they had


def test_a_name_is_routed_by_what_is_configured_and_one_that_nobody_knows_is_kept(database_url, redis_url):
    both = routes("easypost", "tracker_delivery", ORDERS_CARRIER_NAMES="Night Van=tracker_delivery:kr.todaypickup")
    with a_shop(database_url, redis_url, both) as shop:
        for place, carrier in enumerate(("CJ대한통운", "FedEx® Ground", "Night  Van", "Our own van")):
            shop.tell(*shipped(f"N{place}", f"P{place}", carrier))
        assert followed(shop) == [
            ("cj대한통운", "tracker_delivery", CJ),
            ("fedex® ground", "easypost", "FedEx"),
            ("night van", "tracker_delivery", "kr.todaypickup"),
        ]
        kept = shop.rows("select carrier, tracking_number, status from fulfillments where tracking_number = 'P3'")
        assert kept == [("Our own van", "P3", "shipped")]


def test_each_service_is_asked_for_its_own_parcels_by_the_carrier_s_id_there(database_url, redis_url):
    with a_shop(database_url, redis_url, routes("easypost", "tracker_delivery")) as shop:
        for place, carrier in enumerate(("CJ Logistics", "UPS")):
            shop.tell(*shipped(f"N{place}", f"P{place}", carrier))
        one, other = Scripted(P0=[]), Scripted(P1=[])
        assert poll(shop, tracker_delivery=one, easypost=other) == 2
        assert (one.asked, other.asked) == ([(CJ, "P0")], [("UPS", "P1")])


def test_a_tracker_of_before_is_polled_under_its_carrier_s_name(database_url, redis_url):
    with a_shop(database_url, redis_url, {"our van": ("our van", None)}.get) as shop:
        shop.tell(*shipped("N1", "P1", "Our Van"))
        shop.do("update trackers set provider = null, carrier_id = null")
        asked = []

        class Carrier:
            def track(self, number):
                asked.append(number)
                return []

        polls.run_due(shop.engine, shop.streams, SHARDS, "our van", Carrier(), polls.PollRules(PACE), datetime.now(UTC))
        assert asked == ["P1"]


def test_an_event_without_a_time_keeps_the_one_of_its_first_sight(database_url, redis_url):
    with a_shop(database_url, redis_url, routes("tracker_delivery")) as shop:
        shop.tell(*shipped("N1", "P1", "CJ"))
        picked = datetime(2026, 11, 20, tzinfo=UTC)
        service = Scripted(P1=[Scan("a", picked, "picked_up"), Scan("b", None, "in_transit")])
        before = datetime.now(UTC)
        for days in range(3):
            poll(shop, timedelta(days=days), tracker_delivery=service)
        seen = shop.rows("select event_id, time from journal where type = 'TrackingUpdated' order by event_id")
        times = {row[0]: row[1] for row in seen}
        timeless = times.pop("P1:b")  # its id is its carrier's
        assert list(times.values()) == [picked]
        assert before <= timeless <= datetime.now(UTC)
        assert shop.rows("select status, array_length(scans, 1) from trackers") == [("in_transit", 2)]


# -- callbacks -----------------------------------------------------------------------------------------------


def hurry(shop, *changed):
    with shop.engine.begin() as conn:
        return trackers.hurry(conn, changed, datetime.now(UTC))


def test_a_callback_makes_its_parcel_due_and_no_other(database_url, redis_url):
    with a_shop(database_url, redis_url, routes("easypost", "tracker_delivery")) as shop:
        for number, parcel, carrier in (("N1", "P1", "CJ"), ("N2", "P2", "CJ"), ("N3", "P1", "UPS")):
            shop.tell(*shipped(number, parcel, carrier))
        service, other = Scripted(P1=[], P2=[]), Scripted(P1=[])
        poll(shop, tracker_delivery=service, easypost=other)
        assert poll(shop, tracker_delivery=service, easypost=other) == 0
        assert hurry(shop, ("tracker_delivery", CJ, "P1"), ("tracker_delivery", CJ, "P1")) == 1
        assert hurry(shop, ("tracker_delivery", "kr.epost", "P1"), ("tracker_delivery", CJ, "P9")) == 0
        service.asked.clear()
        other.asked.clear()
        assert poll(shop, tracker_delivery=service, easypost=other) == 1
        assert (service.asked, other.asked) == ([(CJ, "P1")], [])


def test_a_callback_in_the_middle_of_a_poll_has_the_parcel_asked_for_again(database_url, redis_url):
    with a_shop(database_url, redis_url, routes("tracker_delivery")) as shop:
        shop.tell(*shipped("N1", "P1", "CJ"))
        at = datetime(2026, 11, 20, tzinfo=UTC)

        class Overtaken(Scripted):
            def of_carrier(self, carrier_id):
                if not self.asked:
                    hurry(shop, ("tracker_delivery", CJ, "P1"))
                return super().of_carrier(carrier_id)

        service = Overtaken(P1=[Scan("a", at, "delivered")])
        poll(shop, tracker_delivery=service)
        assert len(service.asked) == 2  # what the first was told may be older than the callback
        assert shop.rows("select finished, scans from trackers") == [(True, ["a"])]
        assert shop.rows("select count(*) from journal where type = 'TrackingUpdated'") == [(1,)]


def test_a_client_of_a_carrier_that_fails_slows_only_its_parcel(database_url, redis_url):
    with a_shop(database_url, redis_url, routes("tracker_delivery")) as shop:
        shop.tell(*shipped("N1", "P1", "CJ"))

        class Refusing:
            def of_carrier(self, carrier_id):
                raise NoAnswer("no")

        poll(shop, tracker_delivery=Refusing())
        assert shop.rows("select failures, last_error from trackers") == [(1, "no")]


# -- carriers by accounts of one's own -------------------------------------------------------------------------

ACCOUNTS = '{"fedex": {"track_api_key": "a"}, "ups": {"client_id": "a"}}'


class Away:
    """A carrier that answers nothing, and counts how often it was asked."""

    def __init__(self):
        self.asked = 0

    def track(self, number):
        self.asked += 1
        raise NoAnswer("503")


class Calm:
    """A carrier that knows every parcel, and has scanned none."""

    def track(self, number):
        return []


def test_each_carrier_by_an_account_of_one_s_own_has_a_breaker_limits_and_rounds_of_its_own(database_url, redis_url):
    told = settings(ORDERS_KARRIO_CONNECTIONS=ACCOUNTS, ORDERS_TRACKING_RATES="karrio:ups=2/s")
    assert {"orders.tracking:karrio:fedex", "orders.tracking:karrio:ups"} <= {each.name for each in chores(told)}
    assert registry().limits("karrio:ups", told.providers).rate == Rate(2, timedelta(seconds=1))
    assert registry().limits("karrio:fedex", told.providers).rate is None
    with a_shop(database_url, redis_url, registry().routes(told.providers)) as shop:
        for place in range(FAILURES):
            shop.tell(*shipped(f"N{place}", f"F{place}", "FedEx® Ground"), *shipped(f"M{place}", f"U{place}", "UPS"))
        assert set(followed(shop)) == {("fedex® ground", "karrio:fedex", "fedex"), ("ups", "karrio:ups", "ups")}
        away = Away()
        for asked in (2 * FAILURES, FAILURES):  # then UPS alone
            assert poll(shop, **{"karrio:fedex": away, "karrio:ups": Calm()}) == asked
            shop.do("update trackers set next_at = now() - interval '1 second'")
        assert away.asked == FAILURES
        stands = dict(tuple(row) for row in shop.rows("select name, state from polled_carriers"))
        assert stands == {"karrio:fedex": "open", "karrio:ups": "closed"}
        assert shop.rows("select max(failures) from trackers where carrier = 'ups'") == [(0,)]


def test_a_service_that_is_paused_is_asked_by_none_of_its_accounts(database_url, redis_url):
    told = settings(ORDERS_KARRIO_CONNECTIONS=ACCOUNTS)
    with a_shop(database_url, redis_url, registry().routes(told.providers)) as shop:
        shop.tell(*shipped("N1", "F1", "fedex"))
        shop.do(
            "insert into pauses (id, kind, name, reason, \"by\") values (gen_random_uuid(), 'provider', 'karrio', 'x', 'kim')"
        )
        assert poll(shop, **{"karrio:fedex": Calm()}) == 0
        shop.do("update pauses set name = 'karrio:ups'")
        assert poll(shop, **{"karrio:fedex": Calm()}) == 1
