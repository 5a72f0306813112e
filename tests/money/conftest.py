"""One till per module: an application, a drain and Stripe's simulator, shared by all of its cases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.money.till import Till
from tests.simulators import running

SEED, REFUSED = 7, 0.02  # a payment of a hundred is never refunded: `refused_payment` finds one


@pytest.fixture(scope="module")
def till(module_database_url: str, module_redis_url: str) -> Iterator[Till]:
    """The shop; at its end the journal tells the state of every case anew."""
    with running("stripe", "--seed", SEED, "--mishap", f"refused={REFUSED}") as (_, url):
        opened = Till(module_database_url, module_redis_url, {"stripe": url})
        yield opened
        opened.close()
