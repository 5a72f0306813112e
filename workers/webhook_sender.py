"""The sender of webhooks to subscribers, one per process."""

from __future__ import annotations

from functools import cache

from outbound.webhooks import dispatcher
from outbound.webhooks.sender import Sender
from settings.environment import Settings
from storage.clock import clock


def webhook_sender(settings: Settings) -> dispatcher.Sender:
    """The sender of webhooks to subscribers."""
    return _sender(settings.webhooks_allow_private)


@cache
def _sender(allow_private: bool) -> Sender:
    """One per process, whose connections are used again."""
    return Sender(allow_private, clock=clock)
