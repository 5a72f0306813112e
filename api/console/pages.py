"""All routers of the console, in the order in which they are matched."""

from __future__ import annotations

from api.console import audit, given_up, lists, login, now, orders, pauses, privacy

ROUTERS = (
    now.router,
    orders.router,
    given_up.router,
    lists.router,
    pauses.router,
    audit.router,
    privacy.router,
    login.router,
)
