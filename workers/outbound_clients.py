"""Clients of whom the workers ask outside: providers and carriers from the registry, and who posts to subscribers."""

from __future__ import annotations

from functools import cache

from outbound.refund_routes import Routes
from outbound.webhooks import dispatcher
from outbound.webhooks.sender import Sender
from providers.registry import registry
from settings.environment import Settings
from storage.clock import clock


def refund_routes(settings: Settings) -> Routes:
    """The providers that give money back, each what it took."""
    found, values = registry(), settings.providers
    clients = found.refund_clients(values)
    waiting = {
        name: f"set {names} for the workers and restart them"
        for name, names in found.missing("refunds", values).items()
    }
    # What is broken may be mended: until then nobody else gives back what it took, and nothing is given up.
    broken = {each.name for each in found.broken} | set(found.ready("refunds", values)) - clients.keys()
    waiting |= {name: f"mend the provider {name} (see the line `providers`)" for name in broken}
    return Routes(clients, waiting)


def webhooks(settings: Settings) -> dispatcher.Sender:
    """The sender of webhooks to subscribers."""
    return _sender(settings.webhooks_allow_private)


@cache
def _sender(allow_private: bool) -> Sender:
    """One per process, whose connections are used again."""
    return Sender(allow_private, clock=clock)
