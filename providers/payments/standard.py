"""A shop's own provider, by the documented HTTP contract (docs/reference/standard-provider.md).

It tells of payments by signed webhooks (`standard_webhooks`), and gives money back where ORDERS_REFUND_URL says so, which
also names services that give back what other providers took: `stripe=URL,mine=URL`. ORDERS_PAYMENTS_URL names those that
tell how payments stand, and what happened in a time. Requests carry an Idempotency-Key where they give back
and, where ORDERS_REFUND_SECRETS are set, the signature of Standard Webhooks, so that the service knows who asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote, urlencode

import orjson
from pydantic import BaseModel, Field

from events.field_types import Amount, Currency, Name
from providers.base import (
    Ability,
    AbilityByName,
    NoAnswer,
    NotTold,
    Page,
    Payment,
    Provider,
    RefundUnknown,
    with_secrets,
)
from providers.http_client import HttpClient, Time
from providers.movements import Dispute, RefundMovement, RefundRequest
from providers.payments import standard_webhooks
from providers.payments.standard_webhooks import SECRETS, SOURCE
from providers.refund_rules import RefundRules
from settings.fields import Setting, Values, base64_secrets, urls_by_name

if TYPE_CHECKING:
    import httpx

    from providers.base import RefundClient

# What a key or an id may hold as it is; the rest is percent-encoded: headers are ASCII, ids need not be.
KEY_AS_IT_IS = "!#$&'*+,/:;=@^`|~"
RULES = RefundRules(
    source="docs/reference/standard-provider.md",
    key_life=timedelta(days=7),
    answer_s=10.0,
    carries_id=True,
    stores_errors=False,
    open_words=("pending",),
    not_made=frozenset(("not_made",)),
    in_doubt=frozenset(("in_progress",)),
    final={
        "exceeds_captured": "compare what went back of the payment here and at the service",
        "refused": "ask the service why; or give the money back otherwise, and settle it",
        "idempotency_key_reused": "look at the service whether the refund was made",
    },
)


def _urls(value: str) -> dict[str, str]:
    bare = value and "=" not in value.partition("://")[0]
    return urls_by_name(f"{SOURCE}={value}" if bare else value)


REFUND_URL = Setting(
    "ORDERS_REFUND_URL", "",
    "who gives back the money that which provider took, NAME=URL comma-separated (docs/reference/standard-provider.md)",
    _urls, url=True, example="standard=http://127.0.0.1:9000",
    about=("A refund goes to the provider that took the payment. A URL alone stands for standard=URL.",),
)  # fmt: skip
PAYMENTS_URL = Setting(
    "ORDERS_PAYMENTS_URL", "",
    "who tells of the payments that which provider took, NAME=URL comma-separated (docs/reference/standard-provider.md)",
    _urls, url=True, example="standard=http://127.0.0.1:9000",
    about=("Then they are compared, and asked before an order expires. A URL alone stands for standard=URL.",),
)  # fmt: skip
REFUND_SECRETS = Setting(
    "ORDERS_REFUND_SECRETS", "", "secrets (whsec_…) that our requests to those services are signed with", base64_secrets,
    secret=True, example="whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
)  # fmt: skip


class _Refund(BaseModel):
    refund_id: Name
    payment_id: str
    amount: Amount
    time: Time
    status: Literal["pending", "succeeded", "failed"] = "succeeded"
    key: str | None = None
    code: Annotated[str, Field(max_length=255)] | None = None
    message: Annotated[str, Field(max_length=2000)] | None = None


class _Refunds(BaseModel):
    payment_id: str
    refunds: list[_Refund]


class _Dispute(BaseModel):
    dispute_id: Name
    amount: Amount | None = None
    status: Literal["inquiry", "open", "won", "lost"]
    time: Time
    reason: Annotated[str, Field(max_length=255)] | None = None


class _Payment(_Refunds):
    payment_id: Name
    status: Literal["pending", "paid", "failed", "canceled"]
    amount: Amount
    currency: Currency
    time: Time
    order_number: Name | None = None
    code: Annotated[str, Field(max_length=255)] | None = None
    message: Annotated[str, Field(max_length=2000)] | None = None
    disputes: list[_Dispute] | None = None


class _Listed(BaseModel):
    payments: list[_Payment]
    after: Annotated[str, Field(min_length=1, max_length=1000)] | None = None


class StandardRefunds:
    """A `RefundClient` of one such service. Opens no connection before the first call; may be shared by threads."""

    def __init__(
        self,
        base_url: str,
        *,
        name: str = SOURCE,
        secrets: tuple[str, ...] = (),
        rules: RefundRules = RULES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.name, self.rules, self._secrets = name, rules, secrets
        self._http = HttpClient(name, base_url, {}, transport=transport, unknown=_is_unknown)

    def refund(self, request: RefundRequest) -> RefundMovement:
        """Give money back, once per id. Raises RefundError only."""
        body = orjson.dumps(
            {"payment_id": request.payment_id, **request.amount.as_data(), "reason": request.reason}
            | {name: format(part, "f") for name, part in _parts(request) if part is not None}
        )
        headers = {
            "Idempotency-Key": quote(request.id, safe=KEY_AS_IT_IS),
            "Content-Type": "application/json",
            **self._signed(body, request.id),
        }
        made = self._http.refund("/v1/refunds", body, _Refund, headers, self.rules)
        if made.payment_id != request.payment_id:
            raise RefundUnknown(f"{self.name}: an answer about {made.payment_id[:80]!r}, not {request.payment_id}")
        return _movement(made)

    def refunds(self, payment_id: str) -> Sequence[RefundMovement]:
        """All refunds of a payment. Raises RefundUnknown only."""
        path = _path(payment_id)
        found = self._http.known(path, _Refunds, self._signed(path.encode(), f"ask:{payment_id}"))
        if found is None:
            return []
        if _is_about_another(found, payment_id):
            raise RefundUnknown(f"{self.name}: an answer about another payment than {payment_id}")
        return [_movement(each) for each in found.refunds]

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _signed(self, content: bytes, own_id: str) -> dict[str, str]:
        """The headers of Standard Webhooks over a request: a POST's body, a GET's path."""
        if not self._secrets:
            return {}
        return standard_webhooks.sign(content, quote(own_id, safe=KEY_AS_IT_IS), self._secrets)


class StandardPayments(StandardRefunds):
    """The same service, asked for its payments, too: a `PaymentLookup` and a `PaymentListing`."""

    def ask(self, kind: str, time: datetime, data: Mapping[str, Any]) -> Payment:
        """The state of a payment. Raises NoAnswer or NotTold only."""
        return _payment(self._one(str(data.get("paymentId", ""))))

    def page(self, since: datetime, until: datetime, after: str | None) -> Page:
        """A page of the payments that changed in this time, with all of their refunds and disputes. Raises NoAnswer only."""
        asked = {"since": since.isoformat(), "until": until.isoformat()} | ({"after": after} if after else {})
        path = f"/v1/payments?{urlencode(asked)}"
        try:
            listed = self._http.get(path, _Listed, headers=self._signed(path.encode(), "list"))
        except NotTold as error:
            raise NoAnswer(str(error)) from error
        if wrong := next(
            (each.payment_id for each in listed.payments if _is_about_another(each, each.payment_id)), None
        ):
            raise NoAnswer(f"{self.name}: refunds of another payment stand under {wrong}")
        return _page(listed.payments, listed.after)

    def about(self, payment_id: str) -> Page | None:
        """All that it knows of one payment; None where it knows none. Raises NoAnswer only."""
        try:
            return _page([self._one(payment_id)])
        except NotTold:
            return None

    def _one(self, payment_id: str) -> _Payment:
        path = _path(payment_id)
        found = self._http.get(path, _Payment, headers=self._signed(path.encode(), f"ask:{payment_id}"))
        if _is_about_another(found, payment_id):
            raise NoAnswer(f"{self.name}: an answer about another payment than {payment_id}")
        return found


def _connect(name: str, url: str, values: Values) -> RefundClient:
    return StandardRefunds(url, name=name, secrets=values[REFUND_SECRETS])


def _connect_payments(name: str, url: str, values: Values) -> StandardPayments:
    return StandardPayments(url, name=name, secrets=values[REFUND_SECRETS])


PROVIDER = Provider(
    name=SOURCE,
    kind="payments",
    title="Your own",
    settings=(SECRETS, REFUND_URL, PAYMENTS_URL, REFUND_SECRETS),
    receives=Ability(with_secrets(standard_webhooks.receive, SECRETS), needs=(SECRETS,)),
    looks_up=AbilityByName(_connect_payments, PAYMENTS_URL),
    refunds=AbilityByName(_connect, REFUND_URL),
    lists=AbilityByName(_connect_payments, PAYMENTS_URL),
    refund_rules=RULES,
    note="for a provider or a service of your own, by a contract: signed, each webhook one of our payment events",
)


def _parts(request: RefundRequest) -> tuple[tuple[str, object], ...]:
    return ("tax_free", request.tax_free), ("vat", request.vat)


def _is_unknown(told: Mapping[str, object]) -> bool:
    return told.get("error") == "payment_unknown"


def _path(payment_id: str) -> str:
    return f"/v1/payments/{quote(payment_id, safe='')}"


def _is_about_another(found: _Refunds, payment_id: str) -> bool:
    return any(about != payment_id for about in (found.payment_id, *(each.payment_id for each in found.refunds)))


def _page(payments: Sequence[_Payment], after: str | None = None) -> Page:
    movements = [_movement(each) for payment in payments for each in payment.refunds]
    disputes = [
        Dispute(each.dispute_id, payment.payment_id, each.amount, each.status, each.time.astimezone(UTC), each.reason)
        for payment in payments
        for each in payment.disputes or ()
    ]
    untold = [payment for payment in payments if payment.disputes is None]
    remark = "it tells of no disputes: look at them on its own pages" if untold else None
    return Page(
        [_payment(each) for each in payments], movements, disputes if disputes or not untold else None, after, remark
    )


def _payment(told: _Payment) -> Payment:
    at = told.time.astimezone(UTC)
    about = Payment(told.payment_id, told.order_number, told.currency, code=told.code, message=told.message)
    if told.status == "paid":
        movements = tuple(_movement(each) for each in told.refunds)
        return replace(about, captured_at=at, captured=told.amount, movements=movements)
    if told.status == "pending":
        return replace(about, pending="processing", pending_at=at, expected=told.amount)
    return replace(about, ended="PaymentFailed" if told.status == "failed" else "PaymentCanceled", ended_at=at)


def _movement(made: _Refund) -> RefundMovement:
    time: datetime = made.time.astimezone(UTC)
    return RefundMovement(
        made.refund_id, made.payment_id, made.amount, made.status, time, made.key, made.code, made.message
    )
