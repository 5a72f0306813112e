"""The refusal of a query, which the API answers as a 400."""

from __future__ import annotations

from collections.abc import Sequence

from events.errors import OrdersError

SHOWN = 60  # characters of a path that an error repeats

Fault = tuple[str, str]  # (the path of a parameter or field, what is wrong with it)


class QueryError(OrdersError):
    """A query that cannot be answered as it is: its faults, or without any one sentence about the whole of it."""

    code = "query_refused"
    remedy = "Correct the parameter that the message names; the API's documentation stands at /docs."
    status = 400

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.faults = tuple(faults)


def wrong(path: str, message: str) -> QueryError:
    """The error of one parameter or field."""
    path = path[:SHOWN]
    return QueryError(f"{path}: {message}", [(path, message)])
