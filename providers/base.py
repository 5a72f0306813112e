"""The ports of providers, defined once, and `Provider`, the one object that says which of them it has.

A payment provider or carrier is a file with one `Provider` in it: what it sends us, what it can be asked, whether it
gives money back or follows parcels, and which settings it needs. Everything else follows from that object: its webhook
door, the chores of the workers, the lines of `orders doctor`, `.env.example` and the documentation's table.

    WebhookReceiver   a webhook, verified and translated              ReceivedWebhook, or BadSignature, EnvelopeError
    PaymentLookup     how a payment stands at its provider            Payment, or NoAnswer, NotTold
    RefundClient      gives money back, once per key                  RefundMovement, or RefundError
    PaymentListing    what happened there in a time, page by page     Page, or NoAnswer
    TrackingClient    all scans known of a parcel                     Scan …, or NoAnswer, ParcelUnknown
    Aggregator        a TrackingClient for each carrier that a service follows

    ProviderError
     ├── BadSignature          not from whom it says, or too old to believe: nothing of it was read
     ├── NoAnswer              temporary: ask again later
     │    ├── ParcelUnknown    the carrier does not know the number, or not yet; ParcelRefused: it takes no such number
     │    └── RateLimited      it wants fewer questions, and says nothing of the parcel
     ├── NotTold               final: nothing will come of asking again, and why
     └── RefundError
          ├── RefundRefused    final: the provider said no, and why
          │    └── RefundAccountRefused  the customer's bank account is missing or wrong: ask for another
          ├── RefundNotMade    temporary: surely nothing happened; try again
          │    └── RefundStale what can still go back there is not what we said: ask, then try again
          └── RefundUnknown    no answer: ask what was refunded before you ask for it again

The protocol of whoever refunds: one attempt in flight per payment, its id the idempotency key. Ask `refunds` before each
call of `refund`. After RefundUnknown, and where ours is not among them, call `refund` again with the same id *and the
same amount*, while the key lives: the first request may still be under way at the provider, and only the key keeps the
two from becoming two refunds. After a known end the next attempt has a new id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from events.envelope import Envelope
from events.errors import OrdersError
from events.field_types import TrackingStatus
from providers.by_carrier import AbilityByAccount
from providers.movements import Dispute, RefundMovement, RefundRequest
from settings.fields import Setting, Values

if TYPE_CHECKING:
    from providers.carriers.limits import Limits
    from providers.refund_rules import RefundRules  # made of the errors here

Kind = Literal["payments", "carrier"]
PendingKind = Literal["authorized", "processing", "awaiting_deposit"]
Port = TypeVar("Port")
PATH_SECRET = ":secret"  # noqa: S105 - no secret, but where one stands among a receiver's headers: its path ended with it
ABILITIES = ("receives", "looks_up", "refunds", "lists", "tracks")  # fields of `Provider`
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


# -- errors --------------------------------------------------------------------------------------------------


class ProviderError(OrdersError):
    """Something that a provider said, or did not say; its class says what to do."""

    code = "provider"


class BadSignature(ProviderError):
    """No signature that we can believe; the message says which header, and what to compare."""

    code = "signature_refused"
    remedy = "Compare the secret here with the one at the provider."


class NoAnswer(ProviderError):
    """No usable answer; ask later, `retry_after` seconds where the provider named some."""

    code = "provider_silent"
    remedy = "Wait: it is asked again by itself."

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ParcelUnknown(NoAnswer):
    """The carrier does not know the number; often it will, once the parcel is in its hands."""

    code = "parcel_unknown"
    remedy = "Wait: the carrier will know it once the parcel is in its hands; else correct the tracking number."


class ParcelRefused(NoAnswer):
    """The carrier answers, and takes no such number: a person corrects it."""

    code = "parcel_refused"
    remedy = "Correct the parcel's tracking number or carrier."


class RateLimited(NoAnswer):
    """The carrier wants fewer questions, or its quota is spent (429): all its parcels wait `retry_after` seconds."""

    code = "provider_limited"
    remedy = "Wait; where it comes back, set ORDERS_TRACKING_RATES and ORDERS_TRACKING_QUOTAS to what the plan allows."


class NotTold(ProviderError):
    """Final: the provider does not know the payment, or what told us of it was forged."""

    code = "payment_unknown_there"
    remedy = "Look at the provider's own pages whether the payment is there."


class RefundError(ProviderError):
    """A refund did not come to a good end; which of the three it is says what to do."""

    code = "refund"
    remedy = "See what the message says of the provider."


class RefundRefused(RefundError):
    """Final: the provider refuses; `reason` is its own code, for the dead letter."""

    code = "refund_refused"
    remedy = "Mend at the provider what it names, then `orders given-up replay` the refund."

    def __init__(self, reason: str, message: str, next_step: str = "") -> None:
        super().__init__(reason, message, next_step)
        self.reason = reason
        self.message = message
        self.next_step = next_step  # what a person does, where the provider's documentation says it

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class RefundAccountRefused(RefundRefused):
    """The provider lacks the customer's bank account, or cannot pay into it: the refund waits for another."""

    code = "refund_account_refused"
    remedy = "Ask the customer for a bank account, and tell it by PUT /api/orders/ORDER/refund-account."


