"""Olist's files as events: on small made-up folders, and on the real orders where they are."""

import gzip
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cli.ingest import olist
from cli.ingest.line_reader import BadLine
from cli.ingest.olist import CUSTOMERS, ITEMS, LIFE, ORDERS, PAYMENTS, OlistError, read
from events.catalogue import decode
from events.envelope import Envelope
from tests.webhooks import shared

ORDER_HEADER = (
    "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
    "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date"
)
HEADERS = {
    CUSTOMERS: ("customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state"),
    ORDERS: ORDER_HEADER,
    ITEMS: "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value",
    PAYMENTS: "order_id,payment_sequential,payment_type,payment_installments,payment_value",
}
GOOD = {
    CUSTOMERS: ["c1,u1,1310,sao paulo,SP", "c2,u2,88104,sao jose,SC"],
    ORDERS: [
        "o1,c1,delivered,2018-06-12 20:00:00,2018-06-12 20:30:00,2018-06-13 13:00:00,"
        "2018-06-19 12:00:00,2018-07-17 00:00:00"
    ],
    ITEMS: ["o1,1,p1,s1,2018-06-16 00:00:00,35.9,15.2", "o1,2,p2,s2,2018-06-16 00:00:00,10,0.0"],
    PAYMENTS: ["o1,1,credit_card,2,60.0", "o1,2,voucher,1,1.1"],
}


def a_folder(path, packed=False, **changes):
    """A folder of the good rows; `orders=[…]` and so on take the place of a file's rows."""
    given = {CUSTOMERS: "customers", ORDERS: "orders", ITEMS: "items", PAYMENTS: "payments"}
    for file, name in given.items():
        rows = changes.get(name, GOOD[file])
        content = "".join(f"{line}\n" for line in [HEADERS[file], *rows]).encode()
        if packed:
            (path / f"{file}.gz").write_bytes(gzip.compress(content))
        else:
            (path / file).write_bytes(content)
    return path


def an_order(order="o1", status="delivered", purchase="2018-06-12 20:00:00", **times):
    when = [times.get(name, "") for name in ("approved", "carrier", "customer")]
    return ",".join([order, "c1", status, purchase, *when, "2018-07-17 00:00:00"])


def events_of(folder) -> list[Envelope]:
    events = list(read(folder))
    assert not [str(event) for event in events if isinstance(event, BadLine)]
    return [event for event in events if isinstance(event, Envelope)]


def told(folder):
    """The bad lines of a folder, as `file:line: reason` each, and the orders that came."""
    found = list(read(folder))
    bad = [f"{b.file}:{b.number}: {b.reason}" for b in found if isinstance(b, BadLine)]
    orders = {event.subject for event in found if isinstance(event, Envelope)}
    return bad, orders


# ---------------------------------------------------------------- the mapping


def test_an_order_becomes_its_events_in_the_order_of_its_life(tmp_path):
    events = events_of(a_folder(tmp_path))
    assert [event.id for event in events] == [
        "o1:OrderCreated",
        "o1:PaymentSucceeded:1",
        "o1:PaymentSucceeded:2",
        "o1:FulfillmentShipped:s1",
        "o1:FulfillmentShipped:s2",
        "o1:FulfillmentDelivered:s1",
        "o1:FulfillmentDelivered:s2",
    ]
    assert {(event.source, event.subject) for event in events} == {("olist", "o1")}


def test_the_order_has_its_items_amounts_customer_payments_and_address(tmp_path):
    created, *_ = events_of(a_folder(tmp_path))
    assert created.data == {
        "items": [
            {"item": "o1:1", "product": "p1", "quantity": 1, "unitPrice": "35.90"},
            {"item": "o1:2", "product": "p2", "quantity": 1, "unitPrice": "10.00"},
        ],
        "totalAmount": "61.10",
        "shippingAmount": "15.20",
        "currency": "BRL",
        "customer": "u1",
        "paymentIds": ["o1:1", "o1:2"],
        "shippingAddress": {"postalCode": "01310", "address1": "sao paulo, SP"},
    }


def test_each_payment_row_succeeds_by_itself_with_its_exact_amount(tmp_path):
    paid = [event.data for event in events_of(a_folder(tmp_path)) if "Payment" in event.type]
    assert paid == [
        {"paymentId": "o1:1", "amount": "60.00", "currency": "BRL", "paymentMethod": "credit_card"},
        {"paymentId": "o1:2", "amount": "1.10", "currency": "BRL", "paymentMethod": "voucher"},
    ]


