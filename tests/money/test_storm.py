"""A small storm of refunds; the whole one is a proof, `make proofs`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.money.shop_floor import PROVIDERS
from tests.money.storm import WORKERS, storm

REFUNDS, SEED = 60, 20261129
SHARES = {"refused": 0.10, "late_failure": 0.10, "open": 0.10, "timeout": 0.15, "twice": 0.2}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_after_a_storm_of_refunds_the_providers_books_and_ours_agree_to_the_cent():
    print(f"seed {SEED}")
    with tempfile.TemporaryDirectory(prefix="orders-storm-") as data:
        result = storm(Path(data), REFUNDS, kills=1, seed=SEED, hurry=True, shares=SHARES, say=print)
    print(f"{result.seconds:.1f} s, {dict(result.ends)}")
    assert not result.wrong, "\n".join([f"seed {SEED}", *result.wrong[:50]])
    assert set(result.ends) == {"made", "open", "refused", "late_failure"}
    assert result.kills == dict.fromkeys((*WORKERS, *PROVIDERS), 1)
