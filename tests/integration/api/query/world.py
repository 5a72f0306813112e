"""A made-up shop, written straight into the tables and kept beside them as documents: what an oracle looks at.

Nothing here uses the query API or `queries.documents`: documents are made by hand, from the same values as rows.
Three customers' orders, orders of nobody, and hidden orders (status new) with everything hanging on them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, insert

from storage import tables

CUSTOMERS = ("c1", "c2", "c3")
STATUSES = ("pending", "paid", "preparing", "shipped", "delivered", "canceled")
FLAGS = ("disputed", "expired", "underpaid", "over_fulfilled")
START = datetime(2026, 1, 1, tzinfo=UTC)
PREFIX = {
    "orders": "ord", "order-items": "itm", "transactions": "txn", "fulfillments": "ful", "fulfillment-items": "fit",
    "returns": "ret", "return-items": "rit", "carts": "crt", "cart-items": "cit",
    "refunds": "rfd",
}  # fmt: skip
TABLES = {
    "orders": tables.orders, "order-items": tables.order_items, "transactions": tables.transactions,
    "fulfillments": tables.fulfillments, "fulfillment-items": tables.fulfillment_items, "returns": tables.returns_,
    "return-items": tables.return_items, "carts": tables.carts, "cart-items": tables.cart_items,
    "refunds": tables.refunds,
    "products": tables.products, "product-variants": tables.product_variants, "product-options": tables.product_options,
}  # fmt: skip
POINTS = {
    "order": "orders", "orderItem": "order-items", "fulfillment": "fulfillments", "return": "returns", "cart": "carts",
    "transaction": "transactions",
    "product": "products", "variant": "product-variants", "option": "product-options",
}  # fmt: skip
CATALOGUE = ("products", "product-variants", "product-options")


@dataclass
class World:
    """Documents at depth 0 without their joins, by collection; `hidden` are ids that nobody may see."""

    docs: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in TABLES}, repr=False)
    hidden: set[str] = field(default_factory=set, repr=False)

    def owner(self, collection: str, doc: dict[str, Any]) -> str | None:
        """The owner of a document."""
        if collection in ("orders", "carts"):
            return doc["customer"]
        above = "cart" if collection == "cart-items" else "order"
        if above in doc:
            return self.owner(POINTS[above], self.get(POINTS[above], doc[above]))
        item = self.get("order-items", doc["orderItem"])
        return self.owner("order-items", item)

    def get(self, collection: str, id: str) -> dict[str, Any]:
        return next(doc for doc in self.docs[collection] if doc["id"] == id)

    def sees(self, collection: str, doc: dict[str, Any], customer: str | None) -> bool:
        """True if a caller who is `customer` (None: the shop) sees it."""
        if doc["id"] in self.hidden:
            return False
        return collection in CATALOGUE or customer is None or self.owner(collection, doc) == customer

    def visible(self, collection: str, customer: str | None = None) -> list[dict[str, Any]]:
        return [doc for doc in self.docs[collection] if self.sees(collection, doc, customer)]


class Maker:
    """Makes rows and documents side by side, from one seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.world = World()
        self.rows: dict[Any, list[dict[str, Any]]] = {}
        self.made = 0

    def id(self) -> str:
        self.made += 1
        digits = f"0192{self.made:08x}7{self.dice.getrandbits(76):019x}"
        return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"

    def moment(self) -> datetime:
        return START + timedelta(seconds=self.dice.randrange(1_000_000), microseconds=self.dice.randrange(1_000_000))

    def maybe(self, value: Any, chance: float = 0.6) -> Any:
        return value if self.dice.random() < chance else None

    def put(self, collection: str, row: dict[str, Any], doc: dict[str, Any], *, hidden: bool = False) -> None:
        table = TABLES[collection]
        stamps = {"created_at": self.moment(), "updated_at": self.moment()}
        self.rows.setdefault(table, []).append({**row, **stamps})
        id = shown(collection, row["id"])
        doc = {"id": id, **doc, "createdAt": stamps["created_at"], "updatedAt": stamps["updated_at"]}
        if collection == "orders":
            doc["createdAt"] = row["placed_at"]
        self.world.docs[collection].append(doc)
        if hidden:
            self.world.hidden.add(id)

    def personal(self, fields: dict[str, Any]) -> str | None:
        if not fields:
            return None
        id = self.id()
        self.rows.setdefault(tables.personal, []).append({"id": id, "fields": fields})
        return id

    def order(self, number: int, *, hidden: bool = False) -> None:
        dice, id = self.dice, self.id()
        name = dice.choice(("Kim Da-eun", "Kim Min", "Lee 100% Su", "Park_a b", "Çelik"))
        snapshot = self.maybe({"name": name, "email": f"{name[:3].lower().strip()}{number % 3}@example.com"}, 0.8)
        address = self.maybe({"recipientName": name, "postalCode": f"0{number % 5}123"}, 0.5)
        notes = self.maybe(dice.choice(("ring twice", "leave at the DOOR", "50% off_er", "back\\slash")), 0.5)
        told = {"customerSnapshot": snapshot, "shippingAddress": address, "notes": notes}
        fields = {key: value for key, value in told.items() if value is not None}
        row = {
            "id": id,
            "order_number": f"n{number:05d}",
            "shard": 0,
            "version": 1,
            "status": "new" if hidden else dice.choice(STATUSES),
            "customer": self.maybe(dice.choice(CUSTOMERS), 0.8),
            "personal_id": self.personal(fields),
            "currency": None if hidden else dice.choice(("KRW", "BRL")),
            "total_amount": Decimal(dice.randrange(20)) + Decimal(dice.choice(("0", "0.50"))),
            "discount_code": self.maybe(dice.choice(("FRIENDS", "friends and family", "")), 0.5),
            "discount_amount": Decimal(dice.randrange(3)),
            "shipping_amount": Decimal(0),
            "tax_amount": Decimal(0),
            "flags": sorted(dice.sample(FLAGS, dice.choice((0, 0, 1, 2)))),
            "placed_at": None if hidden else self.moment(),
            "canceled_at": self.maybe(self.moment(), 0.3),
            "confirmed_at": None,
        }
        doc = {
            "orderNumber": row["order_number"], "status": row["status"], "customer": row["customer"], **told,
            "totalAmount": row["total_amount"], "currency": row["currency"], "discountCode": row["discount_code"],
            "discountAmount": row["discount_amount"], "shippingAmount": row["shipping_amount"], "taxAmount": Decimal(0), "flags": row["flags"], "holds": [],
            "canceledAt": row["canceled_at"], "confirmedAt": None,
        }  # fmt: skip
        self.put("orders", row, doc, hidden=hidden)
        items = [self.item(id, position, hidden) for position in range(dice.choice((1, 1, 2, 3)))]
        for _ in range(dice.choice((0, 1, 2))):
            self.transaction(id, hidden)
        for _ in range(dice.choice((0, 1, 2))):
            self.share(id, items, hidden, "fulfillments", "fulfillment", self.fulfillment(id, hidden))
        for _ in range(dice.choice((0, 0, 1))):
            self.share(id, items, hidden, "returns", "return", self.back(id, hidden))

    def goods(self) -> tuple[dict[str, Any], dict[str, Any]]:
        dice = self.dice
        row = {
            "product": f"p{dice.randrange(6)}",
            "variant": self.maybe(f"v{dice.randrange(4)}"),
            "option": self.maybe(f"o{dice.randrange(4)}", 0.3),
            "quantity": dice.randrange(1, 5),
            "unit_price": Decimal(dice.randrange(5)),
            "requires_shipping": self.made % 3 != 0,
        }
        doc = {name: row[name] for name in ("product", "variant", "option", "quantity")}
        return row, {**doc, "unitPrice": row["unit_price"], "requiresShipping": row["requires_shipping"]}

    def item(self, order: str, position: int, hidden: bool) -> str:
        id, (goods, doc) = self.id(), self.goods()
        total = goods["unit_price"] * goods["quantity"]
        reference = self.maybe(f"line {position}")
        row = {"id": id, "order_id": order, "position": position, "reference": reference, **goods, "total_price": total}
        counted: dict[str, Any] = dict.fromkeys(
            ("shippedQuantity", "deliveredQuantity", "returnedQuantity", "canceledQuantity"), 0
        )
        counted["taxAmount"] = None
        doc = {"order": shown("orders", order), "reference": reference, **doc, "totalPrice": total, **counted}
        self.put("order-items", row, doc, hidden=hidden)
        return id

    def transaction(self, order: str, hidden: bool) -> None:
        dice, id = self.dice, self.id()
        status = dice.choice(("pending", "paid", "failed"))
        row = {
            "id": id,
            "order_id": order,
            "payment_id": f"pay{self.made}",
            "currency": "KRW",
            "status": status,
            "amount": Decimal(dice.randrange(20)),
            "refunded_amount": Decimal(dice.randrange(2)),
            "payment_method": self.maybe("card"),
            "receipt_url": None,
            "provider": self.maybe(dice.choice(("stripe", "toss"))),
            "paid_at": self.moment() if status == "paid" else None,
            "pending_kind": self.maybe(dice.choice(("authorized", "processing"))) if status == "pending" else None,
            "pending_until": self.maybe(self.moment()) if status == "pending" else None,
        }
        doc = {
            "order": shown("orders", order), "paymentId": row["payment_id"], "status": status, "amount": row["amount"],
            "refundedAmount": row["refunded_amount"], "currency": "KRW", "paymentMethod": row["payment_method"],
            "receiptUrl": None, "provider": row["provider"], "paidAt": row["paid_at"],
            "pendingKind": row["pending_kind"], "pendingUntil": row["pending_until"], "disputes": [],
        }  # fmt: skip
        self.put("transactions", row, doc, hidden=hidden)
        before = dice.getstate()  # what comes behind stays what it is without refunds
        dice.seed(f"refund {self.made}")
        if dice.choice((False, False, True)):
            self.refund(order, id, hidden)
        dice.setstate(before)

    def refund(self, order: str, payment: str, hidden: bool) -> None:
        dice, id = self.dice, self.id()
        status = dice.choice(("pending", "succeeded", "failed"))
        told = {
            "reference": self.maybe(f"re_{self.made}"),
            "amount": Decimal(dice.randrange(20)),
            "currency": dice.choice(("KRW", "BRL")),
            "origin": dice.choice(("ours", "provider")),
            "status": status,
        }
        row = {
            **told,
            "id": id,
            "order_id": order,
            "transaction_id": payment,
            "reasons": [{"reason": "goodwill", "amount": "1.5"}],
            "attention": "open" if status == "failed" else None,
            "requested_at": self.maybe(self.moment()),
        }
        doc = {
            "order": shown("orders", order), "transaction": shown("transactions", payment), **told,
            "reasons": [{"reason": "goodwill", "amount": Decimal("1.5")}],
            "waitsFor": {"pending": "provider", "failed": "person"}.get(status),
            "return": None, "note": None, "failure": None, "settledMethod": None,
            "dueSince": None, "requestedAt": row["requested_at"], "endedAt": None,
        }  # fmt: skip
        self.put("refunds", row, doc, hidden=hidden)

    def fulfillment(self, order: str, hidden: bool) -> str:
        dice, id = self.dice, self.id()
        status = dice.choice(("pending", "shipped", "delivered"))
        row = {
            "id": id,
            "order_id": order,
            "reference": self.maybe(f"box {self.made}"),
            "status": status,
            "carrier": self.maybe(dice.choice(("CJ Logistics", "FedEx", ""))),
            "tracking_number": self.maybe(f"T{self.made}"),
            "shipped_at": self.maybe(self.moment()),
            "delivered_at": self.moment() if status == "delivered" else None,
            "replaces": f"box {self.made - 1}" if self.made % 2 else None,
            "tracking_status": self.maybe(dice.choice(("in_transit", "delivered"))),
            "tracking_detail": self.maybe(dice.choice(("at_hub", ""))),
            "estimated_delivery": self.maybe(self.moment()),
            "last_scan_at": self.maybe(self.moment()),
            "last_scan_description": self.maybe("Left the hub"),
            "last_scan_location": self.maybe("Seoul"),
        }
        scan = {
            part: row[f"last_scan_{name}"] for part, name in (("time", "at"), ("description",) * 2, ("location",) * 2)
        }
        doc = {
            "order": shown("orders", order), "reference": row["reference"], "status": status,
            "carrier": row["carrier"], "trackingNumber": row["tracking_number"], "shippedAt": row["shipped_at"],
            "deliveredAt": row["delivered_at"], "replaces": row["replaces"], "trackingStatus": row["tracking_status"],
            "trackingDetail": row["tracking_detail"], "estimatedDelivery": row["estimated_delivery"],
            "lastScan": None if scan["time"] is None else scan,
        }  # fmt: skip
        self.put("fulfillments", row, doc, hidden=hidden)
        return id

    def back(self, order: str, hidden: bool) -> str:
        dice, id = self.dice, self.id()
        note = self.maybe(dice.choice(("chipped", "Wrong Colour")))
        row = {
            "id": id,
            "order_id": order,
            "reference": self.maybe(f"back {self.made}"),
            "reason": dice.choice(("defective", "other")),
            "status": dice.choice(("requested", "rejected")),
            "refund_amount": self.maybe(Decimal(dice.randrange(4))),
            "carrier": ("FedEx", None)[self.made % 2],
            "tracking_number": f"R{self.made}",
            "tracking_status": None,
            "received_at": START if self.made % 2 else None,
            "rejected_by": ("customer", "staff", None)[self.made % 3],
            "personal_id": self.personal({"note": note} if note else {}),
        }
        doc = {
            "order": shown("orders", order), "reference": row["reference"], "status": row["status"],
            "reason": row["reason"], "note": note, "refundAmount": row["refund_amount"],
            "carrier": row["carrier"], "trackingNumber": row["tracking_number"], "trackingStatus": None,
            "receivedAt": row["received_at"], "rejectedBy": row["rejected_by"],
        }  # fmt: skip
        self.put("returns", row, doc, hidden=hidden)
        return id

    def share(self, order: str, items: list[str], hidden: bool, owners: str, owner: str, owner_id: str) -> None:
        for item in self.dice.sample(items, self.dice.randrange(1, len(items) + 1)):
            quantity = self.dice.randrange(1, 3)
            row = {"id": self.id(), "order_id": order, f"{owner}_id": owner_id, "order_item_id": item}
            doc = {owner: shown(owners, owner_id), "orderItem": shown("order-items", item), "quantity": quantity}
            self.put(f"{owner}-items", {**row, "quantity": quantity}, doc, hidden=hidden)

    def cart(self, order: str | None) -> None:
        """With an order of anybody's, or a hidden one: a cart may say what it became to one who may not see that."""
        id, customer = self.id(), self.maybe(self.dice.choice(CUSTOMERS), 0.7)
        row = {"id": id, "customer": customer, "currency": "KRW", "order_id": order}
        became = order and shown("orders", order)
        self.put("carts", row, {"customer": customer, "currency": "KRW", "order": became})
        for _ in range(self.dice.randrange(3)):
            goods, doc = self.goods()
            self.put("cart-items", {"id": self.id(), "cart_id": id, **goods}, {"cart": shown("carts", id), **doc})

    def catalogue(self) -> None:
        """Not all that the items name: p4, p5, v3 and o3 are unknown."""
        for number in range(4):
            self.ware("products", f"p{number}", {})
        for number in range(3):
            self.ware("product-variants", f"v{number}", {"product": f"p{number}"})
            self.ware("product-options", f"o{number}", {"variant": f"v{number}"})

    def ware(self, collection: str, id: str, owner: dict[str, Any]) -> None:
        told = {"title": f"Title of {id}", "sku": self.maybe(f"sku{id}"), "price": self.maybe(Decimal("1.25"))}
        row = {"id": id, **told, "image": None, **owner}
        self.put(collection, row, {**told, "image": None, **owner})

    def store(self, engine: Engine) -> None:
        with engine.begin() as conn:
            for table in (tables.personal, *TABLES.values()):
                if self.rows.get(table):
                    conn.execute(insert(table), self.rows[table])


def shown(collection: str, id: str) -> str:
    return f"{PREFIX[collection]}_{id.replace('-', '')}" if collection in PREFIX else id


def a_world(engine: Engine, seed: int = 1, orders: int = 40) -> World:
    """Fill the database; what it holds."""
    maker = Maker(seed)
    maker.catalogue()
    for number in range(orders):
        maker.order(number)
    for number in range(orders, orders + 5):
        maker.order(number, hidden=True)
    made = [row["id"] for row in maker.rows[tables.orders]]
    for order in (None, None, None, *made[:20], *made[-3:]):
        maker.cart(order)
    maker.store(engine)
    return maker.world
