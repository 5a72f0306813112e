"""`orders bench` refuses options that would change nothing, before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.bench import What, bench
from cli.options import Problem


@pytest.mark.parametrize(
    ("what", "told", "name", "takers"),
    [
        (What.SCALE, {"orders": 100}, "--orders", "`orders bench` and `orders bench api` and `orders bench console`"),
        (What.SCALE, {"samples": 100}, "--samples", "`orders bench`"),
        (What.SCALE, {"batch": 256}, "--batch", "`orders bench`"),
        (What.SCALE, {"markdown": True}, "--markdown", "`orders bench`"),
        (What.API, {"samples": 100}, "--samples", "`orders bench`"),
        (What.API, {"batch": 256}, "--batch", "`orders bench`"),
        (What.API, {"markdown": True}, "--markdown", "`orders bench`"),
        (What.CONSOLE, {"rounds": 3}, "--rounds", "`orders bench` and `orders bench scale` and `orders bench api`"),
        (What.API, {"profile": Path("drain.txt")}, "--profile", "`orders bench`"),
    ],
)
def test_an_option_of_another_measurement_is_refused(what, told, name, takers):
    with pytest.raises(Problem) as caught:
        bench(what, **told)
    assert str(caught.value) == f"{name} goes with {takers} alone; leave it out of `orders bench {what}`"
    assert caught.value.exit_code == 2
