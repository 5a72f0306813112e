"""An act on what was given up says what it would do, to the field and the sum; where it is wrong it keeps what was chosen."""

from __future__ import annotations

import html
import re

import pytest
from sqlalchemy import text

from api.console import given_up_acts
from domain.ids import format_id
from operations import forecast as forecasts
from operations import given_up
from operations.figures import Looks
from operations.given_up import Wanted
from outbound import refund_records
from outbound.refund_attempt import REFUSED
from outbound.refund_routes import Routes
from providers.payments.standard import StandardRefunds
from queries import refund_list
from storage.clock import clock
from tests.builders import told

EDIT, REPLAY, DISCARD = (f"/given-up/acts/{act}" for act in ("edit", "replay", "discard"))


@pytest.fixture
def letters(module_shop):
    """Two events whose amount stands under a wrong name: their subjects, refs, and the conditions that they alone meet."""
    name = f"S{module_shop.one('select count(*) from journal')}"
    for each in "ab":
        module_shop.tell(told("PaymentSucceeded", subject=f"{name}{each}", paymentId=f"pay-{name}{each}", sum="100"))
    asked = "select string_agg(cast(d.seq as text), ',' order by seq) from dead_letters d join journal j using (seq) where subject like :name"
    refs = module_shop.one(asked, name=f"{name}_").split(",")
    return name, refs, {"which": "all", "by text": f"pay-{name}", "by type": "PaymentSucceeded", "page": "1"}


def changes(text):
    """(place, before, after) of each change that a preview shows."""
    found = re.findall(
        r"<p><code>([^<]*)</code>: <code>([^<]*)</code> → <b><code>([^<]*)</code></b></p>", html.unescape(text)
    )
    return [tuple(each) for each in found]


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ({"path": "currency", "value": "KRW"}, "'currency' is no place in an event"),
        ({"path": "data.amount", "value": "5", "from": "data.sum"}, "not both"),
        ({"patch": "{"}, "no JSON"),
        ({"patch": '[{"op": "fly", "path": "/data/amount"}]'}, "each step of a patch"),
    ],
)
def test_a_wrong_edit_keeps_its_form_and_what_was_chosen(console, letters, steps, says):
    _, refs, chosen = letters
    answer = console.post(EDIT, {**chosen, "ref": refs[0], **steps})
    text = html.unescape(answer.text)
    assert answer.status_code == 400
    assert says in text
    assert "2 things" in text
    form = console.fields(answer.text, f"/console{EDIT}")
    assert {name: form[name] for name in chosen} == chosen
    for name, value in steps.items():
        assert f'name="{name}" value="{value}"' in text or f'name="{name}">{value}</textarea>' in text


def test_an_act_without_a_reason_keeps_its_preview(console, module_shop, letters):
    _, refs, chosen = letters
    for address, more in ((EDIT, {"path": "data.amount", "from": "data.sum"}), (REPLAY, {}), (DISCARD, {})):
        answer = console.post(address, {**chosen, **more, "confirm": "yes", "reason": "\t"})
        assert answer.status_code == 400
        assert "is no reason" in answer.text
        assert 'name="confirm" value="yes"' in answer.text, "it can be sent once more from here"
    states = "select string_agg(distinct state, ',') from dead_letters where seq = any(cast(:seqs as bigint[]))"
    assert module_shop.one(states, seqs=f"{{{','.join(refs)}}}") == "open"


def test_a_choice_of_nothing_is_the_list_again_as_it_was_narrowed(console, letters):
    _, refs, chosen = letters
    answer = console.post(DISCARD, {**chosen, "which": "ticked"})
    assert answer.status_code == 400
    assert "Tick some of the list below" in answer.text
    assert 'value="PaymentSucceeded"' in answer.text
    assert all(f'value="{ref}"' in answer.text for ref in refs)
    gone = console.post(DISCARD, {**chosen, "which": "ticked", "ref": [refs[0], "999999999"]})
    assert gone.status_code == 404
    assert "999999999" in gone.text
    assert f'value="{refs[0]}" aria-label="{refs[0]}" checked' in gone.text, "what was ticked is ticked still"


