"""Rules that a provider's refunds go by, as its documentation says it: one table per provider, beside its adapter.

The one question at each failure: can the provider have acted? Only where it surely has not is it RefundNotMade; its own
no is RefundRefused; all else is RefundUnknown. Which of its codes is which, the table says; what it does not name goes
by its HTTP status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Literal

from providers.base import RefundAccountRefused, RefundError, RefundNotMade, RefundRefused, RefundStale, RefundUnknown
from providers.minor_units import ISO_4217, MinorUnits

KST = timezone(timedelta(hours=9))
# In what a person does: it ends past the provider, so nothing is tried again, or the customer would be paid twice.
BY_HAND = "settle it by hand"
WORDS = 2000  # characters of a provider's message that are kept


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RefundRules:
    """The rules of one provider.

    `key_life`: for so long the same idempotency key is the same refund. `answer_s`: how long it may take to answer; a
    lease is longer. `carries_id`: its refunds show our id. `stores_errors`: a key that was answered with an error is
    answered with the same one for its whole life, so that trying again takes a new key. `compares`: it refuses where
    what can still go back is not what we say.
    """

    source: str  # the pages of its documentation
    key_life: timedelta
    answer_s: float
    carries_id: bool
    stores_errors: bool
    compares: bool = False
    units: MinorUnits = ISO_4217
    open_words: tuple[str, ...] = ()  # its words for a refund whose end is not known
    final: Mapping[str, str] = field(default_factory=dict)  # its code for what can never work → what a person does
    not_made: frozenset[str] = frozenset()  # its codes for what surely did not happen, and may later
    stale: frozenset[str] = frozenset()  # its codes for: what can still go back is not what you say
    # Payment methods whose refunds go into a bank account of the customer's: always, or once the month of the payment is over.
    account_methods: Mapping[str, Literal["always", "next_month"]] = field(default_factory=dict)
    account_codes: frozenset[str] = frozenset()  # its codes for: that account is missing, or wrong
    banks: frozenset[str] = frozenset()  # its own codes of banks; none: it takes no account
    in_doubt: frozenset[str] = frozenset()  # its codes for what may have happened, or still may

    def needs_account(self, method: str | None, paid_at: datetime | None, now: datetime) -> bool:
        """True where a refund of a payment by that method goes into a bank account of the customer's; months are Korean."""
        when = self.account_methods.get(method or "")
        if when != "next_month" or paid_at is None:
            return when is not None
        return f"{paid_at.astimezone(KST):%Y-%m}" != f"{now.astimezone(KST):%Y-%m}"

    def failure(self, name: str, status: int, code: str | None, message: str | None) -> RefundError:
        """The error that an answer other than a good one is."""
        says = f"{name}: answered {status} {code or ''}".rstrip() + (f": {message[:WORDS]}" if message else "")
        if code in self.account_codes:
            return RefundAccountRefused(
                str(code), (message or "it gave no reason")[:WORDS], self.final.get(str(code), "")
            )
        if code in self.stale:
            return RefundStale(says)
        if code in self.not_made or status == 429:
            return RefundNotMade(says)
        if code in self.in_doubt or status == 408:
            return RefundUnknown(says)
        if status == 401:
            return RefundNotMade(f"{says}; check its API key")
        if 400 <= status < 500:
            words = (message or "it gave no reason")[:WORDS]
            return RefundRefused(code or f"http_{status}", words, self.final.get(code or "", ""))
        return RefundUnknown(says, answered=status >= 500)
