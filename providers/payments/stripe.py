"""Stripe's webhooks → our events. Pure: bytes, headers, secrets and a time in, a notice out; its API is `stripe_api`.

The signature is Stripe's "Check the webhook signatures" (docs.stripe.com/webhooks/signature), by hand and not by
the `stripe` library: that one reads the clock itself, believes signatures from the future, and takes a second to
import. Event types and fields: "The Event object", "Types of events" (docs.stripe.com/api/events); amounts are in
units of Stripe's own (`stripe_rules`).

Captured and refunded ("Place a hold on a payment method", docs.stripe.com/payments/place-a-hold-on-a-payment-method):
Stripe counts what was authorized and never captured among `amount_refunded`. That is no refund: it is taken off what
went back of a charge captured in part, and a charge that was never captured is voided, and gives nothing back.

A payment is known by its payment intent, whichever of Stripe's objects tells of it; a charge without one, as old
integrations make them, by itself. What we do not use is kept whole, without whoever pays, as `stripe.<type>`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeGuard

from events.envelope import Envelope, EnvelopeError
from events.money import MoneyError
from providers.base import Ability, BadSignature, Provider, ReceivedWebhook, with_secrets
from providers.movements import CAME_TO_NOTHING
from providers.payments.stripe_api import SOURCE, StripeApi
from providers.payments.stripe_rules import DISPUTES, RULES, STATUSES, UNITS
from providers.webhook_verification import (
    a_name,
    an_object,
    any_matches,
    check_time,
    document,
    envelope,
)
from settings import fields
from settings.fields import Setting, Values

HEADER = "stripe-signature"
SECRETS = Setting(
    "ORDERS_STRIPE_SECRETS", "", "Stripe's webhook secrets (whsec_…), comma-separated while they rotate", fields.secrets,
    secret=True, example="whsec_0123456789abcdef",
)  # fmt: skip
API_KEY = Setting(
    "ORDERS_STRIPE_API_KEY", None, "Stripe's secret or restricted key (refunds: write; payment intents, charges, disputes: read)",
    fields.text, secret=True, example="sk_test_0123456789abcdef",
    about=("With it refunds go out by themselves, and Stripe can be asked how a payment stands.",),
)  # fmt: skip
API_URL = Setting(
    "ORDERS_STRIPE_API_URL", "https://api.stripe.com", "where Stripe's API is asked", fields.http_url, url=True
)

# Who pays, where they live, what they pay with, and what acts in their name: never into the journal.
PERSONAL = frozenset(
    "billing_details receipt_email shipping shipping_details shipping_address customer_details "
    "customer_email customer_name customer_phone customer_address customer_shipping customer_tax_ids "
    "collected_information custom_fields owner individual evidence email phone name address client_secret".split()
)

Meaning = tuple[str, dict[str, Any]]  # one of our types, and its data


def receive(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime) -> ReceivedWebhook:
    """A notification, verified and translated; raises BadSignature or EnvelopeError."""
    verify(body, headers.get(HEADER, ""), secrets, now)
    return ReceivedWebhook(translate(body))


def _api(values: Values) -> StripeApi:
    return StripeApi(values[API_URL], values[API_KEY])


PROVIDER = Provider(
    name=SOURCE,
    kind="payments",
    title="Stripe",
    settings=(SECRETS, API_KEY, API_URL),
    receives=Ability(with_secrets(receive, SECRETS), needs=(SECRETS,)),
    looks_up=Ability(_api, needs=(API_KEY,)),
    refunds=Ability(_api, needs=(API_KEY,)),
    refund_rules=RULES,
    lists=Ability(_api, needs=(API_KEY,)),
    note="signed, and says all",
)


def verify(body: bytes, header: str, secrets: Sequence[str], now: datetime) -> None:
    """Accept the raw body, or raise BadSignature. Any of several v1 under any secret; other schemes count nothing."""
    pairs = [part.strip().split("=", 1) for part in header.split(",") if "=" in part]
    sent = next((value for key, value in pairs if key == "t"), "")
    if not re.fullmatch("[0-9]{1,11}", sent):
        raise BadSignature("stripe: Stripe-Signature has no t=; this is no webhook of Stripe's")
    check_time(datetime.fromtimestamp(int(sent), UTC), now, "stripe")
    signed = sent.encode() + b"." + body
    ours = [hmac.digest(secret.encode(), signed, "sha256").hex().encode() for secret in secrets]
    if not any_matches(ours, [value.encode() for key, value in pairs if key == "v1"]):
        raise BadSignature("stripe: no v1 matches; compare the endpoint's secret with ORDERS_STRIPE_SECRETS")


def translate(body: bytes) -> Envelope:
    """One notification, one envelope; EnvelopeError where it is no event of Stripe's."""
    note = document(body)
    kind, created = note.get("type"), note.get("created")
    if not isinstance(kind, str):
        raise EnvelopeError("type", "is missing; this is no event of Stripe's")
    if not isinstance(created, int) or isinstance(created, bool):
        raise EnvelopeError("created", "must be seconds since 1970")
    try:
        time = datetime.fromtimestamp(created, UTC)
    except (OverflowError, ValueError, OSError):
        raise EnvelopeError("created", "lies beyond the calendar") from None
    about = an_object(an_object(note, "data"), "object", "data.")
    means = _MEANINGS.get(kind)
    meaning = means(about) if means else None
    if meaning is None:
        return envelope(SOURCE, note.get("id"), f"stripe.{kind}", time, _without_personal(note))
    ours, data = meaning
    metadata = about.get("metadata")
    number = a_name(metadata.get("orderNumber")) if isinstance(metadata, dict) else None
    return envelope(SOURCE, note.get("id"), ours, time, data, number)


