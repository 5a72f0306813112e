"""Refund services that speak the protocol of `providers.simulators.provider`: the demo's, and services of one's own.

ORDERS_REFUND_URL says who gives back the money that which provider took: `stripe=URL,mine=URL`.

The one question at each failure: can the provider have acted? Only where it surely has not is the
failure RefundNotMade; a 4xx is its word that it will not; all else is RefundUnknown.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError

from events.field_types import Amount, Name
from events.money import Money
from providers import http_client
from providers.base import (
    AbilityByName,
    Provider,
    RefundError,
    RefundNotMade,
    RefundReceipt,
    RefundRefused,
    RefundUnknown,
)
from providers.http_client import Time, not_sent
from settings.fields import Setting, urls_by_name

if TYPE_CHECKING:
    import httpx

# What a key may hold as it is; the rest is percent-encoded: headers are ASCII, ids need not be.
KEY_AS_IT_IS = "!#$&'*+,/:;=@^`|~"


def _urls(value: str) -> dict[str, str]:
    bare = value and "=" not in value.partition("://")[0]
    return urls_by_name(f"simulated={value}" if bare else value)


REFUND_URL = Setting(
    "ORDERS_REFUND_URL", "",
    "who gives back the money that which provider took, NAME=URL comma-separated (the simulated provider's protocol)",
    _urls, url=True, example="simulated=http://127.0.0.1:9000",
    about=("A refund goes to the provider that took the payment. A URL alone stands for simulated=URL.",),
)  # fmt: skip


class _Refund(BaseModel):
    refund_id: Name
    payment_id: str
    refunded_amount: Amount
    time: Time


class _Payment(BaseModel):
    payment_id: str
    refunds: list[_Refund]


class _Fault(BaseModel):
    error: Annotated[str, Field(max_length=255)]
    message: Annotated[str, Field(max_length=2000)] = ""


class SimulatedProvider:
    """A `RefundClient`. Opens no connection before the first call; may be shared by threads."""

    def __init__(
        self,
        base_url: str,
        timeout: float | None = None,
        *,
        name: str = "simulated",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self._client = http_client.connection(base_url, timeout, transport)

    def refund(self, payment_id: str, amount: Money, idempotency_key: str) -> RefundReceipt:
        """Give `amount` back, once a key; see the interface for what each failure means."""
        import httpx

        body = {"payment_id": payment_id, **amount.as_data()}
        headers = {"Idempotency-Key": quote(idempotency_key, safe=KEY_AS_IT_IS)}
        try:
            response = self._client.post("/v1/refunds", json=body, headers=headers)
        except not_sent() as error:
            raise RefundNotMade(f"{self.name}: could not be reached ({error})") from error
        except httpx.HTTPError as error:
            raise self._unknown(payment_id, _named(error)) from error
        if not response.is_success:
            raise self._failure(payment_id, response)
        try:
            made = _Refund.model_validate_json(response.content)
        except ValidationError as error:
            raise self._unknown(payment_id, "an answer that cannot be read") from error
        if made.payment_id != payment_id:
            raise self._unknown(payment_id, f"an answer about {made.payment_id[:80]!r}")
        return _refunded(made)

    def refunded(self, payment_id: str) -> RefundReceipt | None:
        """The latest refund, None if there is none; RefundUnknown where that stays open."""
        import httpx

        try:
            response = self._client.get(f"/v1/payments/{quote(payment_id, safe='')}")
        except httpx.HTTPError as error:
            raise self._unknown(payment_id, _named(error)) from error
        if response.status_code == httpx.codes.NOT_FOUND and _fault(response) == "payment_unknown":
            return None
        if response.status_code != httpx.codes.OK:
            raise self._unknown(payment_id, f"status {response.status_code}")
        try:
            payment = _Payment.model_validate_json(response.content)
        except ValidationError as error:
            raise self._unknown(payment_id, "an answer that cannot be read") from error
        if any(about != payment_id for about in (payment.payment_id, *_payments(payment))):
            raise self._unknown(payment_id, "an answer about another payment")
        latest = max(payment.refunds, key=lambda made: made.refunded_amount, default=None)
        return None if latest is None else _refunded(latest)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _failure(self, payment_id: str, response: httpx.Response) -> RefundError:
        """What an answer other than 2xx means for the refund that was asked for."""
        import httpx

        status = response.status_code
        code = _fault(response)
        if status == httpx.codes.TOO_MANY_REQUESTS or (status >= 500 and code == "not_made"):
            return RefundNotMade(f"{self.name}: answered {status}; {payment_id} is tried again")
        if not 400 <= status < 500 or status == httpx.codes.REQUEST_TIMEOUT:
            return self._unknown(payment_id, f"status {status}")
        if code is None:
            return RefundRefused(f"http_{status}", f"{self.name} gave no reason")
        return RefundRefused(code, _Fault.model_validate_json(response.content).message)

    def _unknown(self, payment_id: str, got: str) -> RefundUnknown:
        return RefundUnknown(f"{self.name}: {got} for payment {payment_id}; ask what was refunded, then try again")


def _fault(response: httpx.Response) -> str | None:
    try:
        return _Fault.model_validate_json(response.content).error
    except ValidationError:
        return None


def _payments(payment: _Payment) -> list[str]:
    return [made.payment_id for made in payment.refunds]


def _refunded(made: _Refund) -> RefundReceipt:
    time = made.time.astimezone(UTC)
    return RefundReceipt(made.refund_id, made.payment_id, made.refunded_amount, time)


def _named(error: httpx.HTTPError) -> str:
    return f"no answer ({type(error).__name__})"


PROVIDER = Provider(
    name="simulated",
    kind="payments",
    title="Refund services by URL",
    settings=(REFUND_URL,),
    refunds=AbilityByName(lambda name, url: SimulatedProvider(url, name=name), REFUND_URL),
    note="the demo's provider, and services of your own that speak its protocol",
)
