"""Carriers by the names that people give them, and who is polled for their parcels."""

from __future__ import annotations

import doctest

import pytest

from providers.carriers import names, scans
from providers.carriers.names import NAMES, Carrier, CarrierNames, table
from providers.carriers.routes import Route, Routes
from providers.registry import OURS
from settings.fields import SettingsError, plain_name

BOTH = ("easypost", "tracker_delivery")
SERVICES = {"karrio", *BOTH}


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("CJ Logistics", "CJ Logistics"), ("CJ대한통운", "CJ Logistics"), ("cj대한통운 택배", "CJ Logistics"),
        ("ＣＪ－Logistics", "CJ Logistics"), ("kr.cjlogistics", "CJ Logistics"), ("fedex ground", "FedEx"),
        ("FedEx® Home Delivery", "FedEx"), ("Federal Express", "FedEx"), ("UPS®", "UPS"), ("U.P.S. Ground", "UPS"),
        ("Korea Post", "Korea Post"), ("우체국택배", "Korea Post"), ("ePOST", "Korea Post"), ("한진택배", "Hanjin"),
        ("롯데택배", "Lotte"), ("Lotte Global", "Lotte Global"), ("dhl", "DHL Express"), ("DHL eCommerce", "DHL eCommerce"),
        ("Postes Canada", "Canada Post"), ("Royal Mail", "Royal Mail"), ("順豐", "SF Express"), ("Hermes UK", "Evri"),
        ("DHL Paket", "DHL Germany"), ("Asendia", "Asendia"), ("dhl_universal", "DHL eCommerce"),
        ("USPS Priority Mail", "USPS"), ("ヤマト運輸", "Yamato"), ("EMS", "EMS"), ("Korea Post EMS", "Korea Post EMS"),
    ],
)  # fmt: skip
def test_a_name_is_found_however_it_is_written(name, title):
    found = table().find(name)
    assert found is not None
    assert found.title == title


@pytest.mark.parametrize("name", ["", "®", "our van", "fedex moon", "CJ Logistics Beijing", "post", "Express"])
def test_what_only_resembles_a_name_is_none(name):
    assert table().find(name) is None


def test_every_name_of_the_table_finds_its_own_carrier_and_each_has_an_id_at_a_service_of_ours():
    services = {each.name for each in OURS if each.aggregates}
    assert table().services() == services == SERVICES
    for carrier in table().carriers:
        assert carrier.ids
        for name in carrier.names():
            assert table().find(name) is carrier


def test_one_name_for_two_carriers_is_refused():
    with pytest.raises(ValueError, match="'A®' means A and B; keep one"):
        CarrierNames((Carrier("A", {"easypost": ("1",)}), Carrier("B", {"easypost": ("2",)}, ("A®",))))


@pytest.mark.parametrize("module", [names, scans])
def test_the_examples_in_the_documentation_hold(module):
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)


# -- routes --------------------------------------------------------------------------------------------------


def routes(own=(), aggregators=(), **added):
    return Routes(own, dict.fromkeys(aggregators), {name.replace("_", " "): carrier for name, carrier in added.items()})


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("CJ대한통운", Route("tracker_delivery", "kr.cjlogistics")),
        ("fedex ground", Route("easypost", "FedEx")),
        ("our van", None),
        ("easypost", None),
        ("tracker_delivery", None),
    ],
)
def test_the_preferred_service_is_asked_by_the_carrier_s_id_there(name, route):
    assert routes(aggregators=BOTH)(name) == route


def test_an_account_of_one_s_own_is_asked_before_services_that_follow_many_and_only_for_its_carrier():
    here = Routes(
        (), {"karrio": ["ups", "dhl_universal"], "easypost": None}, {"ours": "karrio:ups", "far": "karrio:dpd"}
    )
    assert here("UPS® Ground") == here("Ours") == Route("karrio:ups", "ups")
    assert here("DHL") == Route("karrio:dhl_universal", "dhl_universal")
    assert here("fedex ground") == Route("easypost", "FedEx")
    assert here("far") is None


def test_where_the_preferred_one_is_not_configured_the_next_is_asked_and_else_nobody():
    assert routes(aggregators=["tracker_delivery"])("UPS®") == Route("tracker_delivery", "us.ups")
    assert routes(aggregators=["easypost"])("CJ Logistics") is None
    assert routes()("UPS") is None


def test_a_carrier_that_is_polled_itself_comes_first_under_its_own_name_and_its_others():
    here = routes(own=["ups", "our van", "cj logistics"], aggregators=BOTH)
    assert here("  UPS ") == here("UPS® Ground") == Route("ups")
    assert here("Our  Van") == Route("our van")
    assert here("CJ대한통운") == Route("cj logistics")
    assert here("FedEx") == Route("easypost", "FedEx")


def test_what_the_setting_adds_comes_before_all():
    here = routes(
        own=["ups"], aggregators=["tracker_delivery"],
        our_courier="CJ Logistics", ups="kr.epost", night_van="tracker_delivery:kr.todaypickup", far="easypost:Veho",
    )  # fmt: skip
    assert here("Our Courier") == Route("tracker_delivery", "kr.cjlogistics")
    assert here("ups") == Route("tracker_delivery", "kr.epost")
    assert here("night van") == Route("tracker_delivery", "kr.todaypickup")
    assert here("far") is None  # EasyPost is not configured


@pytest.mark.parametrize("name", ["UPS", "CJ대한통운", "our van"])
def test_a_name_as_the_correlation_key_has_it_goes_the_same_way(name):
    here = routes(own=["our van"], aggregators=BOTH)
    assert here(name) == here(plain_name(name))


def test_what_the_setting_adds_in_vain_is_told_with_the_name_that_is_near():
    here = routes(["bluebird"], ["tracker_delivery"], ours="bluebird", typo="CJ Logistcs", far="easypost:Veho", ok="cj")
    assert here("ours") == Route("bluebird")
    assert here.in_vain() == {"typo": "CJ Logistcs", "far": "easypost:Veho"}
    assert here.near("CJ Logistcs") == "CJ Logistics"
    assert here.near("zzzz") is None


# -- the setting ---------------------------------------------------------------------------------------------


def test_the_setting_takes_carriers_and_ids_of_services():
    told = " Our  Courier = CJ대한통운 , Night Van=tracker_delivery:kr.todaypickup,"
    assert NAMES.read(told) == {"our courier": "CJ대한통운", "night van": "tracker_delivery:kr.todaypickup"}
    assert NAMES.read("") == {}


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("Our Courier", "must be NAME=CARRIER, comma-separated: entry 1 is not"),
        ("a=UPS, =UPS", "entry 2 is not"),
        ("a=", "entry 1 is not"),
        ("a=UPS, A=FedEx", "names 'A' twice"),
    ],
)
def test_a_wrong_setting_says_what_it_may_be(told, says):
    with pytest.raises(SettingsError, match="ORDERS_CARRIER_NAMES") as caught:
        NAMES.read(told)
    assert says in str(caught.value)
