"""The part of a simulated provider that is the same whatever it speaks: how a refund goes, and what goes wrong.

A `Dialect` knows how the provider writes; the desk keeps its books, its idempotency keys and its webhooks, and meets the
mishaps, each in a share of its own:

    of a payment, every time       refused        it says no, for good
                                   open           it is pending, and succeeds a pace later
                                   late_failure   it is made, and fails a pace later
    of a request, now and then     timeout        acts, then says nothing
                                   slow           says nothing for a while, then acts: meanwhile its key is busy
                                   stored_error   answers 500, and so each time under the same key
                                   rate_limit     answers 429; a list with a Retry-After of a second
                                   unavailable    answers a question 503
    of a webhook                   twice          is sent twice

Paths that begin with /_simulator are no provider's: whoever plays the customers and the shop's staff uses them.

    PUT  /_simulator/payments/ID           {"amount", "currency"} and "orderNumber", "method", "state", "taxFree": somebody paid;
                                           with "webhook": false nobody is told
    POST /_simulator/payments/ID/refunds   {"amount"} and "taxFree": given back at the provider's own pages; "webhook" as above
    POST /_simulator/payments/ID/disputes  {"dispute", "amount", "state"}: the payer's bank asks (open), or is done (won, lost)
    GET  /_simulator/books                 every payment with its refunds, and how many webhooks wait
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import httpx
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from events.money import Money, MoneyError
from providers.simulators.books import Answer, Books, Dispute, Payment, Refund
from providers.simulators.process import Dropped, Mishaps

MISHAPS = ("refused", "open", "late_failure", "timeout", "slow", "stored_error", "rate_limit", "unavailable", "twice")
TICK_S = 0.05  # between two looks at what is due
AGAIN_S = 0.5  # until a webhook that nobody took is sent again
SENDERS = 16  # webhooks at once
WEBHOOK_S = 5.0  # that whoever takes one has


@dataclass(frozen=True, slots=True)
class Wanted:
    """A refund as somebody asked for it; None of `amount`: all that is left."""

    payment_id: str
    amount: Decimal | None
    reason: str = ""
    reference: str | None = None
    refundable: Decimal | None = None  # what the asker believes can still go back
    tax_free: Decimal = Decimal(0)  # of the amount
    vat: Decimal = Decimal(0)


class Dialect(Protocol):
    """The way in which one provider writes. Errors are answers, with their status."""

    name: str
    late: str  # status of a refund that will fail: as if it were made, or still open
    replayed: Mapping[str, str]  # headers of an answer that is given again
    stores_errors: bool  # a 500 is given again under its key

    def refund_id(self, number: int) -> str:
        """The id of the refund of this number."""
        ...

    def error(self, kind: str, payment_id: str) -> Answer:
        """unknown, refused, busy, reused, rate_limit, stored_error, unavailable, stale, exceeds, tax_free, unauthorized."""
        ...

    def made(self, books: Books, payment: Payment, refund: Refund) -> Answer:
        """The answer to a refund that was made, or is open."""
        ...

    def webhooks(self, books: Books, payment: Payment, refund: Refund | None, change: str) -> list[tuple[str, Any]]:
        """(id, document) of what is told: `change` is paid, refunded, opened, failed, or succeeded after it was open."""
        ...

    def signed(self, own_id: str, body: bytes) -> dict[str, str]:
        """The headers of a webhook."""
        ...

    def disputed(self, payment: Payment, dispute: Dispute) -> list[tuple[str, Any]]:
        """(id, document) of what is told of a dispute; nothing where the provider tells of none."""
        ...

    def routes(self, desk: Desk) -> list[Route]:
        """The provider's own paths."""
        ...


