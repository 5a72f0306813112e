"""The proof of replays at a small size: it finds nothing."""

from __future__ import annotations

import pytest

from tests.proofs.given_up import work_off

EACH, RATE = 10, 20


@pytest.mark.timeout(300)
def test_dead_letters_of_five_causes_are_worked_off_through_a_halt_and_a_kill(database_url, redis_url, tmp_path):
    found = work_off(database_url, redis_url, tmp_path, EACH, RATE, lambda line: None)
    assert found.wrong == []
    assert found.letters == 5 * EACH
    assert 0 < found.again < EACH
    assert found.halted_after < found.ended_when_killed < found.letters
