"""Stripe's API in its wire format: form-encoded in, objects out, webhooks signed.

    POST /v1/payment_intents                   made and, with confirm=true, paid; capture_method=manual only holds it
    POST /v1/payment_intents/ID/confirm|capture|cancel
    GET  /v1/payment_intents[/ID]              with expand[]=latest_charge
    GET  /v1/charges/ID
    POST /v1/refunds                           of a payment_intent or charge, with an Idempotency-Key
    GET  /v1/refunds[/ID]                      by payment_intent, charge, created; with expand[]=data.charge
    GET  /v1/disputes                          by payment_intent, charge, created

Objects have the fields that Stripe's reference (docs.stripe.com/api) has and that a shop reads, not all of them. A
captured part leaves the rest among `amount_refunded`, as at Stripe.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from events.money import Money, MoneyError
from providers.payments.stripe_rules import UNITS
from providers.simulators.books import Answer, Books, Dispute, Payment, Refund
from providers.simulators.desk import Desk, Wanted

VERSION = "2026-01-28.clover"
INTENT = {"paid": "succeeded", "authorized": "requires_capture", "canceled": "canceled", "failed": "requires_payment_method", "pending": "requires_confirmation"}  # fmt: skip
ERRORS = {
    "unknown": (404, "invalid_request_error", "resource_missing", "No such payment_intent"),
    "refused": (400, "invalid_request_error", "charge_not_refundable", "This charge cannot be refunded"),
    "busy": (409, "idempotency_error", "idempotency_key_in_use", "Another request with this key is still running"),
    "reused": (
        400,
        "idempotency_error",
        None,
        "Keys for idempotent requests can only be used with the same parameters",
    ),
    "rate_limit": (429, "invalid_request_error", "rate_limit", "Too many requests"),
    "stored_error": (500, "api_error", None, "An unknown error occurred"),
    "unavailable": (503, "api_error", None, "Try again"),
    "stale": (400, "invalid_request_error", None, "unused: Stripe compares nothing"),
    "exceeds": (400, "invalid_request_error", "charge_already_refunded", "Charge has already been refunded"),
    "unauthorized": (401, "invalid_request_error", None, "Invalid API Key provided"),
}


class Stripe:
    """Stripe's dialect: a `Dialect`."""

    name = "stripe"
    late = "succeeded"
    replayed: Mapping[str, str] = {"Idempotent-Replayed": "true"}
    stores_errors = True

    def __init__(self, key: str, secret: str) -> None:
        self._key, self._secret = key, secret

    def refund_id(self, number: int) -> str:
        """An id as Stripe's refunds have it."""
        return f"re_{number:014d}"

    def error(self, kind: str, payment_id: str) -> Answer:
        """Stripe's error object of this kind."""
        status, type_, code, message = ERRORS[kind]
        told = {"type": type_, "message": f"{message}: {payment_id}"}
        return Answer(status, {"error": told | ({"code": code} if code else {})})

    def made(self, books: Books, payment: Payment, refund: Refund) -> Answer:
        """The refund object as the answer to its making."""
        return Answer(200, refund_object(payment, refund))

    def webhooks(self, books: Books, payment: Payment, refund: Refund | None, change: str) -> list[tuple[str, Any]]:
        """The events of a change: `charge.refunded` is cumulative, `refund.*` is about one."""
        if refund is None:
            kinds = {"paid": "payment_intent.succeeded", "authorized": "payment_intent.amount_capturable_updated"}
            kind = kinds.get(change, f"payment_intent.{change}")
            return [_event(f"{payment.payment_id}:{change}", kind, intent_object(books, payment, expand=False))]
        about = refund_object(payment, refund)
        kinds_of = {
            "opened": ("refund.created",),
            "refunded": ("refund.created", "charge.refunded"),
            "succeeded": ("refund.updated", "charge.refunded"),
            "failed": ("refund.failed",),
        }[change]
        return [
            _event(
                f"{refund.refund_id}:{kind}",
                kind,
                charge_object(books, payment) if kind == "charge.refunded" else about,
            )
            for kind in kinds_of
        ]

    def disputed(self, payment: Payment, dispute: Dispute) -> list[tuple[str, Any]]:
        """charge.dispute.created or .closed, with the dispute."""
        kind = "charge.dispute.created" if dispute.state == "open" else "charge.dispute.closed"
        return [_event(f"{dispute.dispute_id}:{dispute.state}", kind, dispute_object(payment, dispute))]

    def signed(self, own_id: str, body: bytes) -> dict[str, str]:
        """The header Stripe-Signature, made now."""
        now = int(time.time())
        made = hmac.digest(self._secret.encode(), f"{now}.".encode() + body, "sha256").hex()
        return {"Stripe-Signature": f"t={now},v1={made}"}

    def routes(self, desk: Desk) -> list[Route]:
        """Stripe's own paths, for whoever has the key."""
        api = _Api(desk, self)
        return [
            Route("/v1/refunds", self._with_key(api.refund), methods=["POST"]),
            Route("/v1/refunds", self._with_key(api.refunds), methods=["GET"]),
            Route("/v1/refunds/{id}", self._with_key(api.one_refund), methods=["GET"]),
            Route("/v1/disputes", self._with_key(api.disputes), methods=["GET"]),
            Route("/v1/charges/{id}", self._with_key(api.charge), methods=["GET"]),
            Route("/v1/payment_intents", self._with_key(api.pay), methods=["POST"]),
            Route("/v1/payment_intents", self._with_key(api.intents), methods=["GET"]),
            Route("/v1/payment_intents/{id}", self._with_key(api.intent), methods=["GET"]),
            Route("/v1/payment_intents/{id}/{step}", self._with_key(api.step), methods=["POST"]),
        ]

    def _with_key(self, answer: Any) -> Any:
        async def checked(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {self._key}":
                return _json(self.error("unauthorized", request.url.path))
            found: Response = await answer(request)
            return found

        return checked


class _Api:
    def __init__(self, desk: Desk, dialect: Stripe) -> None:
        self._desk, self._books, self._dialect = desk, desk.books, dialect

    async def refund(self, request: Request) -> Response:
        body = await request.body()
        form = _form(body)
        payment_id = str(form.get("payment_intent") or _of_charge(form.get("charge")))
        payment = self._books.payment(payment_id)
        amount = None
        if payment is not None and "amount" in form:
            try:
                amount = UNITS.money(int(form["amount"]), payment.currency).amount
            except (MoneyError, ValueError):
                return _json(_invalid("Invalid integer", "amount"))
            if int(form["amount"]) % UNITS.steps.get(payment.currency, 1):
                return _json(_invalid("The last digit must be 0 in this currency", "amount"))
        metadata = form.get("metadata") or {}
        wanted = Wanted(payment_id, amount, str(metadata.get("reason", "")), metadata.get("refund"))
        return await self._desk.give_back(wanted, request.headers.get("idempotency-key"), body)

    async def refunds(self, request: Request) -> Response:
        asked = request.query_params
        about = asked.get("payment_intent") or (_of_charge(asked["charge"]) if "charge" in asked else None)
        if mishap := self._desk.question(about) if about else self._desk.list_question("refunds"):
            return mishap
        if about and self._books.payment(about) is None:
            return _json(self._dialect.error("unknown", about))
        expand = "data.charge" in asked.getlist("expand[0]") + asked.getlist("expand[]")
        refunds = {each.refund_id: each for each in reversed(self._books.refunds(about)) if _within(each.at, asked)}

        def write(own_id: str) -> dict[str, Any]:
            payment = self._books.known(refunds[own_id].payment_id)
            told = refund_object(payment, refunds[own_id])
            return told | ({"charge": charge_object(self._books, payment)} if expand else {})

        return _page(list(refunds), asked, "/v1/refunds", write)

    async def disputes(self, request: Request) -> Response:
        asked = request.query_params
        about = asked.get("payment_intent") or (_of_charge(asked["charge"]) if "charge" in asked else None)
        if mishap := self._desk.question(about) if about else self._desk.list_question("disputes"):
            return mishap
        found = {each.dispute_id: each for each in reversed(self._books.disputes(about)) if _within(each.at, asked)}

        def write(own_id: str) -> dict[str, Any]:
            return dispute_object(self._books.known(found[own_id].payment_id), found[own_id])

        return _page(list(found), asked, "/v1/disputes", write)

    async def one_refund(self, request: Request) -> Response:
        if mishap := self._desk.question(request.path_params["id"]):
            return mishap
        for each in self._books.refunds():
            payment = self._books.payment(each.payment_id)
            if each.refund_id == request.path_params["id"] and payment is not None:
                return JSONResponse(refund_object(payment, each))
        return _json(self._dialect.error("unknown", request.path_params["id"]))

    async def charge(self, request: Request) -> Response:
        return self._one(_of_charge(request.path_params["id"]), lambda payment: charge_object(self._books, payment))

    async def intent(self, request: Request) -> Response:
        return self._one(request.path_params["id"], lambda payment: intent_object(self._books, payment, expand=True))

    def _one(self, payment_id: str, write: Any) -> Response:
        if mishap := self._desk.question(payment_id):
            return mishap
        payment = self._books.payment(payment_id)
        return _json(self._dialect.error("unknown", payment_id)) if payment is None else JSONResponse(write(payment))

    async def intents(self, request: Request) -> Response:
        if mishap := self._desk.list_question("payment_intents"):
            return mishap
        ids = [own_id for _, own_id in reversed(self._books.between(*_span(request.query_params)))]

        def write(own_id: str) -> dict[str, Any]:
            return intent_object(self._books, self._books.known(own_id), expand=True)

        return _page(ids, request.query_params, "/v1/payment_intents", write)

    async def pay(self, request: Request) -> Response:
        """A payment intent; paid at once where it is confirmed, as with Stripe's test cards."""
        form = _form(await request.body())
        try:
            money = UNITS.money(int(form["amount"]), str(form["currency"]))
        except (KeyError, ValueError, MoneyError) as error:
            return _json(_invalid(f"Invalid amount or currency: {error}", "amount"))
        now = time.time()
        confirmed, held = form.get("confirm") == "true", form.get("capture_method") == "manual"
        state = ("authorized" if held else "paid") if confirmed else "pending"
        payment = Payment(
            f"pi_{time.time_ns():x}",
            (form.get("metadata") or {}).get("orderNumber"),
            money.amount,
            money.currency,
            "card_manual" if held else "card",
            state,
            money.amount if state == "paid" else Decimal(0),
            now,
            now,
        )
        self._desk.pay(payment)
        return JSONResponse(intent_object(self._books, payment, expand=False))

    async def step(self, request: Request) -> Response:
        """Confirm, capture in full or in part, or cancel."""
        payment, form = self._books.payment(request.path_params["id"]), _form(await request.body())
        step = request.path_params["step"]
        if payment is None:
            return _json(self._dialect.error("unknown", request.path_params["id"]))
        allowed = {"confirm": ("pending",), "capture": ("authorized",), "cancel": ("pending", "authorized")}
        if payment.state not in allowed.get(step, ()):
            return _json(_invalid(f"You cannot {step} this PaymentIntent: it is {INTENT[payment.state]}", "intent"))
        if step == "cancel":
            payment.state = "canceled"
        elif step == "confirm" and payment.method == "card_manual":
            payment.state = "authorized"
        else:
            wanted = form.get("amount_to_capture")
            payment.captured = UNITS.money(int(wanted), payment.currency).amount if wanted else payment.amount
            payment.state = "paid"
        payment.changed = time.time()
        self._desk.pay(payment)
        return JSONResponse(intent_object(self._books, payment, expand=False))


# -- objects -------------------------------------------------------------------------------------------------


def intent_object(books: Books, payment: Payment, *, expand: bool) -> dict[str, Any]:
    """A payment intent as Stripe writes it."""
    charged = payment.state in ("paid", "authorized", "canceled")
    charge = charge_object(books, payment) if expand and charged else _charge_id(payment)
    return {
        "id": payment.payment_id,
        "object": "payment_intent",
        "amount": _units(payment, payment.amount),
        "amount_received": _units(payment, payment.captured),
        "amount_capturable": _units(payment, payment.amount) if payment.state == "authorized" else 0,
        "currency": payment.currency.lower(),
        "status": INTENT[payment.state],
        "created": int(payment.at),
        "canceled_at": int(payment.changed) if payment.state == "canceled" else None,
        "cancellation_reason": "requested_by_customer" if payment.state == "canceled" else None,
        "latest_charge": charge if charged else None,
        "last_payment_error": {"code": "card_declined", "message": "declined"} if payment.state == "failed" else None,
        "metadata": {"orderNumber": payment.order_number} if payment.order_number else {},
        "payment_method_types": ["card"],
        "capture_method": "manual" if payment.method == "card_manual" else "automatic",
        "livemode": False,
    }


def charge_object(books: Books, payment: Payment) -> dict[str, Any]:
    """A charge as Stripe writes it; what was not captured counts among what was refunded."""
    came = payment.state == "paid"
    rest = payment.amount - payment.captured if came or payment.state == "canceled" else Decimal(0)
    gone = books.gone(payment.payment_id) + rest
    return {
        "id": _charge_id(payment),
        "object": "charge",
        "amount": _units(payment, payment.amount),
        "amount_captured": _units(payment, payment.captured),
        "amount_refunded": _units(payment, gone),
        "captured": came,
        "refunded": gone >= payment.amount,
        "currency": payment.currency.lower(),
        "created": int(payment.at),
        "payment_intent": payment.payment_id,
        "payment_method_details": {"type": "card"},
        "receipt_url": f"https://receipts.example/{payment.payment_id}",
        "metadata": {"orderNumber": payment.order_number} if payment.order_number else {},
        "status": "succeeded",
        "livemode": False,
    }


def refund_object(payment: Payment, refund: Refund) -> dict[str, Any]:
    """A refund as Stripe writes it."""
    return {
        "id": refund.refund_id,
        "object": "refund",
        "amount": _units(payment, refund.amount),
        "currency": payment.currency.lower(),
        "charge": _charge_id(payment),
        "payment_intent": payment.payment_id,
        "created": int(refund.at),
        "metadata": {"refund": refund.reference, "reason": refund.reason} if refund.reference else {},
        "reason": None,
        "status": refund.status,
        "failure_reason": "expired_or_canceled_card" if refund.status == "failed" else None,
    }


def dispute_object(payment: Payment, dispute: Dispute) -> dict[str, Any]:
    """A dispute as Stripe writes it."""
    return {
        "id": dispute.dispute_id,
        "object": "dispute",
        "amount": _units(payment, dispute.amount),
        "currency": payment.currency.lower(),
        "charge": _charge_id(payment),
        "payment_intent": payment.payment_id,
        "created": int(dispute.at),
        "reason": "fraudulent",
        "status": "needs_response" if dispute.state == "open" else dispute.state,
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
    }


def _event(own_id: str, kind: str, about: dict[str, Any]) -> tuple[str, Any]:
    own_id = f"evt_{own_id.replace(':', '_').replace('.', '_')}"
    event = {"id": own_id, "object": "event", "api_version": VERSION, "type": kind, "created": int(time.time())}
    return own_id, {**event, "livemode": False, "data": {"object": about}}


def _units(payment: Payment, amount: Decimal) -> int:
    return UNITS.units(Money(amount, payment.currency))


def _charge_id(payment: Payment) -> str:
    return f"ch_{payment.payment_id}"


def _of_charge(charge: Any) -> str:
    return str(charge or "").removeprefix("ch_")


# -- requests ------------------------------------------------------------------------------------------------


def _form(body: bytes) -> dict[str, Any]:
    """A form as Stripe reads it: `metadata[refund]=…` is a field of an object."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(body.decode()):
        outer, bracket, inner = name.partition("[")
        if bracket:
            found.setdefault(outer, {})[inner.rstrip("]")] = value
        else:
            found[outer] = value
    return found


def _within(at: float, asked: Mapping[str, str]) -> bool:
    since, until = _span(asked)
    return since <= int(at) < until


def _span(asked: Mapping[str, str]) -> tuple[float, float]:
    return float(asked.get("created[gte]", 0)), float(asked.get("created[lt]", "inf"))


def _page(ids: list[str], asked: Mapping[str, str], url: str, write: Callable[[str], dict[str, Any]]) -> Response:
    """A page of the objects of these ids, which `write` writes."""
    after = ids.index(asked["starting_after"]) + 1 if asked.get("starting_after") in ids else 0
    most = int(asked.get("limit", 10))
    page = [write(own_id) for own_id in ids[after : after + most]]
    return JSONResponse({"object": "list", "url": url, "has_more": len(ids) > after + most, "data": page})


def _invalid(message: str, param: str) -> Answer:
    told = {"type": "invalid_request_error", "message": message, "param": param}
    return Answer(400, {"error": told})


def _json(answer: Answer) -> Response:
    return JSONResponse(answer.document, answer.status)
