"""One shop for many cases of money: its API and its webhooks in, one drain behind them, its books as the API tells them.

Each case has an order of its own, so all of them share the application, the database and the providers.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import httpx
from cryptography.fernet import Fernet

from domain.policy import Policy
from events.envelope import Envelope
from journal import timers
from outbound import payment_lookups, refund_routes, refunds
from outbound.refund_accounts import Vault
from providers.registry import registry
from tests.integration.api.commands.conftest import ADDRESS, SNAPSHOT, Shop
from tests.simulators import as_of, asked_at
from tests.webhooks import STANDARD, STRIPE, as_standard, as_stripe, packed, portone_event, stripe_event, toss_event

SECRETS = {"ORDERS_STRIPE_SECRETS": STRIPE, "ORDERS_PORTONE_SECRETS": STANDARD, "ORDERS_STANDARD_SECRETS": STANDARD}
ACCOUNT_KEY = Fernet.generate_key().decode()
_numbers = itertools.count(1)


class Sale(NamedTuple):
    """An order of one case, and the payment that was begun for it."""

    id: str
    number: str
    payment: str
    currency: str
    placed: datetime

    def at(self, days: float = 0, seconds: float = 0) -> datetime:
        """So long after it was placed."""
        return self.placed + timedelta(days=days, seconds=seconds)


class Till(Shop):
    """The shop; `urls` are its providers', by name."""

    def __init__(self, database_url: str, redis_url: str, urls: Mapping[str, str]) -> None:
        asked = {name: value for each, url in urls.items() for name, value in asked_at(each, url).items()}
        super().__init__(database_url, redis_url, **SECRETS, **asked, ORDERS_ACCOUNT_KEYS=ACCOUNT_KEY)
        self.urls, self.vault = urls, Vault((ACCOUNT_KEY,))
        self.lookups = registry().lookups(self.doors.settings.providers)
        self.routes = refund_routes.configured_routes(self.doors.settings)

    # -- what happens

    def sale(self, *prices: str, currency: str = "USD", payment: str | None = None, **terms: Any) -> Sale:
        """An order by API: a line per price, called a, b, c …; `terms` are fields of the request."""
        number = f"M{next(_numbers)}"
        payment = payment or f"pi_{number}"
        lines = [
            {"product": name, "quantity": 1, "unitPrice": price} for name, price in zip("abcdef", prices, strict=False)
        ]
        on_top = Decimal(terms.get("taxAmount", 0)) + Decimal(terms.get("shippingAmount", 0))
        total = sum(map(Decimal, prices), on_top)
        about = {
            "customerSnapshot": SNAPSHOT,
            "shippingAddress": ADDRESS,
            "orderProducts": lines,
            "totalAmount": f"{total:f}",
        }
        named = {"orderNumber": number, "paymentId": payment, "currency": currency}
        doc = self.ok("POST", "/api/orders", {**about, **named, **terms})["doc"]
        return Sale(doc["id"], number, payment, currency, datetime.now(UTC).replace(microsecond=0))

    def sale_of(self, days: float, price: str, currency: str = "USD", payment: str | None = None) -> Sale:
        """An order that was placed so many days ago, and that we learned of now, from a file."""
        number = f"M{next(_numbers)}"
        placed = datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)
        item = {"item": "a", "product": "a", "quantity": 1, "unitPrice": price}
        about = {"items": [item], "totalAmount": price, "currency": currency, "paymentIds": [payment or f"pi_{number}"]}
        self.tell(Envelope(f"{number}-created", "shop", "OrderCreated", placed, number, about))
        return Sale(
            self.one("select id from orders where order_number = :n", n=number),
            number,
            payment or f"pi_{number}",
            currency,
            placed,
        )

    def stripe(self, kind: str, about: dict[str, Any], at: datetime | None = None) -> None:
        """A webhook of Stripe's, signed now, of an event of that time."""
        at = at or datetime.now(UTC)
        body, headers = as_stripe(stripe_event(kind, about, created=int(at.timestamp())))
        with as_of(at):
            self._received("stripe", body, headers)

    def standard(self, kind: str, data: dict[str, Any], at: datetime) -> None:
        """A webhook of the shop's own provider, by the documented contract."""
        number = f"standard-{next(_numbers)}"
        document = {
            "specversion": "1.0",
            "id": number,
            "source": "bank",
            "type": kind,
            "time": at.isoformat(),
            "data": data,
        }
        body, headers = as_standard(document)
        self._received("standard", body, headers)

    def _received(self, provider: str, body: bytes, headers: dict[str, str]) -> None:
        answer = self.client.post(f"/webhooks/payments/{provider}", content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        self.work()

    def says_where_to_look(self, provider: str, sale: Sale, kind: str, amount: int) -> None:
        """A webhook of PortOne's or Toss's, and the question that it leads to."""
        if provider == "toss":
            body, headers = packed(toss_event(sale.payment, sale.number, kind, amount)), dict[str, str]()
        else:
            body, headers = as_standard(portone_event(kind, sale.payment))
        self._received(provider, body, headers)
        found = self.lookups[provider]
        doors = self.doors
        at = datetime.now(UTC) + timedelta(seconds=1)
        payment_lookups.run_due(doors.engine, doors.streams, doors.shop.shards, {provider: found}, None, at)
        self.work()

    def say(self, sale: Sale, kind: str, at: datetime | None = None, **data: Any) -> None:
        """An event of the shop's, by the journal's own door."""
        self.tell(Envelope(f"say-{next(_numbers)}", "shop", kind, at or datetime.now(UTC), sale.number, data))

    def move(self, sale: Sale, status: str) -> None:
        """PATCH /api/orders: canceled, delivered …"""
        self.ok("PATCH", f"/api/orders/{self.doc(sale)['id']}", {"status": status})
        self.work()

    def send_back(self, sale: Sale, product: str, amount: str | None = None) -> None:
        """The line of this product comes back, at once and in full; its refund is stated or follows from its price."""
        item = next(each["id"] for each in self.doc(sale)["products"]["docs"] if each["product"] == product)
        body = {"orderNumber": sale.number, "reason": "defective", "items": [{"orderItem": item, "quantity": 1}]}
        self.ok("POST", "/api/returns/return-with-refund", body | ({"refundAmount": amount} if amount else {}))
        self.work()

    def run_timers(self, after: timedelta) -> None:
        """The beat's timers as they run so long from now, on a host that was never away."""
        now = datetime.now(UTC) + after
        beat = "insert into heartbeats (name, at) values ('timers', :at) on conflict (name) do update set at = :at"
        self.do(beat, at=now)
        timers.run_due(self.doors.engine, Policy(), self.doors.shop, now)
        self.work()

    # -- refunds

    def attempt(self, provider: str = "stripe", later: timedelta = timedelta(0)) -> None:
        """The chore of a provider's refunds, so long from now, and what a worker makes of its answers."""
        refunder = self.routes.refunder(provider)
        assert refunder is not None
        now = datetime.now(UTC) + later
        shards = self.doors.shop.shards
        refunds.run_due(self.doors.engine, self.doors.streams, shards, refunder, now, vault=self.vault)
        with self.doors.engine.begin() as conn:
            refund_routes.give_up(conn, self.routes, now)
        self.work()

    def capture_at(self, provider: str, sale: Sale, amount: str, **more: str) -> None:
        """The provider's books have this payment; whoever calls tells us of it. `more`: its method and state."""
        url = f"{self.urls[provider]}/_simulator/payments/{sale.payment}"
        body = {"amount": amount, "currency": sale.currency, "orderNumber": sale.number, "webhook": False, **more}
        assert httpx.put(url, json=body, trust_env=False).status_code == 200

    def books(self, provider: str, sale: Sale) -> list[dict[str, Any]]:
        """The refunds of this payment in the provider's books."""
        told = httpx.get(f"{self.urls[provider]}/_simulator/books", trust_env=False).json()
        found: list[dict[str, Any]] = told["payments"][sale.payment]["refunds"]
        return found

    def refunds(self, sale: Sale) -> list[dict[str, Any]]:
        """The order's refunds as the API shows them, the oldest first."""
        found = self.ok("GET", f"/api/refunds?where[order][equals]={self.doc(sale)['id']}&sort=createdAt")["docs"]
        return list(found)

    def about_refund(self, sale: Sale, reference: str, step: str, body: dict[str, Any] | None = None) -> None:
        """POST /api/refunds/ID/settle, allocate or retry, of the refund that the provider knows by this reference."""
        own = next(each["id"] for each in self.refunds(sale) if each["reference"] == reference)
        self.ok("POST", f"/api/refunds/{own}/{step}", body or {})
        self.work()

    # -- what is true then

    def doc(self, sale: Sale) -> Any:
        """The order as the API shows it, with all that hangs on it."""
        query = f"where[orderNumber][equals]={sale.number}&depth=1"
        (found,) = self.ok("GET", f"/api/orders?{query}")["docs"]
        return found

    def stands(self, sale: Sale) -> tuple[str, list[str]]:
        """(status, flags) as the API shows them."""
        found = self.doc(sale)
        return found["status"], found["flags"]

    def balance(self, sale: Sale) -> dict[str, Decimal]:
        """The sums of the order's balance that are not 0, as the API answers them."""
        found = self.ok("GET", f"/api/orders/{self.doc(sale)['id']}/balance")
        assert found.pop("currency") == sale.currency
        return {name: Decimal(str(value)) for name, value in found.items() if value}

    def effects(self, sale: Sale) -> list[str]:
        """State and amount of what is still to go back of the order, per payment: `due 20`."""
        rows = self.do(
            "select e.state, e.target - greatest(e.made, t.refunded_amount) from effects e join transactions t on t.id = e.transaction_id "
            "join orders o on o.id = e.order_id where o.order_number = :n order by e.id", n=sale.number,
        )  # fmt: skip
        return [f"{state} {left.normalize():f}" for state, left in rows if left > 0]

    def letters(self, sale: Sale) -> list[tuple[str, str, str]]:
        """(reason, state, words) of the order's dead refunds."""
        rows = self.do(
            "select d.reason, d.state, d.detail from dead_letters d join effects e on e.id = d.effect_id "
            "join orders o on o.id = e.order_id where o.order_number = :n", n=sale.number,
        )  # fmt: skip
        return [(row.reason, row.state, row.detail) for row in rows]


def sums(**amounts: str) -> dict[str, Decimal]:
    """A balance as a case says it."""
    return {name: Decimal(amount) for name, amount in amounts.items()}
