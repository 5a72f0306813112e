"""Bodies of events about payments under way, refunds, and prices that are taken as enough."""

from __future__ import annotations

from events.body import Body, Decision, PaymentBody
from events.field_types import Allocation, Amount, GrantReason, Moment, Name, PendingKind, Text


class PaymentPending(PaymentBody):
    """A payment is under way: authorized, processing, or awaiting a deposit; its order does not expire before `until`."""

    kind: PendingKind
    amount: Amount | None = None
    until: Moment | None = None


class RefundFailed(PaymentBody):
    """One refund came to nothing, at once or days later: that money is owed again."""

    refund: Name
    amount: Amount | None = None
    requestedAt: Moment | None = None
    code: Text | None = None
    message: Text | None = None


class OrderAccepted(Decision):
    """Somebody takes an underpayment as enough: the order is covered once so much is captured."""

    amount: Amount


class _OfRefund(Body):
    """The base of bodies about one refund, by the provider's id or ours."""

    refund: Name
    by: Name | None = None
    personal: Name | None = None


class RefundRequested(_OfRefund):
    """Somebody gives money back without a return: goodwill, shipping, or for another reason."""

    amount: Amount
    reason: GrantReason
    paymentId: Name | None = None


class RefundSettled(_OfRefund):
    """Somebody paid a refund back past the provider; it counts where that refund failed or was never made.

    `amount` is for one that nothing else tells of: it was asked of no provider, or was refused there.
    """

    method: Name
    amount: Amount | None = None


class RefundAllocated(Body):
    """The purpose of a refund that was made at the provider by hand; `due` counts it toward what is due, as before."""

    refund: Name
    reason: Allocation
    by: Name | None = None
