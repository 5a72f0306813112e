"""Thin webhooks in tests: what providers tell, what is asked, and what came of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx

from outbound import payment_lookups
from providers.payments.portone import PortOneUnasked
from tests.simulators import SHARDS, a_paid_order
from tests.webhooks import as_standard, packed, portone_event, toss_event

PATIENCE = timedelta(hours=72)
AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
LEASE_OVER = timedelta(seconds=payment_lookups.LEASE_S + 1)


class Provider:
    """A provider's API in a process of its own, and the client that asks it."""

    def __init__(self, name, url, source):
        self.name, self.url, self.source = name, url, source

    def holds(self, document):
        path = f"/payments/{document['id']}" if self.name == "portone" else f"/v1/payments/{document['paymentKey']}"
        assert httpx.put(self.url + path, json=document, trust_env=False).status_code == 200


def ask(door, *providers, later=timedelta(0), patience=PATIENCE):
    """The chore, then the workers."""
    sources = {provider.name: provider.source for provider in providers}
    asked = payment_lookups.run_due(
        door.shop.engine, door.shop.streams, SHARDS, sources, patience, datetime.now(UTC) + later
    )
    door.shop.work()
    return asked


def unasked(door, later=timedelta(0), patience=PATIENCE):
    return ask(door, Provider("portone", "", PortOneUnasked()), later=later, patience=patience)


def portone_tells(door, kind, payment="p-1"):
    assert door.statuses("payments/portone", as_standard(portone_event(kind, payment))) == [202]


def toss_tells(door, status, key="k-1", order="N1", created="2026-11-20T10:00:00.00"):
    body = packed(toss_event(key, order, status, 500, created))
    assert door.statuses("payments/toss", (body, {})) == [202]


def rows(door):
    return [tuple(row) for row in door.shop.rows("select provider, state from inbox order by id")]


def last_error(door):
    return door.shop.rows("select last_error from inbox order by seq desc limit 1")[0][0]


def facts(door):
    sql = "select type from journal where source like '%/api' order by seq"
    return [row.type for row in door.shop.rows(sql)]


def money(door, payment="p-1"):
    sql = "select status, amount, refunded_amount from transactions where payment_id = :payment"
    return tuple(str(value) for value in door.shop.rows(sql, payment=payment)[0])


def order(payment="p-1", number="N1", total=500):
    return a_paid_order(number, total, payment=payment)[0]


def flags(door):
    return door.shop.rows("select flags from orders where order_number = 'N1'")[0][0]
