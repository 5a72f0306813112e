"""Bank accounts that refunds go to: kept encrypted, shown masked, erased once they are not needed.

One per order, told by the payer or the shop's staff. It is in no event and no log. Fernet encrypts it with the first of
ORDERS_ACCOUNT_KEYS, and any of them decrypts: so a key is replaced by putting the new one first, and the old one goes once
nothing is left that it encrypted, which is ERASED_AFTER the last refund.

    needed   by the payment's method, or since the provider asked (`effects.account_asked_at`)
    no good  where a refund of that payment failed, or the provider asked, after it was told: it is asked for anew
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Connection, Row, text

from domain.movements import moment
from events.errors import OrdersError
from providers.movements import RefundAccount
from providers.refund_rules import RefundRules
from storage import audit
from storage.pg_arrays import array

ERASED_AFTER = timedelta(days=14)  # after a refund succeeded: until then it may still fail, and be asked about
UNUSED_FOR = timedelta(days=180)  # then one that no refund needed is erased, too
SHOWN = 4  # last digits of a number that are shown
_UNDER_WAY = frozenset(("in_flight", "unknown"))  # states of a refund whose request must stay what it was

_PUT = text("""
    insert into refund_accounts (order_id, sealed, masked) values (:order_id, :sealed, cast(:masked as jsonb))
    on conflict (order_id) do update set sealed = excluded.sealed, masked = excluded.masked, erase_at = null,
        created_at = clock_timestamp(), updated_at = clock_timestamp()
""")
# Where the account comes, what waited for it goes on.
_GO_ON = text("""
    update effects set state = 'due', attempts = 0, next_at = now(), last_error = null, updated_at = now()
    where order_id = :order_id and state = 'account_needed'
""")
# Locked, since whoever claims a refund locks it before the account is read: so neither misses the other.
_STATES = text("select state from effects where order_id = :order_id order by id for update")
_TOLD = text("""
    select order_id, sealed, updated_at as told_at from refund_accounts where order_id = any(cast(:ids as uuid[]))
""")
_MASKED = text("select masked from refund_accounts where order_id = :order_id")
_NOT_NEEDED = text("update refund_accounts set erase_at = :at where order_id = :order_id")
_ERASE = text("""
    delete from refund_accounts a where (a.erase_at < :now or (a.erase_at is null and a.updated_at < :unused))
    and not exists (
        select from effects e where e.order_id = a.order_id
        and (e.state in ('in_flight', 'unknown') or (a.erase_at is null and e.state <> 'done')))
""")
_ERASE_ONE = text("delete from refund_accounts where order_id = :order_id")


class AccountsOff(OrdersError):
    """No key is set to encrypt bank accounts with, so that none is taken."""

    code = "refund_accounts_off"
    remedy = "Set ORDERS_ACCOUNT_KEYS for the API and the workers, and restart them."
    status = 503

    def __init__(self) -> None:
        super().__init__("bank accounts for refunds are kept encrypted, and ORDERS_ACCOUNT_KEYS is not set")


class AccountInUse(OrdersError):
    """A refund is on its way, with the account that is known or without one; its end comes first."""

    code = "refund_under_way"
    remedy = "Send the account again once that refund has its end; `orders show ORDER` tells it."
    status = 409

    def __init__(self, number: str) -> None:
        super().__init__(
            f"order {number}: a refund is under way, and its bank account cannot be changed until it has its end"
        )


class AccountNeeded(Exception):
    """A refund cannot go out without the customer's bank account; the message says why."""


