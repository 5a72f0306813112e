"""The page of a replay, and of a letter that it closed: what was done, by whom and why, and how it ended."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from domain.ids import format_id
from operations import replay_steps, replays
from tests.builders import told

WRONG = {"which": "all", "by reason": "currency_mismatch", "by type": "PaymentSucceeded"}


@pytest.fixture(scope="module")
def numbers(module_shop, console) -> list[str]:
    """Two orders, each with a payment in another currency that was given up."""
    found = []
    for _ in range(2):
        number = module_shop.create()["orderNumber"]
        module_shop.tell(
            told("PaymentSucceeded", subject=number, paymentId=f"pay-{number}", amount="10000", currency="USD")
        )
        found.append(number)
    return found


def ref_of(shop, number: str) -> str:
    asked = "select cast(d.seq as text) from dead_letters d join journal j using (seq) where j.subject = :number"
    return str(shop.one(asked, number=number))


def begin(console, reason: str) -> str:
    """The address of a replay of all of them, begun."""
    form = console.fields(console.post("/given-up/acts/replay", WRONG).text, "/console/given-up/acts/replay")
    answer = console.post("/given-up/acts/replay", form | {"reason": reason})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].removeprefix("/console")


def advance(shop) -> None:
    with shop.doors.engine.connect() as conn:
        names = replay_steps.running(conn)
    for name in names:
        replay_steps.advance(shop.doors.engine, shop.doors.settings.policy, shop.doors.shop, name, seconds=30)
    shop.work()


def attempts(page: str) -> list[str]:
    return re.findall(r"<li><p><bdi>([^<:]*)", page)


def test_a_replay_says_what_it_left_why_it_was_resumed_and_what_takes_another_one(console, module_shop, numbers):
    address = begin(console, "as they are")
    advance(module_shop)
    halted = console.page(address)
    assert "1 was given up again: it takes a replay of its own once its cause is mended." in halted
    assert "Resumed, this one goes on with the rest." in halted
    assert ">Resume</button>" in halted
    assert "came to a stop (UTC)" in halted
    assert console.post(f"{address}/resume", {"reason": "to see the other one"}).status_code == 303
    advance(module_shop)
    done = console.page(address)
    told_acts = re.findall(r"<bdi>(replay \w+: [^<]*)</bdi>", done)
    assert "replay begin: as they are" in told_acts
    assert "replay resume: to see the other one" in told_acts
    assert "ended (UTC)" in done
    assert '<span class="badge good">done' not in done, "two are dead still"
    cause = re.search(r'<a href="(/console/given-up\?[^"]*)"><b><bdi>currency_mismatch', done)
    assert cause is not None
    listed = console.page(cause[1].removeprefix("/console").replace("&amp;", "&"))
    assert all(number in listed for number in numbers)


def test_a_replay_stands_before_the_death_that_it_caused(console, module_shop, numbers):
    page = console.page(f"/given-up/{ref_of(module_shop, numbers[0])}")
    assert attempts(page) == ["died", "given-up replay", "died"]
    assert "as they are → given up again, for the same cause" in page


def test_a_closed_letter_is_shown_with_its_end_and_without_acts(console, viewer, module_shop, numbers):
    patch = {"path": "data.currency", "value": "KRW"}
    form = console.fields(console.post("/given-up/acts/edit", WRONG | patch).text, "/console/given-up/acts/edit")
    assert (
        console.post("/given-up/acts/edit", form | patch | {"confirm": "yes", "reason": "they mean won"}).status_code
        == 303
    )
    address = begin(console, "mended")
    advance(module_shop)
    done = console.page(address)
    assert '<span class="badge good">done' in done
    assert "given up again" not in done
    ref = ref_of(module_shop, numbers[0])
    for eyes in (console, viewer):
        page = eyes.page(f"/given-up/{ref}")
        assert "It was replayed, and waits for nobody." in page
        assert "What it came to: <b>applied" in page
        assert "/console/given-up/acts/" not in page
        assert "Version 1" in page
        assert "they mean won" in page
    assert attempts(page) == ["died", "given-up replay", "died", "given-up edit", "given-up replay"]
    assert f'<a href="/console/given-up/{ref}">corrected</a>' in console.page(f"/orders/{numbers[0]}")


def test_a_discarded_letter_is_shown_and_what_never_died_is_not(console, module_shop):
    module_shop.tell(told("PaymentSucceeded", subject="D1", paymentId="pay-d1", amount="no money"))
    ref = ref_of(module_shop, "D1")
    form = console.fields(console.post("/given-up/acts/discard", {"ref": ref}).text, "/console/given-up/acts/discard")
    assert console.post("/given-up/acts/discard", form | {"reason": "a test of theirs"}).status_code == 303
    page = console.page(f"/given-up/{ref}")
    assert "It was discarded, and waits for nobody." in page
    assert "a test of theirs" in page
    applied = module_shop.one("select cast(min(seq) as text) from results where outcome = 'applied'")
    assert console.get(f"/given-up/{applied}").status_code == 404
    assert console.post("/given-up/acts/replay", {"ref": ref}).status_code == 404, "no act takes it"


def test_the_outcomes_of_a_cause_are_told_in_one_order(console, module_shop):
    """As the totals above them tell them, whatever order rows come in."""
    made = "11111111-1111-1111-1111-111111111111"
    items = [("waiting", None), ("ended", "same_cause"), ("ended", "made"), ("ended", "parked")]
    with module_shop.doors.engine.begin() as conn:
        conn.execute(text("insert into replays (id, by, reason, chosen, state, halt_above) values (:id, 'cli:kim', 'why', '{}', 'stopped', 1)"),
                     {"id": made})  # fmt: skip
        for place, (state, outcome) in enumerate(items):
            conn.execute(
                text("insert into replay_items (replay_id, place, kind, target, type, reason, state, outcome, later) "
                     "values (:id, :place, 'refund', :id, 'Refund', 'refund_refused', :state, :outcome, false)"),
                {"id": made, "place": place, "state": state, "outcome": outcome},
            )  # fmt: skip
        [cause] = replays.report(conn, made)
    assert list(cause.outcomes) == ["parked", "made", "same_cause", "waiting"]
    page = console.page(f"/given-up/replays/{format_id('replays', made)}")
    assert "1 parked, 1 made, 1 same cause, 1 yet to come" in page
