"""The audit on real servers: who did what, and who looked at personal data; nobody can change it."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from operations import audit
from storage.engine import connect


@pytest.fixture
def conn(database_url):
    engine = connect(database_url)
    with engine.connect() as conn:
        yield conn
    engine.dispose()


def test_an_act_tells_who_why_and_how_it_was_before_and_after(conn):
    audit.record(conn, "cli:kim", "hold", "orders/7", "fraud?", {"holds": []}, {"holds": ["staff"]}, order="7")
    (found,) = audit.newest(conn, order="7")
    assert (found.actor, found.act, found.subject, found.reason) == ("cli:kim", "hold", "orders/7", "fraud?")
    assert (found.before, found.after, found.order_number) == ({"holds": []}, {"holds": ["staff"]}, "7")


@pytest.mark.parametrize("act", ["update audit set actor = 'nobody'", "delete from audit", "truncate audit"])
def test_nobody_changes_or_takes_away_what_stands_there(conn, act):
    audit.record(conn, "cli:kim", "hold", "orders/7")
    conn.commit()
    with pytest.raises(DBAPIError, match="append-only"):
        conn.execute(text(act))
    conn.rollback()
    assert len(audit.newest(conn)) == 1


def test_what_is_older_than_a_year_may_go(conn):
    conn.execute(
        text("insert into audit (at, actor, action, target) values (now() - interval '13 months', 'a', 'b', 'c')")
    )
    audit.record(conn, "cli:kim", "hold", "orders/7")
    assert conn.execute(text("delete from audit where at < now() - interval '1 year'")).rowcount == 1
    assert [each.actor for each in audit.newest(conn)] == ["cli:kim"]


def test_no_personal_field_is_kept_however_deep_it_stands(conn):
    deep = {"data": {"shippingAddress": {"name": "Lee"}, "lines": [{"note": "ring twice, Lee"}], "reason": "moved"}}
    audit.record(conn, "api/key_1", "OrderEdited", "orders/7", before=deep, after=deep, detail=deep)
    (found,) = audit.newest(conn)
    assert "Lee" not in str(found.as_document())
    assert found.after is not None
    assert found.after["data"] == {
        "shippingAddress": "(personal)", "lines": [{"note": "(personal)"}], "reason": "moved",
    }  # fmt: skip


def test_acts_are_found_by_order_actor_act_and_time(conn):
    audit.record_all(conn, [audit.Act(who, act, f"orders/{n}", order=str(n)) for who, act, n in
                            (("kim", "hold", 1), ("lee", "hold", 2), ("kim", "release", 1))])  # fmt: skip
    assert [each.act for each in audit.newest(conn, order="1")] == ["release", "hold"]
    assert [each.order_number for each in audit.newest(conn, actor="lee")] == ["2"]
    assert [each.actor for each in audit.each(conn, act="hold")] == ["kim", "lee"]
    since = audit.newest(conn)[0].at
    assert [each.act for each in audit.newest(conn, since=since)] == ["release"]
    with pytest.raises(TypeError, match="orders is none of"):
        audit.newest(conn, orders="1")


def test_the_acts_upon_one_thing_are_told_from_the_oldest_on_and_of_many_the_newest(conn):
    audit.record_all(conn, [audit.Act("kim", act, target) for act, target in
                            (("begin", "rpl_1"), ("stop", "rpl_1"), ("stop", "rpl_2"), ("resume", "rpl_1"))])  # fmt: skip
    assert [each.act for each in audit.about(conn, "rpl_1")] == ["begin", "stop", "resume"]
    assert [each.act for each in audit.about(conn, "rpl_1", most=2)] == ["stop", "resume"]


def test_the_personal_fields_of_a_document_are_named():
    document = {"notes": "", "customerSnapshot": {"name": "Lee"}, "returns": {"docs": [{"note": "torn"}]}}
    assert audit.personal_of(document) == ["customerSnapshot", "note"]