def _under_way(intent: dict[str, Any]) -> Meaning:
    """payment_intent.processing: a bank takes its time, days of it."""
    return _pending(intent, intent.get("id"), "processing", intent.get("amount"))


def _held(intent: dict[str, Any]) -> Meaning:
    """payment_intent.amount_capturable_updated: held on a card, to be captured."""
    return _pending(intent, intent.get("id"), "authorized", intent.get("amount_capturable"))


def _pending(about: dict[str, Any], payment: Any, kind: str, units: Any, until: Any = None) -> Meaning:
    money = _money(about, units, "amount")
    amount = {"amount": money["amount"]} if "amount" in money else {}
    return "PaymentPending", {**amount, **_present(paymentId=payment, kind=kind, until=_rfc3339(until))}


def _intent(intent: dict[str, Any]) -> Meaning:
    """payment_intent.succeeded."""
    return "PaymentSucceeded", {
        **_money(intent, intent.get("amount_received"), "amount"),
        **_present(paymentId=intent.get("id"), paymentMethod=_only(intent.get("payment_method_types"))),
    }


def _session(session: dict[str, Any]) -> Meaning | None:
    """checkout.session.completed, .async_payment_succeeded: paid; on its way; or free, which is a payment of nothing.

    Those of a subscription keep their own name.
    """
    status, payment = session.get("payment_status"), _id(session.get("payment_intent"))
    if status == "no_payment_required" and session.get("amount_total") == 0 and session.get("mode") == "payment":
        payment = payment or session.get("id")  # there is no intent; the session stands for it
    elif status == "unpaid" and payment:
        return _pending(session, payment, "processing", session.get("amount_total"))
    elif status != "paid" or not payment:
        return None
    return "PaymentSucceeded", {
        **_money(session, session.get("amount_total"), "amount"),
        **_present(paymentId=payment, paymentMethod=_only(session.get("payment_method_types"))),
    }


def _session_failed(session: dict[str, Any]) -> Meaning | None:
    """checkout.session.async_payment_failed: the transfer that was promised did not come."""
    payment = _id(session.get("payment_intent"))
    return ("PaymentFailed", {"paymentId": payment, "code": "async_payment_failed"}) if payment else None


def _charge(charge: dict[str, Any]) -> Meaning | None:
    """charge.succeeded and charge.captured; one that only holds money on a card is under way, and not paid."""
    details = charge.get("payment_method_details")
    if charge.get("captured") is not True:
        card = details.get("card") if isinstance(details, dict) else None
        until = card.get("capture_before") if isinstance(card, dict) else None
        return _pending(charge, _payment_of(charge), "authorized", charge.get("amount"), until)
    return "PaymentSucceeded", {
        **_money(charge, _captured(charge), "amount"),
        **_present(
            paymentId=_payment_of(charge),
            paymentMethod=details.get("type") if isinstance(details, dict) else None,
            receiptUrl=charge.get("receipt_url"),
        ),
    }


def _failed(intent: dict[str, Any]) -> Meaning:
    """payment_intent.payment_failed."""
    error = intent.get("last_payment_error")
    error = error if isinstance(error, dict) else {}
    code = error.get("decline_code") or error.get("code")
    return "PaymentFailed", _present(paymentId=intent.get("id"), code=code, message=error.get("message"))


def _canceled(intent: dict[str, Any]) -> Meaning:
    """payment_intent.canceled."""
    return "PaymentCanceled", _present(paymentId=intent.get("id"), code=intent.get("cancellation_reason"))


