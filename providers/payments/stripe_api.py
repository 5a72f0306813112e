"""Stripe's API by Stripe's own library: refunds, and how payments stand.

The library is imported at the first question: it takes a second. It retries nothing itself; who asks again, and under
which key, is decided by whoever keeps the attempt. Objects: “PaymentIntent”, “Charge”, “Refund”
(docs.stripe.com/api); errors by the library's classes (“Error handling”, docs.stripe.com/error-handling).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from events.money import MoneyError
from providers import http_client
from providers.base import NoAnswer, NotTold, Page, Payment, RefundError, RefundNotMade, RefundUnknown
from providers.movements import Dispute, RefundMovement, RefundRequest, given_back
from providers.payments.stripe_rules import DISPUTES, RULES, STATUSES, UNITS
from providers.refund_rules import RefundRules
from providers.webhook_verification import a_name

if TYPE_CHECKING:
    from stripe import StripeClient, StripeError

SOURCE = "stripe"
PAGE = 100  # objects of one answer, the most there are
REFERENCE = "refund"  # of a refund's metadata: our id
PARTS = ("payment_intents", "refunds", "disputes")  # lists, in the order in which they are gone through
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # of a question that no webhook made
_CHARGE = ("ch_", "py_")  # how a charge's id begins; a payment is an intent otherwise


class StripeApi:
    """A `PaymentLookup`, `RefundClient` and `PaymentListing`. May be shared by threads."""

    def __init__(self, base_url: str, api_key: str, *, rules: RefundRules = RULES) -> None:
        self.rules = rules
        self._base_url, self._api_key = base_url, api_key
        self._clients: dict[float, StripeClient] = {}
        self._lock = threading.Lock()

    # -- refunds

    def refund(self, request: RefundRequest) -> RefundMovement:
        """Give money back, once per id; `metadata.refund` carries it. Raises RefundError only."""
        import stripe

        about = {
            **_named(request.payment_id),
            "amount": UNITS.units(request.amount),
            "metadata": {REFERENCE: request.id, "reason": request.reason},
        }
        try:
            client = self._client(self.rules.answer_s)
            made = client.v1.refunds.create(about, {"idempotency_key": request.id})  # type: ignore[arg-type]
        except stripe.StripeError as error:
            raise self._failure(error) from error
        return self._movement(_plain(made), request.payment_id, RefundUnknown)

    def refunds(self, payment_id: str) -> Sequence[RefundMovement]:
        """All refunds of a payment, without the rest of an authorization that was never captured."""
        import stripe

        query = {**_named(payment_id), "limit": PAGE, "expand": ["data.charge"]}
        try:
            found = [_plain(each) for each in self._client().v1.refunds.list(query).auto_paging_iter()]  # type: ignore[arg-type]
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                return []
            raise RefundUnknown(_says(error)) from error
        except stripe.StripeError as error:
            raise RefundUnknown(_says(error)) from error
        return [self._movement(each, payment_id, RefundUnknown) for each in _without_uncaptured(found)]

    # -- look-ups

    def ask(self, kind: str, time: datetime, data: Mapping[str, Any]) -> Payment:
        """The state of the payment now; NotTold where the account has no such payment."""
        import stripe

        payment_id = data["paymentId"]
        try:
            client = self._client()
            if payment_id.startswith(_CHARGE):
                return self._of_charge(_plain(client.v1.charges.retrieve(payment_id)))
            wanted = {"expand": ["latest_charge"]}
            return self._of_intent(_plain(client.v1.payment_intents.retrieve(payment_id, wanted)))  # type: ignore[arg-type]
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                raise NotTold(f"{SOURCE} does not know payment {payment_id}: {_says(error)}") from error
            raise _silent(error) from error
        except stripe.StripeError as error:
            raise _silent(error) from error
        except (RefundUnknown, MoneyError, KeyError, TypeError) as error:
            raise NoAnswer(f"{SOURCE}: an answer in another shape: {error}") from error

    # -- listing

    def page(self, since: datetime, until: datetime, after: str | None) -> Page:
        """A page of payments begun in that time, then of refunds, then of disputes, newest first.

        `after` names the list and the last object of the page before: Stripe's `starting_after`.
        """
        part, _, last = (after or PARTS[0]).partition(" ")
        query = {"created": _span(since, until), "limit": PAGE, **({"starting_after": last} if last else {})}
        with _answers():
            try:
                found, more = self._listed(part, query)
            except _denied() as error:
                if part != PARTS[-1]:
                    raise
                remark = f"its disputes were not compared: let ORDERS_STRIPE_API_KEY read disputes ({_says(error)})"
                return Page(remark=remark)
            told = self._read(part, found)
        if more and found:
            return replace(told, after=f"{part} {found[-1]['id']}")
        rest = PARTS[PARTS.index(part) + 1 :]
        return replace(told, after=rest[0] if rest else None)

    def about(self, payment_id: str) -> Page | None:
        """A payment with its refunds and disputes; None where the account has none of that name."""
        try:
            payment = self.ask("", EPOCH, {"paymentId": payment_id})
        except NotTold:
            return None
        with _answers():
            movements = self.refunds(payment_id)
            try:
                found, _ = self._listed("disputes", {**_named(payment_id), "limit": PAGE})
                disputes = [_dispute(each) for each in found]
            except _denied():
                return Page((payment,), movements)
        return Page((payment,), movements, disputes)

    def _listed(self, part: str, query: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
        expanded = {"payment_intents": ["data.latest_charge"], "refunds": ["data.charge"]}.get(part)
        asked = {**query, **({"expand": expanded} if expanded else {})}
        answer = getattr(self._client().v1, part).list(asked)
        return [_plain(each) for each in answer.data], bool(answer.has_more)

    def _read(self, part: str, found: Sequence[dict[str, Any]]) -> Page:
        if part == "payment_intents":
            return Page([self._of_intent(each, movements=()) for each in found])
        if part == "disputes":
            return Page(disputes=[_dispute(each) for each in found])
        made = [
            self._movement(each, payment, NoAnswer)
            for each in found
            if (payment := _id(each.get("payment_intent")) or _id(each.get("charge"))) and _without_uncaptured([each])
        ]
        return Page(movements=made)

    # -- reading

    def _of_intent(self, intent: dict[str, Any], movements: Sequence[RefundMovement] | None = None) -> Payment:
        charge = intent.get("latest_charge")
        paid = isinstance(charge, dict) and charge.get("captured") is True and intent["status"] == "succeeded"
        failed = intent.get("last_payment_error") or {}
        ended: Literal["PaymentFailed", "PaymentCanceled"] | None = None
        if intent["status"] == "canceled":
            ended = "PaymentCanceled"
        elif intent["status"] == "requires_payment_method" and failed:
            ended = "PaymentFailed"
        found = self._of_charge(charge, movements) if isinstance(charge, dict) and paid else None
        metadata = intent.get("metadata") or {}
        return Payment(
            intent["id"],
            order_number=a_name(metadata.get("orderNumber")),
            currency=intent["currency"].upper(),
            captured_at=found.captured_at if found else None,
            captured=found.captured if found else None,
            refunded_at=found.refunded_at if found else None,
            refunded=found.refunded if found else None,
            ended=ended,
            ended_at=_time(intent.get("canceled_at") or intent["created"]) if ended else None,
            code=failed.get("decline_code") or failed.get("code") or intent.get("cancellation_reason"),
            message=failed.get("message"),
            method=found.method if found else None,
            receipt_url=found.receipt_url if found else None,
        )

    def _of_charge(self, charge: dict[str, Any], movements: Sequence[RefundMovement] | None = None) -> Payment:
        """A charge as it stands; its refunds are asked for where `movements` is None and some went back."""
        payment = _id(charge.get("payment_intent")) or charge["id"]
        came = charge.get("captured") is True
        whole = charge["amount"]
        captured = charge.get("amount_captured", whole)
        back = max(0, charge.get("amount_refunded", 0) - max(0, whole - captured)) if came else 0
        if movements is None:
            movements = self.refunds(payment) if back else []
        currency = charge["currency"].upper()
        details = charge.get("payment_method_details") or {}
        return Payment(
            payment,
            currency=currency,
            captured_at=_time(charge["created"]) if came else None,
            captured=UNITS.money(captured, currency).amount if came else None,
            refunded_at=max((m.time for m in movements), default=_time(charge["created"])) if back else None,
            refunded=(given_back(movements) or UNITS.money(back, currency).amount) if back else None,
            method=details.get("type"),
            receipt_url=charge.get("receipt_url"),
        )

    def _movement(self, refund: dict[str, Any], payment_id: str, fault: type[Exception]) -> RefundMovement:
        try:
            status = refund.get("status") or "succeeded"  # null for those of long ago
            return RefundMovement(
                refund["id"],
                payment_id,
                UNITS.money(refund["amount"], refund["currency"]).amount,
                STATUSES[status],
                _time(refund["created"]),
                (refund.get("metadata") or {}).get(REFERENCE),
                refund.get("failure_reason"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise fault(f"{SOURCE}: a refund in another shape: {type(error).__name__} {error}") from error

    # -- asking

    def _client(self, timeout: float | None = None) -> StripeClient:
        """The library's client; one per patience, since that is a property of its connections."""
        import requests
        import stripe

        patience = http_client.TIMEOUT_S if timeout is None else timeout
        with self._lock:
            if patience not in self._clients:
                session = requests.Session()
                session.trust_env = False  # a proxy that is set there cannot reach this machine's own ports
                self._clients[patience] = stripe.StripeClient(
                    self._api_key,
                    base_addresses={"api": self._base_url},
                    max_network_retries=0,
                    http_client=stripe.RequestsClient(
                        timeout=(min(http_client.TIMEOUT_S, patience), patience), session=session
                    ),
                )
            return self._clients[patience]

    def _failure(self, error: StripeError) -> RefundError:
        """The refund's error by the library's class, then by Stripe's code."""
        import stripe

        if isinstance(error, stripe.APIConnectionError):
            kind = RefundNotMade if _never_sent(error) else RefundUnknown
            return kind(f"{SOURCE}: no answer: {_line(error)}")
        told = error.json_body.get("error", {}) if isinstance(error.json_body, dict) else {}
        code = told.get("code") or told.get("type")  # the library leaves out an idempotency error's code
        return self.rules.failure(SOURCE, error.http_status or 500, code, error.user_message)


