"""Kinds of findings: what differs between a provider and us, what it means, and what a person does about it."""

from __future__ import annotations

from domain.words import Worded


class Kind(Worded):
    """A way in which a provider's side and ours differ, and what it means."""

    PAYMENT_THERE = "payment_there", "paid there and not here: its webhook was lost"
    PAYMENT_ENDED_THERE = "payment_ended_there", "failed or canceled there, open here: its webhook was lost"
    PAYMENT_HERE = "payment_here", "paid here, and the provider knows of no money"
    AMOUNT_DIFFERS = "amount_differs", "paid on both sides, and not the same amount"
    CURRENCY_DIFFERS = "currency_differs", "the two sides have it in two currencies"
    ORDER_UNKNOWN = "order_unknown", "the provider has it, and no order of ours names that payment"
    ORDER_PAID_OTHERWISE = "order_paid_otherwise", "its order is paid here by another payment: it may be the same money"
    REFUND_THERE = "refund_there", "went back there and not here: made on the provider's pages, or its webhook was lost"
    REFUND_ENDED_THERE = "refund_ended_there", "arrived there, on its way here: its webhook was lost"
    REFUND_FAILED_THERE = "refund_failed_there", "failed there, counted as given back here: that money is owed again"
    REFUND_HERE = "refund_here", "went back here, and the provider knows of no such refund"
    REFUND_DIFFERS = "refund_differs", "both sides know the refund, and not the same of it"
    DISPUTE_THERE = "dispute_there", "disputed there and not here: its webhook was lost"
    DISPUTE_ENDED_THERE = "dispute_ended_there", "decided there, open here: its webhook was lost"
    DISPUTE_HERE = "dispute_here", "disputed here, and the provider knows of no such dispute"
    DISPUTE_DIFFERS = "dispute_differs", "both sides know the dispute, and not the same of it"
    NOTHING_LISTED = "nothing_listed", "the provider lists none of many payments that are paid here"


K = Kind
# What a person does. The other kinds are only a lost webhook: an ordinary event makes up for it. {order} and {payment} are
# those of the finding.
NEXT_STEP: dict[Kind, str] = {
    K.PAYMENT_HERE: "look at the provider's pages; if no money came, stop the goods and cancel order {order}",
    K.AMOUNT_DIFFERS: "compare both sides of order {order}; what is right at the provider counts: tell it, or refund the rest",
    K.CURRENCY_DIFFERS: "refund it at the provider, or correct the order: `orders show {order}`",
    K.ORDER_UNKNOWN: "find whose it is at the provider; create the order with paymentId {payment}, or refund it there",
    K.ORDER_PAID_OTHERWISE: (
        "see `orders show {order}`; if it is other money refund it at the provider, else nothing is to be done"
    ),
    K.REFUND_HERE: "look at the provider's pages; if it did not go back, pay it by hand",
    K.REFUND_DIFFERS: "look at the refund on the provider's pages and at `orders show {order}`",
    K.DISPUTE_HERE: "look at the dispute on the provider's pages and at `orders show {order}`",
    K.DISPUTE_DIFFERS: "look how the dispute ended on the provider's pages, and tell it as a PaymentDisputed event",
    K.NOTHING_LISTED: "check that the API key is that of the account that took them, live or test",
}
