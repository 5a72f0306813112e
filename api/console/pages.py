"""All routers of the console, in the order in which they are matched."""

from __future__ import annotations

from api.console import lists, login, now, orders

ROUTERS = (now.router, orders.router, lists.router, login.router)
