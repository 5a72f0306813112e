"""`orders trackers`, and what `orders doctor` tells of carriers: which parcels fail or are retired, and the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from operations.health.check import OK, PROBLEM, WARNING, Place
from operations.health.trackers import tracking
from providers.registry import registry
from settings.environment import read
from settings.fields import Values
from storage.clock import clock
from tests.builders import created, told

VANS = {"ORDERS_CARRIERS": "our van=http://127.0.0.1:9"}


@pytest.fixture
def parcels(shop, monkeypatch):
    """Three parcels of our van: one that is well, one that fails, one that is retired."""
    for name, value in VANS.items():
        monkeypatch.setenv(name, value)
    shop.tell(replace(created(), subject="1"), told("FulfillmentShipped", subject="1", fulfillment="box"))
    shop.do(
        "insert into trackers (id, key, carrier, tracking_number, status) "
        "select gen_random_uuid(), 'tracking:our van:' || n, 'our van', n, 'in_transit' "
        "from unnest(array['well', 'fails', 'over']) n"
    )
    shop.do("insert into correlations (key, order_id) select t.key, o.id from trackers t, orders o")
    shop.do("update trackers set failures = 4, last_error = 'van: HTTP 500' where tracking_number = 'fails'")
    shop.do(
        "update trackers set finished = true, last_error = 'nothing new for 30 days' where tracking_number = 'over'"
    )
    return shop


def numbers(answer):
    return {each["tracking_number"] for each in answer.json["trackers"]}


def test_parcels_are_listed_by_what_is_the_matter_with_them(parcels, orders):
    assert numbers(orders("trackers", "list", "--json")) == {"well", "fails"}
    assert numbers(orders("trackers", "list", "--failing", "--json")) == {"fails"}
    assert numbers(orders("trackers", "list", "--silent", "--json")) == set()
    assert numbers(orders("trackers", "list", "--carrier", "Their  Van", "--json")) == set()
    retired = orders("trackers", "list", "--retired", "--carrier", "Our  VAN")
    assert "nothing new for 30 days" in " ".join(retired.out.split())
    assert "orders trackers resume NUMBER" in retired.out
    both = orders("trackers", "list", "--retired", "--failing")
    assert (both.code, "give one of them" in both.err) == (2, True)


def test_a_retired_parcel_is_asked_for_again_and_the_audit_knows_by_whom(parcels, orders):
    assert orders("trackers", "resume", "over", "--json").json == {"resumed": ["over"]}
    assert orders("trackers", "resume", "over").code == 1
    assert parcels.do("select finished, failures, next_at <= now() from trackers where tracking_number = 'over'") == [
        (False, 0, True)
    ]
    rows = parcels.do("select action, target, order_number from audit where action = 'trackers resume'")
    assert rows == [("trackers resume", "trackers/over", "1")]
    for wrong in ((), ("over", "--carrier", "our van")):
        assert orders("trackers", "resume", *wrong).code == 2


def test_all_retired_parcels_of_a_carrier_are_asked_for_again(parcels, orders):
    assert orders("trackers", "resume", "--carrier", "our van", "--json").json == {"resumed": ["over"]}


def test_carriers_are_shown_with_their_limits_and_what_is_used_of_them(parcels, orders, monkeypatch):
    monkeypatch.setenv("ORDERS_TRACKING_RATES", "our van=50/s")
    monkeypatch.setenv("ORDERS_TRACKING_QUOTAS", "our van=100")
    (fresh,) = orders("trackers", "carriers", "--json").json["carriers"]
    assert (fresh["name"], fresh["stands"], fresh["rate"], fresh["polls"]) == ("our van", "answers", "50/s", 0)
    month = clock().date().replace(day=1)
    parcels.do("insert into polled_carriers (name, month, polls) values ('our van', :month, 100)", month=month)
    (spent,) = orders("trackers", "carriers", "--json").json["carriers"]
    assert (spent["stands"], spent["polls"], spent["quota"]) == ("quota spent", 100, 100)
    assert "quota spent" in " ".join(orders("trackers", "carriers").out.split())


# -- the doctor --------------------------------------------------------------------------------------------------


def checks(shop, **texts):
    place = Place(read(), embedded=False)
    values = Values.read((*registry().settings(), *_limits()), {**VANS, **texts})
    place = Place(replace(place.settings, providers=values), embedded=False)
    with shop.opened.engine.connect() as conn:
        return list(tracking(conn, place))


def _limits():
    from providers.carriers.limits import SETTINGS

    return SETTINGS


def test_parcels_that_fail_or_are_retired_are_told_with_the_commands_that_help(parcels):
    (check,) = checks(parcels)
    assert check.level == WARNING
    assert "1 of 2 parcels of our van cannot be asked for; 1 parcel of our van retired" in check.says
    assert "orders trackers list --retired" in check.remedy
    parcels.do("update trackers set finished = false, failures = 0, last_error = null")
    assert [check.level for check in checks(parcels)] == [OK]


@pytest.mark.parametrize(
    ("row", "level", "says"),
    [
        ("state, failures, opened, last_error) values ('our van', 'open', 7, 1, 'van: HTTP 503'", WARNING, "is away"),
        (
            "state, failures, opened, last_error) values ('our van', 'open', 9, 9, 'van: HTTP 503'",
            PROBLEM,
            "van: HTTP 503",
        ),
        (
            "paused_until, last_error) values ('our van', now() + interval '1 h', '429'",
            WARNING,
            "wants fewer questions",
        ),
        ("month, polls) values ('our van', date_trunc('month', now() at time zone 'UTC'), 9", WARNING, "are spent"),
    ],
)
def test_a_carrier_that_keeps_all_its_parcels_waiting_is_told_once(parcels, row, level, says):
    parcels.do("update trackers set failures = 0, last_error = null, finished = false")
    parcels.do(f"insert into polled_carriers (name, {row})")
    (check,) = checks(parcels, ORDERS_TRACKING_QUOTAS="our van=9")
    assert (check.level, says in check.says, "3 parcels of our van wait" in check.says) == (level, True, True), check


def test_a_limit_for_somebody_whom_nobody_polls_is_told(parcels):
    parcels.do("delete from trackers")
    (check,) = checks(parcels, ORDERS_TRACKING_RATES="our vam=2/s")
    assert (check.level, "our vam is not polled" in check.says, check.remedy) == (
        WARNING,
        True,
        "write one of: our van",
    )
