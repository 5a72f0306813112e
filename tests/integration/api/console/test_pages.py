"""Every page of the console answers, for whoever may see it, in both languages, with strict headers."""

from __future__ import annotations

import html
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from api.console.lists import Signs
from api.console.words import PAGES
from domain.ids import uuid_of
from tests.builders import told

_BE = text("update orders set status = :status where id = :id")
ADDRESSES = [path for path, _ in PAGES] + [
    "/now", "/now/checks", "/account", "/orders?status=canceled", "/orders?flag=held", "/orders?since=2020-01-01", "/orders?q=nobody",
    "/orders?after=rubbish", "/flagged?flag=underpaid", "/refunds?status=failed&waiting=person", "/refunds?after=rubbish",
    "/deliveries?state=dead", "/trackers?which=failing", "/trackers?after=x~y", "/findings?state=healed",
]  # fmt: skip


@pytest.mark.parametrize("path", ADDRESSES)
def test_every_page_answers_in_both_languages_with_nothing_from_elsewhere(console, path):
    for language in ("en", "ko") if path != "/workers" else ("ko",):  # that one waits for workers, and there are none
        answer = console.get(path, **{"Accept-Language": language})
        assert answer.status_code == 200, answer.text
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-language"] == language
    assert re.findall(r"<script(?![^>]*\bsrc=)", answer.text) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", answer.text) == []
    assert re.findall(r"(?:src|href)=\"https?:", answer.text) == [], "nothing is loaded from elsewhere"


def test_nobody_sees_a_page_without_a_login(module_shop):
    module_shop.client.cookies.clear()
    for path in ADDRESSES:
        answer = module_shop.client.get(f"/console{path}", follow_redirects=False)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/console/login?next="), path


def test_files_are_kept_for_ever_and_others_are_not_found(console):
    address = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', console.page("/orders"))
    assert len(address) == 3
    for each in address:
        answer = console.client.get(each)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert console.client.get("/console/static/../app.py").status_code == 404
    assert console.client.get("/console/static/LICENSE").status_code == 404


def test_the_totals_of_the_first_page_add_up_to_the_account(console, module_shop):
    from journal.totals import account

    text = console.page("/now")
    rows = dict(
        re.findall(r'<th scope="row">(?:<a [^>]*>)?([^<]+)(?:</a>)?</th><td class="number">(?:≥ )?([\d,]+)</td>', text)
    )
    numbers = {name.partition(":")[0]: int(value.replace(",", "")) for name, value in rows.items()}
    with module_shop.doors.reader.connect() as conn:
        found = account(conn)
    whole = {name: found[name] + found["own"][name] for name in ("applied", "ignored", "parked", "dead", "waiting")}
    assert numbers == {
        "settled": whole["applied"] + whole["ignored"],
        "parked": whole["parked"],
        "dead": whole["dead"],
        "waiting for a worker": whole["waiting"],
        "accepted in all, our own follow-ups too": sum(whole.values()),
    }
    assert whole["parked"] == whole["dead"] == 1


def test_many_who_watch_cost_one_look(console, module_shop):
    looks = module_shop.app.state.looks
    before = len(looks.history)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: looks.now(), range(50)))
    assert len(looks.history) <= before + 1


def test_an_order_is_found_by_any_name_of_its(console, module_shop):
    order = module_shop.paid()
    wanted = f"/console/orders/{order['id']}"
    number = order["orderNumber"]
    names = (
        number,
        order["id"],
        f"pay-{number}",
        order["transactions"]["docs"][0]["id"],
        order["fulfillments"]["docs"][0]["id"],
    )
    for name in names:
        answer = console.get("/orders?q=" + name)
        assert answer.headers.get("location") == wanted, name


