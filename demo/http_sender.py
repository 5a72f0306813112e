"""The demo's acts as HTTP requests: API calls with the secret key, and webhooks signed as providers sign.

An act is told as an event; here it becomes the request that a shop, a warehouse or a payment provider makes. Whoever
gets no answer sends the same once more, with the same idempotency key or webhook id, until there is one: so an API that
is killed in the middle loses nothing and does nothing twice.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any

import httpx
import orjson
from standardwebhooks import Webhook

from cli.options import Problem
from demo.scenarios import AT_PROVIDER, Act
from events.money import Money
from providers.payments.stripe_rules import UNITS

SENDERS = 12  # connections, a thread each: commits that meet wait for the disk together
ANSWER_S = 10.0  # for one answer
RETRY_S = 0.25  # between two tries
PATIENCE_S = 40.0  # for all tries of one act: an API that was killed is back within seconds
_AGAIN = frozenset((429, 500, 502, 503, 504))

_STATUS = {
    "OrderCanceled": "canceled",
    "OrderConfirmed": "confirmed",
    "FulfillmentPacked": "packed",
    "FulfillmentShipped": "shipped",
    "ReturnRejected": "rejected",
    "ReturnCompleted": "completed",
}
_STRIPE = {"PaymentSucceeded": "payment_intent.succeeded", "PaymentFailed": "payment_intent.payment_failed"}


@dataclass(frozen=True, slots=True)
class Access:
    """The address and keys that requests need."""

    url: str  # of the API, without a path
    secret: str  # key
    publishable: str  # key
    stripe: str  # secret of its webhooks
    standard: str  # secret of a provider that signs by Standard Webhooks
    providers: Mapping[str, str]  # simulated payment providers, by the name of their door → URL


class Sender:
    """Sends acts through the HTTP doors, several at once; knows which were answered, and what they made.

    `counts`: acts by door that the journal must know ("api", "stripe", "standard"); "paid", payments made at a provider that
    tells of them itself; "replayed", API calls that were
    answered their first answer again; "refused", those whose key came with another body (422); "retried", requests
    that got no answer the first time.
    """

    def __init__(self, access: Access, beginning: datetime) -> None:
        self._access, self._beginning = access, beginning
        self.counts: Counter[str] = Counter()
        self.answered: set[str] = set()  # ids of acts
        self._under_way = 0
        self._failure: Exception | None = None
        self._ids: dict[str, str] = {}  # what a life calls an order, an item or a part → our id of it
        self._lock = threading.Lock()
        self._closing = threading.Event()
        limits = httpx.Limits(max_connections=SENDERS, max_keepalive_connections=SENDERS)
        self._client = httpx.Client(base_url=access.url, timeout=ANSWER_S, limits=limits, trust_env=False)
        self._pool = ThreadPoolExecutor(SENDERS, "sender")

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.set()
        self._client.close()
        self._pool.shutdown(cancel_futures=True)

    @property
    def sent(self) -> int:
        """Acts that the journal must know by now."""
        return self.counts["api"] + self.counts["stripe"] + self.counts["standard"]

    @property
    def under_way(self) -> int:
        """Acts that have no answer yet. Problem where one was refused."""
        if self._failure is not None:
            raise self._failure
        return self._under_way

    def is_ready(self, act: Act) -> bool:
        """True once everything that the act refers to has been answered."""
        return not act.after or act.after in self.answered

    def send(self, act: Act) -> None:
        """Send it, sooner or later; returns at once."""
        with self._lock:
            self._under_way += 1
        self._pool.submit(self._finish, act)

    def named(self, act: Act) -> Act:
        """The act with our ids of the items it lists: the API gives items no names of the shop's."""
        lines = act.data.get("items")
        if lines is None or act.type == "OrderCreated":
            return act
        ours = [{**line, "item": self._ids.get(line["item"], line["item"])} for line in lines]
        return replace(act, data={**act.data, "items": ours})

    # -- a thread

    def _finish(self, act: Act) -> None:
        try:
            if act.type == "PaymentSucceeded" and act.door in self._access.providers:
                self._pay(act)
            if act.door == "api":
                self._call(self.named(act))
            elif act.door not in AT_PROVIDER:
                self._report(act)
        except Exception as error:
            if not self._closing.is_set():
                self._failure = self._failure or error  # the first: others may follow from it
        with self._lock:
            self.answered.add(act.id)
            self._under_way -= 1

    def _pay(self, act: Act) -> None:
        """Somebody pays at a provider. Stripe's webhooks are the demo's own to send, twice, late and garbled."""
        data, tells = act.data, act.door in AT_PROVIDER
        if not data["amount"][:1].isdigit():
            return
        number = (
            act.subject or act.id.partition(":")[0]
        )  # a shop names its order to the provider, whatever that tells us
        body = {"amount": data["amount"], "currency": data["currency"], "orderNumber": number, "webhook": tells}
        path = f"{self._access.providers[act.door]}/_simulator/payments/{data['paymentId']}"
        until = time.monotonic() + PATIENCE_S
        while (answer := self._try("PUT", path, orjson.dumps(body), {}, until)) is None:
            pass
        if answer.status_code != 200:
            raise _unexpected("PUT", path, answer)
        if tells:
            with self._lock:
                self.counts["paid"] += 1

    def _report(self, act: Act) -> None:
        """A webhook. Signed anew each time: signatures age."""
        body = orjson.dumps(_stripe(act, self._beginning) if act.door == "stripe" else self._event(act))
        path = f"/webhooks/payments/{act.door}"

        def signed() -> dict[str, str]:
            if act.door == "stripe":
                return _sign_stripe(body, self._access.stripe, int(time.time()))
            return _sign_standard(body, act.id, self._access.standard, datetime.now(UTC))

        until = time.monotonic() + PATIENCE_S
        while (answer := self._try("POST", path, body, signed(), until)) is None:
            pass
        if answer.status_code not in (200, 202):
            raise _unexpected("POST", path, answer)
        with self._lock:
            self.counts[act.door] += 1

    def _event(self, act: Act) -> dict[str, Any]:
        return act.envelope(self._beginning).as_document()

    def _call(self, act: Act) -> None:
        """An API call; `act.id` is its idempotency key."""
        method, path, wanted = self._request(act)
        body = orjson.dumps(wanted)
        headers = {"Authorization": f"Bearer {self._access.secret}", "Idempotency-Key": act.id}
        until = time.monotonic() + PATIENCE_S
        while (answer := self._try(method, path, body, headers, until)) is None:
            pass
        if answer.status_code == 422 and act.data.get("resent"):
            with self._lock:
                self.counts["refused"] += 1
            return
        if not answer.is_success:
            raise _unexpected(method, path, answer)
        with self._lock:
            self.counts["replayed" if "idempotent-replayed" in answer.headers else "api"] += 1
            self._learn(act, answer.json()["doc"])

    def _try(self, method: str, path: str, body: bytes, headers: dict[str, str], until: float) -> httpx.Response | None:
        """The answer; None, after a pause, where there was none and the same is to be sent again."""
        try:
            answer = self._client.request(
                method, path, content=body, headers={"Content-Type": "application/json", **headers}
            )
            if answer.status_code not in _AGAIN:
                return answer
            trouble = f"{answer.status_code} {answer.text[:200]}"
        except httpx.TransportError as error:
            trouble = repr(error)
        if time.monotonic() > until:
            raise Problem(f"{method} {path} got no answer in {PATIENCE_S:.0f} s; the last try: {trouble}")
        with self._lock:
            self.counts["retried"] += 1
        if self._closing.wait(RETRY_S):
            raise Problem(f"{method} {path} was given up: the demo ends")
        return None

    def _request(self, act: Act) -> tuple[str, str, dict[str, Any]]:
        """Method, path and body of the call that says what the act says."""
        data, number = act.data, act.subject or ""
        if act.type == "OrderCreated":
            return "POST", "/api/orders", _order(number, data)
        if act.type == "FulfillmentCreated":
            asked = {"orderNumber": number, "reference": data["fulfillment"], **_lines(data)}
            return "POST", "/api/fulfillments", asked
        if act.type == "ReturnRequested":
            note = f"{data['note']}, please" if data.get("resent") else data["note"]
            return (
                "POST",
                "/api/returns",
                {"orderNumber": number, "reason": data["reason"], "note": note, **_lines(data)},
            )
        status = {"status": _STATUS[act.type]}
        if "fulfillment" in data:
            carried = {name: data[name] for name in ("carrier", "trackingNumber") if name in data}
            return "PATCH", f"/api/fulfillments/{self._ids[data['fulfillment']]}", status | carried
        if "return" in data:
            return "PATCH", f"/api/returns/{self._ids[data['return']]}", status
        return "PATCH", f"/api/orders/{self._ids[number]}", status

    def _learn(self, act: Act, doc: dict[str, Any]) -> None:
        """What the answer named."""
        if act.type == "OrderCreated":
            self._ids[act.subject or ""] = doc["id"]
            items: Iterable[Any] = doc["products"]["docs"]
            self._ids |= {f"{act.subject}/{n}": _id(item) for n, item in enumerate(items, 1)}
        elif act.type in ("FulfillmentCreated", "ReturnRequested"):
            self._ids[act.data.get("fulfillment") or act.data["return"]] = doc["id"]