class Vault:
    """Encrypts and decrypts accounts. May be shared by threads."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None

    def seal(self, account: RefundAccount) -> str:
        """The account as it is kept. Errors: AccountsOff."""
        if self._fernet is None:
            raise AccountsOff
        fields = [account.bank, account.number, account.holder_name, account.holder_phone]
        return self._fernet.encrypt(orjson.dumps(fields)).decode()

    def open(self, sealed: str) -> RefundAccount:
        """The account that was sealed so. Errors: AccountNeeded where none of the keys can."""
        try:
            if self._fernet is None:
                raise InvalidToken
            return RefundAccount(*orjson.loads(self._fernet.decrypt(sealed)))
        except InvalidToken:
            raise AccountNeeded(
                "no key of ORDERS_ACCOUNT_KEYS can decrypt the bank account: set the key that it was told under, too, or "
                "ask the customer for the account again"
            ) from None


def masked(account: RefundAccount) -> dict[str, str]:
    """The part of an account that may be shown: its bank, the last digits, the first sign of the name."""
    shown = {"bank": account.bank, "number": _tail(account.number), "holderName": f"{account.holder_name[:1]}***"}
    return shown | ({"holderPhoneNumber": _tail(account.holder_phone)} if account.holder_phone else {})


def put(
    conn: Connection, vault: Vault, order_id: str, number: str, account: RefundAccount, actor: str
) -> dict[str, str]:
    """Keep the account of an order, in place of another; refunds that waited for it go on. → what may be shown of it.

    Errors: AccountsOff; AccountInUse while a refund of the order is under way, whose request must stay what it was.
    """
    sealed, shown = vault.seal(account), masked(account)
    if not _UNDER_WAY.isdisjoint(conn.execute(_STATES, {"order_id": order_id}).scalars()):
        raise AccountInUse(number)
    before = conn.execute(_MASKED, {"order_id": order_id}).scalar_one_or_none()
    conn.execute(_PUT, {"order_id": order_id, "sealed": sealed, "masked": orjson.dumps(shown).decode()})
    conn.execute(_GO_ON, {"order_id": order_id})
    audit.record(conn, actor, "refund account", f"orders/{number}", before=before, after=shown, order=number)
    return shown


def shown(conn: Connection, order_id: str) -> dict[str, str] | None:
    """The part that may be shown of an order's account; None where there is none."""
    found: dict[str, str] | None = conn.execute(_MASKED, {"order_id": order_id}).scalar_one_or_none()
    return found


def told(conn: Connection, order_ids: Collection[str]) -> dict[str, Row[Any]]:
    """The accounts of these orders as they are kept, each with when it was told.

    Read them once the orders' refunds are locked: who tells one locks those first.
    """
    if not order_ids:
        return {}
    return {row.order_id: row for row in conn.execute(_TOLD, {"ids": array(sorted(order_ids), "uuid")})}


def for_refund(
    row: Row[Any], account: Row[Any] | None, rules: RefundRules, vault: Vault, now: datetime
) -> RefundAccount | None:
    """The account that a refund goes to; None where it goes back the way the money came.

    An attempt that is repeated has the account that it had, whatever was told since. `row` has the attempt's
    `idempotency_key` and `attempted_at`, the payment's `payment_method`, `paid_at` and `told` (its refunds, of `domain.movements`), and
    `account_asked_at`; `account` is that of its order, as `told` has it. Errors: AccountNeeded.
    """
    again = row.idempotency_key is not None
    when = row.attempted_at if again and row.attempted_at is not None else now
    if row.account_asked_at is None and not rules.needs_account(row.payment_method, row.paid_at, when):
        return None
    if account is None:
        raise AccountNeeded(f"a refund of {row.payment_method or 'this payment'} needs the customer's bank account")
    if again:
        return vault.open(account.sealed)
    if row.account_asked_at is not None and account.told_at <= row.account_asked_at:
        raise AccountNeeded("the provider refused the customer's bank account: ask for another")
    if _failed_since(row.told or {}, account.told_at):
        raise AccountNeeded("a refund to the customer's bank account failed: ask for another")
    return vault.open(account.sealed)


def keep_no_longer(conn: Connection, order_id: str, now: datetime) -> None:
    """Have an account erased in ERASED_AFTER: a refund to it succeeded."""
    conn.execute(_NOT_NEEDED, {"order_id": order_id, "at": now + ERASED_AFTER})


def erase(conn: Connection, order_id: str) -> None:
    """Erase an account that a refund failed with."""
    conn.execute(_ERASE_ONE, {"order_id": order_id})


def erase_due(conn: Connection, now: datetime) -> int:
    """Erase accounts whose time is over; how many."""
    return conn.execute(_ERASE, {"now": now, "unused": now - UNUSED_FOR}).rowcount


def _failed_since(refunds: Mapping[str, Any], told_at: datetime) -> bool:
    since = moment(told_at)
    return any(refund.get("failed", "") > since for refund in refunds.values())


def _tail(number: str) -> str:
    return f"***{number[-SHOWN:] if len(number) >= 2 * SHOWN else ''}"
