"""Array literals made by hand, fuzzed against PostgreSQL: what goes in comes out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from storage.engine import connect
from storage.pg_arrays import array, cast, columns, unnest

# Everything that PostgreSQL can keep, and more often than by chance what its array syntax minds.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
AWKWARD = st.sampled_from(
    [
        *""" " \\ , { } ' : % $1 NULL null "," "} {""} \\x00 \\000 \\N 한글 𝄞 👩‍👩‍👧 """.split(),
        *"\n\r\t\x7f \u00a0\ufeff",
        "e\u0301",
    ]
)
texts = st.lists(CHARACTERS | AWKWARD, max_size=8).map("".join)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
offsets = st.integers(-15 * 60 - 59, 15 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))
years = datetime(1, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001 - in UTC too, whatever the offset
times = st.datetimes(*years, timezones=offsets | st.just(UTC))


def whole(bits):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


VALUES = {
    "text": texts,
    "jsonb": json_values.map(lambda value: orjson.dumps(value).decode()),
    "text[]": st.lists(texts | st.none(), max_size=4),
    "bytea": st.binary(max_size=20),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40)
    | st.sampled_from([Decimal("1E+3"), Decimal("1.50E-7"), Decimal("-0"), Decimal("0E+9")]),
    "timestamptz": times,
    "uuid": st.uuids().map(str),
    "smallint": whole(16),
    "integer": whole(32),
    "bigint": whole(64),
    "boolean": st.booleans(),
}
fuzz = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def engine(module_database_url):
    engine = connect(module_database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def conn(engine):
    with engine.connect() as conn:
        yield conn


def back(conn, names, kinds, rows):
    """The rows, after a journey through the statement that storage writes them by."""
    picked = ", ".join(cast(name, kind) for name, kind in zip(names, kinds, strict=True))
    sql = text(f"select {picked} from {unnest(names, kinds)} order by v.ordinal")
    return [tuple(row) for row in conn.execute(sql, columns(names, kinds, rows))]


def read(value, kind):
    """A value as PostgreSQL gives it back."""
    return orjson.loads(value) if kind == "jsonb" and value is not None else value


@pytest.mark.parametrize("kind", VALUES)
def test_what_goes_in_comes_out(conn, kind):
    @fuzz
    @given(st.lists(VALUES[kind] | st.none(), min_size=1, max_size=12))
    def check(values):
        found = back(conn, ["x"], [kind], [(value,) for value in values])
        assert found == [(read(value, kind),) for value in values]

    check()


@pytest.mark.parametrize("kind", VALUES)
def test_without_nulls_too(conn, kind):
    """Lest a null among them be what makes it right."""

    @fuzz
    @given(st.lists(VALUES[kind], min_size=1, max_size=12))
    def check(values):
        found = back(conn, ["x"], [kind], [(value,) for value in values])
        assert found == [(read(value, kind),) for value in values]

    check()


@fuzz
@given(rows=st.lists(st.tuples(*(values | st.none() for values in VALUES.values())), min_size=1, max_size=5))
def test_columns_of_all_kinds_stay_in_their_rows(conn, rows):
    names = [f"c{i}" for i in range(len(VALUES))]
    found = back(conn, names, list(VALUES), rows)
    assert found == [tuple(map(read, row, VALUES)) for row in rows]


@fuzz
@given(st.lists(texts | st.none(), max_size=12))
@example([""])
@example([None])
@example(["NULL"])
@example(['a","b'])
@example(['"', ""])
def test_an_array_of_texts_is_read_as_one(conn, values):
    found = conn.execute(text("select cast(:v as text[])"), {"v": array(values, "text")})
    assert found.scalar_one() == values


@pytest.mark.parametrize("kind", VALUES)
def test_nothing_is_an_empty_array(conn, kind):
    kept = "text" if kind in ("jsonb", "text[]") else kind
    found = conn.execute(text(f"select cast(:v as {kept}[])"), {"v": array([], kind)})
    assert found.scalar_one() == []


def test_the_scale_of_money_is_kept(conn):
    amounts = [Decimal("12.50"), Decimal("12.500"), Decimal("0.00"), Decimal("7")]
    found = back(conn, ["x"], ["numeric"], [(amount,) for amount in amounts])
    assert [str(amount) for (amount,) in found] == ["12.50", "12.500", "0.00", "7"]


def test_words_that_syntax_reserves_may_name_columns(conn):
    names = ["position", "option", "time", "key", "by", "at", "until", "value"]
    assert back(conn, names, ["text"] * len(names), [tuple(names)]) == [tuple(names)]