class RefundNotMade(RefundError):
    """Temporary, and surely nothing happened: try again with the same key."""

    code = "refund_not_made"
    remedy = "Wait: it is tried again by itself."


class RefundStale(RefundNotMade):
    """Nothing happened: what can still go back there is not what we said; somebody else refunds, too."""

    code = "refund_stale"
    remedy = "Wait: the provider is asked what went back, and the rest is tried again."


class RefundUnknown(RefundError):
    """No answer, or none that can be read: it may have happened. Ask before you ask again.

    `answered`: the request ended there, with an error.
    """

    code = "refund_unknown"
    remedy = "Wait: the provider is asked what became of it."

    def __init__(self, message: str, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


# -- what they tell ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReceivedWebhook:
    """One webhook, verified and translated.

    `envelope` is what was delivered. `history` are events that came along with it and were mostly told before: each is
    taken where it is new, and counts nothing where it is known. `thin`: it only says where to look, so its provider is
    to be asked. `unsigned`: anybody may have sent it. `payment`: one answer of the provider's about this name settles
    every such webhook that came before it; None: each is asked for by itself.
    """

    envelope: Envelope
    history: tuple[Envelope, ...] = ()
    thin: bool = False
    unsigned: bool = False
    payment: str | None = None
    parcel: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class DisputeNotice:
    """One thing that a provider tells of a payment's dispute: it was begun, or it is `resolved`, and not in whose favor."""

    time: datetime  # UTC
    resolved: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """State of a payment at its provider. Amounts are in major units; times are when it happened, UTC.

    A time without its amount: the provider said that, and not how much. Then `captured` is what the order still
    owes, and `refunded` all that was captured.
    """

    payment_id: str
    order_number: str | None = None
    currency: str | None = None
    captured_at: datetime | None = None  # None: no money came
    captured: Decimal | None = None
    refunded_at: datetime | None = None  # None: no money went back
    refunded: Decimal | None = None  # cumulative
    ended: Literal["PaymentFailed", "PaymentCanceled"] | None = None  # counts where no money came
    ended_at: datetime | None = None
    code: str | None = None  # why it ended
    message: str | None = None
    method: str | None = None
    receipt_url: str | None = None
    pending: PendingKind | None = None  # under way: no money is there now, whatever was said before
    pending_at: datetime | None = None
    pending_until: datetime | None = None  # None: the provider names no time
    expected: Decimal | None = None  # the amount that is under way
    disputes: tuple[DisputeNotice, ...] = ()  # of one that tells neither their ids nor their amounts
    movements: tuple[RefundMovement, ...] | None = None  # its refunds by their ids; None: the sum is all that is told


@dataclass(frozen=True, slots=True)
class Page:
    """One page of what happened at a provider, or all that it knows of one payment.

    Payments as they stand now; what went back of them is for `movements` to say, and may be missing in them. `disputes` is
    None where it does not tell of any. `after` is where the next page begins, None behind the last. `remark` is a
    sentence for people: what of all this it does not tell, and what to do.
    """

    payments: Sequence[Payment] = ()
    movements: Sequence[RefundMovement] = ()
    disputes: Sequence[Dispute] | None = None
    after: str | None = None
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """One note of a carrier about a parcel: `id` is the same in every poll, `time` (UTC) is when it happened.

    Without a time it happened when it was first seen. `detail` is the carrier's own word, or code, for the status. `estimated`
    is when it said that the parcel would arrive (UTC); an estimate alone is `unknown`, without words (`scans.estimate`).
    """

    id: str
    time: datetime | None
    status: TrackingStatus
    description: str | None = None
    location: str | None = None
    detail: str | None = None
    estimated: datetime | None = None


# -- ports ---------------------------------------------------------------------------------------------------


class WebhookReceiver(Protocol):
    """One provider's webhooks, ready to be taken. Pure: it asks nobody."""

    def __call__(self, body: bytes, headers: Mapping[str, str], now: datetime) -> ReceivedWebhook:
        """A webhook, verified over its raw body, then translated. Headers are looked up in lower case, PATH_SECRET too.

        Raises BadSignature, or EnvelopeError where it is genuine and no event that can be kept.
        """
        ...


class PaymentLookup(Protocol):
    """One payment provider, ready to be asked."""

    def ask(self, kind: str, time: datetime, data: Mapping[str, Any]) -> Payment:
        """The state of the payment that a thin webhook (`kind`, `time` and `data` of its envelope) is about.

        Raises NoAnswer or NotTold only.
        """
        ...


class RefundClient(Protocol):
    """One payment provider, ready to give money back."""

    @property
    def rules(self) -> RefundRules:
        """The rules that its refunds go by."""
        ...

    def refund(self, request: RefundRequest) -> RefundMovement:
        """Give money back, once per id; raises RefundError only. What it returns may still be open, or have failed."""
        ...

    def refunds(self, payment_id: str) -> Sequence[RefundMovement]:
        """All refunds of a payment, those that failed too; none where there are none, or it knows no such payment.

        Raises RefundUnknown only, whatever went wrong: what is not known stays unknown.
        """
        ...


class PaymentListing(Protocol):
    """One payment provider, ready to be gone through, page by page."""

    def page(self, since: datetime, until: datetime, after: str | None) -> Page:
        """A page of what was begun, or changed, in this time; `after` is that of the page before, None for the first.

        All pages together have each payment, refund and dispute at least once, whoever made it; what changes meanwhile
        must not push anything out of them. Whoever was broken off goes on with the last `after`, some hours later too.
        Raises NoAnswer only.
        """
        ...

    def about(self, payment_id: str) -> Page | None:
        """All that it knows of one payment, whenever it was; None where it knows no such payment. Raises NoAnswer only."""
        ...


class TrackingClient(Protocol):
    """One carrier, ready to be asked."""

    def track(self, number: str) -> Sequence[Scan]:
        """All scans known of a parcel, by when they happened; raises NoAnswer only.

        A scan may turn up late, between others that were told before. One without a time keeps its place among them.
        """
        ...


@runtime_checkable
class Aggregator(Protocol):
    """One service that follows the parcels of many carriers, ready to be asked."""

    def of_carrier(self, carrier_id: str) -> TrackingClient:
        """The client for one carrier, by the id that it has there (`providers.carriers.names`). Asks nobody yet."""
        ...


# -- the one object ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ability(Generic[Port]):
    """One thing that a provider can do: what makes it, and the settings without which it cannot."""

    make: Callable[[Values], Port]
    needs: tuple[Setting[Any], ...]

    def configured(self, own_name: str, values: Values) -> tuple[str, ...]:
        """The names under which it is ready: its provider's, or none."""
        return (own_name,) if all(map(values.has, self.needs)) else ()

    def connect(self, name: str, values: Values) -> Port:
        """The port for one of the names that are ready."""
        return self.make(values)


@dataclass(frozen=True, slots=True)
class AbilityByName(Generic[Port]):
    """The same for several services that speak one protocol: a setting of NAME=URL says which."""

    make: Callable[[str, str, Values], Port]  # of a name, its URL, and all settings
    by_name: Setting[dict[str, str]]

    @property
    def needs(self) -> tuple[Setting[Any], ...]:
        """The one setting that names them."""
        return (self.by_name,)

    def configured(self, own_name: str, values: Values) -> tuple[str, ...]:
        """The names under which it is ready: those that the setting has."""
        urls = values[self.by_name]
        return tuple(urls)

    def connect(self, name: str, values: Values) -> Port:
        """The port for one of the names that are ready."""
        return self.make(name, values[self.by_name][name], values)


Offer = Ability[Port] | AbilityByName[Port] | AbilityByAccount[Port]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A payment provider or a carrier, in one object.

    `name` stands in URLs, on transactions and parcels: small letters, digits, - and _. `title` is as people write it.
    `aggregates`: it follows many carriers, so that no parcel's carrier has its name. ValueError where the object cannot be: a name
    of other signs, an ability that is always on, a setting that is not listed or belongs to somebody else.
    """

    name: str
    kind: Kind
    title: str
    settings: tuple[Setting[Any], ...]
    receives: Ability[WebhookReceiver] | None = None
    looks_up: Offer[PaymentLookup] | None = None
    refunds: Offer[RefundClient] | None = None
    refund_rules: RefundRules | None = None  # for the documentation's table
    lists: Offer[PaymentListing] | None = None
    tracks: Offer[TrackingClient] | Ability[Aggregator] | None = None
    aggregates: bool = False
    limits: Limits | None = None  # of polls, as its documentation has them; settings may say others
    note: str = ""  # for the documentation's table

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"provider {self.name!r}: a name is small letters, digits, - and _, a letter first")
        wrong = [self.tracks] if self.kind == "payments" else [self.looks_up, self.refunds, self.lists]
        if any(wrong):
            raise ValueError(f"provider {self.name}: of kind {self.kind}, it cannot have that ability")
        if not self.abilities():
            raise ValueError(f"provider {self.name}: it must receive, look up, refund or track")
        for word, ability in self.abilities().items():
            if not ability.needs:
                raise ValueError(f"provider {self.name}: {word} needs a setting that switches it on")
            if missing := [each.name for each in ability.needs if each not in self.settings]:
                raise ValueError(f"provider {self.name}: {missing[0]}, which {word} needs, is not among its settings")

    def abilities(self) -> dict[str, Offer[Any]]:
        """Its abilities, by the name of the field."""
        offers = {name: getattr(self, name) for name in ABILITIES}
        return {name: offer for name, offer in offers.items() if offer is not None}


SignedReceiver = Callable[[bytes, Mapping[str, str], Sequence[str], datetime], ReceivedWebhook]


def with_secrets(receive: SignedReceiver, secrets: Setting[tuple[str, ...]]) -> Callable[[Values], WebhookReceiver]:
    """A maker of receivers from a function that takes the secrets as its third argument."""

    def make(values: Values) -> WebhookReceiver:
        known = values[secrets]

        def take(body: bytes, headers: Mapping[str, str], now: datetime) -> ReceivedWebhook:
            return receive(body, headers, known, now)

        return take

    return make