def test_a_preview_shows_each_value_before_and_after(console, letters):
    name, refs, _ = letters
    ticked = {"ref": refs[1], "page": "1"}
    renamed = console.post(EDIT, {**ticked, "path": "data.amount", "from": "data.sum"}).text
    assert changes(renamed) == [("data.sum", '"100"', "–"), ("data.amount", "–", '"100"')]
    assert f'<a href="/console/given-up/{refs[1]}"><bdi>{refs[1]}</bdi></a>' in renamed, "by the name that the list has"
    bad = console.post(EDIT, {**ticked, "path": "data.paymentId", "value": "other"}).text
    assert changes(bad) == [("data.paymentId", f'"pay-{name}b"', '"other"')]
    assert "amount: Field required" in bad
    assert "nothing changes" not in bad
    assert "nothing can be edited so" in bad


def test_the_form_of_an_edit_shows_the_first_event_place_by_place(console, module_shop):
    items = [{"item": "a", "quantity": 1}, {"item": "b", "quantity": 2}]
    module_shop.tell(told("FulfillmentShipped", subject="nobody-1", fulfillment="box", items=items, carrier=5))
    ref = module_shop.one("select cast(max(seq) as text) from dead_letters")
    text = html.unescape(console.post(EDIT, {"ref": ref}).text)
    for place, value in (("subject", '"nobody-1"'), ("data.items.1.quantity", "2"), ("data.carrier", "5")):
        assert f'<th scope="row"><code>{place}</code></th><td><code>{value}</code></td>' in text
    assert f'href="/console/given-up/{ref}">Leave it' in text, "it began on the page of that one"
    edited = console.post(EDIT, {"ref": ref, "path": "data.items.1.item", "value": "c"}).text
    assert ("data.items.1.item", '"b"', '"c"') in changes(edited)


def test_an_edit_shows_what_would_die_again_first_by_cause_and_edits_the_rest_alone(console, module_shop, letters):
    name, refs, chosen = letters
    for each in ("cd", "ef"):
        module_shop.tell(told("PaymentSucceeded", subject=f"{name}{each}", paymentId=f"pay-{name}{each}", total="100"))
    edit = {**chosen, "path": "data.amount", "from": "data.sum"}
    page = html.unescape(console.post(EDIT, edit).text)
    assert "4 × <b><bdi>malformed</bdi></b> <bdi>PaymentSucceeded</bdi>" in page, "the heading says what is edited"
    assert f"Type <bdi>PaymentSucceeded</bdi> · Text <bdi>pay-{name}</bdi>" in page, "… and how it was chosen"
    assert "2 of 4 would be given up again: nothing can be edited so. Mend the edit above, or edit only those" in page
    assert page.count("the patch does not fit it: 'sum'") == 1, "one cause is told once"
    assert page.index("<b>2 ×</b> It would be given up again:") < page.index(
        f'href="/console/given-up/{refs[0]}"', page.index("<tbody>")
    )
    assert "Edit only the 2 that fit" in page
    assert "Edit them" not in page
    refused = console.post(EDIT, {**edit, "confirm": "yes", "reason": "of the test"})
    assert refused.status_code != 303, "all of them, or none, unless the rest alone is asked for"
    done = console.post(EDIT, {**edit, "confirm": "yes", "fitting": "yes", "reason": "of the test"})
    assert done.status_code == 303, done.text
    edited = "select string_agg(cast(seq as text), ',' order by seq) from corrections join journal using (seq) where journal.subject like :name"
    assert module_shop.one(edited, name=f"{name}%").split(",") == refs
    assert "2 that fit" in console.page(done.headers["location"].removeprefix("/console"))


