"""Each fault under load, on real processes: `make faults`."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import exit_on_sigterm
from tests.faults.catalogue import BY_NAME, FAULTS
from tests.faults.deployment import Deployment, a_deployment
from tests.faults.fault import Trial, missing
from tests.faults.trial import run, run_trial

Deployed = Callable[[str], Deployment]


@pytest.fixture(scope="module")
def alone() -> Iterator[None]:
    """One harness at a time on a machine: two would share namespaces, and disturb what each measures."""
    with (Path(tempfile.gettempdir()) / "orders-faults.lock").open("w") as file, exit_on_sigterm():
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.exit("faults are being provoked on this machine already: wait for that run, or end it", 2)
        yield


@pytest.fixture(scope="module")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Shown at once, past pytest's capture."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def told(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(line, flush=True)

    return told


@pytest.fixture(scope="module")
def deployed(request: pytest.FixtureRequest, alone: None, say: Callable[[str], None]) -> Iterator[Deployed]:
    """The deployment of a group of faults: one stands at a time, and a new group has a new one."""
    standing: dict[str, Deployment] = {}
    with ExitStack() as stack:

        def deployment(group: str) -> Deployment:
            if group not in standing:
                stack.close()
                standing.clear()
                if group:
                    say(f"\n  group {group}, seed {request.config.getoption('seed')}")
                    standing[group] = stack.enter_context(
                        a_deployment(request.config.getoption("seed"), say, request.config.getoption("load"))
                    )
            return standing[group] if group else None  # type: ignore[return-value]

        yield deployment


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
def test_what_was_accepted_is_kept_and_goes_on_after(
    name: str, deployed: Deployed, say, request: pytest.FixtureRequest
):
    fault = BY_NAME[name]
    if why := missing(fault):
        pytest.skip(f"{name}: {why}")
    option = request.config.getoption
    tries, seed, out = option("tries"), option("seed"), Path(option("results"))
    if isinstance(fault, Trial):
        deployed("")  # nothing runs beside it
        done = run_trial(fault, range(tries), seed, request.config.option, out, say)
    else:
        done = run(deployed(fault.group), fault, range(tries), seed, out, say)
    wrong = [f"try {each.number}: {line}" for each in done for line in each.wrong]
    assert not wrong, "\n".join(wrong)
