"""Tries of a request: how many, and how it ends when it cannot be done."""

from __future__ import annotations

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from journal.batch import Clash
from journal.commands import TRIES, Busy, Unfit, perform
from storage import engine as engines


def tried(shop, work, engine=None):
    """The number of runs of `work`, and its end."""
    runs = []

    def counted(request):
        runs.append(1)
        return work(request, len(runs))

    try:
        answer, _ = perform(engine or shop.doors.engine, shop.doors.settings.policy, shop.doors.shop, "s", "i", counted)
    except Exception as error:
        return type(error), len(runs)
    return answer, len(runs)


def test_a_rival_is_met_by_trying_again(shop):
    def work(request, run):
        request.conn.execute(text("insert into products (id, title) values (:id, 'x')"), {"id": str(run)})
        if run < 4:
            raise Clash("a rival")
        return "done"

    assert tried(shop, work) == ("done", 4)
    assert shop.one("select array_agg(id) from products") == ["4"]


def test_a_deadlock_is_a_rival(shop):
    def work(request, run):
        if run == 1:
            request.conn.execute(text("do $$ begin raise sqlstate '40P01'; end $$"))
        return "done"

    assert tried(shop, work) == ("done", 2)


def test_rivals_without_end_are_busy(shop):
    def work(request, run):
        raise Clash("a rival")

    assert tried(shop, work) == (Busy, TRIES)


def test_a_value_that_cannot_be_kept_and_a_bug_are_tried_once(shop):
    def unfit(request, run):
        request.conn.execute(text("select cast('x' as integer)"))

    def bug(request, run):
        raise KeyError

    assert tried(shop, unfit) == (Unfit, 1)
    assert tried(shop, bug) == (KeyError, 1)


def test_a_server_that_is_away_is_told_at_the_first_try(shop):
    away = engines.connect("postgresql://nobody@127.0.0.1:1/nothing")
    tries = []
    event.listen(away, "do_connect", lambda *_: tries.append(1))
    assert tried(shop, lambda request, run: None, away) == (OperationalError, 0)
    assert len(tries) == 1


def test_busy_is_a_503_that_says_when_to_come_again(shop, monkeypatch):
    def rivals(*_):
        raise Busy("x")

    monkeypatch.setattr("api.commands.write_endpoint.perform", rivals)
    answer = shop.call("POST", "/api/carts", {})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/api/orders/{id}", "/api/orders?where[id][equals]={id}"])
def test_what_the_order_does_not_allow_stays_undone_whatever_the_door(shop, path):
    order = shop.delivered()
    answer = shop.call("PATCH", path.format(id=order["id"]), {"status": "canceled"})
    assert shop.status(order) == "delivered"
    assert "canceled" in answer.text
