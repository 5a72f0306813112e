"""A form that is refused is the page again, with what is wrong, and with all that was written in it."""

from __future__ import annotations

import html

import pytest

from tests.builders import told


def said(answer, status):
    assert answer.status_code == status, answer.text[:1000]
    alert = answer.text.partition('role="alert"')[2].partition("</p>")[0]
    assert "To do:" in alert, "what is wrong, and what to do about it"
    return html.unescape(answer.text)


@pytest.mark.parametrize(
    ("act", "fields", "status", "error"),
    [
        (
            "refund",
            {"amount": "999999", "purpose": "shipping", "reason": "they <asked>"},
            409,
            "more than the 10000 KRW",
        ),
        ("hold", {"hold": "fraud", "until": "2001-01-01T00:00", "reason": "looks odd"}, 409, "is not ahead"),
        (
            "correct",
            {"parcel": "none-such", "status": "shipped", "reason": "by mistake"},
            400,
            "the order has no parcel",
        ),
    ],
)
def test_an_act_on_an_order(console, module_shop, act, fields, status, error):
    order = module_shop.delivered()
    answer = console.post(f"/orders/{order['id']}/acts/{act}", fields)
    text = said(answer, status)
    assert error in text
    form = text.partition(f'action="/console/orders/{order["id"]}/acts/{act}"')[2].partition("</form>")[0]
    for name, value in fields.items():
        if value != "none-such":  # no choice of the page
            assert f'name="{name}" value="{value}"' in form or f'<option value="{value}" selected' in form, name
    assert text.count("<details open>") == 1, "that form alone is open"


def test_what_has_changed_since_its_preview_is_previewed_from_the_form_again(console, module_shop):
    order = module_shop.paid()
    address = f"/orders/{order['id']}/acts/hold"
    form = console.fields(console.post(address, {"hold": "fraud", "reason": "odd"}).text, f"/console{address}")
    module_shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "delivered"})
    text = said(console.post(address, form), 409)
    assert "has changed since the preview" in text
    assert 'name="hold" value="fraud"' in text
    again = console.fields(text, f"/console{address}")
    assert set(again) == {"form_token"}, "the old version is no part of the form"


def test_an_act_on_a_refund(console, module_shop):
    order = module_shop.paid()
    module_shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    refund = f"ref_{module_shop.one('select replace(cast(max(cast(refund_id as text)) as text), :dash, :none) from effects', dash='-', none='')}"
    address = f"/orders/{order['id']}/acts/settle-refund"
    text = said(console.post(address, {"refund": refund, "method": "x" * 300, "reason": "in cash"}), 400)
    assert "method: " in text
    assert 'name="reason" value="in cash"' in text
    assert console.post(address, {"refund": "ref_nobody", "method": "cash"}).status_code == 404


def test_a_pause_and_an_erasure(console, module_shop):
    pause = {"kind": "provider", "name": "toss", "reason": "red", "until": "2001-01-01T00:00"}
    text = said(console.post("/pauses", pause), 400)
    assert '<option value="provider" selected' in text
    assert all(f'name="{name}"' in text and f'value="{value}"' in text for name, value in pause.items())
    module_shop.ok("POST", "/api/orders", module_shop.body(customer="c-1"))
    erasure = {"customer": "c-1", "confirm": "yes", "typed": "c-2", "reason": "request 17"}
    text = said(console.post("/privacy", erasure), 400)
    assert "'c-2' was typed" in text
    assert 'value="request 17"' in text
    assert "Nothing was erased yet" in text


def test_what_is_wrong_is_told_in_the_pages_language_with_its_particulars(console, module_shop):
    module_shop.tell(told("PaymentSucceeded", subject="R0", paymentId="pay-r0", amount="no money"))
    ref = module_shop.one("select cast(max(seq) as text) from dead_letters")
    korean, none = {"accept-language": "ko"}, '[{"op": "remove", "path": "/data/none"}]'
    refused = console.post("/given-up/acts/edit", {"ref": ref, "patch": "{"}, **korean)
    unfit = console.post("/given-up/acts/edit", {"ref": ref, "patch": none}, **korean)
    assert "수정 내용을 읽을 수 없습니다: the JSON Patch is no JSON: " in html.unescape(refused.text)
    assert "할 일: JSON Patch(RFC 6902)" in html.unescape(refused.text)
    assert "다시 포기됩니다: <bdi>the patch does not fit it: " in html.unescape(unfit.text)


def test_a_move_of_a_replay(console, module_shop):
    module_shop.tell(told("PaymentSucceeded", subject="R1", paymentId="pay-r1", amount="no money"))
    ref = module_shop.one("select cast(max(seq) as text) from dead_letters")
    begun = console.post("/given-up/acts/replay", {"ref": ref, "confirm": "yes", "reason": "of the test"})
    replay = begun.headers["location"].removeprefix("/console")
    text = said(console.post(f"{replay}/stop", {"reason": "x" * 501}), 400)
    assert f'value="{"x" * 501}"' in text
    assert "Stop it" in text
    assert console.post("/given-up/replays/rpl_nobody/stop", {"reason": "x"}).status_code == 404
