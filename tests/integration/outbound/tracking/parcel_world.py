"""A shop behind its HTTP door whose parcels are followed by webhooks, by polls, or by both: a scan is told by whatever way a test runs with."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from events.envelope import Envelope
from outbound.tracking import polls
from outbound.tracking.polls import PollRules
from providers.carriers.simulated import SimulatedCarrier
from storage.clock import clock
from tests.integration.api.commands.conftest import Shop
from tests.webhooks import EASYPOST, as_easypost

VAN, OTHER = "our van", "other van"
WAYS = ("webhook", "poll", "poll, then webhook")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = PollRules(timedelta(minutes=15), retire_after=30 * DAY)
_WORDS = {"cancelled": "cancelled", "delivery_failed": "failure"}  # EasyPost's, where they are not ours
_ids = itertools.count(1)


@dataclass
class World:
    """The shop, and what each carrier would answer; `way` says how scans get from there to here."""

    shop: Shop
    way: str = "poll"
    told: dict[tuple[str, str], list[tuple[str, datetime]]] = field(default_factory=lambda: defaultdict(list))

    # -- the shop

    def order(self, *lines: dict[str, Any], **more: Any) -> Any:
        """An order that is paid, with its plan."""
        return self.shop.paid(*lines, **more)

    def ship(self, order: Any, number: str, carrier: str = VAN, at: datetime | None = None) -> None:
        """The warehouse says that the order's one parcel has left."""
        about = {"fulfillment": "box", "carrier": carrier, "trackingNumber": number}
        self.event("FulfillmentShipped", order, at=at, **about)

    def event(self, kind: str, order: Any, at: datetime | None = None, **data: Any) -> None:
        """An event of somebody's system about an order."""
        made = at or clock()
        self.shop.tell(Envelope(f"event-{next(_ids)}", "warehouse", kind, made, order["orderNumber"], data))

    def parcel(self, order: Any) -> Any:
        """The order's parcel that has a number, else the only one."""
        docs = self.shop.order(order)["fulfillments"]["docs"]
        return next((doc for doc in docs if doc["trackingNumber"]), docs[0])

    def move(self, order: Any, **body: Any) -> Any:
        """A person changes the parcel's status, carrier or number."""
        return self.shop.ok("PATCH", f"/api/fulfillments/{self.parcel(order)['id']}", body)["doc"]

    def correct(self, order: Any, status: str) -> Any:
        """A person says that the parcel stands elsewhere."""
        body = {"status": status, "reason": "a mistake"}
        return self.shop.ok("POST", f"/api/fulfillments/{self.parcel(order)['id']}/correct", body)["doc"]

    def stands(self, order: Any) -> tuple[str, str]:
        """(the order's status, its parcel's)."""
        return self.shop.status(order), self.parcel(order)["status"]

    # -- carriers

    def scan(self, number: str, status: str, at: datetime | None = None, carrier: str = VAN) -> datetime:
        """Let something happen to a parcel, which gets here by the way of this world. → its time"""
        time = (at or clock() + timedelta(seconds=1)).replace(microsecond=0)
        self.told[carrier, number].append((status, time))
        for way in self.way.split(", then "):
            if way == "webhook":
                self.push(number, status, time.isoformat().replace("+00:00", "Z"), carrier)
            else:
                self.poll(carrier)
        return time

    def push(self, number: str, status: str, time: str, carrier: str = VAN) -> None:
        """A webhook of EasyPost's tells one scan, its time as written."""
        word = _WORDS.get(status, status)
        about = {
            "carrier": carrier,
            "tracking_code": number,
            "status": word,
            "tracking_details": [{"status": word, "datetime": time, "message": f"in their words: {status}"}],
        }
        note = {"id": f"evt_{next(_ids)}", "description": "tracker.updated", "created_at": "2026-11-20T12:00:00Z"}
        body, headers = as_easypost({**note, "result": about})
        answer = self.shop.client.post("/webhooks/carriers/easypost", content=body, headers=headers)
        assert answer.status_code in (200, 202), answer.text
        assert "reason" not in answer.json(), "the same scan in other words is no other body"
        self.shop.work()

    def poll(self, carrier: str = VAN) -> int:
        """Ask a carrier for every parcel that is still watched. → how many those are"""
        self.shop.do("update trackers set next_at = now() - interval '1 second' where not finished")
        doors = self.shop.doors
        client = SimulatedCarrier("http://van.test", name=carrier, transport=self._answers(carrier))
        asked = polls.run_due(doors.engine, doors.streams, doors.shop.shards, carrier, client, RULES, datetime.now(UTC))
        self.shop.work()
        return asked

    def watched(self, number: str) -> list[bool]:
        """Of each tracker of a number, whether it is still asked for."""
        rows = self.shop.do("select not finished from trackers where tracking_number = :number", number=number)
        return [row[0] for row in rows]

    def _answers(self, carrier: str) -> httpx.MockTransport:
        def answer(request: httpx.Request) -> httpx.Response:
            number = request.url.path.rsplit("/", 1)[1]
            scans = [
                {"id": f"{status} {time}", "time": time.isoformat(), "status": status, "description": f"told: {status}"}
                for status, time in self.told[carrier, number]
            ]
            return httpx.Response(200, json={"number": number, "scans": scans})

        return httpx.MockTransport(answer)


def a_world(database_url: str, redis_url: str) -> World:
    """A shop that polls two carriers, and takes EasyPost's webhooks about both."""
    carriers = f"{VAN}=http://van.test,{OTHER}=http://van.test"
    return World(Shop(database_url, redis_url, ORDERS_CARRIERS=carriers, ORDERS_EASYPOST_SECRETS=EASYPOST))
