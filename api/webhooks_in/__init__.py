"""Webhooks in: verified, translated, journaled in groups, and answered once committed.

receiver       POST /webhooks/payments/{provider} and /webhooks/carriers/{carrier}
senders        the providers and carriers that may call, from the settings
group_commit   many requests, one commit
address_limit  unsigned webhooks per address

An application calls `start` when it starts, keeps what that returns in `app.state.inbound`, and awaits its `stop`
before it lets go of its connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api.publisher import Publisher
from api.resources import Doors
from api.webhooks_in.address_limit import Arrivals
from api.webhooks_in.group_commit import Journaler
from api.webhooks_in.senders import Door, carriers, payments

__all__ = ["Inbound", "start"]


@dataclass(frozen=True, slots=True)
class Inbound:
    """The resources of the webhook routes of one application."""

    payments: Mapping[str, Door]
    carriers: Mapping[str, Door]
    journaler: Journaler
    arrivals: Arrivals

    async def stop(self) -> None:
        """Finish what was handed over, then take nothing more."""
        await self.journaler.stop()


def start(doors: Doors, publisher: Publisher) -> Inbound:
    """Open the doors that `doors.settings` name, and the journaler behind them; what it commits goes to `publisher`."""
    journaler = Journaler(doors.engine, doors.shop.shards, publisher)
    return Inbound(payments(doors.settings), carriers(doors.settings), journaler, Arrivals())
