"""Limits of whoever is polled: what documentation says, and what settings say instead."""

from __future__ import annotations

from datetime import timedelta

import pytest

from providers.carriers import tracker_delivery
from providers.carriers.limits import QUOTAS, RATES, ZONES, Limits, Rate, names_in
from providers.registry import registry
from settings.environment import read
from settings.fields import SettingsError
from tests.integration.api.webhooks_in.conftest import NOWHERE


def values(**told):
    return read(told, NOWHERE).providers


def test_a_service_has_the_limits_of_its_documentation_and_a_carrier_of_one_s_own_has_none():
    assert registry().limits("tracker_delivery", values()) == tracker_delivery.PROVIDER.limits
    assert registry().limits("our van", values()) == Limits()


def test_settings_say_what_an_account_s_plan_allows():
    told = values(
        ORDERS_TRACKING_RATES="easypost=300/m, Our  Van=2/s",
        ORDERS_TRACKING_QUOTAS="easypost=50000",
        ORDERS_TRACKING_ZONES="easypost=America/New_York",
    )
    expected = Limits(Rate(300, timedelta(minutes=1)), 50_000, "America/New_York")
    assert registry().limits("easypost", told) == expected
    assert registry().limits("our van", told) == Limits(Rate(2, timedelta(seconds=1)))
    assert names_in(told) == {"easypost": "ORDERS_TRACKING_RATES", "our van": "ORDERS_TRACKING_RATES"}


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        (RATES, "easypost=10", "write 10/s, 300/m, 1000/h or 5000/d"),
        (RATES, "easypost=0/s", "is no rate"),
        (RATES, "10/s", "must be NAME=VALUE, comma-separated: entry 1 is not"),
        (RATES, "ups=1/s, UPS=2/s", "names 'UPS' twice"),
        (QUOTAS, "easypost=many", "is no number of questions"),
        (QUOTAS, "easypost=-1", "is no number of questions"),
        (ZONES, "easypost=Seoul", "write Asia/Seoul"),
        (ZONES, "easypost=../etc/passwd", "is no time zone"),
        (ZONES, "easypost=", "is no time zone"),
    ],
)
def test_a_limit_that_cannot_be_says_how_it_is_written(setting, value, says):
    with pytest.raises(SettingsError, match=says.replace("(", r"\(")):
        values(**{setting.name: value})
