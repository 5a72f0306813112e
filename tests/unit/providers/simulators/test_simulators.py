"""The simulators' pure parts: mishaps and arguments."""

from argparse import ArgumentTypeError
from collections import Counter

import pytest

from providers.simulators.process import Mishaps, share

KINDS = {"broken": 3, "silent": 1}


def test_mishaps_of_a_subject_do_not_depend_on_what_else_is_asked():
    alone, busy = Mishaps(7, 0.5), Mishaps(7, 0.5)
    expected = [alone.next("a", KINDS) for _ in range(20)]
    found = []
    for turn in range(20):
        busy.next(f"other {turn}", KINDS)
        found.append(busy.next("a", KINDS))
    assert found == expected
    assert [Mishaps(8, 0.5).next("a", KINDS) for _ in range(20)] != expected


def test_mishaps_come_in_the_share_and_by_the_weights_that_were_asked():
    mishaps = Mishaps(7, 0.2)
    drawn = Counter(mishaps.next(str(number), KINDS) for number in range(4000))
    assert 700 < drawn["broken"] + drawn["silent"] < 900
    assert 2 < drawn["broken"] / drawn["silent"] < 4
    assert {Mishaps(7, 0.0).next("a", KINDS) for _ in range(9)} == {None}
    assert None not in {Mishaps(7, 1.0).next(str(n), KINDS) for n in range(99)}


@pytest.mark.parametrize("text", ["-0.1", "1.1", "nan", "inf"])
def test_a_share_is_between_none_and_all(text):
    assert share("0.05") == 0.05
    with pytest.raises(ArgumentTypeError, match="no share"):
        share(text)
