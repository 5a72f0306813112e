"""Webhooks in: verified, translated, journaled in groups, and answered once committed.

receiver        POST /webhooks/payments/{provider} and /webhooks/carriers/{carrier}
group_commit    many requests, one commit
address_limit   how many unsigned webhooks one address may send

Which providers and carriers may call follows from the registry (`providers.registry`) and the settings. An application
calls `start` when it starts, keeps what that returns in `app.state.inbound`, and awaits its `stop` before it lets go of
its connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api.publisher import Publisher
from api.resources import Doors
from api.webhooks_in.address_limit import Arrivals
from api.webhooks_in.group_commit import Journaler
from providers.base import Kind, WebhookReceiver
from providers.registry import registry

__all__ = ["Inbound", "start"]


@dataclass(frozen=True, slots=True)
class Inbound:
    """State of one application's webhook routes."""

    receivers: Mapping[Kind, Mapping[str, WebhookReceiver]]  # those that are configured, by name
    closed: Mapping[Kind, Mapping[str, str]]  # of the others: the settings that would open them
    journaler: Journaler
    arrivals: Arrivals

    def hint(self, kind: Kind, name: str) -> str:
        """Advice for a name under which no webhooks are taken."""
        known = {each.name for each in registry().of_kind(kind) if each.receives is not None}
        if name not in known:
            return f"there are {', '.join(sorted(known))}"
        missing = self.closed[kind].get(name)
        return f"it opens with {missing}" if missing else "its log says why it cannot be used"

    async def stop(self) -> None:
        """Finish what was handed over, then take nothing more."""
        await self.journaler.stop()


def start(doors: Doors, publisher: Publisher) -> Inbound:
    """Open the doors that `doors.settings` name, and the journaler behind them; what it commits goes to `publisher`."""
    journaler = Journaler(doors.engine, doors.shop.shards, publisher)
    found, values = registry(), doors.settings.providers
    kinds: tuple[Kind, ...] = ("payments", "carrier")
    receivers = {kind: found.receivers(kind, values) for kind in kinds}
    closed = {kind: found.missing("receives", values, kind) for kind in kinds}
    return Inbound(receivers, closed, journaler, Arrivals())