def test_after_an_edit_the_list_and_the_dry_run_are_of_just_what_was_edited(console, letters):
    """Though it holds no more what it was sought by, and whatever was edited before."""
    name, refs, _ = letters
    edit = {"path": "data.paymentId", "value": "other", "confirm": "yes", "reason": "of the test"}
    steps = f'[{{"op": "move", "from": "/data/sum", "path": "/data/amount"}}, {{"op": "replace", "path": "/data/paymentId", "value": "p-{name}"}}]'
    first = console.post(EDIT, {"ref": refs[0], "page": "1", "patch": steps, "confirm": "yes", "reason": "of the test"})
    place = first.headers["location"].removeprefix("/console")
    page = console.page(place)
    assert "and not replayed yet: 1." in page
    form = console.fields(page, f"/console{REPLAY}")
    assert f'href="/console/given-up/{refs[0]}"' in page
    assert f'href="/console/given-up/{refs[1]}"' not in page
    forecast = console.post(REPLAY, form).text
    assert ": 1 things" in forecast
    assert "Begin the replay" in forecast
    again = console.post(EDIT, {**form, **edit, "path": "data.amount", "value": "7"})
    assert again.headers["location"].removeprefix("/console") != place
    assert "nothing waits any more" in console.page(place), "what was edited since is of the later edit"
    assert "1 that fit" in console.page(f"/given-up?edited=yes&order={name}a")
    assert "1 that fit" in console.page(f"/given-up?edited=no&order={name}b")
    assert "Nothing was given up here" in console.page(f"/given-up?edited=no&order={name}a")
    assert console.page("/given-up?edited=tomorrow"), "what cannot be read is no condition"


def test_an_edit_that_changes_nothing_says_so(console, letters):
    _, refs, _ = letters
    answer = console.post(EDIT, {"ref": refs[0], "page": "1", "patch": '[{"op": "move", "from": "/data/sum", "path": "/data/amount"}]',
                                 "confirm": "yes", "reason": "of the test"})  # fmt: skip
    assert answer.status_code == 303
    same = console.post(
        EDIT,
        {"ref": refs[0], "page": "1", "path": "data.amount", "value": '"100"', "confirm": "yes", "reason": "again"},
    )
    assert same.status_code == 400
    assert "holds that already" in same.text


@pytest.mark.parametrize("asked", ["done=edit&count=99999", "done=discard&count=99999", "edited=2026-01-01T00:00Z"])
def test_an_address_makes_no_page_say_what_was_never_done(console, asked):
    page = console.page(f"/given-up?{asked}")
    assert "99,999" not in page
    assert "Edited at" not in page
    assert "Discarded" not in page


def test_where_nothing_waits_any_more_there_is_no_form_for_it(console, letters):
    _, _, chosen = letters
    for address in (REPLAY, EDIT, DISCARD):
        page = console.post(address, {**chosen, "by text": "held by none"}).text
        assert "Nothing of it waits any more" in page
        assert f'action="/console{address}"' not in page
        assert "Why, for those who look later" not in page


def test_the_list_says_what_all_that_fit_takes(console, letters):
    name, _, _ = letters
    assert "To act on all that fit, narrow the list first" in console.page("/given-up")
    sought = console.page(f"/given-up?text=pay-{name}")
    assert "may touch more than the 2 counted here" in sought
    assert "all that fit, also beyond these 2" in sought
    assert "all 2 that fit" not in sought
    assert "narrow the list first" not in console.page("/given-up?reason=malformed")


def test_a_dry_run_of_what_would_die_again_leads_to_its_edit(console, letters):
    _, _, chosen = letters
    form = console.fields(console.post(REPLAY, chosen).text, f"/console{EDIT}")
    assert {name: form[name] for name in chosen} == chosen
    assert ": 2 things" in console.post(EDIT, form).text


def test_an_edit_goes_back_to_its_list_which_says_how_many(console, letters):
    _, _, chosen = letters
    form = {**chosen, "path": "data.amount", "from": "data.sum", "confirm": "yes", "reason": "of the test"}
    answer = console.post(EDIT, form)
    assert answer.status_code == 303, answer.text
    page = console.page(answer.headers["location"].removeprefix("/console"))
    assert "and not replayed yet: 2." in page
    assert re.search(r'data-title="edited" class="number"><a [^>]*>2</a></td>', page), (
        "the causes say how many are edited"
    )
    assert "edit the field that the detail names, then replay" in page
    forecast = console.post(REPLAY, chosen).text
    assert "Begin the replay" in forecast
    assert f'href="/console/given-up?type=PaymentSucceeded&amp;text={chosen["by text"]}">Leave it' in forecast


