"""The command line. An error that a person can mend is one sentence on stderr, never a traceback."""

from __future__ import annotations

import errno
import sys
from importlib import import_module

import redis
import typer
from rich.markup import escape
from sqlalchemy.exc import OperationalError

from cli.options import Problem, err
from embedded import ServerError
from storage.migrate import StorageError
from storage.settings import SettingsError

# Name → where it is. Only what is asked for is imported: all of them take a second.
COMMANDS = {
    "demo": "cli.demo:demo",
    "up": "cli.running:up",
    "ingest": "cli.ingest:ingest",
    "account": "cli.looking:account",
    "show": "cli.looking:show",
    "list": "cli.looking:list_",
    "verify": "cli.looking:verify",
    "dlq": "cli.mending:dlq",
    "parked": "cli.mending:parked",
    "replay": "cli.mending:replay_where",
    "keys": "cli.keys:keys",
    "webhooks": "cli.webhooks:webhooks",
    "schema": "cli.schema:schema",
    "doctor": "cli.doctor:doctor",
    "bench": "cli.bench:bench",
    "migrate": "cli.running:migrate",
    "worker": "cli.running:worker",
    "beat": "cli.running:beat",
    "api": "cli.serving:api",
}


def command_line(*names: str) -> typer.Typer:
    """`orders` with these commands, or with all."""
    made = typer.Typer(
        name="orders",
        help="Order lifecycle workers: events in, state out, nothing lost, nothing applied twice.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    made.callback()(lambda: None)  # a lone command is called by its name, too
    for name in names or COMMANDS:
        module, attribute = COMMANDS[name].split(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            made.add_typer(found, name=name)
        else:
            made.command(name)(found)
    return made


def main() -> None:
    """Entry point of `orders`."""
    named = sys.argv[1:2]
    try:
        command_line(*(name for name in named if name in COMMANDS))()
    except Problem as problem:
        _fail(str(problem), problem.code)
    except SettingsError as error:
        _fail(str(error), 2)
    except (ServerError, StorageError) as error:
        _fail(str(error), 1)
    except OperationalError as error:
        _fail(f"PostgreSQL does not answer: {str(error.orig).strip()}; check DATABASE_URL and the server", 1)
    except redis.RedisError as error:
        _fail(f"Redis does not answer: {error}; check REDIS_URL and the server", 1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _fail(f"{error}: free some there, and start again; what was accepted is safe", 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str, code: int) -> None:
    err.print(f"[red]orders:[/] {escape(message)}", soft_wrap=True)
    sys.exit(code)
