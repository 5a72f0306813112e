"""The errors of the API, as exceptions.

    OrdersError                  whatever this package raises of its own
    ├── BadSignature             a webhook that is not from whom it says, or too old to believe
    └── ApiError                 the API refused, or could not be asked
        ├── ValidationFailed     400  `faults`: each a path and what is wrong there
        ├── Unauthorized         401  the key or the customer's token is missing, wrong, revoked or expired
        ├── Forbidden            403  this key may not do that
        ├── NotFound             404  there is none, or none that you may see
        ├── Conflict             409  `status`: where it stands now; `allowed`: what it may become
        ├── KeyReused            422  the idempotency key came with another request before
        ├── RateLimited          429  still too many requests after all tries
        └── Unavailable          5xx, or no answer at all, after all tries; `idempotency_key` to try again with

An ApiError of no subclass is a refusal that none of these names (413, a redirect, an answer of somebody else's).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class OrdersError(Exception):
    """Whatever this package raises of its own."""


class BadSignature(OrdersError):
    """A webhook that nobody with our secret signed just now; nothing in it is to be believed."""


class ApiError(OrdersError):
    """The API refused, or could not be asked."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        request_id: str | None = None,
        name: str | None = None,
        data: Any = None,
        retry_after: float | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code  # of HTTP; None where nobody answered
        self.request_id = request_id  # name it when you ask for help
        self.name = name  # stable, such as "order_number_taken"
        self.data = data
        self.retry_after = retry_after  # seconds that the API asked to wait
        self.idempotency_key = idempotency_key  # of the write that failed

    def __str__(self) -> str:
        told = [f"HTTP {self.status_code}"] if self.status_code is not None else []
        told += [f"request {self.request_id}"] if self.request_id is not None else []
        return f"{self.message} ({', '.join(told)})" if told else self.message


@dataclass(frozen=True, slots=True)
class Fault:
    """The fault of one field."""

    path: str  # as on the wire: "orderProducts.0.quantity"
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ValidationFailed(ApiError):
    """400: values that cannot be, or a query that is wrong."""

    @property
    def faults(self) -> Sequence[Fault]:
        """Every field at fault; empty where the body as a whole is."""
        found = self.data.get("errors") if isinstance(self.data, Mapping) else None
        return [Fault(str(each.get("path", "")), str(each.get("message", ""))) for each in found or ()]

    def __str__(self) -> str:
        faults = "; ".join(map(str, self.faults))
        return f"{super().__str__()}: {faults}" if faults else super().__str__()


class Unauthorized(ApiError):
    """401: the key or the customer's token is missing, wrong, revoked or expired."""


class Forbidden(ApiError):
    """403: this key may not do that."""


class NotFound(ApiError):
    """404: there is none, or none that you may see."""


class Conflict(ApiError):
    """409: what was asked for does not fit how things stand. `name` tells which conflict, where it has a name."""

    @property
    def status(self) -> str | None:
        """The present status of the order, or of the part of it that was to change."""
        return self.data.get("status") if isinstance(self.data, Mapping) else None

    @property
    def allowed(self) -> Sequence[str]:
        """The statuses that it may take instead."""
        return list(self.data.get("allowed") or ()) if isinstance(self.data, Mapping) else []


class KeyReused(ApiError):
    """422: this idempotency key came with another request before; use a new one for each request."""


class RateLimited(ApiError):
    """429: too many requests of this key, still, after all tries."""


class Unavailable(ApiError):
    """No answer, or a 5xx, after all tries. A write may have been done: send it again with `idempotency_key`."""


BY_STATUS: Mapping[int, type[ApiError]] = {
    400: ValidationFailed,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: KeyReused,
    429: RateLimited,
}
