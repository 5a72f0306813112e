"""Bodies: what each type takes, what it refuses and how it says so, and how old versions become new."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import catalogue
from events.catalogue import (
    CATALOGUE,
    Malformed,
    UnknownType,
    UnknownVersion,
    decode,
    payment_key,
    route_of,
    tracking_key,
)
from events.field_types import TrackingStatus

LINE = {"product": "p", "quantity": 1, "unitPrice": "5"}
SHARE = {"item": "mug", "quantity": 1}
LONE = "\ud800"  # half of a surrogate pair
ORDER: dict[str, Any] = {}
PAYMENT, PARCEL, BACK = {"paymentId": "pay"}, {"fulfillment": "box"}, {"return": "ret"}
LEAST: dict[str, dict[str, Any]] = {
    "OrderCreated": {"items": [LINE], "totalAmount": "5"},
    "ItemsCanceled": {"cancellation": "cnl-1", "items": [{"item": "a", "quantity": 1}]},
    "OrderEdited": {"customer": "cus-1"},
    "OrderHeld": {"hold": "fraud"}, "OrderReleased": {"hold": "fraud"},
    "PaymentPending": {**PAYMENT, "kind": "processing"},
    "PaymentSucceeded": {**PAYMENT, "amount": "5"},
    "PaymentFailed": PAYMENT, "PaymentCanceled": PAYMENT, "PaymentDisputed": PAYMENT,
    "PaymentReversed": PAYMENT,
    "PaymentRefunded": {**PAYMENT, "refundedAmount": "5"},
    "RefundFailed": {**PAYMENT, "refund": "re"},
    "OrderAccepted": {"amount": "5"}, "RefundRequested": {"refund": "re", "amount": "5", "reason": "goodwill"},
    "RefundSettled": {"refund": "re", "method": "transfer"}, "RefundAllocated": {"refund": "re", "reason": "goodwill"},
    "OrderCanceled": ORDER, "OrderConfirmed": ORDER, "OrderExpired": ORDER,
    "FulfillmentCreated": PARCEL, "FulfillmentPacked": PARCEL, "FulfillmentShipped": PARCEL,
    "FulfillmentDelivered": PARCEL, "FulfillmentFailed": PARCEL,
    "FulfillmentTrackingChanged": {**PARCEL, "carrier": "CJ", "trackingNumber": "1"},
    "FulfillmentCorrected": {**PARCEL, "status": "shipped"},
    "TrackingUpdated": {"carrier": "CJ", "trackingNumber": "1", "status": "in_transit"},
    "ReturnRequested": {**BACK, "reason": "other"},
    "ReturnApproved": BACK, "ReturnRejected": BACK, "ReturnProcessingStarted": BACK, "ReturnReceived": BACK,
    "ReturnTrackingChanged": {**BACK, "carrier": "CJ", "trackingNumber": "1"}, "ReturnCompleted": BACK,
}  # fmt: skip
Bad = tuple[Any, ...]
NAMES: Bad = (
    None, "", 5, True, [], {}, "x" * 256, "a\x00b", LONE, "a\nb", "\x1b[2J", "\x9b31m", "\x7f", "\u2028", "a\u202eb"
)  # fmt: skip
AMOUNTS: Bad = (
    True, False, "", "five", "-1", -1, "0.00001", 0.00001, "1e-5", 10**18, 10**30, "1e18", "1e999999", "NaN",
    "Infinity", math.nan, math.inf, [], {}, "1_0", "１０", "١", "1_0.5",
)  # fmt: skip
QUANTITIES: Bad = (
    None, 0, -1, 1_000_001, 2**64, 10**30, 1.5, "many", True, math.nan, math.inf, [], {}, "1_0", "１０"
)  # fmt: skip
TEXTS: Bad = (5, True, [], "x" * 10_001, "a\x00b", LONE)
TIMES: Bad = (
    5,
    True,
    [],
    "",
    "soon",
    "2026-11-01",
    "2026-11-01T09:30:00",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+09:00",
)
URLS: Bad = (
    "x" * 2_001, "https://" + "x" * 2_000, "a\x00b", "javascript:alert(1)", "JAVASCRIPT://x", "data:text/html,x", "//x",
    " https://x", "https://", "https://x\x1b[2J", "https://x y", "ftp://x", "",
)  # fmt: skip
SHARES: Bad = ("mug", {}, [], [5], ["mug"], [SHARE] * 1001)
LINES: Bad = (None, "mug", {}, [LINE] * 1_001, [{**LINE, "item": "a"}] * 2)
CODES: Bad = ("", "won", "krw", "KRWW", "K W", "КРВ", 410, True, [])
STATUSES: Bad = (None, "", "DELIVERED", "lost", 5, [])
REASONS: Bad = (None, "", "bored", 5, [])


def read(kind: str, /, **fields: Any) -> Any:
    return decode(kind, 1, "261101000001", {**LEAST[kind], **fields})


def refusal(kind: str, /, **fields: Any) -> str:
    with pytest.raises(Malformed) as caught:
        read(kind, **fields)
    return str(caught.value)


# -- what is taken -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_type_has_a_body_and_a_purpose(kind: str):
    assert type(read(kind)).__name__ == kind
    assert CATALOGUE[kind].__doc__


@pytest.mark.parametrize("kind", CATALOGUE)
def test_what_a_type_does_not_know_is_left_unread(kind: str):
    assert read(kind, moonPhase="full", type="SomethingElse") == read(kind)


@pytest.mark.parametrize("kind", CATALOGUE)
def test_what_a_type_must_have_is_asked_for_by_name(kind: str):
    for field in LEAST[kind]:
        body = {name: value for name, value in LEAST[kind].items() if name != field}
        with pytest.raises(Malformed, match=f"^{field}: Field required"):
            decode(kind, 1, "261101000001", body)


@pytest.mark.parametrize("kind", CATALOGUE)
def test_an_event_about_an_order_names_it_and_one_about_a_payment_or_a_scan_need_not(kind: str):
    if kind.startswith("Payment") or kind in ("RefundFailed", "TrackingUpdated"):
        assert type(decode(kind, 1, None, LEAST[kind])).__name__ == kind
    else:
        with pytest.raises(Malformed, match=r"^subject: is missing; it must be the order's number"):
            decode(kind, 1, None, LEAST[kind])


@pytest.mark.parametrize(
    ("told", "amount"),
    [("12.50", "12.50"), (12, "12"), (12.5, "12.5"), ("0", "0"), ("1e3", "1000"), ("0.0001", "0.0001"),
     ("99999999999999.9999", "99999999999999.9999")],
)  # fmt: skip
def test_money_is_read_as_a_decimal_from_a_number_or_a_text(told: Any, amount: str):
    read_amount = read("PaymentSucceeded", amount=told).amount
    assert isinstance(read_amount, Decimal)
    assert read_amount == Decimal(amount)


@pytest.mark.parametrize("status", get_args(TrackingStatus))
def test_every_unified_tracking_status_is_taken(status: str):
    assert read("TrackingUpdated", status=status).status == status


# -- what is refused ---------------------------------------------------------------------------------

# (type, where a bad value stands, such values, what that place is called)
PLACES: list[tuple[str, Callable[[Any], dict[str, Any]], Bad, str]] = [
    ("PaymentSucceeded", lambda bad: {"paymentId": bad}, NAMES, "paymentId"),
    ("PaymentSucceeded", lambda bad: {"amount": bad}, (None, *AMOUNTS), "amount"),
    ("PaymentSucceeded", lambda bad: {"currency": bad}, CODES, "currency"),
    ("PaymentRefunded", lambda bad: {"refundedAmount": bad}, (None, *AMOUNTS), "refundedAmount"),
    ("PaymentPending", lambda bad: {"kind": bad}, (None, "", "pending", 5, []), "kind"),
    ("PaymentPending", lambda bad: {"until": bad}, TIMES, "until"),
    ("PaymentPending", lambda bad: {"amount": bad}, AMOUNTS, "amount"),
    ("ReturnCompleted", lambda bad: {"refundAmount": bad}, AMOUNTS, "refundAmount"),
    ("OrderCreated", lambda bad: {"totalAmount": bad}, (None, *AMOUNTS), "totalAmount"),
    ("OrderCreated", lambda bad: {"discountAmount": bad}, (None, *AMOUNTS), "discountAmount"),
    ("OrderCreated", lambda bad: {"shippingAmount": bad}, (None, *AMOUNTS), "shippingAmount"),
    ("OrderCreated", lambda bad: {"items": bad}, LINES, "items"),
    ("OrderCreated", lambda bad: {"items": [bad]}, (None, "mug", 5, []), "items.0"),
    ("OrderCreated", lambda bad: {"items": [LINE, {**LINE, "unitPrice": bad}]}, AMOUNTS, "items.1.unitPrice"),
    ("OrderCreated", lambda bad: {"items": [{**LINE, "quantity": bad}]}, QUANTITIES, "items.0.quantity"),
    ("OrderCreated", lambda bad: {"items": [{**LINE, "product": bad}]}, NAMES, "items.0.product"),
    ("OrderCreated", lambda bad: {"paymentIds": bad}, (None, "pay", {}, ["p"] * 101), "paymentIds"),
    ("OrderCreated", lambda bad: {"paymentIds": ["pay", bad]}, NAMES, "paymentIds.1"),
    ("FulfillmentCreated", lambda bad: {"fulfillment": bad}, NAMES, "fulfillment"),
    ("FulfillmentShipped", lambda bad: {"items": bad}, SHARES, "items"),
    ("FulfillmentShipped", lambda bad: {"items": [SHARE, {**SHARE, "quantity": bad}]}, QUANTITIES, "items.1.quantity"),
    ("FulfillmentShipped", lambda bad: {"items": [{**SHARE, "item": bad}]}, NAMES, "items.0.item"),
    ("FulfillmentFailed", lambda bad: {"reason": bad}, TEXTS, "reason"),
    ("TrackingUpdated", lambda bad: {"status": bad}, STATUSES, "status"),
    ("TrackingUpdated", lambda bad: {"trackingNumber": bad}, NAMES, "trackingNumber"),
    ("TrackingUpdated", lambda bad: {"description": bad}, TEXTS, "description"),
    ("ReturnRequested", lambda bad: {"return": bad}, NAMES, "return"),
    ("ReturnRequested", lambda bad: {"reason": bad}, REASONS, "reason"),
    ("ReturnRequested", lambda bad: {"items": bad}, SHARES, "items"),
    ("ItemsCanceled", lambda bad: {"items": bad}, SHARES, "items"),
    ("OrderHeld", lambda bad: {"hold": bad}, NAMES, "hold"),
    ("OrderReleased", lambda bad: {"hold": bad}, NAMES, "hold"),
    ("ItemsCanceled", lambda bad: {"cancellation": bad}, NAMES, "cancellation"),
    ("ItemsCanceled", lambda bad: {"refundAmount": bad}, AMOUNTS, "refundAmount"),
    ("OrderCanceled", lambda bad: {"by": bad}, NAMES[1:], "by"),
]
BAD = [(kind, put(bad), at) for kind, put, values, at in PLACES for bad in values]


@pytest.mark.parametrize(
    ("kind", "fields", "at_fault"), BAD, ids=[f"{n}-{kind}-{at}" for n, (kind, _, at) in enumerate(BAD)]
)
def test_a_body_that_does_not_fit_is_refused_by_the_field_at_fault(kind: str, fields: dict[str, Any], at_fault: str):
    said = refusal(kind, **fields)
    assert said.startswith(at_fault)
    assert len(said) < 1_000
    assert said.isprintable()


def test_a_refusal_names_every_field_at_fault_up_to_five():
    said = refusal("OrderCreated", totalAmount=True, discountAmount="-1")
    assert said.startswith("totalAmount: must be a number, or one as a string; discountAmount: ")
    assert refusal("OrderCreated", items=[{**LINE, "quantity": 0}] * 20).count(";") == 4


def test_two_lines_of_one_name_are_refused():
    assert "name each once" in refusal("OrderCreated", items=[{**LINE, "item": "mug"}] * 2)
    assert len(read("OrderCreated", items=[LINE, LINE]).items) == 2  # without names they are two


@given(
    kind=st.sampled_from(sorted(CATALOGUE)),
    fields=st.dictionaries(
        st.sampled_from("items totalAmount currency paymentId amount fulfillment return reason status carrier".split())
        | st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        ),
    ),
)
def test_whatever_a_body_holds_it_is_read_or_malformed(kind: str, fields: dict[str, Any]):
    try:
        said = f"type: {type(read(kind, **fields)).__name__}"
    except Malformed as error:
        said = str(error)
    assert ": " in said


# -- types and versions ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["", "ordercreated", "OrderCreated ", "Body", "_PaymentEnded", "OrderLine"])
def test_a_type_that_is_not_in_the_catalogue_is_unknown(kind: str):
    with pytest.raises(UnknownType, match="is not in the catalogue"):
        decode(kind, 1, None, {})


@pytest.mark.parametrize("version", [0, -1, 2, 999_999])
def test_a_version_that_this_release_does_not_read_is_unknown(version: int):
    with pytest.raises(UnknownVersion, match=f"OrderCanceled has versions 1 to 1, not {version}"):
        decode("OrderCanceled", version, "261101000001", {})


def test_a_refund_is_told_by_its_id_or_by_a_sum_or_by_both():
    assert decode("PaymentRefunded", 2, None, {**PAYMENT, "refund": "re", "amount": "5"}).model_dump()["refund"] == "re"
    with pytest.raises(Malformed, match="refundedAmount: Field required, unless `refund` names one of its refunds"):
        decode("PaymentRefunded", 2, None, {**PAYMENT, "amount": "5"})


def test_what_a_first_version_did_not_know_stays_unread():
    told = {**PAYMENT, "refund": "re", "dispute": "dp", "amount": "x", "status": 5, "refundedAmount": "5"}
    assert decode("PaymentRefunded", 1, None, told).model_dump(exclude_none=True).keys() == {
        "paymentId",
        "refundedAmount",
    }
    assert decode("PaymentDisputed", 1, None, told).model_dump(exclude_none=True).keys() == {"paymentId"}


def test_old_versions_become_new_ones_step_by_step(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(catalogue.NEWEST, "PaymentFailed", 3)
    monkeypatch.setitem(catalogue.UPCASTERS, ("PaymentFailed", 1), lambda data: {"payment": data["id"]})
    monkeypatch.setitem(catalogue.UPCASTERS, ("PaymentFailed", 2), lambda data: {"paymentId": data["payment"]})
    sent = {"id": "pay"}
    named = attrgetter("paymentId")
    assert named(decode("PaymentFailed", 1, None, sent)) == "pay"
    assert named(decode("PaymentFailed", 2, None, {"payment": "pay"})) == "pay"
    assert named(decode("PaymentFailed", 3, None, {"paymentId": "pay"})) == "pay"
    assert sent == {"id": "pay"}
    with pytest.raises(UnknownVersion, match="versions 1 to 3, not 4"):
        decode("PaymentFailed", 4, None, {"paymentId": "pay"})


def test_every_older_version_of_the_catalogue_has_its_upcaster():
    needed = {(kind, version) for kind, newest in catalogue.NEWEST.items() for version in range(1, newest)}
    assert needed == set(catalogue.UPCASTERS)


# -- where an event belongs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subject", "data", "route"),
    [
        ("OrderCanceled", "26", {}, "26"),
        ("PaymentFailed", "26", {"paymentId": "pay"}, "26"),
        ("PaymentFailed", None, {"paymentId": "pay"}, "payment:pay"),
        ("TrackingUpdated", None, {"carrier": " CJ  Logistics", "trackingNumber": " 1 "}, "tracking:cj logistics:1"),
        ("TrackingUpdated", None, {"carrier": "CJ"}, "evt"),
        ("PaymentFailed", None, {"paymentId": 5}, "evt"),
        ("Unheard", "26", {}, "evt"),
        ("Unheard", "26", {"paymentId": "pay"}, "payment:pay"),
    ],
)
def test_an_event_goes_to_its_order_else_its_payment_or_parcel_else_by_its_id(kind, subject, data, route):
    assert route_of("evt", kind, subject, data) == route


def test_keys_tell_payments_from_parcels_and_carriers_by_no_accident_of_case():
    assert payment_key("x") != tracking_key("payment", "x")
    assert tracking_key("CJ Logistics", "1") == tracking_key("cj  logistics ", " 1")
    assert tracking_key("CJ", "a") != tracking_key("CJ", "A")


@pytest.mark.parametrize(
    ("field", "told", "says"),
    [
        ("paymentId", "a\x1bb", "paymentId: holds a control character; remove it"),
        ("amount", "1_0", "amount: '1_0' is no number; write plain digits, such as 12000 or 12.50"),
    ],
)
def test_a_refusal_says_what_would_do(field, told, says):
    assert refusal("PaymentSucceeded", **{field: told}) == says


@pytest.mark.parametrize("link", URLS)
def test_a_receipt_that_nobody_can_click_on_is_left_out_and_its_payment_kept(link):
    assert read("PaymentSucceeded", receiptUrl=link).receiptUrl is None
    assert refusal("PaymentSucceeded", receiptUrl=5).startswith("receiptUrl: ")
