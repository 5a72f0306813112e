"""`.env.example`, written from the settings that exist: `python -m settings.example > .env.example`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from providers.registry import OURS
from settings.environment import OWN
from settings.fields import Setting

WIDTH = 118
HEAD = """\
# Every setting, with its default. Copy to .env and change what you need: `cp .env.example .env`
# The environment goes before .env. An unknown ORDERS_… name stops the start, with the nearest
# spelling. `orders doctor` prints each setting and where it came from.
# Durations: 90s, 30m, 24h, 7d; `off` switches one off.
# Written by `make docs`: a setting is declared in settings/environment.py, or beside its provider.
"""
FOOT = """
# Only docker-compose.yml reads this one: the password of its PostgreSQL.
#POSTGRES_PASSWORD=orders
"""


def env_example() -> str:
    """The file: our own settings, then those of each provider that comes with the application."""
    lines = [HEAD.rstrip()]
    for setting in OWN:
        lines += ["", *_lines(setting)]
    lines += ["", "# Providers. Several secrets of one, comma-separated, while they rotate."]
    for provider in OURS:
        lines += ["", f"# -- {provider.title}: {provider.note}"]
        for setting in provider.settings:
            lines += _lines(setting)
    return "\n".join(lines) + "\n" + FOOT


def _lines(setting: Setting[Any]) -> Iterator[str]:
    first = setting.meaning.split()[0]
    meaning = (
        setting.meaning if first.endswith(":") else first[0].upper() + first[1:] + setting.meaning.removeprefix(first)
    )
    for line in (*setting.about, meaning):
        yield from (f"# {part}" for part in wrap(line, WIDTH - 2))
    yield f"#{setting.name}={setting.default or (setting.example if setting.url and setting.name in _SHOWN else '')}"


_SHOWN = ("DATABASE_URL", "REDIS_URL")  # whose form is worth seeing, though they have no default


if __name__ == "__main__":
    sys.stdout.write(env_example())
