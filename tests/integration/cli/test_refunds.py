"""`orders refund`, `refunds`, `accept`, `balance`: money that goes back, as a person at a terminal decides it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.builders import ORDER, canceled, created, disputed, later, line, paid, refunded, told


@pytest.fixture
def bought(shop):
    """An order of two mugs, paid by Stripe."""
    shop.tell(created(line("mug", 2)), paid(10_000, provider="stripe"))
    return shop


def refund(orders, amount, *more):
    answer = orders("refund", ORDER, str(amount), "--reason", "goodwill", *more)
    assert answer.code == 0, answer.err
    return answer


def listed(orders, *more):
    answer = orders("refunds", "list", "--json", *more)
    assert answer.code == 0, answer.err
    return answer.json["docs"]


def contested(amount, hours):
    return disputed(None, amount=amount, dispute="d1", version=2, at=later(hours=hours))


def failed_later(shop):
    """One refund of 500 that Stripe made and that failed three days later."""
    shop.tell(
        told("RefundRequested", refund="g", amount="500", reason="goodwill", at=later(hours=1)),
        told("PaymentRefunded", paymentId="pay", refund="re_1", amount="500", version=2, at=later(hours=2)),
        told("RefundFailed", paymentId="pay", refund="re_1", amount="500", code="expired_card", at=later(days=3)),
    )
    from outbound.refund_records import weigh_failures

    with shop.opened.engine.begin() as conn:
        weigh_failures(conn, datetime.now(UTC))


def test_a_refund_says_what_goes_out_and_what_was_given_back_before(bought, orders):
    told_once = refund(orders, 500)
    assert "500 KRW of payment pay (500 goodwill); goes out next" in told_once.out
    assert "given back" not in told_once.out
    bought.tell(refunded(1_500))
    answer = refund(orders, 2_000, "--note", "sorry", "--json").json
    assert (answer["givenBackBefore"], answer["covered"]) == (1500, 1000)
    assert [(doc["amount"], doc["status"], doc["note"]) for doc in answer["refunds"]] == [(1000, "pending", "sorry")]
    assert "1,500 KRW were given back before" in refund(orders, 100).out


REFUSED = [
    (("20000",), 1, "more than the 10000 KRW that may go back"),
    (("1.5",), 2, "more than 0 decimals"),
    (("0",), 2, "must be above 0"),
    (("much",), 2, "AMOUNT 'much' is no amount"),
    (("NaN",), 2, "AMOUNT 'NaN' is no amount"),
    (("5", "--payment", "other"), 2, "--payment other is no payment of order"),
    (("5", "--reason", "because"), 2, "--reason because is none; give one of goodwill, shipping, other"),
]


@pytest.mark.parametrize(("arguments", "code", "says"), REFUSED)
def test_what_cannot_be_given_back_is_refused_in_words(bought, orders, arguments, code, says):
    more = () if "--reason" in arguments else ("--reason", "goodwill")
    answer = orders("refund", ORDER, *arguments, *more)
    assert (answer.code, answer.out) == (code, "")
    assert says in " ".join(answer.err.split())
    assert listed(orders) == []


def test_a_list_is_narrowed_and_a_refund_is_shown(bought, orders):
    failed_later(bought)
    refund(orders, 700)
    assert [doc["amount"] for doc in listed(orders, "--status", "failed")] == [500]
    (failed,) = listed(orders, "--waiting")
    assert (failed["reference"], failed["failure"], failed["waitsFor"]) == ("re_1", "expired_card", "person")
    assert len(listed(orders, "--order", ORDER)) == 2
    assert f"orders refunds retry {failed['id']}" in orders("refunds", "list").out
    shown = " ".join(orders("refunds", "show", "re_1").out.split())
    assert "failed after it had gone out: expired_card" in shown
    assert "orders refunds settle re_1" in shown
    assert orders("refunds", "show", failed["id"], "--json").json["deadLetter"] is not None
    assert "give one of pending" in " ".join(orders("refunds", "list", "--status", "lost").err.split())
    assert "no refund has this id" in " ".join(orders("refunds", "show", "re_2").err.split())


def test_the_doctor_tells_of_one_that_failed_later(bought, orders):
    failed_later(bought)
    (check,) = [each for each in orders("doctor", "--json").json["checks"] if "after having gone out" in each["says"]]
    assert (check["name"], check["level"]) == ("refunds", "problem")
    assert "orders refunds retry" in check["remedy"]


def test_one_that_failed_is_tried_again_by_either_name(bought, orders):
    failed_later(bought)
    answer = orders("refunds", "retry", "re_1", "--json").json
    assert (answer["status"], answer["waitsFor"], answer["amount"]) == ("pending", "turn", 500)
    again = orders("refunds", "retry", "re_1")
    assert again.code == 1
    assert "waits for no retry" in " ".join(again.err.split())


def test_the_dead_letter_of_one_that_failed_is_replayed_just_so(bought, orders):
    failed_later(bought)
    (letter,) = orders("dlq", "list", "--json").json["letters"]
    assert letter["reason"] == "refund_failed"
    assert orders("dlq", "replay", letter["ref"]).code == 0
    assert {doc["status"]: doc["waitsFor"] for doc in listed(orders)} == {"pending": "turn", "failed": None}


def test_one_that_failed_is_settled_by_hand(bought, orders):
    failed_later(bought)
    answer = orders("refunds", "settle", "re_1", "--method", "bank transfer", "--note", "by phone")
    assert "is settled by hand" in answer.out
    assert "500 KRW were given back before" in answer.out
    assert orders("dlq", "list").out.startswith("no dead letter and no payment look-up waits")
    balance = orders("balance", ORDER, "--json").json
    assert (balance["settled"], balance["owed"]) == (500, 0)


def test_one_made_by_hand_is_allocated(bought, orders):
    bought.tell(told("PaymentRefunded", paymentId="pay", refund="re_9", amount="300", version=2, at=later(hours=2)))
    answer = orders("refunds", "allocate", "re_9", "--reason", "shipping")
    assert "is allocated: shipping" in answer.out
    assert "300 KRW were given back before" in answer.out
    assert listed(orders)[0]["reasons"] == [{"reason": "shipping", "amount": 300}]


def test_a_refund_under_a_dispute_is_released_or_the_reason_said_why_not(bought, orders):
    bought.tell(contested("0", 1))  # an inquiry: nothing is contested
    refund(orders, 500)
    (waiting,) = listed(orders, "--waiting")
    assert f"orders refunds release {waiting['id']}" in orders("refunds", "list").out
    assert "lets it go" in " ".join(orders("refunds", "retry", waiting["id"]).err.split())
    bought.tell(contested("9800", 2))
    refused = " ".join(orders("refunds", "release", waiting["id"]).err.split())
    assert "9800 KRW of payment pay are contested" in refused
    assert "200 are left" in refused
    bought.tell(contested("1000", 3))
    assert "is released: it goes out next" in orders("refunds", "release", waiting["id"]).out
    assert [doc["waitsFor"] for doc in listed(orders)] == ["turn"]
    assert "waits for nobody to release it" in " ".join(orders("refunds", "release", waiting["id"]).err.split())


def test_an_underpayment_is_accepted(shop, orders):
    shop.tell(created(line("mug", 2)), paid(9_999))
    answer = orders("accept", ORDER, "--reason", "a won short")
    assert "is paid: 9999 KRW were captured, and 9999 are enough" in " ".join(answer.out.split())
    again = orders("accept", ORDER)
    assert again.code == 1
    assert "cannot be accepted as enough" in " ".join(again.err.split())


def test_show_has_the_balance(bought, orders):
    assert orders("show", ORDER, "--json").json["balance"]["captured"] == 10_000
    assert "balance" not in orders("show", ORDER).out
    bought.tell(refunded(1_500))
    refund(orders, 2_000)
    shown = " ".join(orders("show", ORDER).out.split())
    assert "2,000 KRW due back in all, 1,500 KRW refunded, 500 KRW owed" in shown
    assert "1,500 KRW were given back before" in shown


def test_the_balance_of_all_is_the_sum_of_each(bought, orders):
    bought.tell(
        refunded(1_500),
        created(line("pot", 1, 4_000), subject="N2", payments=("p2",)),
        paid(4_000, "p2", subject="N2"),
        created(line("pot", 1, 4_000), subject="N3", payments=("p3",)),
        created(line("pot", 1, 4_000), subject="N4", payments=("p4",)),
        paid(4_100, "p4", subject="N4"),
        created(line("pot", 1, "4.50"), subject="N5", payments=("p5",), currency="USD"),
        paid("4.50", "p5", subject="N5", currency="USD"),
        canceled(subject="N5", at=later(hours=2)),
    )
    found = {each.pop("currency"): each for each in orders("balance", "--json").json["balances"]}
    each = [orders("balance", number, "--json").json for number in (ORDER, "N2", "N3", "N4")]
    assert found["KRW"].pop("orders") == 4
    assert found["KRW"] == {name: sum(one[name] for one in each) for name in found["KRW"]}
    assert (found["USD"]["captured"], found["USD"]["owed"], found["USD"]["orders"]) == (4.5, 4.5, 1)
    assert "1,500 KRW were given back before" in orders("balance").out
