"""One till per module: an application, a drain and providers' simulators, shared by all of its cases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.money.till import Till
from tests.simulators import running

SEED = 7
FATES = {"refused": 0.02, "late_failure": 0.02}  # of a hundred payments two each: `payment_of_fate` finds one
PACE_S = 0.3  # until a refund that will fail has failed


@pytest.fixture(scope="module")
def till(request: pytest.FixtureRequest, module_database_url: str, module_redis_url: str) -> Iterator[Till]:
    """The shop, with the providers that the module names; at its end the journal tells the state of every case anew."""
    with ExitStack() as stack:
        urls = {}
        for name in getattr(request.module, "PROVIDERS", ("stripe",)):
            chosen = [part for kind, share in FATES.items() for part in ("--mishap", f"{kind}={share}")]
            _, urls[name] = stack.enter_context(running(name, "--seed", SEED, "--pace", PACE_S, *chosen))
        opened = Till(module_database_url, module_redis_url, urls)
        yield opened
        opened.close()
