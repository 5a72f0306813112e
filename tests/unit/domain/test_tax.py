"""The tax-free part and VAT of what is due back: of an order with tax-free lines alone."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.refunds import due
from domain.tax import TaxParts, parts_due
from tests.builders import asked_back, boxed, canceled, created, delivered, line, paid, told
from tests.builders import came_back as completed
from tests.fold_helpers import fold_events

TEA, BOOK = line("tea", 2, 5_000), {**line("book", 1, 4_000), "taxFree": True}


def parts(*events):
    return parts_due(fold_events(events).order)


def sold(*more, lines=(TEA, BOOK), **data):
    total = sum(int(each["unitPrice"]) * each["quantity"] for each in lines) + int(data.get("taxAmount", 0))
    total += int(data.get("shippingAmount", 0)) - int(data.get("discountAmount", 0))
    return [created(*lines, **data), paid(total), boxed(), delivered(), *more]


def returned(**items):
    return [asked_back(items=items), completed()]


def test_an_order_without_tax_free_lines_tells_nothing_apart():
    assert parts(created(TEA), paid(), canceled()) is None


def test_a_canceled_order_gives_back_all_that_is_tax_free():
    assert parts(created(TEA, BOOK), paid(14_000), canceled()) == TaxParts(Decimal(4_000))
    assert parts(created(BOOK), paid(4_000), canceled()) == TaxParts(Decimal(4_000))


def test_a_return_gives_back_what_of_its_lines_is_tax_free():
    assert parts(*sold(*returned(book=1))) == TaxParts(Decimal(4_000))
    assert parts(*sold(*returned(tea=1))) == TaxParts(Decimal(0))
    assert parts(*sold(*returned(tea=2, book=1))) == TaxParts(Decimal(4_000))


def test_a_discount_is_on_both_by_price():
    assert parts(*sold(*returned(book=1), discountAmount="1400")) == TaxParts(Decimal(3_600))
    assert parts(created(TEA, BOOK, discountAmount="1400"), paid(12_600), canceled()) == TaxParts(Decimal(3_600))


def test_shipping_is_taxed():
    assert parts(created(TEA, BOOK, shippingAmount="3000"), paid(17_000), canceled()) == TaxParts(Decimal(4_000))


def test_tax_on_top_is_told_as_vat():
    lines = ({**TEA, "taxAmount": "1000"}, BOOK)
    data = {"taxAmount": "1000", "lines": lines}
    assert parts(*sold(*returned(tea=1), **data)) == TaxParts(Decimal(0), Decimal(500))
    assert parts(*sold(*returned(tea=2, book=1), **data)) == TaxParts(Decimal(4_000), Decimal(1_000))
    assert parts(created(*lines, taxAmount="1000"), paid(15_000), canceled()) == TaxParts(
        Decimal(4_000), Decimal(1_000)
    )


def test_what_is_given_back_without_a_return_is_of_all_lines():
    grant = told("RefundRequested", refund="r", amount="1400", reason="goodwill")
    assert parts(*sold(grant)) == TaxParts(Decimal(400))


def test_more_than_was_due_brings_no_more_than_there_is():
    assert parts(created(TEA, BOOK), paid(28_000), canceled()) == TaxParts(Decimal(4_000))


def test_payments_share_by_what_they_give_back_rounded_down():
    both = TaxParts(Decimal(4_000), Decimal(1_000))
    assert both.share(Decimal(5_000), Decimal(15_000), "KRW") == TaxParts(Decimal(1_333), Decimal(333))
    assert both.share(Decimal(15_000), Decimal(15_000), "KRW") == both


@given(
    free=st.integers(0, 3), taxed=st.integers(0, 3), price=st.integers(1, 999), shipping=st.integers(0, 500),
    discount=st.integers(0, 300), back=st.integers(0, 3), cancel=st.booleans(),
)  # fmt: skip
def test_no_part_is_more_than_the_whole(free, taxed, price, shipping, discount, back, cancel):
    lines = [{**line(f"f{n}", 1, price), "taxFree": True} for n in range(free)]
    lines += [line(f"t{n}", 1, price) for n in range(taxed)]
    if not lines:
        return
    cut = min(discount, price * len(lines))
    total = price * len(lines) + shipping - cut
    events = [created(*lines, shippingAmount=str(shipping), discountAmount=str(cut)), paid(total)]
    if cancel:
        events.append(canceled())
    elif back := min(back, len(lines)):
        events += [boxed(), delivered(), *returned(**{each["item"]: 1 for each in lines[:back]})]
    order = fold_events(events).order
    found = parts_due(order)
    assert found is None or 0 <= found.tax_free <= due(order)
    assert (found is None) == (free == 0 or total == 0)