def _id(item: Any) -> str:
    return str(item["id"] if isinstance(item, dict) else item)


def _lines(data: dict[str, Any]) -> dict[str, Any]:
    lines = data.get("items")
    return {} if lines is None else {"items": [{"orderItem": x["item"], "quantity": x["quantity"]} for x in lines]}


def _order(number: str, data: dict[str, Any]) -> dict[str, Any]:
    """POST /api/orders."""
    snapshot, payments = data["customerSnapshot"], data["paymentIds"]
    terms = (
        "totalAmount",
        "currency",
        "shippingAmount",
        "customer",
        "customerSnapshot",
        "discountCode",
        "discountAmount",
    )
    return {
        "orderNumber": number,
        **{name: data[name] for name in terms if name in data},
        "orderProducts": [{k: v for k, v in line.items() if k != "item"} for line in data["items"]],
        "shippingAddress": {"recipientName": snapshot["name"], "postalCode": "06123", "address1": "12 Seonyudong 1-ro"},
        "paymentId": payments[0],
        **({"notes": "sent again, changed"} if data.get("resent") else {}),
    }


def _stripe(act: Act, beginning: datetime) -> dict[str, Any]:
    """Stripe's event object of the act; one that Stripe has no type for goes by its own."""
    data = act.data
    about: dict[str, Any] = {"id": data.get("paymentId", act.id), "object": "payment_intent"}
    if act.type == "PaymentSucceeded":
        currency = data["currency"]
        about |= {"amount_received": _minor(data["amount"], currency), "currency": currency.lower()}
        about["payment_method_types"] = ["link" if data.get("resent") else "card"]
    elif act.type == "PaymentFailed":
        about["last_payment_error"] = {"code": data["code"], "message": data["message"]}
    else:
        about["amount_due"] = data["points"]
    if act.subject is not None:
        about["metadata"] = {"orderNumber": act.subject}
    return {
        "id": act.id,
        "object": "event",
        "type": _STRIPE.get(act.type, act.type),
        "created": int(act.envelope(beginning).time.timestamp()),
        "data": {"object": about},
    }


def _minor(amount: str, currency: str) -> int | str:
    """In minor units; what is no amount stays what it is."""
    return UNITS.units(Money(Decimal(amount), currency)) if amount[:1].isdigit() else amount


def _sign_stripe(body: bytes, secret: str, now: int) -> dict[str, str]:
    signature = hmac.digest(secret.encode(), f"{now}.".encode() + body, "sha256").hex()
    return {"Stripe-Signature": f"t={now},v1={signature}"}


def _sign_standard(body: bytes, own_id: str, secret: str, now: datetime) -> dict[str, str]:
    return {
        "webhook-id": own_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(own_id, now, body.decode()),
    }


def _unexpected(method: str, path: str, answer: httpx.Response) -> Problem:
    return Problem(f"{method} {path} was answered {answer.status_code}: {answer.text[:500]}")
