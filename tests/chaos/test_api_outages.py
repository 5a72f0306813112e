"""Servers go away under load at the HTTP doors; the full length is `python -m tests.chaos.api_outages`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.chaos.api_load import Clients
from tests.chaos.api_outages import a_stage, faults, play, summary

LOAD_S, REDIS_S, POSTGRES_S = 15, 3, 3
RATE = 30  # requests per second


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [20261101])
def test_what_the_doors_accept_survives_a_redis_and_a_postgresql_that_go_away(seed: int):
    with tempfile.TemporaryDirectory(prefix="orders-chaos-") as data, a_stage(Path(data)) as stage:
        clients = Clients(stage.api_url, stage.key, stage.source, seed, RATE)
        gaps = play(stage, clients, LOAD_S, REDIS_S, POSTGRES_S)
        print(summary(stage, clients, gaps))
        assert faults(stage, clients, gaps) == []
        assert {life.ends for life in clients.ended} == {"canceled", "delivered", "returned"}