def test_pages_of_a_list_have_every_order_once(console, module_shop, monkeypatch):
    from queries import order_search

    with module_shop.doors.reader.connect() as conn:
        whole = [row.id for row in order_search.listed(conn, order_search.Filter()).rows]
        found, key = [], None
        while True:
            page = order_search.listed(conn, order_search.Filter(), key, most=2)
            found += [row.id for row in page.rows]
            if (key := page.further) is None:
                break
        assert found == whole
        monkeypatch.setattr(order_search, "SCANNED", 2)
        canceled, key, pages = [], None, 0
        while True:
            page = order_search.listed(conn, order_search.Filter(status="canceled"), key)
            canceled += page.rows
            pages += 1
            if (key := page.further) is None:
                break
        assert [row.status for row in canceled] == ["canceled"]
        assert pages > 1, "a page looks at two orders"


def test_pages_of_refunds_have_every_refund_once(console, module_shop, monkeypatch):
    from queries import refund_list

    for _ in range(3):
        order = module_shop.paid()
        module_shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    with module_shop.doors.reader.connect() as conn:
        whole = [row.id for row in refund_list.listed(conn).rows]
        assert len(whole) == module_shop.one("select count(*) from refund_documents") >= 4
        assert whole == sorted(whole, reverse=True)
        monkeypatch.setattr(refund_list, "SCANNED", 2)
        for asked in ({}, {"status": "pending"}):
            found, before = [], None
            while True:
                page = refund_list.listed(conn, before=before, most=2, **asked)
                found += [row.id for row in page.rows]
                if (before := page.further) is None:
                    break
            assert found == whole
        assert refund_list.listed(conn, status="failed").rows == []
    assert whole[1].replace("-", "") in console.page(f"/refunds?after={whole[0]}")


def test_the_page_of_what_was_given_up_looks_at_the_last_ones_and_says_so(console, module_shop, monkeypatch):
    from api.console import given_up

    module_shop.tell(told("PaymentSucceeded", subject="X2", paymentId="pay-x2", amount="no money"))
    assert "Of each kind the last" not in console.page("/given-up")
    monkeypatch.setattr(given_up, "LAST", 1)
    text = console.page("/given-up")
    assert "Of each kind the last 1 are looked at" in text
    assert ("X2" in text, "X1" in text) == (True, False)
    narrowed = console.page("/given-up?type=PaymentSucceeded")
    assert "Of each kind the last" not in narrowed
    assert "X1" in narrowed


def test_a_text_is_sought_in_the_last_ones_of_its_reason_and_the_page_says_so(console, module_shop, monkeypatch):
    from api.console import given_up

    module_shop.tell(told("PaymentSucceeded", subject="Y1", paymentId="pay-sought", amount="no money"))
    number = module_shop.paid()["orderNumber"]
    module_shop.tell(told("PaymentSucceeded", subject=number, paymentId="pay-sought", amount="5", currency="USD"))
    whole = console.page("/given-up?text=PAY-sought")
    assert "sought in the last 3,000 of each kind" in whole
    assert ("Y1" in whole, number in whole) == (True, True)
    monkeypatch.setattr(given_up, "SOUGHT", 1)
    last = console.page("/given-up?text=pay-sought")
    assert ("Y1" in last, number in last) == (False, True)
    assert "Y1" in console.page("/given-up?text=pay-sought&reason=malformed")
    assert "Nothing was given up here" in console.page("/given-up?text=pay-unheard-of")


def test_the_page_says_what_an_order_waits_for(console, module_shop):
    assert "It waits for:</b> items to ship" in console.page(f"/orders/{module_shop.paid()['id']}")
    assert "It waits for:</b> its payment" in console.page(f"/orders/{module_shop.create()['id']}")
    order = module_shop.delivered()
    assert "It waits for:</b> the customer to confirm it" in console.page(f"/orders/{order['id']}")
    assert "It waits for:" not in console.page(f"/orders/{order['id']}?event=1"), "the past waits for nothing"
    number = module_shop.paid()["orderNumber"]
    module_shop.tell(told("PaymentSucceeded", subject=number, paymentId="pay-y", amount="5", currency="USD"))
    assert "It waits for:</b> a person: something of it was given up" in console.page(f"/orders/{number}")


