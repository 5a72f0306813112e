"""Money: decimals that its currency has, to and from minor units without loss."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.money import EXPONENTS, Money, MoneyError, check, exponent, round_down

CURRENCIES = st.sampled_from(["KRW", "JPY", "USD", "BRL", "KWD", "BHD"])


@pytest.mark.parametrize(
    ("currency", "places"), [("KRW", 0), ("JPY", 0), ("USD", 2), ("BRL", 2), ("KWD", 3), ("TND", 3)]
)
def test_a_currency_has_its_exponent_by_iso_4217(currency: str, places: int):
    assert exponent(currency) == places


def test_a_currency_that_is_not_listed_has_two_decimals():
    assert exponent("XYZ") == 2
    assert set(EXPONENTS.values()) == {0, 3, 4}


@pytest.mark.parametrize("currency", ["", "krw", "KR", "KRWW", "K W", "КРВ", "KRW\n", "\x00\x00\x00", "123", "ＫＲＷ"])
def test_what_does_not_look_like_a_currency_is_none(currency: str):
    with pytest.raises(MoneyError, match="is no currency; use a code of ISO 4217"):
        exponent(currency)
    with pytest.raises(MoneyError):
        Money(Decimal(1), currency)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("12000", "KRW"),
        ("12000.00", "KRW"),
        ("12.50", "USD"),
        ("0.001", "KWD"),
        ("-5", "KRW"),
        ("1e3", "KRW"),
        ("0", "USD"),
    ],
)
def test_an_amount_that_its_currency_can_express_is_itself(amount: str, currency: str):
    assert check(Decimal(amount), currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("0.5", "KRW"), ("12.505", "USD"), ("0.0001", "KWD"), ("1e-9", "USD"), ("12.12345", "KWD")],
)
def test_decimals_that_its_currency_does_not_have_are_refused_with_both_named(amount: str, currency: str):
    with pytest.raises(MoneyError, match=f"{Decimal(amount)} {currency} has more than {exponent(currency)} decimals"):
        check(Decimal(amount), currency)


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1e-400", "9" * 40])
def test_what_is_no_amount_is_no_money(amount: str):
    with pytest.raises(MoneyError):
        Money(Decimal(amount), "USD")


@pytest.mark.parametrize(
    ("units", "currency", "amount"),
    [(1250, "usd", "12.50"), (1250, "KRW", "1250"), (1250, "kwd", "1.250"), (0, "USD", "0"), (1, "USD", "0.01")],
)
def test_minor_units_become_major_ones(units: int, currency: str, amount: str):
    made = Money.from_minor(units, currency)
    assert (made.amount, made.currency) == (Decimal(amount), currency.upper())


@pytest.mark.parametrize(("units", "currency"), [(1, "dollars"), (1, ""), (1.5, "KRW"), (0.1, "USD")])
def test_minor_units_of_no_currency_or_not_whole_are_refused(units: Any, currency: str):
    with pytest.raises(MoneyError):
        Money.from_minor(units, currency)


@given(units=st.integers(0, 10**18), currency=CURRENCIES)
def test_minor_units_survive_the_way_there_and_back(units: int, currency: str):
    money = Money.from_minor(units, currency)
    assert money.to_minor() == units
    assert Money(Decimal(money.as_data()["amount"]), currency) == money


@given(amount=st.decimals(0, 10**12, places=6), currency=CURRENCIES)
def test_rounding_down_takes_less_than_a_coin_and_never_adds_any(amount: Decimal, currency: str):
    rounded = round_down(amount, currency)
    assert 0 <= amount - rounded < Decimal(1).scaleb(-exponent(currency))
    assert check(rounded, currency) == rounded


def test_money_is_equal_by_value_and_says_itself_readably():
    assert Money(Decimal("12.5"), "USD") == Money(Decimal("12.50"), "USD")
    assert Money(Decimal(12), "USD") != Money(Decimal(12), "BRL")
    assert str(Money(Decimal("12000"), "KRW")) == "12,000 KRW"
    assert str(Money(Decimal("1234.50"), "USD")) == "1,234.50 USD"


def test_money_travels_as_a_decimal_string_without_an_exponent():
    assert Money(Decimal("1e3"), "KRW").as_data() == {"amount": "1000", "currency": "KRW"}