def test_a_dry_run_warns_where_all_would_be_given_up_again(console, letters):
    _, refs, chosen = letters
    text = console.post(REPLAY, chosen).text
    assert "Every one of them would be given up again" in text
    assert "Begin it all the same" in text
    assert "2 × <bdi>malformed</bdi>" in text
    assert text.count('class="wrong"') == 1, "one cause is told once, with one of them"
    assert sum(f'href="/console/given-up/{ref}"' in text for ref in refs) == 1


def test_a_dry_run_of_the_first_alone_says_nothing_of_the_others(console, letters, monkeypatch):
    monkeypatch.setattr(given_up_acts, "DRY_RUN", 1)
    _, _, chosen = letters
    text = console.post(REPLAY, chosen).text
    assert "The first 1 of 2 were tried: what stands here is of those alone." in text
    assert "1 of the 1 events that were tried would be given up again." in text
    assert "Every one of them" not in text


def test_refunds_are_listed_briefly_summed_before_they_go_out_and_edited_by_nobody(console, module_shop):
    detail = "the provider said no, and said so at length; " * 30
    for _ in range(2):
        order = module_shop.paid()
        module_shop.ok("PATCH", f"/api/orders/{order['id']}", {"status": "canceled"})
    module_shop.work()
    with module_shop.doors.engine.begin() as conn:
        conn.execute(
            text("update transactions set provider = 'nobank' where id in (select transaction_id from effects)")
        )
        dead = "update effects set state = 'dead' where state = 'due' returning cast(id as text)"
        ids = list(conn.execute(text(dead)).scalars())
        for each in ids:
            refund_records.bury(conn, each, REFUSED, detail, clock())
        count = given_up.count(conn, Wanted(kind="refund"))
    page = console.page("/given-up?kind=refund")
    assert detail not in page
    assert "the provider said no" in page
    for each in ids:
        ref = format_id("effects", each)
        assert f'<a href="/console/given-up/{ref}"><bdi>eff_…{ref[-8:]}</bdi></a>' in page
    assert "/console/given-up/acts/edit" not in page
    assert "/console/given-up/acts/edit" in console.page("/given-up")
    chosen = {"which": "all", "by kind": "refund", "page": "1"}
    forecast = console.post(REPLAY, chosen).text
    assert count >= 2
    assert "refunds that cannot go out: nobody gives back here what nobank took" in forecast
    assert f"{count}, {10_000 * count:,} KRW</td>" in forecast, "each of them was to give 10,000 back"
    assert 'refunds that go out</th><td class="number">0</td>' in forecast
    assert "Every one of them would be given up again" in forecast
    assert "ORDERS_REFUND_URL" in forecast, "and what to do about it"
    routed = Routes({"nobank": StandardRefunds("http://127.0.0.1:9")}, {})
    with module_shop.doors.engine.connect() as conn:
        things = given_up.chosen(conn, [], Wanted(kind="refund"))
    doors = module_shop.doors
    sound = forecasts.forecast(doors.engine, doors.settings.policy, routed, doors.shop, things)
    assert sound.sums == {("KRW", False): 10_000 * count}
    assert (sound.stuck, sound.given_up_at_once) == ([], 0)
    letter = console.page(f"/given-up/{ref}")
    own = re.search(r'href="/console(/refunds/rfd_[^"#]*)#acts"', letter)
    assert own is not None
    assert "Paid back by hand" in console.page(own[1])
    with module_shop.doors.engine.connect() as conn:
        waiting = refund_list.listed(conn, waits_for="person").rows
    assert Looks(module_shop.doors.engine).now().refunds_for_person == len(waiting) >= count, "the tile and its list"
    with module_shop.doors.engine.begin() as conn:  # the orders are as their events have them
        conn.execute(text("update transactions set provider = null where provider = 'nobank'"))
    answer = console.post(EDIT, chosen)
    assert answer.status_code == 409
    assert "cannot be edited" in answer.text
    assert "eff_…" in answer.text, "on the list, as it was narrowed"
