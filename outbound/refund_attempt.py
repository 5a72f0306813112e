"""One attempt of a refund: what is asked of the provider, and what its answer means for us. No database.

Before each call of `refund` the provider is asked which refunds it knows:

    a new attempt          more went back than we knew ─▶ noted, nothing is sent; what is left is counted anew
    one whose end we do    ours is among them ───────────▶ its end: done, still open, or failed
    not know               ours is not, and nothing else ▶ the same id again, while the key lives; then a new attempt
                           somebody else refunded, too ──▶ a person looks at it

So neither a backup that was restored, nor a key that the provider has forgotten, nor an error that it repeats for each
attempt under one key can pay twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from domain.tax import TaxParts
from events.money import Money, MoneyError
from providers.base import RefundAccountRefused, RefundClient, RefundNotMade, RefundRefused, RefundStale, RefundUnknown
from providers.movements import CAME_TO_NOTHING, OPEN, RefundAccount, RefundMovement, RefundRequest, given_back

OPEN_FOR = timedelta(days=30)  # a refund may be open at its provider; then a person looks at it

DUE, IN_FLIGHT, UNKNOWN, DONE, DEAD = "due", "in_flight", "unknown", "done", "dead"
ACCOUNT_NEEDED = "account_needed"
# Why effects die.
REFUSED, GAVE_UP, IN_DOUBT, FAILED = "refund_refused", "refund_gave_up", "refund_in_doubt", "refund_failed"

log = logging.getLogger(__name__)


class Refunder(NamedTuple):
    """A provider that gives back the money of the payments that it took.

    `unnamed`: of those that name no provider, too, since there is no other who could have taken them.
    """

    name: str  # as transactions carry it, in small letters
    client: RefundClient
    unnamed: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """An effect that is ours until `lease`, and the one attempt that may be made of it."""

    id: str
    order_number: str
    payment_id: str
    currency: str
    captured: Decimal | None
    made: Decimal  # before the attempt
    asked: Decimal
    key: str  # the attempt's id
    attempts: int  # this one included
    lease: datetime
    attempted_at: datetime  # when the key went out first
    in_doubt: bool  # an attempt under this key was made, and its end is not known
    order_id: str = ""
    account: RefundAccount | None = None  # None: it goes back the way the money came
    tax: TaxParts | None = None  # of all that is to go back of the payment; None: nothing of it is told apart

    @property
    def wanted(self) -> Decimal:
        """The sum that will have gone back after the attempt."""
        return self.made + self.asked

    def request(self, gone: Decimal, movements: Sequence[RefundMovement]) -> RefundRequest:
        """The attempt as the provider is asked for it, which said that `gone` went back, by these refunds."""
        refundable = None if self.captured is None else self.captured - gone
        tax_free = vat = None
        if self.tax is not None:
            made = [each for each in movements if each.status not in CAME_TO_NOTHING]
            tax_free = _left(self.tax.tax_free, [each.tax_free for each in made], self.asked)
            if self.tax.vat is not None:
                vat = _left(self.tax.vat, [each.vat for each in made], self.asked - tax_free)
        money = Money(self.asked, self.currency)
        return RefundRequest(
            self.key, self.payment_id, money, refundable, f"order {self.order_number}", tax_free, vat, self.account
        )


def _left(due: Decimal, made: Sequence[Decimal | None], most: Decimal) -> Decimal:
    """The part of this attempt: what is due of it and has not gone back yet."""
    gone = sum((each for each in made if each is not None), Decimal(0))
    return min(max(due - gone, Decimal(0)), most)


@dataclass(frozen=True, slots=True)
class Answer:
    """Outcome of one attempt: the effect's next state, what the provider told, what went wrong.

    `at_once`: nothing was sent, and what is left can be asked for now. `is_open`: it is made, and not at its end.
    """

    state: str
    gone: Decimal | None = None  # in all, as the provider tells
    error: str | None = None
    reason: str | None = None  # of the death
    next_step: str = ""  # for the person who reads of the death
    at_once: bool = False
    is_open: bool = False
    movements: tuple[RefundMovement, ...] = ()  # refunds to be told of, by their ids
    ours: RefundMovement | None = None  # the attempt, as the provider has it


def attempt(refunder: Refunder, claim: Claim, now: datetime, rests: Callable[[], bool] = lambda: False) -> Answer:
    """The outcome of one attempt. Raises nothing: what the client does not say stays unknown.

    `rests` is asked right before the money would go: paused since it was claimed, the refund stays due and nothing is sent.
    """
    try:
        return _attempt(refunder.client, claim, now, rests)
    except Exception as error:
        log.exception("%s: its client failed on payment %s", refunder.name, claim.payment_id)
        return Answer(UNKNOWN, error=f"{type(error).__name__}: {error}")


def _attempt(client: RefundClient, claim: Claim, now: datetime, rests: Callable[[], bool]) -> Answer:
    try:
        movements = client.refunds(claim.payment_id)
    except RefundUnknown as error:
        return Answer(UNKNOWN if claim.in_doubt else DUE, error=str(error))
    gone = given_back(movements)
    if not claim.in_doubt:
        if gone > claim.made:
            return Answer(DUE, gone, at_once=True, movements=tuple(movements))
        return _send(client, claim, gone, movements, rests)
    ours = next((each for each in movements if each.reference == claim.key), None)
    if ours is not None:
        return _end(claim, ours, gone, now)
    if gone >= claim.wanted and not client.rules.carries_id:
        return Answer(DONE, gone, movements=tuple(movements))
    if gone > claim.made:
        return Answer(DEAD, gone, _doubt(claim, gone), IN_DOUBT, movements=tuple(movements))
    if now - claim.attempted_at > client.rules.key_life:
        return Answer(DUE, at_once=True)  # it would have been there by now: it was not made
    return _send(client, claim, gone, movements, rests)


def _send(
    client: RefundClient,
    claim: Claim,
    gone: Decimal,
    movements: Sequence[RefundMovement],
    rests: Callable[[], bool],
) -> Answer:
    if rests():
        return Answer(UNKNOWN if claim.in_doubt else DUE, error="paused before it was sent", at_once=True)
    try:
        made = client.refund(claim.request(gone, movements))
    except RefundAccountRefused as error:
        return Answer(ACCOUNT_NEEDED, error=str(error))
    except RefundRefused as error:
        return Answer(DEAD, error=str(error), reason=REFUSED, next_step=error.next_step)
    except MoneyError as error:
        return Answer(DEAD, error=str(error), reason=REFUSED)
    except RefundStale as error:
        return Answer(DUE, error=str(error))
    except RefundNotMade as error:  # nor does it tell what an earlier attempt under this key came to
        return Answer(UNKNOWN if claim.in_doubt else DUE, error=str(error))
    except RefundUnknown as error:
        # The first request has ended, ours is not there, and this key has nothing but that error to tell.
        repeats = error.answered and claim.in_doubt and client.rules.stores_errors
        return Answer(DUE if repeats else UNKNOWN, error=str(error))
    return _end(claim, made, gone + made.amount, None)


def _end(claim: Claim, ours: RefundMovement, gone: Decimal, now: datetime | None) -> Answer:
    """What our own refund came to, as the provider tells; `gone` is the sum with it."""
    if ours.status in CAME_TO_NOTHING:
        why = f"refund {ours.refund_id} {ours.status} there: {ours.code or ''} {ours.message or ''}".rstrip(" :")
        if claim.account is not None:
            return Answer(ACCOUNT_NEEDED, error=f"{why}; ask the customer for another bank account", movements=(ours,))
        step = "see at the provider why, and whether it may work again"
        return Answer(DEAD, error=why, reason=FAILED, next_step=step, movements=(ours,), ours=ours)
    if ours.status in OPEN:
        why = f"refund {ours.refund_id} of {ours.amount} {claim.currency} is {ours.status} there since {ours.time:%Y-%m-%d %H:%M} UTC"
        if now is not None and now - claim.attempted_at > OPEN_FOR:
            return Answer(DEAD, error=why, reason=IN_DOUBT, next_step="ask the provider what it waits for")
        return Answer(UNKNOWN, error=why, is_open=True, movements=(ours,), ours=ours)
    return Answer(DONE, gone, movements=(ours,), ours=ours)


def _doubt(claim: Claim, gone: Decimal) -> str:
    return (
        f"{gone} went back in all, and not by our refund {claim.key} of {claim.asked}, before which it was {claim.made}: "
        "somebody else refunds this payment, and ours may be under way still"
    )
