"""Query strings as the SDK and people write them, and as nobody should."""

from __future__ import annotations

from decimal import Decimal

import pytest

from queries.errors import QueryError
from queries.filters import ANYTHING, Condition, Every, Some
from queries.parser import JoinQuery, Query, Select, parse


def refused(query: str) -> list[dict[str, str]]:
    with pytest.raises(QueryError) as caught:
        parse(query)
    faults = caught.value.faults or [("", caught.value.message)]
    return [{"path": path, "message": message} for path, message in faults]


def test_nothing_asked_for_is_the_first_ten():
    assert parse("") == Query() == Query(limit=10, page=1, depth=0, where=ANYTHING)


def test_what_the_sdk_writes():
    # stringify of qs-esm 8.0.1, as in @payloadcms/sdk 3.90.1: {addQueryPrefix: true, allowEmptyArrays: true}
    found = parse(
        "depth=1&page=2&limit=5&sort=-createdAt%2CorderNumber&select%5BcustomerSnapshot%5D%5Bname%5D=true"
        "&where%5Bor%5D%5B0%5D%5Band%5D%5B0%5D%5Bcustomer%5D%5Bequals%5D=a%26b%20c"
        "&where%5Bor%5D%5B0%5D%5Band%5D%5B1%5D%5BtotalAmount%5D%5Bless_than%5D=5"
        "&where%5Bor%5D%5B1%5D%5Bstatus%5D%5Bnot_in%5D[]"
        "&joins%5Bproducts%5D%5Blimit%5D=3&joins%5Bproducts%5D%5Bcount%5D=true&joins%5Breturns%5D=false"
        "&joins%5Btransactions%5D%5Bwhere%5D%5Bstatus%5D%5Bequals%5D=paid"
    )
    where = Some(
        (
            Every((Every((Every((Condition("customer", "equals", "a&b c"),)),
                          Every((Condition("totalAmount", "less_than", "5"),)))),)),
            Every((Condition("status", "not_in", []),)),
        )
    )  # fmt: skip
    assert found == Query(
        where=Every((where,)),
        sort=("-createdAt", "orderNumber"),
        limit=5,
        page=2,
        depth=1,
        select=Select(frozenset({"customerSnapshot.name"}), False),
        joins={
            "products": JoinQuery(limit=3, count=True),
            "returns": None,
            "transactions": JoinQuery(where=Every((Condition("status", "equals", "paid"),))),
        },
    )


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("where[a][in][0]=x&where[a][in][1]=y", ["x", "y"]),
        ("where[a][in][1]=y&where[a][in][0]=x", ["x", "y"]),
        ("where[a][in][]=x&where[a][in][]=y", ["x", "y"]),
        ("where[a][in]=x&where[a][in]=y", ["x", "y"]),
        ("where[a][in]=x,y", "x,y"),
        ("where[a][in][]", []),
        ("where[a][in][]=", []),
        ("where[a][in]=", ""),
        ('where={"a":{"in":["x",1,2.50,null,true]}}', ["x", Decimal(1), Decimal("2.50"), None, True]),
    ],
)
def test_lists(query, value):
    assert parse(query).where == Every((Condition("a", "in", value),))


@pytest.mark.parametrize("query", ["", "where=", "where={}", "where[or][]", "where[and][0][or][]", 'where={"or":[{}]}'])
def test_a_where_that_says_nothing(query):
    assert parse(query).where == ANYTHING


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("limit=0", (0, 1, True)),
        ("limit=0&page=7", (0, 1, True)),
        ("pagination=false", (0, 1, False)),
        ("pagination=false&limit=5&page=3", (5, 1, False)),
        ("limit=1000&page=3", (1000, 3, True)),
        ("draft=true&locale=all&populate[orders][status]=true&trash=1&fallback-locale=x", (10, 1, True)),
    ],
)
def test_pages(query, found):
    query = parse(query)
    assert (query.limit, query.page, query.counted) == found


def test_depth_above_two_is_two():
    assert [parse(f"depth={depth}").depth for depth in (0, 1, 2, 3, 10)] == [0, 1, 2, 2, 2]


def test_select_includes_or_excludes():
    include = parse("select[status]=true&select[notes]=false&select[customerSnapshot][name]=true").select
    assert include is not None
    assert [include.wants(name) for name in ("status", "notes", "customerSnapshot", "currency")] == [True, False, True, False]  # fmt: skip
    exclude = parse("select[status]=false&select[customerSnapshot][name]=false").select
    assert exclude is not None
    assert [exclude.wants(name) for name in ("status", "notes", "customerSnapshot")] == [False, True, True]


def test_joins_false_is_none_of_them():
    assert (parse("joins=false").joined, parse("").joined) == (False, True)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=٣", "limit"),
        ("limit=1&limit=2", "limit"),
        ("page=0", "page"),
        ("page=99999999999999999999", "page"),
        ("depth=-1", "depth"),
        ("depth[x]=1", "depth"),
        ("pagination=maybe", "pagination"),
        ("select=status", "select"),
        ("select[status]=1", "select.status"),
        ("joins=products", "joins"),
        ("joins[products]=5", "joins.products"),
        ("joins[products][limit]=x", "joins.products.limit"),
        ("joins[products][where]=x", "joins.products.where"),
        ("sort[a][b]=c", "sort"),
        ("sort=" + ",".join("abcdefghijk"), "sort"),
        ("sort=" + "a" * 4097, "sort"),
        ("where=paid", "where"),
        ("where=[1]", "where"),
        ('where={"a":{"equals":NaN}}', "where"),
        ('where={"a":{"equals":1e99999999999999999999}}', "where"),
        ("where=" + "[" * 50_000, "where"),
        ("where[status]=paid", "status"),
        ("where[status][is]=paid", "status"),
        ("where[status][equals][x]=paid", "status"),
        ("where[status][equals]=a&where[status][equals][x]=b", "where[status][equals][x]"),
        ("where[or]=x", "where.or"),
        ("where[or][0]=x", "where.or"),
        ("where[status[equals]=x", "where[status[equals]"),
        ("where[status][equals]=a%00b", "status"),
        ('where={"a":{"equals":"\\ud800"}}', "a"),
        ('where={"\\ud800":{"equals":"a"}}', "where"),
        ('where={"a":{"\\udfff":"a"}}', "a"),
        ("where[status][equals]=" + "x" * 5_000, "where[status][equals]"),
        ("where[status][in]=" + "&where[status][in]=".join(map(str, range(1_001))), "status"),
        ("&".join(f"where[and][{n}][status][equals]=x" for n in range(101)), "where"),
        ("where" + "[or][0]" * 10 + "[status][equals]=x", "where" + ".or" * 10),
        ("where" + "[or][0]" * 40 + "[status][equals]=x", "where"),
        ("&".join("where[a][in][]=x" for n in range(3_001)), ""),
    ],
)
def test_what_is_wrong_is_named(query, path):
    faults = refused(query)
    assert [fault["path"] for fault in faults] == [path[:60]]
    assert all(fault["message"] for fault in faults)


def test_nine_branches_are_not_too_deep():
    assert parse("where" + "[or][0]" * 9 + "[status][equals]=x").where != ANYTHING
