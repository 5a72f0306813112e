"""Every command of `orders` is documented: by its own help, and in the README."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import main

ROOT = Path(__file__).parents[2]


def commands(of: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(`dlq list`, the command) of every command, groups included."""
    for name, command in of.items():
        yield " ".join((*path, name)), command
        yield from commands(getattr(command, "commands", {}), (*path, name))


COMMANDS = dict(commands({name: main.load(name) for name in main.COMMANDS}))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_has_help(name):
    command = COMMANDS[name]
    assert (command.help or "").strip(), f"orders {name} has no docstring"
    for parameter in command.params:
        said = (getattr(parameter, "help", None) or "").strip()
        assert said, f"orders {name}: {parameter.name} has no help"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_answers_takes_data_and_json(name):
    command = COMMANDS[name]
    if getattr(command, "commands", None) or name in ("worker", "beat", "up", "demo", "api", "bench", "simulate"):
        pytest.skip("runs until it is stopped, or is a group")
    taken = {option for parameter in command.params for option in parameter.opts}
    assert {"--data", "--json"} <= taken


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_readme(name):
    listed = {words for row in re.findall(r"^\| (`orders .*?) \| ", README, re.MULTILINE) for words in _spelled(row)}
    assert name in listed, f"README.md does not list `orders {name}`"


README = (ROOT / "README.md").read_text()


def _spelled(row: str) -> Iterator[str]:
    r"""The commands of a row: of `orders dlq list\|show` those are dlq, dlq list and dlq show."""
    for code in re.findall(r"`orders ([^`]+)`", row):
        words = [word for word in code.split() if re.fullmatch(r"[a-z-]+(\\\|[a-z-]+)*", word)]
        found = [""]
        for word in words:
            found = [f"{start} {name}".strip() for start in found for name in word.split(r"\|")]
            yield from found
