"""Whatever stands in a query, the answer is documents or a 400: nothing reaches PostgreSQL that it cannot take."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queries.errors import QueryError
from queries.filters import OPERATORS
from queries.json_encoder import encode
from queries.parser import parse
from queries.repository import count, find, find_by_id
from queries.schema import COLLECTIONS

FIELDS = [
    *sorted({name for of in COLLECTIONS.values() for name in of.fields}),
    "order.customer", "order.order", "product.title", "flags.0", "fields", "personal_id", "order.", ".", "a" * 300,
    "customerSnapshot.name.first", "customerSnapshot.constructor", "__proto__", "id;drop table orders", "order.products",
]  # fmt: skip
VALUES = [
    "", "null", "true", "0", "-0", "1e400", "1e-400", "9" * 45, "NaN", "Infinity", "-Infinity", "0x10", "1_000", "abc",
    "\x00", "a\x00b", "%", "\\", "_", "'", '"', "{}", "{a,b}", "{\"a\"", "ord_" + "0" * 32, "0" * 32, "2026-02-30",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "99999-01-01", "now", "2026-01-01T00:00:00Z",
    "😀", "\u202e", "İ", "a,b,,null", ",", " ", "\t\n", "x" * 4_000, "x" * 5_000, "a " * 30, "1" * 38 + ".5",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(VALUES) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=2),
    max_leaves=4,
)
LEAF = st.builds(
    lambda field, operator, value: {field: {operator: value}},
    st.sampled_from(FIELDS),
    st.sampled_from([*OPERATORS, "near", "$where"]),
    JSON,
)
WHERE = st.recursive(
    LEAF,
    lambda inner: st.builds(
        lambda name, parts: {name: parts}, st.sampled_from(["and", "or", "AND"]), st.lists(inner, max_size=3) | inner
    ),
    max_leaves=4,
)
PLAIN = st.sampled_from(["limit", "page", "depth", "pagination", "sort", "select", "joins", "where", "x"])
PART = st.sampled_from(
    ["or", "and", "0", "1", "", "products", "items", "limit", "where", *OPERATORS]
) | st.sampled_from(FIELDS)
KEY = st.builds(lambda root, parts: root + "".join(f"[{part}]" for part in parts), PLAIN, st.lists(PART, max_size=6))
PAIR = st.builds(lambda key, value: f"{quote(key)}={quote(value)}", KEY, st.sampled_from(VALUES)) | st.text(
    st.sampled_from("[]=&%where0or,-.\x00é"), max_size=20
)
patiently = settings(max_examples=250, suppress_health_check=list(HealthCheck))


def ask(conn, collection, query):
    """Documents that can be written as JSON, or a 400 that can; whether it was documents."""
    try:
        asked = parse(query)
        encode(find(conn, collection, asked, "c1", most=10_000))
        encode(count(conn, collection, asked))
    except QueryError as error:
        refused = error
    else:
        return True
    encode([refused.message, refused.faults])
    return False


@patiently
@given(collection=st.sampled_from(list(COLLECTIONS)), where=WHERE, sort=st.lists(st.sampled_from(FIELDS), max_size=4))
def test_wheres_in_json(conn, collection, where, sort):
    # Python's JSON writes NaN and half surrogates, which is as well: so do attackers.
    ask(conn, collection, f"where={quote(json.dumps(where))}&sort={quote(','.join(sort))}&depth=1")


@patiently
@given(collection=st.sampled_from(list(COLLECTIONS)), pairs=st.lists(PAIR, max_size=6))
def test_brackets(conn, collection, pairs):
    ask(conn, collection, "&".join(pairs))


def _alike() -> list[list[tuple[str, str]]]:
    """All fields, as (collection, name), together with those that the same SQL is made of."""
    found: dict[object, list[tuple[str, str]]] = {}
    for of in COLLECTIONS.values():
        for name, field in of.fields.items():
            kind = (field.kind, bool(field.inside), str(of.table.c[field.column].type), field.nullable(of.table))
            found.setdefault(kind, []).append((of.name, name))
    return list(found.values())


ALIKE = _alike()


@pytest.mark.parametrize("value", VALUES)
def test_every_kind_of_field_takes_or_refuses_every_value_in_every_operator(conn, value):
    """Each value is put to one field of a kind, and the next value to the next: so each field is asked for several."""
    for fields in ALIKE:
        collection, field = fields[VALUES.index(value) % len(fields)]
        for operator in OPERATORS:
            ask(conn, collection, f"where[{field}][{operator}]={quote(value)}")


@pytest.mark.parametrize("value", VALUES)
def test_an_id_that_is_none_is_nobodys(conn, value):
    assert [find_by_id(conn, collection, value, parse("")) for collection in COLLECTIONS] == [None] * len(COLLECTIONS)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("where[totalAmount][equals]=abc", "totalAmount"),
        ("where[totalAmount][greater_than]=", "totalAmount"),
        ("where[totalAmount][equals]=1_0", "totalAmount"),
        ("where[totalAmount][equals]=%EF%BC%91%EF%BC%90", "totalAmount"),
        ("where[totalAmount][in]=1,x", "totalAmount"),
        ("where[createdAt][less_than]=yesterday", "createdAt"),
        ("where[createdAt][like]=2026", "createdAt"),
        ("where[flags][greater_than]=a", "flags"),
        ("where[status][exists]=perhaps", "status"),
        ("where[customerSnapshot][equals]=x", "customerSnapshot"),
        ("where[nothing][equals]=x", "nothing"),
        ("where[customer.name][equals]=x", "customer.name"),
        ("where[held][equals]=true", "held"),
        ("where[notes][like]=" + "a+" * 4 + "+".join(map(str, range(30))), "notes"),
        ("where[status][equals][0]=a&where[status][equals][1]=b", "status"),
        ('where={"totalAmount":{"equals":true}}', "totalAmount"),
        ("joins[products][where][nothing][equals]=x", "nothing"),
    ],
)
def test_what_does_not_fit_is_named(conn, query, path):
    with pytest.raises(QueryError) as caught:
        find(conn, "orders", parse(query))
    assert [at for at, _ in caught.value.faults] == [path]
