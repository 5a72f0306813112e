"""Stripe's objects as its reference writes them (docs.stripe.com/api), by hand and not by our adapter or its simulator.

Amounts are Stripe's units. Only what a webhook's reader may need stands in them.
"""

from __future__ import annotations

from typing import Any


def intent(payment: str, units: int, currency: str, *, received: int | None = None, **more: Any) -> dict[str, Any]:
    """A payment intent; all of it is received unless `received` says otherwise."""
    return {
        "id": payment,
        "object": "payment_intent",
        "amount": units,
        "amount_received": units if received is None else received,
        "currency": currency.lower(),
        "payment_method_types": ["card"],
        **more,
    }


def charge(
    payment: str, units: int, currency: str, *, captured: int | None = None, back: int = 0, **more: Any
) -> dict[str, Any]:
    """A charge of a payment intent; `back` is `amount_refunded`, among which Stripe counts what was not captured."""
    kept = units if captured is None else captured
    return {
        "id": f"ch_{payment}",
        "object": "charge",
        "amount": units,
        "amount_captured": kept,
        "amount_refunded": back,
        "captured": kept > 0,
        "refunded": back == units,
        "currency": currency.lower(),
        "payment_intent": payment,
        "payment_method_details": {"type": "card"},
        **more,
    }


def refund(
    payment: str, own_id: str, units: int, currency: str, status: str = "succeeded", **more: Any
) -> dict[str, Any]:
    """One refund, made in the dashboard unless its metadata says otherwise."""
    return {
        "id": own_id,
        "object": "refund",
        "amount": units,
        "currency": currency.lower(),
        "payment_intent": payment,
        "charge": f"ch_{payment}",
        "balance_transaction": f"txn_{own_id}",
        "metadata": {},
        "status": status,
        **more,
    }


def dispute(payment: str, own_id: str, units: int, currency: str, status: str) -> dict[str, Any]:
    """One dispute: needs_response, won or lost."""
    about = {"amount": units, "currency": currency.lower(), "reason": "fraudulent", "status": status}
    return {"id": own_id, "object": "dispute", "payment_intent": payment, "charge": f"ch_{payment}", **about}


def session(payment: str | None, units: int, currency: str, status: str, **more: Any) -> dict[str, Any]:
    """A Checkout session in mode `payment`."""
    return {
        "id": f"cs_{payment or more.get('order')}",
        "object": "checkout.session",
        "mode": "payment",
        "amount_total": units,
        "currency": currency.lower(),
        "payment_intent": payment,
        "payment_method_types": ["sepa_debit"],
        "payment_status": status,
        **more,
    }
