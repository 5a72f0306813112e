"""All routers of the console, in the order in which they are matched."""

from __future__ import annotations

from api.console import audit, given_up, given_up_acts, lists, login, now, orders, pauses, previews, privacy

ROUTERS = (
    now.router,
    orders.router,
    previews.router,
    given_up.router,
    given_up_acts.router,
    lists.router,
    pauses.router,
    audit.router,
    privacy.router,
    login.router,
)
