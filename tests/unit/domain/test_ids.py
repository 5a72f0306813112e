"""Ids: readable outside, sortable by time, and the same for the same cause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import PREFIXES, WrongKind, derived, format_id, fresh, parse_id, uuid_of
from tests.fold_helpers import NOW

NAMES = st.lists(st.text(), min_size=1, max_size=3)
TIMES = st.datetimes(timezones=st.just(UTC))


@given(now=TIMES, names=NAMES)
def test_a_derived_id_is_a_uuid_7_and_the_same_for_the_same_cause(now: datetime, names: list[str]):
    made = UUID(derived(now, *names))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert str(made) == derived(now, *names)


@given(names=NAMES, others=NAMES)
def test_other_causes_have_other_ids(names: list[str], others: list[str]):
    if "\x1f".join(names) != "\x1f".join(others):
        assert derived(NOW, *names) != derived(NOW, *others)


def test_ids_sort_by_the_time_at_which_they_were_made():
    made = [derived(NOW + timedelta(milliseconds=n), "one") for n in range(100)]
    assert made == sorted(made)


def test_a_fresh_id_is_a_uuid_7_of_its_own():
    made = {fresh(NOW) for _ in range(100)}
    assert len(made) == 100
    assert all(UUID(one).version == 7 for one in made)


@pytest.mark.parametrize("collection", PREFIXES)
def test_what_is_shown_is_found_again(collection: str):
    uuid = derived(NOW, collection)
    assert format_id(collection, uuid) == f"{PREFIXES[collection]}_{uuid.replace('-', '')}"
    assert uuid_of(format_id(collection, uuid)) == uuid
    assert parse_id(collection, format_id(collection, uuid)) == uuid
    assert parse_id(collection, uuid) == uuid


@pytest.mark.parametrize(("wanted", "given"), permutations(PREFIXES, 2))
def test_an_id_of_another_kind_is_refused_with_both_kinds_named(wanted: str, given: str):
    name = format_id(given, derived(NOW, given))
    with pytest.raises(WrongKind) as caught:
        parse_id(wanted, name)
    assert (caught.value.wanted, caught.value.given) == (wanted, given)
    assert str(caught.value) == (
        f"{name} is an id of {given}; an id of {wanted} is wanted here, which begins with {PREFIXES[wanted]}_"
    )


def test_what_only_looks_like_another_kinds_id_is_none():
    assert parse_id("orders", "ret_1") is None
    assert parse_id("orders", f"box_{'0' * 32}") is None


def test_an_id_is_read_with_and_without_prefix_dashes_and_capitals():
    uuid = derived(NOW, "one")
    for written in (uuid, uuid.upper(), uuid.replace("-", ""), f"ord_{uuid}"):
        assert uuid_of(written) == uuid


@given(st.text())
def test_whatever_is_asked_for_bare_answers_a_uuid_or_none(text: str):
    found = uuid_of(text)
    assert found is None or str(UUID(found)) == found


@pytest.mark.parametrize("name", ["", "ord_", "ord_1", "box", "ord_" + "g" * 32, "٣" * 32, "0" * 33])
def test_what_is_no_id_is_none(name: str):
    assert uuid_of(name) is None
