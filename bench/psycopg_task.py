"""(b) The same, tuned by hand: a Celery task per event, psycopg, as few and as direct statements as it takes.

    celery -A bench.psycopg_task worker

The tables are (a)'s. The first statement locks the order and looks the event up at once; each kind of event
then has its own one to three statements, prepared by psycopg from their fifth use on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import psycopg
from celery import Task
from psycopg.types.json import Jsonb, set_json_dumps
from uuid_utils.compat import uuid7

from bench.baseline_app import RETRY_S, TRIES, TooEarly, celery_app, database_url

app = celery_app("psycopg")
Cursor = psycopg.Cursor[tuple[Any, ...]]
Event = dict[str, Any]


@app.task(bind=True, max_retries=TRIES)
def apply(self: Task, event: Event) -> None:
    """Apply one event, once."""
    try:
        apply_alone(event)
    except (TooEarly, psycopg.IntegrityError, psycopg.OperationalError) as error:
        raise self.retry(exc=error, countdown=RETRY_S) from error


def apply_alone(event: Event) -> None:
    """Apply one event in a transaction of its own; a connection that was lost is opened anew next time."""
    conn = connection()
    try:
        with conn.transaction(), conn.cursor() as cur:
            apply_event(cur, event)
    finally:
        if conn.closed:
            connection.cache_clear()


@cache
def connection() -> psycopg.Connection[tuple[Any, ...]]:
    """One per process, opened by its first task."""
    import orjson

    conn = psycopg.connect(database_url(), autocommit=True)
    set_json_dumps(orjson.dumps, conn)
    return conn


LOCK = """
    select id, status, total_amount, confirmed_at,
           exists (select from events where source = %(source)s and id = %(id)s)
    from orders where number = %(subject)s for update
"""
REMEMBER = """
    insert into events (source, id, order_id, type, time, data, step_from, step_to)
    values (%(source)s, %(id)s, %(order)s, %(type)s, %(time)s, %(data)s, %(before)s, %(after)s)
"""


def apply_event(cur: Cursor, event: Event) -> None:
    """Apply one event in its caller's transaction.

    Errors: TooEarly before anything is written, so that a caller may go on in the same transaction.
    """
    row = cur.execute(LOCK, event).fetchone()
    if row is None:
        if event["type"] != "OrderCreated":
            raise TooEarly(event["subject"])
        order, before, after = uuid7(), None, "pending"
        _created(cur, order, event)
    else:
        order, before, total, confirmed_at, known = row
        if known:
            return  # a repeated delivery
        known_as = {**event["data"], "order": order, "time": event["time"], "total": total, "confirmed": confirmed_at}
        after = _HANDLERS[event["type"]](cur, before, known_as)
        if after != before:
            cur.execute("update orders set status = %s where id = %s", (after, order))
    told = {**event, "data": Jsonb(event["data"]), "order": order, "before": before, "after": after}
    cur.execute(REMEMBER, told)


CREATE = """
    with made as (
        insert into orders (id, number, status, currency, total_amount, customer, customer_snapshot,
                            shipping_address, placed_at)
        values (%(order)s, %(number)s, 'pending', %(currency)s, %(totalAmount)s, %(customer)s, %(snapshot)s,
                %(address)s, %(time)s)
    ), lines as (
        insert into items (id, order_id, name, product, option, quantity, unit_price, shipped_quantity,
                           delivered_quantity, returned_quantity)
        select v.id, %(order)s, v.name, v.product, v.option, v.quantity, v.price, 0, 0, 0
        from unnest(%(ids)s::uuid[], %(names)s::text[], %(products)s::text[], %(options)s::text[],
                    %(quantities)s::int[], %(prices)s::numeric[]) v(id, name, product, option, quantity, price)
    )
    insert into transactions (id, order_id, payment_id, status, amount, refund_target)
    select gen_random_uuid(), %(order)s, p, 'pending', 0, 0 from unnest(%(paymentIds)s::text[]) p
