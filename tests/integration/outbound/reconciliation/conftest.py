"""A provider with books of its own, a shop on real servers, and both sides told by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pytest

from events.envelope import Envelope
from providers.base import PaymentListing
from providers.registry import registry
from providers.simulators.books import Books, Dispute, Payment, Refund
from providers.simulators.start import DIALECTS, KEYS, SECRETS
from settings.fields import Values
from tests.simulators import AShop, a_shop, an_event, asked_at, running

WHEN = 3600.0  # seconds ago that both sides happened
PROVIDERS = ("stripe", "portone", "toss", "standard")


@dataclass(frozen=True, slots=True)
class There:
    """The provider's side, written into its books; no webhook goes out."""

    name: str
    url: str
    books: Books
    client: PaymentListing
    then: float

    @property
    def when(self) -> datetime:
        """The time at which everything happened."""
        return datetime.fromtimestamp(int(self.then), UTC)

    def pays(self, payment: str, amount: str = "10.00", currency: str = "USD", **more: Any) -> None:
        """Somebody pays, or tries to (`state`)."""
        at, state = more.pop("at", float(int(self.then))), more.pop("state", "paid")
        captured = Decimal(amount) if state == "paid" else Decimal(0)
        number = more.pop("number", None)
        self.books.put(Payment(payment, number, Decimal(amount), currency, "card", state, captured, at, at))

    def refunds(self, payment: str, amount: str = "4.00", status: str = "succeeded") -> str:
        """Staff give money back at the provider's own pages; the refund's id."""
        number = self.books.next_number()
        own_id = DIALECTS[self.name](KEYS[self.name], SECRETS[self.name]).refund_id(number)
        at = float(int(self.then)) + 60
        self.books.add(Refund(own_id, payment, Decimal(amount), "by hand", None, None, status, at))
        return own_id

    def disputes(self, payment: str, state: str = "open") -> str:
        """The payer's bank asks, or has decided; the dispute's id."""
        own_id = f"dp_{payment}"
        self.books.dispute(Dispute(own_id, payment, Decimal("10.00"), state, float(int(self.then)) + 60))
        return own_id


@contextmanager
def provider(name: str, folder: Path, *options: object) -> Iterator[There]:
    """A simulated provider whose books a test writes."""
    file = str(folder / f"{name}.db")
    books = Books(file)
    with running(name, "--state", file, *options) as (_, url):
        yield There(name, url, books, listing(name, url), time.time() - WHEN)
    books.close()


def listing(name: str, url: str) -> PaymentListing:
    """The client that goes through this provider."""
    values = Values.read(registry().settings(), asked_at(name, url))
    return registry().listings(values)[name]


class Told(Protocol):
    """A shop that takes events and applies them, and can be looked into."""

    def tell(self, *envelopes: Envelope) -> None:
        """Accept events and apply them."""
        ...

    def rows(self, query: str, **values: Any) -> Sequence[Any]:
        """The answer of a query."""
        ...


@dataclass(frozen=True, slots=True)
class Here:
    """Our side, told by events."""

    shop: Told
    name: str
    when: datetime

    def order(self, number: str, payment: str | None = None, **more: Any) -> Envelope:
        item = {"item": "a", "product": "tea", "quantity": 1, "unitPrice": "10.00"}
        named = {"paymentIds": [payment]} if payment else {}
        return self.at(
            an_event("OrderCreated", number, items=[item], totalAmount="10.00", currency="USD", **named, **more)
        )

    def paid(
        self, payment: str, amount: str = "10.00", provider: str | None = None, number: str | None = None
    ) -> Envelope:
        about = {"paymentId": payment, "amount": amount, "currency": "USD", "provider": provider or self.name}
        return self.at(an_event("PaymentSucceeded", number, **about))

    def at(self, event: Envelope) -> Envelope:
        """The event at the time at which everything happened."""
        return Envelope(event.id, event.source, event.type, self.when, event.subject, event.data, event.version)

    def told(self, kind: str, **data: Any) -> Envelope:
        later = self.when + timedelta(seconds=60)
        event = an_event(kind, None, **data)
        version = 2 if kind in ("PaymentRefunded", "PaymentDisputed") else 1
        return Envelope(event.id, event.source, kind, later, None, data, version)


@pytest.fixture
def shop(database_url: str, redis_url: str) -> Iterator[AShop]:
    with a_shop(database_url, redis_url) as made:
        yield made


TABLES = "select tablename from pg_tables where schemaname = 'public' order by 1"


def contents(shop: Told) -> dict[str, str]:
    """A digest of each table of the database."""
    return {
        name: shop.rows(f"select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {name} t")[0][0]
        for (name,) in shop.rows(TABLES)
    }
