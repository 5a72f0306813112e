"""The cost that a query may have, and the share of the database's time that a customer's token may take.

A cost is counted before anything is asked: what a condition looks at decides it, not how many rows there are.

    a condition       1, and 3 for each relationship on its dotted path
    like, contains    4 more: every value is read, since no index helps
    a list            1 for each 50 values
    a sort            1, and 3 for each relationship
    a join            2, and what it asks for
    depth             5 a level

A secret key is the shop's own: it may ask for MOST_SECRET. A customer's token is in a stranger's browser: MOST_CUSTOMER,
CUSTOMER_S for one query, and of SHARE_S in each WINDOW_S, in which a refused query counts as REFUSED_S; every process
counts for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from api.errors import ApiError, too_many
from queries.filters import Condition, conditions
from queries.parser import JoinQuery, Query

MOST_SECRET = 1_500
MOST_CUSTOMER = 100
CUSTOMER_S = 2.0  # of one statement
WINDOW_S, SHARE_S = 60.0, 10.0  # of the database's time
REFUSED_S = 0.5  # that a refused query counts as: twenty of them spend a customer's share
REMEMBERED = 10_000  # customers

_READS_ALL = frozenset(("like", "not_like", "contains"))


def cost(query: Query | JoinQuery) -> int:
    """The cost of a query, counted as above."""
    found = sum(map(_of_condition, conditions(query.where)))
    found += sum(1 + 3 * name.count(".") for name in query.sort)
    if isinstance(query, Query):
        found += sum(2 + cost(each) for each in query.joins.values() if each is not None)
        found += 5 * query.depth
    return found


def _of_condition(one: Condition) -> int:
    values = len(one.value) if isinstance(one.value, list) else 1
    return 1 + 3 * one.field.count(".") + 4 * (one.operator in _READS_ALL) + values // 50


def check(query: Query, customer: str | None) -> None:
    """ApiError 400 where the query costs more than its caller may ask for."""
    most = MOST_SECRET if customer is None else MOST_CUSTOMER
    found = cost(query)
    if found > most:
        raise ApiError(
            400,
            f"The query costs {found}, and {'this key' if customer is None else 'a customer'} may ask for {most}: ask for "
            "fewer conditions, with equals or in rather than like or contains, over fewer relationships",
            name="QueryTooCostly",
            data={"cost": found, "most": most},
        )


class Budgets:
    """The database's time that each customer has taken in the present window, as one process knows it."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._window = 0.0
        self._taken: dict[str, float] = {}

    @contextmanager
    def read(self, customer: str | None) -> Iterator[None]:
        """Read a query string inside: one that is refused costs its customer REFUSED_S, since reading it costs us.

        Errors: ApiError 429 with Retry-After where the customer's share is spent, before anything is read.
        """
        self._admit(customer)
        try:
            yield
        except Exception:
            self._charge(customer, REFUSED_S)
            raise

    @contextmanager
    def spent(self, customer: str | None) -> Iterator[None]:
        """Count what is done inside; the shop's own keys are not counted.

        Errors: ApiError 429 with Retry-After where the customer's share is spent.
        """
        self._admit(customer)
        begun = self._now()
        try:
            yield
        finally:
            self._charge(customer, self._now() - begun)

    def _admit(self, customer: str | None) -> None:
        if customer is None:
            return
        now = self._now()
        if now - self._window >= WINDOW_S or len(self._taken) >= REMEMBERED:
            self._window = now
            self._taken.clear()
        if self._taken.get(customer, 0.0) >= SHARE_S:
            wait_s = max(1, int(self._window + WINDOW_S - now) + 1)
            says = f"This customer's queries took {SHARE_S:.0f} s of the last {WINDOW_S:.0f}; wait {wait_s} s"
            raise too_many(says, wait_s)

    def _charge(self, customer: str | None, seconds: float) -> None:
        if customer is not None:
            self._taken[customer] = self._taken.get(customer, 0.0) + seconds
