"""Start of a simulated provider that speaks a real one's wire format: `python -m providers.simulators.start stripe`.

`orders simulate` starts the same; the options are described there. It prints one line, `listening on
http://127.0.0.1:PORT`, once it answers, or one JSON object.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from providers.payments import portone, standard, standard_webhooks, stripe, toss
from providers.simulators.books import Books
from providers.simulators.desk import MISHAPS, Desk, Dialect, application
from providers.simulators.portone import PortOne
from providers.simulators.process import Mishaps, arguments, mishap, serve
from providers.simulators.standard import Standard
from providers.simulators.stripe import Stripe
from providers.simulators.toss import Toss
from settings.fields import Setting

DIALECTS: dict[str, Callable[[str, str], Dialect]] = {
    "stripe": Stripe,
    "portone": PortOne,
    "toss": Toss,
    "standard": Standard,
}
_EXAMPLES: dict[str, tuple[Setting[Any], Setting[Any]]] = {
    "stripe": (stripe.API_KEY, stripe.SECRETS),
    "portone": (portone.API_KEY, portone.SECRETS),
    "toss": (toss.API_KEY, toss.SECRETS),
    "standard": (standard.REFUND_SECRETS, standard_webhooks.SECRETS),
}
KEYS = {name: str(settings[0].example) for name, settings in _EXAMPLES.items()}
SECRETS = {name: str(settings[1].example) for name, settings in _EXAMPLES.items()}


def desk(
    name: str,
    *,
    key: str | None = None,
    secret: str | None = None,
    state: str = ":memory:",
    seed: int = 7,
    errors: float = 0.0,
    shares: Mapping[str, float] | None = None,
    pace_s: float = 2.0,
    patience_s: float = 2.0,
    webhook_url: str | None = None,
) -> Desk:
    """A provider by its name. `errors` is the share of look-ups of PUT documents that meet a mishap."""
    dialect = DIALECTS[name](key or KEYS[name], secret or SECRETS[name])
    return Desk(Books(state), dialect, Mishaps(seed, errors), shares or {}, pace_s, patience_s, webhook_url)


def main(given: Sequence[str] | None = None) -> None:
    """Read the arguments and answer until a signal ends it."""
    parser = arguments("providers.simulators.start", "A payment provider in its real wire format.")
    parser.add_argument("name", choices=sorted(DIALECTS))
    parser.add_argument("--key", help="the shop's API key")
    parser.add_argument("--secret", help="that webhooks are signed with")
    parser.add_argument("--state", default=":memory:", metavar="FILE", help="SQLite; default memory")
    parser.add_argument("--webhook", metavar="URL", help="where webhooks go; without it there are none")
    parser.add_argument("--mishap", action="append", type=_a_mishap, default=[], metavar="KIND=SHARE")
    parser.add_argument("--pace", type=float, default=2.0, help="seconds until an open refund ends")
    parser.add_argument("--patience", type=float, default=2.0, help="seconds that a client is kept waiting")
    asked = parser.parse_args(given)
    try:
        made = desk(
            asked.name,
            key=asked.key,
            secret=asked.secret,
            state=asked.state,
            seed=asked.seed,
            errors=asked.errors,
            shares=dict(asked.mishap),
            pace_s=asked.pace,
            patience_s=asked.patience,
            webhook_url=asked.webhook,
        )
    except sqlite3.Error as error:
        parser.error(f"argument --state: {asked.state} cannot be used ({error})")
    serve(application(made), asked.port, lifespan="on")


def _a_mishap(text: str) -> tuple[str, float]:
    return mishap(text, MISHAPS)


if __name__ == "__main__":
    main()
