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
    return Routes(found.refund_clients(values), found.missing("refunds", values))


def webhooks(settings: Settings) -> dispatcher.Sender:
    """The sender of webhooks to subscribers."""
    return _sender(settings.webhooks_allow_private)


@cache
def _sender(allow_private: bool) -> Sender:
    """One per process, whose connections are used again."""
    return Sender(allow_private, clock=clock)