"""


def _created(cur: Cursor, order: Any, event: Event) -> None:
    data = event["data"]
    lines = data["items"]
    cur.execute(
        CREATE,
        {
            **data,
            "order": order,
            "number": event["subject"],
            "time": event["time"],
            "snapshot": Jsonb(data["customerSnapshot"]),
            "address": Jsonb(data["shippingAddress"]),
            "ids": [uuid7() for _ in lines],
            "names": [line["item"] for line in lines],
            "products": [line["product"] for line in lines],
            "options": [line["option"] for line in lines],
            "quantities": [line["quantity"] for line in lines],
            "prices": [line["unitPrice"] for line in lines],
        },
    )


PAY = """
    with paid as (
        insert into transactions (id, order_id, payment_id, status, amount, refund_target, provider,
                                  payment_method, paid_at)
        values (gen_random_uuid(), %(order)s, %(paymentId)s, 'paid', %(amount)s, 0, %(provider)s,
                %(paymentMethod)s, %(time)s)
        on conflict (payment_id) do update set status = 'paid', amount = excluded.amount,
            provider = excluded.provider, payment_method = excluded.payment_method, paid_at = excluded.paid_at
        returning amount
    )
    select paid.amount + coalesce((select sum(amount) from transactions where order_id = %(order)s
                                   and status = 'paid' and payment_id <> %(paymentId)s), 0) from paid
"""
PLAN = """
    with plan as (
        insert into fulfillments (id, order_id, status) values (gen_random_uuid(), %(order)s, 'pending') returning id
    )
    insert into fulfillment_items (id, fulfillment_id, item_id, quantity)
    select gen_random_uuid(), plan.id, items.id, items.quantity from plan, items where items.order_id = %(order)s
"""


def _paid(cur: Cursor, status: str, told: Event) -> str:
    row = cur.execute(PAY, told).fetchone()
    if status not in ("pending", "failed") or row is None or row[0] < told["total"]:
        return status
    cur.execute(PLAN, told)
    return "preparing"


# A parcel of a new name: its items, all where none are listed, leave the plan; an empty plan goes.
NAME_PARCEL = """
    with parcel as (
        insert into fulfillments (id, order_id, name, status)
        values (gen_random_uuid(), %(order)s, %(fulfillment)s, 'pending')
        on conflict (order_id, name) do nothing returning id
    ), wanted as (
        select items.id, coalesce(v.quantity, items.quantity) as quantity
        from parcel, items left join unnest(%(names)s::text[], %(quantities)s::int[]) v(name, quantity) using (name)
        where items.order_id = %(order)s and (v.name is not null or %(all)s)
    ), shares as (
        insert into fulfillment_items (id, fulfillment_id, item_id, quantity)
        select gen_random_uuid(), parcel.id, wanted.id, wanted.quantity from parcel, wanted
    ), plan as (
        select s.id, s.fulfillment_id, s.quantity - coalesce(w.quantity, 0) as rest
        from fulfillments f join fulfillment_items s on s.fulfillment_id = f.id left join wanted w on w.id = s.item_id
        where f.order_id = %(order)s and f.name is null and exists (select from parcel)
    ), fewer as (
        update fulfillment_items s set quantity = plan.rest from plan where s.id = plan.id and plan.rest > 0
    ), gone as (
        delete from fulfillment_items s using plan where s.id = plan.id and plan.rest <= 0
    )
    select fulfillment_id, max(rest) <= 0 from plan group by 1
"""
DROP_PLAN = "delete from fulfillments where id = %s"


def _reported(cur: Cursor, status: str, told: Event) -> str:
    if status in ("pending", "failed"):
        raise TooEarly(told["fulfillment"])
    listed = told.get("items")
    told["all"] = listed is None
    told["names"] = [share["item"] for share in listed or ()]
    told["quantities"] = [share["quantity"] for share in listed or ()]
    row = cur.execute(NAME_PARCEL, told).fetchone()
    if row is not None and row[1]:
        cur.execute(DROP_PLAN, row[:1])
    return status


# Data-modifying parts of one statement do not see each other: what is left is counted from what was there.
MOVE = """
    with parcel as (
        update fulfillments set status = '{to}', {to}_at = %(time)s {names}
        where order_id = %(order)s and name = %(fulfillment)s and status = '{since}' returning id
    ), moved as (
        update items i set {to}_quantity = {to}_quantity + s.quantity
        from parcel, fulfillment_items s where s.fulfillment_id = parcel.id and i.id = s.item_id
        returning i.id, i.{to}_quantity
    )
    select (select count(*) from parcel), not exists (
        select from items i left join moved m on m.id = i.id
        where i.order_id = %(order)s and coalesce(m.{to}_quantity, i.{to}_quantity) < i.quantity)