def test_each_seller_ships_and_delivers_a_fulfillment_of_its_own_items(tmp_path):
    items = ["o1,3,p,s1,,1,0", "o1,1,p,s1,,1,0", "o1,2,p,s2,,1,0"]
    parcels = [e.data for e in events_of(a_folder(tmp_path, items=items)) if "Ful" in e.type]
    one = {"item": "o1:1", "quantity": 1}, {"item": "o1:3", "quantity": 1}
    assert parcels[0] == {"fulfillment": "o1:s1", "items": list(one)}
    assert parcels[1] == {"fulfillment": "o1:s2", "items": [{"item": "o1:2", "quantity": 1}]}
    assert parcels[2:] == parcels[:2]


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2018-06-12 20:00:00", "2018-06-12 23:00:00"),  # standard time, −03
        ("2018-01-12 20:00:00", "2018-01-12 22:00:00"),  # summer time, −02
        ("2018-02-17 22:59:59", "2018-02-18 00:59:59"),
        ("2018-02-17 23:30:00", "2018-02-18 01:30:00"),  # came twice: the first
        ("2018-02-18 00:00:00", "2018-02-18 03:00:00"),
        ("2017-10-15 00:30:00", "2017-10-15 03:30:00"),  # never was: 30 minutes after midnight
    ],
)
def test_times_are_of_sao_paulo_and_become_utc(tmp_path, local, utc):
    (event,) = events_of(a_folder(tmp_path, orders=[an_order(purchase=local)], items=[], payments=[]))
    assert event.time == datetime.fromisoformat(utc).replace(tzinfo=UTC)


def test_events_are_sorted_by_time_and_within_a_second_by_life(tmp_path):
    orders = [
        an_order("o2", purchase="2018-06-12 20:30:00"),
        an_order("o1", approved="2018-06-12 20:00:00", carrier="2018-06-12 19:00:00"),
    ]
    items, payments = ["o1,1,p,s,,1,0", "o2,1,p,s,,1,0"], ["o1,10,x,1,1", "o1,9,x,1,0"]
    events = events_of(a_folder(tmp_path, orders=orders, items=items, payments=payments))
    assert [event.id for event in events] == [
        "o1:FulfillmentShipped:s",
        "o1:OrderCreated",
        "o1:PaymentSucceeded:9",
        "o1:PaymentSucceeded:10",
        "o2:OrderCreated",
    ]


@pytest.mark.parametrize("status", ["canceled", "unavailable"])
@pytest.mark.parametrize(
    ("times", "last"),
    [
        ({}, "20:00:00"),
        ({"approved": "2018-06-12 20:30:00"}, "20:30:00"),
        ({"approved": "2018-06-12 20:30:00", "carrier": "2018-06-12 20:10:00"}, "20:30:00"),
    ],
)
def test_an_order_called_off_is_canceled_a_second_after_the_last_that_is_known(tmp_path, status, times, last):
    *_, event = events_of(a_folder(tmp_path, orders=[an_order(status=status, **times)]))
    known = datetime.fromisoformat(f"2018-06-12 {last}-03:00")
    assert (event.type, event.data) == ("OrderCanceled", {"reason": status})
    assert (event.time - known).total_seconds() == 1


def test_what_was_never_approved_never_succeeded_and_still_names_its_payments(tmp_path):
    orders = [an_order(carrier="2018-06-13 13:00:00", customer="2018-06-19 12:00:00")]
    events = events_of(a_folder(tmp_path, orders=orders))
    assert "PaymentSucceeded" not in {event.type for event in events}
    assert events[0].data["paymentIds"] == ["o1:1", "o1:2"]
    assert events[-1].type == "FulfillmentDelivered"


def test_an_order_without_item_rows_totals_what_was_charged_for_it(tmp_path):
    orders = [an_order(status="unavailable", approved="2018-06-12 20:30:00")]
    created, *_ = events_of(a_folder(tmp_path, orders=orders, items=[]))
    assert (created.data["items"], created.data["totalAmount"]) == ([], "61.10")
    assert "shippingAmount" not in created.data


