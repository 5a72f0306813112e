"""`GET /metrics`: to a secret key alone, with what the API counted and what stands in the servers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from api.app import create_app
from api.resources import open_doors
from operations.gauges import FIGURES
from settings.environment import read
from storage import keys


@pytest.fixture(scope="module")
def client(module_database_url, module_redis_url):
    doors = open_doors(read({"DATABASE_URL": module_database_url, "REDIS_URL": module_redis_url}, Path("/nonexistent")))
    with TestClient(create_app(doors)) as client:
        yield client


def key(client, kind: keys.Kind) -> dict[str, str]:
    with client.app.state.doors.engine.begin() as conn:
        return {"Authorization": f"Bearer {keys.add(conn, kind, None, 'test', datetime.now(UTC))[0]}"}


def test_strangers_and_publishable_keys_are_refused(client):
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers=key(client, "publishable")).status_code == 403


def test_a_secret_key_is_answered_every_figure_of_the_shop(client):
    answer = client.get("/metrics", headers=key(client, "secret"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    without_rows = {"orders_timers_age_seconds"}
    assert {figure.name for figure in FIGURES} - set(families) - without_rows == set()
    values = {family.name: family.samples[0].value for family in families.values() if len(family.samples) == 1}
    assert values["orders_postgresql_up"] == values["orders_redis_up"] == 1
    assert values["orders_undecided_events"] == values["orders_migrations_pending"] == 0