def _refunded(charge: dict[str, Any]) -> Meaning | None:
    """charge.refunded, cumulative. An authorization that was given up comes as one, too: it is canceled.

    Nothing where all that "went back" is what had never been captured.
    """
    whole, back = charge.get("amount"), charge.get("amount_refunded")
    if charge.get("captured") is False:
        voided = charge.get("refunded") is True or (isinstance(whole, int) and back == whole)
        return ("PaymentCanceled", _present(paymentId=_payment_of(charge), code="voided")) if voided else None
    captured = charge.get("amount_captured", whole)
    if _is_whole(whole) and _is_whole(back) and _is_whole(captured):
        back = max(0, back - max(0, whole - captured))
        if back == 0:
            return None
    money = _money(charge, back, "refundedAmount")
    money.pop("currency", None)
    return "PaymentRefunded", {**money, **_present(paymentId=_payment_of(charge))}


def _refund(refund: dict[str, Any]) -> Meaning | None:
    """refund.* and charge.refund.updated: one refund by its id, as it stands.

    Nothing where no money moved for it though it "succeeded": so Stripe is reported to make one of what was authorized and
    never captured. Its reference does not say so: that such a one has no balance transaction is a guess.
    """
    status = refund.get("status") or "succeeded"
    if status == "succeeded" and refund.get("balance_transaction", "unsaid") is None:
        return None
    money = _money(refund, refund.get("amount"), "amount")
    if "amount" not in money:
        return None
    payment = _id(refund.get("payment_intent")) or _id(refund.get("charge"))
    one = _present(
        paymentId=payment, refund=refund.get("id"), amount=money["amount"], requestedAt=_rfc3339(refund.get("created"))
    )
    if status in CAME_TO_NOTHING:
        return "RefundFailed", {**one, **_present(code=refund.get("failure_reason"))}
    return ("PaymentRefunded", {**one, "status": status}) if status in STATUSES else None


def _disputed(dispute: dict[str, Any]) -> Meaning:
    """charge.dispute.*, by its id."""
    status = dispute.get("status")
    outcome = DISPUTES.get(status) if isinstance(status, str) else None
    payment = _id(dispute.get("payment_intent")) or _id(dispute.get("charge"))
    money = _money(dispute, dispute.get("amount"), "amount")
    return "PaymentDisputed", _present(
        paymentId=payment,
        dispute=dispute.get("id"),
        amount=money.get("amount"),
        reason=dispute.get("reason"),
        outcome=outcome,
    )


_MEANINGS: dict[str, Callable[[dict[str, Any]], Meaning | None]] = {
    "payment_intent.succeeded": _intent,
    "payment_intent.processing": _under_way,
    "payment_intent.amount_capturable_updated": _held,
    "checkout.session.completed": _session,
    "checkout.session.async_payment_succeeded": _session,
    "checkout.session.async_payment_failed": _session_failed,
    "charge.succeeded": _charge,
    "charge.captured": _charge,
    "payment_intent.payment_failed": _failed,
    "payment_intent.canceled": _canceled,
    "charge.refunded": _refunded,
    "charge.refund.updated": _refund,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _disputed,
    "charge.dispute.updated": _disputed,
    "charge.dispute.closed": _disputed,
    "charge.dispute.funds_withdrawn": _disputed,
    "charge.dispute.funds_reinstated": _disputed,
}


def _captured(charge: dict[str, Any]) -> Any:
    """Before `amount_captured` (API 2020-08-27), what was not captured counted as refunded."""
    whole, back = charge.get("amount"), charge.get("amount_refunded")
    if "amount_captured" not in charge and _is_whole(whole) and _is_whole(back):
        return whole - back
    return charge.get("amount_captured")


def _is_whole(units: Any) -> TypeGuard[int]:
    return isinstance(units, int) and not isinstance(units, bool)


def _payment_of(charge: dict[str, Any]) -> Any:
    return _id(charge.get("payment_intent")) or charge.get("id")


def _id(value: Any) -> Any:
    """An id, also where Stripe expanded it to the object."""
    return value.get("id") if isinstance(value, dict) else value


def _only(values: Any) -> Any:
    """The one way to pay there was; of several we do not know which was taken."""
    return values[0] if isinstance(values, list) and len(values) == 1 else None


def _money(about: dict[str, Any], units: Any, name: str) -> dict[str, Any]:
    """`units` in major units. What is no money is kept beside it: the event dies, and a person can see of what."""
    currency = about.get("currency")
    if _is_whole(units) and isinstance(currency, str):
        try:
            money = UNITS.money(units, currency)
            return {name: format(money.amount, "f"), "currency": money.currency, "provider": SOURCE}
        except MoneyError:
            pass
    return {"provider": SOURCE, "stripe": _without_personal(about)}


def _rfc3339(seconds: Any) -> str | None:
    """Seconds since 1970 as a time of ours; None for what is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat() if _is_whole(seconds) else None
    except (OverflowError, ValueError, OSError):
        return None


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _without_personal(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_personal(inner) for name, inner in value.items() if name not in PERSONAL}
    return [_without_personal(inner) for inner in value] if isinstance(value, list) else value