"""
SHIP = MOVE.format(to="shipped", since="pending", names=", carrier = %(carrier)s, tracking_number = %(trackingNumber)s")
DELIVER = MOVE.format(to="delivered", since="shipped", names="")


def _shipped(cur: Cursor, status: str, told: Event) -> str:
    _reported(cur, status, told)
    row = cur.execute(SHIP, told).fetchone()
    return "shipped" if row is not None and row[1] else status


def _delivered(cur: Cursor, status: str, told: Event) -> str:
    row = cur.execute(DELIVER, told).fetchone()
    if row is None or not row[0]:
        raise TooEarly(told["fulfillment"])
    if not row[1]:
        return status
    cur.execute("update orders set delivered_at = %(time)s where id = %(order)s", told)
    return "delivered"


def _confirmed(cur: Cursor, status: str, told: Event) -> str:
    if status != "delivered":
        raise TooEarly("not delivered")
    cur.execute("update orders set confirmed_at = %(time)s where id = %(order)s", told)
    return "confirmed"


REQUEST_RETURN = """
    with back as (
        insert into returns (id, order_id, name, reason, status, requested_at)
        values (gen_random_uuid(), %(order)s, %(return)s, %(reason)s, 'processing', %(time)s) returning id
    )
    insert into return_items (id, return_id, item_id, quantity)
    select gen_random_uuid(), back.id, items.id, v.quantity
    from back, items join unnest(%(names)s::text[], %(quantities)s::int[]) v(name, quantity) using (name)
    where items.order_id = %(order)s
"""


def _return_requested(cur: Cursor, status: str, told: Event) -> str:
    if status not in ("delivered", "confirmed"):
        raise TooEarly("not delivered")
    told["names"] = [share["item"] for share in told["items"]]
    told["quantities"] = [share["quantity"] for share in told["items"]]
    cur.execute(REQUEST_RETURN, told)
    return "return_processing"


COMPLETE_RETURN = """
    with back as (
        update returns set status = 'completed', completed_at = %(time)s, refund_amount = %(refundAmount)s
        where order_id = %(order)s and name = %(return)s and status = 'processing' returning id
    ), moved as (
        update items i set returned_quantity = returned_quantity + s.quantity
        from back, return_items s where s.return_id = back.id and i.id = s.item_id
        returning i.id, i.returned_quantity
    ), money as (
        update transactions set refund_target = refund_target + %(refundAmount)s::numeric
        where order_id = %(order)s and status = 'paid' and exists (select from back)
    )
    select (select count(*) from back), not exists (
        select from items i left join moved m on m.id = i.id
        where i.order_id = %(order)s and coalesce(m.returned_quantity, i.returned_quantity) < i.quantity)
"""


def _return_completed(cur: Cursor, status: str, told: Event) -> str:
    row = cur.execute(COMPLETE_RETURN, told).fetchone()
    if row is None or not row[0]:
        raise TooEarly(told["return"])
    if row[1]:
        return "returned"
    return "confirmed" if told["confirmed"] else "delivered"


_HANDLERS: dict[str, Callable[[Cursor, str, Event], str]] = {
    "PaymentSucceeded": _paid,
    "FulfillmentCreated": _reported,
    "FulfillmentShipped": _shipped,
    "FulfillmentDelivered": _delivered,
    "OrderConfirmed": _confirmed,
    "ReturnRequested": _return_requested,
    "ReturnCompleted": _return_completed,
}
