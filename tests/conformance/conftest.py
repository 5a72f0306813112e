"""Starts the real simulator processes, and ends those that it started."""

import pytest

from tests import simulators


@pytest.fixture(scope="session")
def running():
    """`with running("carrier", "--errors", 0.5) as (process, url)`."""
    return simulators.running