@dataclass(slots=True)
class Desk:
    """One provider at work."""

    books: Books
    dialect: Dialect
    mishaps: Mishaps
    shares: Mapping[str, float]
    pace_s: float = 2.0  # until an open refund has its end
    patience_s: float = 2.0  # that a mishap keeps a client waiting
    webhook_url: str | None = None
    _running: set[str] = field(default_factory=set)  # keys whose first request has no answer yet

    def refusal(self, request: Request, authorization: str) -> Response | None:
        """The answer to who does not come with this Authorization; None to who does."""
        if request.headers.get("authorization") == authorization:
            return None
        return _response(self.dialect.error("unauthorized", request.url.path))

    # -- refunds

    async def give_back(self, wanted: Wanted, key: str | None, body: bytes) -> Response:
        """A refund, once per key, with whatever goes wrong."""
        about, dialect = wanted.payment_id, self.dialect
        digest = hashlib.sha256(about.encode() + b"\n" + body).hexdigest()
        if self._meets("rate_limit", about):
            return _response(dialect.error("rate_limit", about))
        if key:
            kept = self.books.answer(key)
            if kept is not None:
                same = kept.digest == digest
                return _response(kept if same else dialect.error("reused", about), dialect.replayed if same else {})
            if key in self._running:
                return _response(dialect.error("busy", about))
            self._running.add(key)
        try:
            if self._meets("slow", about):
                await asyncio.sleep(self.patience_s)
            answer = self._act(wanted, key, digest)
        finally:
            self._running.discard(key or "")
        if self._meets("timeout", about):
            await asyncio.sleep(self.patience_s)
            return Dropped()
        return _response(answer)

    def _act(self, wanted: Wanted, key: str | None, digest: str) -> Answer:
        """The refund, or why not, with what is kept of it, in one transaction."""
        with self.books.together():
            if self._meets("stored_error", wanted.payment_id):
                answer = self.dialect.error("stored_error", wanted.payment_id)
            else:
                answer = self.made(wanted, key)
            if key and (answer.status < 500 or self.dialect.stores_errors):
                self.books.keep(key, Answer(answer.status, answer.document, digest))
        return answer

    def made(self, wanted: Wanted, key: str | None, *, tell: bool = True) -> Answer:
        """A refund in the books, or the provider's no. In a transaction of the caller's."""
        payment = self.books.payment(wanted.payment_id)
        if payment is None:
            return self.dialect.error("unknown", wanted.payment_id)
        left = payment.captured - self.books.gone(payment.payment_id)
        amount = left if wanted.amount is None else wanted.amount
        if key and self._always("refused", payment.payment_id):
            return self.dialect.error("refused", payment.payment_id)
        if wanted.refundable is not None and wanted.refundable != left:
            return self.dialect.error("stale", payment.payment_id)
        if amount <= 0 or amount > left:
            return self.dialect.error("exceeds", payment.payment_id)
        free_left = payment.tax_free - self.books.gone_tax_free(payment.payment_id)
        if wanted.tax_free > free_left or amount - wanted.tax_free > left - free_left:
            return self.dialect.error("tax_free", payment.payment_id)
        now = time.time()
        refund = Refund(
            self.dialect.refund_id(self.books.next_number()),
            payment.payment_id,
            amount,
            wanted.reason,
            wanted.reference,
            key,
            "succeeded",
            now,
            tax_free=wanted.tax_free,
            vat=wanted.vat,
        )
        if key and self._always("late_failure", payment.payment_id):
            refund.status, refund.ends_at, refund.ends_as = self.dialect.late, now + self.pace_s, "failed"
        elif key and self._always("open", payment.payment_id):
            refund.status, refund.ends_at, refund.ends_as = "pending", now + self.pace_s, "succeeded"
        self.books.add(refund)
        if tell:
            self._tell(payment, refund, "refunded" if refund.status == "succeeded" else "opened")
        return self.dialect.made(self.books, payment, refund)

    def pay(self, payment: Payment, *, tell: bool = True) -> None:
        """Somebody pays; the shop is told, unless whoever plays it tells it himself."""
        with self.books.together():
            self.books.put(payment)
            if tell:
                self._tell(payment, None, "paid" if payment.captured else payment.state)

    # -- questions

    def question(self, about: str) -> Response | None:
        """The mishap that a question meets, None where it is to be answered; ends that have come are there."""
        self.end_due()
        return _response(self.dialect.error("unavailable", about)) if self._meets("unavailable", about) else None

    def list_question(self, about: str) -> Response | None:
        """The mishap that a question for a list meets, such as that there were too many of them."""
        if self._meets("rate_limit", about):
            return _response(self.dialect.error("rate_limit", about), {"Retry-After": "1"})
        return self.question(about)

    def end_due(self) -> None:
        """Give refunds whose time has come their end."""
        with self.books.together():
            for refund in self.books.end_due(time.time()):
                payment = self.books.payment(refund.payment_id)
                if payment is not None:
                    self._tell(payment, refund, refund.status)

    # -- mishaps and webhooks

    def _meets(self, kind: str, subject: str) -> bool:
        """Whether this request meets a mishap: by the seed, its subject and how often that was asked."""
        share = self.shares.get(kind, 0.0)
        return share > 0 and self.mishaps.chance(f"{kind} {subject}") < share

    def _always(self, kind: str, subject: str) -> bool:
        """Whether a payment has a fate: by the seed and its id, every time the same."""
        return self.mishaps.fate(f"{kind} {subject}") < self.shares.get(kind, 0.0)

    def _tell(self, payment: Payment, refund: Refund | None, change: str) -> None:
        if self.webhook_url is not None:
            self.tell(self.dialect.webhooks(self.books, payment, refund, change))

    def tell(self, webhooks: Sequence[tuple[str, Any]]) -> None:
        """Have webhooks sent, (id, document) each, where anybody is to be told."""
        if self.webhook_url is None:
            return
        now = time.time()
        for own_id, document in webhooks:
            self.books.queue(own_id, document, now)
            if self._meets("twice", own_id):
                self.books.queue(own_id, document, now + self.pace_s / 2)

    async def work(self) -> None:
        """Give refunds their ends and send webhooks, until cancelled."""
        async with httpx.AsyncClient(timeout=WEBHOOK_S, trust_env=False) as client:
            while True:
                self.end_due()
                due = self.books.webhooks_due(time.time(), SENDERS) if self.webhook_url else []
                await asyncio.gather(
                    *(self._send(client, each.number, each.own_id, each.body.encode()) for each in due)
                )
                if len(due) < SENDERS:
                    await asyncio.sleep(TICK_S)

    async def _send(self, client: httpx.AsyncClient, number: int, own_id: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json", **self.dialect.signed(own_id, body)}
        taken = False
        with contextlib.suppress(httpx.HTTPError):
            taken = (await client.post(self.webhook_url or "", content=body, headers=headers)).is_success
        if taken:
            self.books.webhook_sent(number)
        else:
            self.books.webhook_later(number, time.time() + AGAIN_S)


# -- the application -----------------------------------------------------------------------------------------


def application(desk: Desk) -> Starlette:
    """One simulated provider: its own paths, and those of whoever plays its customers."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        worker = asyncio.create_task(desk.work())
        yield
        worker.cancel()

    control = [
        Route("/_simulator/payments/{payment_id:path}/refunds", _dashboard(desk), methods=["POST"]),
        Route("/_simulator/payments/{payment_id:path}/disputes", _disputing(desk), methods=["POST"]),
        Route("/_simulator/payments/{payment_id:path}", _paying(desk), methods=["PUT"]),
        Route("/_simulator/books", _books(desk), methods=["GET"]),
    ]
    return Starlette(routes=[*control, *desk.dialect.routes(desk)], lifespan=lifespan)


def _paying(desk: Desk) -> Any:
    async def put(request: Request) -> Response:
        try:
            asked = orjson.loads(await request.body())
            money = Money(Decimal(str(asked["amount"])), str(asked["currency"]).upper())
        except (orjson.JSONDecodeError, KeyError, TypeError, InvalidOperation, MoneyError) as error:
            return JSONResponse({"error": f"send an amount and a currency: {error}"}, 400)
        state, now = str(asked.get("state", "paid")), time.time()
        captured = money.amount if state == "paid" else Decimal(0)
        payment = Payment(
            request.path_params["payment_id"],
            asked.get("orderNumber"),
            money.amount,
            money.currency,
            str(asked.get("method", "card")),
            state,
            captured,
            now,
            now,
            Decimal(str(asked.get("taxFree", 0))),
        )
        desk.pay(payment, tell=bool(asked.get("webhook", True)))
        return JSONResponse({"payment_id": payment.payment_id, "state": state})

    return put


def _dashboard(desk: Desk) -> Any:
    async def post(request: Request) -> Response:
        asked = orjson.loads(await request.body() or b"{}")
        amount = Decimal(str(asked["amount"])) if "amount" in asked else None
        free = Decimal(str(asked.get("taxFree", 0)))
        with desk.books.together():
            wanted = Wanted(request.path_params["payment_id"], amount, "by hand", tax_free=free)
            answer = desk.made(wanted, None, tell=bool(asked.get("webhook", True)))
        return _response(answer)

    return post


def _disputing(desk: Desk) -> Any:
    async def post(request: Request) -> Response:
        asked = orjson.loads(await request.body() or b"{}")
        payment = desk.books.payment(request.path_params["payment_id"])
        if payment is None:
            return _response(desk.dialect.error("unknown", request.path_params["payment_id"]))
        state = str(asked.get("state", "open"))
        if state not in ("open", "won", "lost"):
            return JSONResponse({"error": "state must be open, won or lost"}, 400)
        own_id = str(asked.get("dispute") or f"dp_{payment.payment_id}")
        dispute = Dispute(
            own_id, payment.payment_id, Decimal(str(asked.get("amount", payment.captured))), state, time.time()
        )
        with desk.books.together():
            kept = [each for each in desk.books.disputes(payment.payment_id) if each.dispute_id == own_id]
            dispute.at = kept[0].at if kept else dispute.at
            desk.books.dispute(dispute)
            if asked.get("webhook", True):
                desk.tell(desk.dialect.disputed(payment, dispute))
        return JSONResponse({"dispute": own_id, "state": state})

    return post


def _books(desk: Desk) -> Any:
    async def get(request: Request) -> Response:
        desk.end_due()
        found: dict[str, dict[str, Any]] = {
            each.payment_id: {
                "amount": format(each.amount, "f"),
                "captured": format(each.captured, "f"),
                "currency": each.currency,
                "state": each.state,
                "refunds": [],
            }
            for each in desk.books.payments()
        }
        for refund in desk.books.refunds():
            kept = {"id": refund.refund_id, "amount": format(refund.amount, "f"), "status": refund.status}
            kept |= {"taxFree": format(refund.tax_free, "f"), "vat": format(refund.vat, "f")}
            found[refund.payment_id]["refunds"].append({**kept, "key": refund.key, "reference": refund.reference})
        return JSONResponse({"payments": found, "webhooks_waiting": desk.books.webhooks_waiting()})

    return get


def _response(answer: Answer, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(answer.document, answer.status, dict(headers or {}))
