"""A person's decision about an order or its money: done under the order's lock, journaled and applied in one transaction.

Its events have the source SOURCE; who decided stands in them as `by`, and in `audit`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cli.inspect import named
from cli.options import Problem
from domain.ids import fresh
from domain.order import Order
from events.envelope import OWN_SOURCE
from events.money import MoneyError
from journal.commands import Refused, Request, perform
from storage.clock import clock
from workers.resources import Parts

SOURCE = f"{OWN_SOURCE}/cli"
T = TypeVar("T")


def of_order(opened: Parts, name: str, work: Callable[[Request, Order], T]) -> T:
    """Do `work` on the locked order of that number or id. → its answer.

    Errors: Problem where there is no such order; those of `decided`.
    """
    with opened.engine.connect() as conn:
        number = named(conn, name)

    def locked(request: Request) -> T:
        for found in request.lock([number], "number").values():
            return work(request, found)
        raise Problem(f"events name order {number}, but its OrderCreated has not come; see `orders parked list`")

    return decided(opened, locked)


def decided(opened: Parts, work: Callable[[Request], T]) -> T:
    """Do `work` in one request, and publish what it journaled. → its answer.

    Errors: Problem for an amount that is none (wrong use), and where the order does not stand so; nothing was changed then.
    """
    try:
        answer, entries = perform(opened.engine, opened.settings.policy, opened.shop, SOURCE, fresh(clock()), work)
    except MoneyError as error:
        raise Problem(f"{error}; nothing was changed", 2) from None
    except Refused as error:
        raise Problem(f"{error}; nothing was changed") from None
    if entries:
        opened.streams.publish(entries)
    return answer