@contextmanager
def _answers() -> Iterator[None]:
    """A block whose failures are all NoAnswer, with the pause that Stripe asks for."""
    import stripe

    try:
        yield
    except stripe.StripeError as error:
        raise _silent(error) from error
    except (RefundUnknown, MoneyError, KeyError, TypeError) as error:
        raise NoAnswer(f"{SOURCE}: an answer in another shape: {type(error).__name__} {error}") from error


def _denied() -> type[StripeError]:
    """The error of a key that may not read something."""
    import stripe

    return stripe.PermissionError


def _silent(error: StripeError) -> NoAnswer:
    """An error of the library as no answer, with the pause that Stripe asks for, if it does."""
    headers = {str(name).lower(): str(value) for name, value in dict(error.headers or {}).items()}
    return NoAnswer(_says(error), http_client.pause_of(headers.get("retry-after", "")))


def _dispute(told: dict[str, Any]) -> Dispute:
    payment = _id(told.get("payment_intent")) or _id(told["charge"])
    status = told["status"]
    return Dispute(
        told["id"],
        payment,
        UNITS.money(told["amount"], told["currency"]).amount,
        DISPUTES.get(status, "open"),
        _time(told["created"]),
        told.get("reason"),
    )


def _named(payment_id: str) -> dict[str, Any]:
    return {"charge" if payment_id.startswith(_CHARGE) else "payment_intent": payment_id}


