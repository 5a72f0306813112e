"""docs/howto/add-a-carrier.md, followed word by word: one file, and its parcels are followed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from outbound.tracking import polls
from providers import documentation
from providers.registry import registry
from settings.environment import read
from tests.integration.api.webhooks_in.conftest import NOWHERE
from tests.integration.howto import pages
from tests.simulators import SHARDS, a_paid_order, a_shop, an_event, running
from workers.chores import TRACKING, chores

PAGE = "add-a-carrier.md"


@pytest.mark.timeout(120)
def test_a_parcel_is_followed_to_its_end(installed, database_url, redis_url):
    with running("carrier", "--pace", 0.1, "--errors", 0.2) as (_, url):
        settings = read({"ORDERS_BLUEBIRD_API_KEY": "test", "ORDERS_BLUEBIRD_API_URL": url}, NOWHERE)
        clients = registry().tracking_clients(settings.providers)
        assert set(clients) == {"bluebird"}
        with a_shop(database_url, redis_url, registry().routes(settings.providers)) as shop:
            shipped = an_event("FulfillmentShipped", "N1", fulfillment="box", carrier="BlueBird", trackingNumber="P1")
            shop.tell(*a_paid_order("N1", 500), shipped)
            until, later = time.monotonic() + 60, timedelta(0)
            while shop.rows("select status from orders") != [("delivered",)]:
                assert time.monotonic() < until
                now = datetime.now(UTC) + later
                rules = polls.PollRules(timedelta(minutes=15))
                polls.run_due(shop.engine, shop.streams, SHARDS, "bluebird", clients["bluebird"], rules, now)
                shop.work()
                later += timedelta(days=1)
                time.sleep(0.02)


def test_it_is_everywhere(installed):
    told = {"ORDERS_BLUEBIRD_API_KEY": "test"}
    assert {each.name: each.queue for each in chores(read(told, NOWHERE))}["orders.tracking:bluebird"] == TRACKING
    page = documentation.page(registry().providers)
    assert "| **Bluebird** `bluebird` | – | – | – | – | `ORDERS_BLUEBIRD_API_KEY` | polled with an API key |" in page


def test_the_doctor_shows_it_as_the_page_says(site, database_url, redis_url, tmp_path):
    servers = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "PYTHONPATH": f"{site}:{pages.ROOT}"}
    done = pages.run(pages.commands(PAGE, "orders doctor"), tmp_path, **servers)
    assert '"name": "ORDERS_BLUEBIRD_API_KEY"' in done.stdout, done.stderr
    assert '"says": "bluebird"' in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_passes_the_suite_as_the_page_says(site):
    done = pages.run(pages.commands(PAGE, "pytest"), pages.ROOT, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
