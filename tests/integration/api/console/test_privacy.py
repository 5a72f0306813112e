"""A customer is erased in the console: by an admin, after a preview that erases nothing, with the id typed and a reason."""

from __future__ import annotations

import pytest

from tests.integration.api.console.conftest import Console


@pytest.fixture(scope="module")
def operator(module_shop, console):
    return Console(module_shop, "operator", "olga")


@pytest.fixture
def customer(module_shop):
    """A customer with one order, who is called John Doe."""
    number = module_shop.one("select count(*) from orders")
    order = module_shop.create(customer=f"c/{number}%")
    return order["customer"]


def kept(shop, customer):
    """The number of rows that say who the customer is."""
    return shop.one("select count(*) from orders join personal p on p.id = personal_id where customer = :c", c=customer)


def test_a_preview_says_what_would_go_and_erases_nothing(console, module_shop, customer):
    text = console.post("/privacy", {"customer": customer}).text
    assert "Nothing was erased yet" in text
    assert "1</td>" in text
    assert kept(module_shop, customer) == 1
    assert module_shop.one("select count(*) from audit where action = 'privacy erase' and reason = 'a preview'") == 0


def test_it_is_erased_once_the_id_is_typed_with_a_reason(console, module_shop, customer):
    form = console.fields(console.post("/privacy", {"customer": customer}).text, "/console/privacy")
    for typed, reason in (("c-other", "request 17"), ("", "request 17"), (customer, ""), (customer, "x" * 501)):
        answer = console.post("/privacy", {**form, "typed": typed, "reason": reason})
        assert answer.status_code == 400
        assert "nothing was" in answer.text.lower()
    assert kept(module_shop, customer) == 1
    done = console.post("/privacy", {**form, "typed": customer, "reason": "request 17"})
    assert "Erased:" in done.text
    assert kept(module_shop, customer) == 0
    order = module_shop.one("select order_number from orders where customer = :c", c=customer)
    assert "Nothing personal is kept, or it was erased." in console.page(f"/orders/{order}")
    assert "privacy erase" in console.page("/audit?actor=console:ada")


def test_nobody_but_an_admin_may(operator, viewer, module_shop, customer):
    for who in (operator, viewer):
        assert "An admin may erase a customer here." in who.page("/privacy")
        answer = who.post("/privacy", {"customer": customer, "confirm": "yes", "typed": customer, "reason": "r"})
        assert answer.status_code == 403
    assert kept(module_shop, customer) == 1


def test_a_customer_of_whom_nothing_is_kept_is_said_so(console):
    answer = console.post("/privacy", {"customer": "c-nobody"})
    assert answer.status_code == 404
    assert "c-nobody" in answer.text
