"""Amounts and quantities: numbers as every system reads them, and no others."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from events.catalogue import Amount, Quantity

AMOUNTS, QUANTITIES = TypeAdapter(Amount), TypeAdapter(Quantity)


@pytest.mark.parametrize("value", ["1_0", "１０", "٣", "1_000.5", "−1", "²", True, "ten", "", "0x10"])
def test_what_only_python_would_read_as_a_number_is_refused(value):
    for kind in (AMOUNTS, QUANTITIES):
        with pytest.raises(ValidationError):
            kind.validate_python(value)


def test_numbers_and_numbers_as_strings_are_taken():
    assert [AMOUNTS.validate_python(value) for value in ("10", 10, "10.50")] == [10, 10, 10.5]
    assert [QUANTITIES.validate_python(value) for value in ("10", 10)] == [10, 10]
