"""The HTTP face of what was given up: `orders given-up` for a console or a script, with a secret key alone.

models     bodies of requests: which things, why, and by whom
endpoints  lists, causes, details, edits, discards, forecasts
replays    replays: begun, looked at, stopped, resumed; and one order rebuilt
"""

from __future__ import annotations

from api.given_up import endpoints, replays

ROUTERS = (replays.router, endpoints.router)  # in this order: the paths of replays are more than `/{ref}`