def test_an_order_without_payment_rows_totals_its_items_and_stays_unpaid(tmp_path):
    created, *later = events_of(a_folder(tmp_path, payments=[]))
    assert (created.data["totalAmount"], created.data["paymentIds"]) == ("61.10", [])
    assert {event.type for event in later} == {"FulfillmentShipped", "FulfillmentDelivered"}


def test_a_parcel_of_an_order_without_item_rows_is_still_told(tmp_path):
    shipped = events_of(a_folder(tmp_path, items=[]))[3]
    assert (shipped.type, shipped.data) == ("FulfillmentShipped", {"fulfillment": "o1:unknown"})


def test_a_payment_of_nothing_is_kept(tmp_path):
    events = events_of(a_folder(tmp_path, payments=["o1,1,voucher,1,0.0"]))
    assert [event.data["amount"] for event in events if "Payment" in event.type] == ["0.00"]


def test_a_folder_may_be_packed_and_gives_the_same(tmp_path):
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.mkdir()
    packed.mkdir()
    assert events_of(a_folder(plain)) == events_of(a_folder(packed, packed=True))


def test_columns_may_stand_in_any_order_quoted_after_a_byte_order_mark(tmp_path):
    expected = events_of(a_folder(tmp_path))
    content = (
        '\ufeff"payment_value","order_id","payment_sequential","payment_type"\r\n'
        '"60.0","o1","1","credit_card"\r\n\r\n"1.1","o1","2","voucher"\r\n'
    )
    (tmp_path / PAYMENTS).write_bytes(content.encode())
    assert events_of(tmp_path) == expected


# ---------------------------------------------------------------- what cannot be read


def test_missing_files_are_all_named(tmp_path):
    folder = a_folder(tmp_path)
    (folder / ITEMS).unlink()
    (folder / PAYMENTS).unlink()
    with pytest.raises(OlistError, match=f"no {ITEMS}, no {PAYMENTS} .*needs all four"):
        list(read(folder))


def test_missing_columns_are_named_with_their_file(tmp_path):
    folder = a_folder(tmp_path)
    (folder / ITEMS).write_text("order_id,order_item_id,product_id,price\n")
    with pytest.raises(OlistError) as told:
        list(read(folder))
    assert (told.value.file, told.value.line) == (ITEMS, 1)
    assert told.value.column == "seller_id, freight_value"
    assert "name the columns as Olist does" in str(told.value)


def test_an_empty_or_cut_off_file_stops_the_reading(tmp_path):
    folder = a_folder(tmp_path, packed=True)
    path = folder / f"{ORDERS}.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(OlistError, match="fetch the file again"):
        list(read(folder))
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(OlistError, match="is empty"):
        list(read(folder))


def test_a_python_without_the_time_zone_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(olist, "ZONE", "America/Nowhere")
    with pytest.raises(OlistError, match="pip install tzdata"):
        list(read(a_folder(tmp_path)))


