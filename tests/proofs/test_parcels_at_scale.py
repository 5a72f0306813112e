"""Some parcels at four carriers with bad days; thousands of them are a proof, `make proofs`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.proofs.parcels_at_scale import RATE, Size, at_scale

SEED = 20261130
SMALL = Size(parcels=80, pace_s=0.5, carriers_pace_s=0.1, quiet_s=0.0, away_s=1.0, kills=1, hurry=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_carrier_s_limit_is_broken_and_every_parcel_ends_whatever_its_carrier_does():
    print(f"seed {SEED}")
    with tempfile.TemporaryDirectory(prefix="orders-parcels-") as data:
        result = at_scale(Path(data), SMALL, SEED, print)
    print(f"{result.seconds:.1f} s, {result.asked}")
    assert not result.wrong, "\n".join(result.wrong[:50])
    assert result.kills == 2
    assert all(0 < asked["most"] <= RATE for asked in result.asked.values())
