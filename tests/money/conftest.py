"""One till per module: an application, a drain and providers' simulators, shared by all of its cases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.money.till import Till
from tests.simulators import running

SEED, REFUSED = 7, 0.02  # a payment of a hundred is never refunded: `refused_payment` finds one


@pytest.fixture(scope="module")
def till(request: pytest.FixtureRequest, module_database_url: str, module_redis_url: str) -> Iterator[Till]:
    """The shop, with the providers that the module names; at its end the journal tells the state of every case anew."""
    with ExitStack() as stack:
        urls = {}
        for name in getattr(request.module, "PROVIDERS", ("stripe",)):
            _, urls[name] = stack.enter_context(running(name, "--seed", SEED, "--mishap", f"refused={REFUSED}"))
        opened = Till(module_database_url, module_redis_url, urls)
        yield opened
        opened.close()