@pytest.mark.parametrize(
    ("changes", "where", "reason"),
    [
        ({"payments": ["o1,1,voucher,1,abc"]}, f"{PAYMENTS}:2", "payment_value: 'abc' is no amou"),
        ({"payments": ["o1,1,voucher,1,NaN"]}, f"{PAYMENTS}:2", "payment_value: 'NaN' is no amou"),
        ({"payments": ["o1,1,voucher,1,-1"]}, f"{PAYMENTS}:2", "payment_value: '-1' is no amount"),
        ({"payments": ["o1,1,voucher,1,1.001"]}, f"{PAYMENTS}:2", "more than 2 decimals"),
        ({"payments": ["o1,one,voucher,1,1"]}, f"{PAYMENTS}:2", "payment_sequential: 'one' is no"),
        ({"payments": ["o1,1,x,1,1", "o1,01,x,1,1"]}, f"{PAYMENTS}:3", "1 stands twice in o1"),
        ({"items": ["o1,1,p,s,,1,0", "o1,1,p,s,,1,0"]}, f"{ITEMS}:3", "1 stands twice in o1"),
        ({"items": ["o1,1,,s,,1,0"]}, f"{ITEMS}:2", "product_id: '' is no text"),
        ({"items": ["o1,1,p,s"]}, f"{ITEMS}:2", "has 4 cells; the header has 7"),
        ({"items": ['"o1",1,"p,s,,1,0']}, f"{ITEMS}:2", "is no CSV"),
        ({"orders": [an_order(), an_order()]}, f"{ORDERS}:3", "o1 stands twice; keep one row"),
    ],
)
def test_a_bad_row_is_told_with_its_place_and_leaves_its_order_out(tmp_path, changes, where, reason):
    other = an_order("o2", approved="2018-06-12 20:30:00")
    changes["orders"] = [*changes.get("orders", [an_order()]), other]
    bad, orders = told(a_folder(tmp_path, **changes))
    assert len(bad) == 2
    assert bad[0].startswith(where)
    assert reason in bad[0]
    file, line = where.split(":")
    left_out = f"order o1 is left out for {file}, line {line}; mend that, then ingest again"
    assert bad[1] == f"{ORDERS}:2: {left_out}"
    assert orders == {"o2"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (an_order(purchase=""), "order_purchase_timestamp: '' is no time"),
        (an_order(purchase="2018-02-30 10:00:00"), "order_purchase_timestamp: '2018-02-30 10"),
        (an_order(approved="yesterday"), "order_approved_at: 'yesterday' is no time such as"),
        (an_order(purchase="0001-01-01 00:00:00").replace("c1", "c9"), "c9 has no good row in"),
        (an_order(status="canceld"), "order_status: canceld is unknown; use created, approved"),
        (an_order(order="x" * 101), f"order_id: '{'x' * 39}…' is no text of 1 to 100"),
    ],
)
def test_a_bad_order_row_is_told_once_and_takes_its_other_rows_along(tmp_path, row, reason):
    order_id = row.partition(",")[0]
    changes = {"items": [f"{order_id},1,p,s,,1,0"], "payments": [f"{order_id},1,x,1,1"]}
    bad, orders = told(a_folder(tmp_path, orders=[row], **changes))
    assert len(bad) == (1 if len(order_id) < 100 else 3)
    assert reason in bad[0]
    assert orders == set()


def test_a_row_of_no_order_is_told(tmp_path):
    bad, orders = told(a_folder(tmp_path, items=[*GOOD[ITEMS], "o9,1,p,s,,1,0"]))
    assert bad == [f"{ITEMS}:4: order_id: o9 has no row in {ORDERS}; add it or drop this"]
    assert orders == {"o1"}


def test_a_customer_row_that_is_bad_keeps_only_its_orders_out(tmp_path):
    rows = ["c1,u1,1310,sao paulo,SP", "c1,u1,1310,sao paulo,SP", "c2,,88104,sao jose,SC"]
    bad, orders = told(a_folder(tmp_path, customers=rows))
    assert [line.partition(": ")[0] for line in bad] == [f"{CUSTOMERS}:3", f"{CUSTOMERS}:4"]
    assert orders == {"o1"}


def test_bytes_that_are_no_utf_8_and_lines_without_end_cost_their_own_line(tmp_path):
    folder = a_folder(tmp_path)
    with (folder / PAYMENTS).open("ab") as file:
        file.write(b"o9,1,\xff,1,1\n" + b"x" * (olist.MAX_LINE_BYTES + 1) + b"\n")
    bad, orders = told(folder)
    assert [line.partition(";")[0] for line in bad] == [
        f"{PAYMENTS}:4: byte 6 is no UTF-8",
        f"{PAYMENTS}:5: is longer than {olist.MAX_LINE_BYTES} bytes",
    ]
    assert orders == {"o1"}


def test_a_mended_folder_gives_the_left_out_order_under_the_ids_it_would_have_had(tmp_path):
    expected = events_of(a_folder(tmp_path))
    _, orders = told(a_folder(tmp_path, payments=["o1,1,credit_card,2,6o.0"]))
    assert orders == set()
    assert events_of(a_folder(tmp_path)) == expected


# ---------------------------------------------------------------- the real orders


@pytest.fixture(scope="module")
def real() -> list[Envelope]:
    return events_of(shared("olist"))


@pytest.fixture(scope="module")
def lives(real) -> dict[str, dict[str, list[Envelope]]]:
    """The real events by order, then by type."""
    lives: dict[str, dict[str, list[Envelope]]] = {}
    for event in real:
        assert event.subject
        lives.setdefault(event.subject, {}).setdefault(event.type, []).append(event)
    return lives