def _without_uncaptured(refunds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Refunds but for the one that Stripe may make of what was authorized and not captured.

    Reported by shops, and not in its reference: it has the rest's amount, none of our ids, and is the first of them.
    """
    kept = sorted(refunds, key=lambda each: each.get("created") or 0)
    for place, refund in enumerate(kept):
        charge = refund.get("charge")
        if not isinstance(charge, dict):
            continue
        if charge.get("captured") is False:
            return []
        rest = charge.get("amount", 0) - charge.get("amount_captured", charge.get("amount", 0))
        if rest > 0 and refund.get("amount") == rest and not (refund.get("metadata") or {}).get(REFERENCE):
            return kept[:place] + kept[place + 1 :]
    return kept


def _never_sent(error: BaseException) -> bool:
    """Whether the connection failed before a byte of the request went out."""
    from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

    cause: Any = error.__cause__ or error.__context__
    while cause is not None:
        inner = cause.args[0] if getattr(cause, "args", None) else None
        reason = inner.reason if isinstance(inner, MaxRetryError) else None
        if isinstance(reason or cause, (NewConnectionError, ConnectTimeoutError)):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _plain(found: Any) -> dict[str, Any]:
    """An object of the library as the dict that it came as."""
    plain: dict[str, Any] = found.to_dict()
    return plain


def _id(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _span(since: datetime, until: datetime) -> dict[str, int]:
    return {"gte": int(since.timestamp()), "lt": int(until.timestamp())}


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500]


def _says(error: StripeError) -> str:
    hint = "; check ORDERS_STRIPE_API_KEY" if error.http_status in (401, 403) else ""
    return f"{SOURCE}: answered {error.http_status or 'nothing'} {error.code or ''}: {_line(error)}{hint}"