def test_an_orders_page_tells_its_life_and_what_was_known_earlier(console, module_shop):
    order = module_shop.delivered()
    text = console.page(f"/orders/{order['id']}")
    assert "10,000 KRW came by payment" in text
    assert "The order was placed for 10,000 KRW" in text
    assert re.search(r'<g class="node lit">\s*<title>delivered', text)
    first = console.page(f"/orders/{order['id']}?event=1")
    assert re.search(r'<g class="node lit">\s*<title>pending', first)
    assert "came by payment" not in first
    part = console.page(f"/orders/{order['id']}?event=1", **{"HX-Request": "true"})
    assert "<html" not in part
    assert re.search(r'<g class="node lit">\s*<title>pending', part)


def test_an_order_counts_the_events_that_its_page_lists(console, module_shop):
    number = module_shop.paid()["orderNumber"]
    module_shop.tell(told("PaymentSucceeded", subject=number, paymentId="pay-count", amount="5", currency="USD"))
    page = console.page(f"/orders/{number}")
    listed = len(re.findall(r'<li class="(?:applied|ignored|dead|parked|waiting)">', page))
    assert listed >= 4
    assert f"as it is now, after {listed} events in " in page
    dead = module_shop.one("select cast(seq as text) from journal where data ->> 'paymentId' = 'pay-count'")
    assert f'<a href="/console/given-up/{dead}">dead</a>' in page
    before = console.page(f"/orders/{number}?event=1")
    assert "as it was known after step 1 of " in before


def test_an_order_that_is_not_there_is_said_so(console):
    answer = console.get("/orders/no-such-order")
    assert answer.status_code == 404
    assert "No order is called" in answer.text


def test_an_order_that_is_being_returned_does_not_confirm_itself(console, module_shop):
    order = module_shop.delivered()
    assert "it confirms itself" in console.page(f"/orders/{order['id']}")
    for status in ("return_processing", "delivered"):
        with module_shop.doors.engine.begin() as conn:
            conn.execute(_BE, {"id": uuid_of(order["id"]), "status": status})
        said = "it confirms itself" in console.page(f"/orders/{order['id']}")
        assert said == (status == "delivered")


def test_many_who_watch_the_workers_ask_them_once(console, monkeypatch):
    from workers import signs_of_life

    asked: list[int] = []

    def signs(*_):
        asked.append(1)
        return []

    monkeypatch.setattr(signs_of_life, "signs", signs)
    console.client.app.state.signs = Signs()
    for _ in range(3):
        console.page("/workers")
    assert len(asked) == 1
    console.client.app.state.signs = Signs()


def test_what_was_discarded_before_it_reached_an_order_stays_in_its_timeline(console, module_shop):
    number = module_shop.paid()["orderNumber"]
    module_shop.tell(told("PaymentSucceeded", subject=number, paymentId="pay-z", amount="no money"))
    asked = "select cast(d.seq as text) from dead_letters d join journal j using (seq) where j.subject = :number"
    ref = module_shop.one(asked, number=number)
    assert "given up" in console.page(f"/orders/{number}").lower()
    before = console.page(f"/orders/{number}").count('<p class="hint"><bdi>PaymentSucceeded')
    form = {"ref": ref, "confirm": "yes", "reason": "of the test"}
    assert console.post("/given-up/acts/discard", form).status_code == 303
    assert console.page(f"/orders/{number}").count('<p class="hint"><bdi>PaymentSucceeded') == before == 2


def test_another_language_leads_back_to_the_page_with_its_filters_or_to_the_first_from_a_form_s_answer(console):
    def leads_to(answer):
        form = answer.text.partition('action="/console/language"')[2]
        [address] = re.findall(r'name="next" value="([^"]*)"', form)
        return html.unescape(address)

    assert leads_to(console.get("/orders?q=no-such&status=paid")) == "/console/orders?q=no-such&status=paid"
    refused = console.post("/given-up/acts/edit", {})
    assert (refused.status_code, leads_to(refused)) == (400, "/console")
    assert console.get("").status_code == 200