def differences(lives) -> Iterator[tuple[str, Decimal]]:
    """Orders whose approved payments are not their total, and by how much."""
    for order, life in lives.items():
        total = Decimal(life["OrderCreated"][0].data["totalAmount"])
        paid = sum(Decimal(event.data["amount"]) for event in life.get("PaymentSucceeded", []))
        if paid != total:
            yield order, paid - total


def before(lives, early, late) -> int:
    """Orders where `early` is told to have happened before `late`."""
    return sum(early in life and late in life and life[early][0].time < life[late][0].time for life in lives.values())


@pytest.mark.shared_data
def test_real_every_event_is_one_that_the_catalogue_and_the_door_accept(real):
    for event in real:
        decode(event.type, event.version, event.subject, event.data)
        assert Envelope.parse(event.as_document()) == event
    assert len({event.id for event in real}) == len(real)
    order = [(event.time, LIFE.index(event.type)) for event in real]
    assert order == sorted(order)


@pytest.mark.shared_data
def test_real_events_by_type(real):
    assert Counter(event.type for event in real) == {
        "OrderCreated": 8000,
        "PaymentSucceeded": 8328,
        "FulfillmentShipped": 7938,
        "FulfillmentDelivered": 7854,
        "OrderCanceled": 107,
    }


@pytest.mark.shared_data
def test_real_orders_end_as_the_data_says(lives):
    canceled = [life for life in lives.values() if "OrderCanceled" in life]
    reasons = Counter(life["OrderCanceled"][0].data["reason"] for life in canceled)
    assert reasons == {"canceled": 60, "unavailable": 47}
    assert sum("FulfillmentShipped" in life for life in canceled) == 4
    assert sum("PaymentSucceeded" not in life for life in canceled) == 18
    assert sum("FulfillmentDelivered" in life for life in lives.values()) == 7773
    under_way = [
        life
        for life in lives.values()
        if "FulfillmentShipped" in life and not {"FulfillmentDelivered", "OrderCanceled"} & set(life)
    ]
    assert len(under_way) == 80
    assert len(lives) - len(canceled) - 7773 - 80 == 25 + 15  # invoiced, processing


@pytest.mark.shared_data
def test_real_orders_have_the_anomalies_that_the_data_is_known_for(lives):
    assert before(lives, "FulfillmentShipped", "PaymentSucceeded") == 111
    assert before(lives, "FulfillmentShipped", "OrderCreated") == 19
    assert before(lives, "FulfillmentDelivered", "PaymentSucceeded") == 5
    assert before(lives, "PaymentSucceeded", "OrderCreated") == 0
    assert before(lives, "FulfillmentDelivered", "FulfillmentShipped") == 0
    unpaid = [
        bool(life["OrderCreated"][0].data["paymentIds"])
        for life in lives.values()
        if "FulfillmentDelivered" in life and "PaymentSucceeded" not in life
    ]
    assert sorted(unpaid) == [False, True, True, True]  # one has no payment row at all


@pytest.mark.shared_data
def test_real_orders_of_several_sellers_ship_in_several_fulfillments(lives):
    parcels = [len(life.get("FulfillmentShipped", [])) for life in lives.values()]
    several = sum(count > 1 for count in parcels)
    assert (several, max(parcels)) == (77, 3)
    for life in lives.values():
        if "FulfillmentShipped" in life:
            shipped = [item["item"] for event in life["FulfillmentShipped"] for item in event.data["items"]]
            ordered = [item["item"] for item in life["OrderCreated"][0].data["items"]]
            assert sorted(shipped) == sorted(ordered)


@pytest.mark.shared_data
def test_real_orders_without_items_were_charged_and_come_to_nothing(lives):
    bare = [life for life in lives.values() if not life["OrderCreated"][0].data["items"]]
    assert len(bare) == 68
    assert sum("OrderCanceled" in life for life in bare) == 67
    assert all(Decimal(life["OrderCreated"][0].data["totalAmount"]) > 0 for life in bare)


@pytest.mark.shared_data
def test_real_payments_that_are_not_the_total(lives):
    approved = {order: life for order, life in lives.items() if "PaymentSucceeded" in life}
    off = [difference for _, difference in differences(approved)]
    assert len(off) == 43  # and the one order without a payment row
    over = [difference for difference in off if difference > 0]
    under = [difference for difference in off if difference < 0]
    assert (len(over), sum(over)) == (29, Decimal("144.41"))
    assert (len(under), sum(under)) == (14, Decimal("-24.44"))
