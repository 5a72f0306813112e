"""The command line. An error that a person can mend is one sentence on stderr, never a traceback."""

from __future__ import annotations

import errno
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, NamedTuple

import typer
import typer.core
import typer.main
from rich.markup import escape

from cli.options import Problem, err


class Place(NamedTuple):
    """The place of a command: its module, its name there, and the first sentence of its help."""

    module: str
    name: str
    says: str


# In the order of `orders --help`. A command's module is imported when it is called, so that `orders --help` imports
# none of them; a test holds the sentences equal to the commands' own.
COMMANDS = {
    "demo": Place("demo", "demo", "Watch it work: orders played through their whole lives while everything goes wrong that can."),
    "up": Place("process_commands", "up", "Run everything for your own use until Ctrl-C: servers, workers, beat, and the HTTP API on this machine."),
    "ingest": Place("ingest.command", "ingest", "Put events into the journal; a bad line is reported with its number, and the rest goes on."),
    "account": Place("inspect", "account", "Show what became of every delivery that was accepted; the six outcomes add up."),
    "show": Place("inspect", "show", "Show an order: items, money, parcels, returns, refunds, and its newest events with what became of each."),
    "list": Place("inspect", "list_", "List orders, newest first; --json answers as the query API does."),
    "verify": Place("inspect", "verify", "Compute every order anew from the journal, and compare field by field; exit 1 where any differs."),
    "dlq": Place("dead_letters", "dlq", "Dead letters: why each was given up, and the way back."),
    "parked": Place("dead_letters", "parked", "Events that came too early, and what each waits for."),
    "replay": Place("dead_letters", "replay_where", "Replay all dead letters that died since, of a type, for a reason: at least one must be said."),
    "keys": Place("keys", "keys", "Keys of the HTTP API: made, listed, revoked."),
    "webhooks": Place("webhooks", "webhooks", "Outgoing webhooks: subscriptions to changes, and their deliveries."),
    "schema": Place("schema", "schema", "Print the description of the HTTP API, or of the events, for tools that read such. No server is asked."),
    "doctor": Place("doctor", "doctor", "Print the settings with their sources, and what is wrong, with the way to mend it. Answers within 5 seconds."),
    "bench": Place("bench", "bench", "Measure events per second, latency and costs, beside Celery with a task per event and PostgreSQL's ceiling."),
    "migrate": Place("process_commands", "migrate", "Bring the database's schema to this version (Alembic). Safe to run twice, and by several at once."),
    "worker": Place("process_commands", "worker", "Run a Celery worker: it answers doorbells and does the beat's chores. For a Procfile."),
    "beat": Place("process_commands", "beat", "Run the beat: it sends the chores (relay, timers, sweep, refunds, tracking). One is enough, two do no harm."),
    "api": Place("api_process", "api", "Serve the HTTP API: queries, the Server API, webhooks in, health. Its documentation stands at /docs."),
}  # fmt: skip


class LateCommands(typer.core.TyperGroup):
    """The group of all commands, each imported when it is asked for."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command itself; in a listing only its name and sentence."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        if self._listing:
            return typer.core.TyperCommand(cmd_name, help=place.says)
        return load(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing them."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


def load(name: str) -> Any:
    """The command called `name`, as click runs it; KeyError where there is none."""
    place = COMMANDS[name]
    found = getattr(import_module(f"cli.{place.module}"), place.name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(name)(found)
        return typer.main.get_command(alone)
    command = typer.main.get_group(found)
    command.name = name
    return command


cli = typer.Typer(
    name="orders",
    cls=LateCommands,
    help="Order lifecycle workers: events in, state out, nothing lost, nothing applied twice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _say_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"orders {version('order-lifecycle-workers')}\n")
        raise typer.Exit


@cli.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Order lifecycle workers: events in, state out, nothing lost, nothing applied twice."""


def main() -> None:
    """Entry point of `orders`."""
    try:
        cli()
    except Problem as problem:
        _fail(str(problem), problem.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        said = _explain(error)
        if said is None:
            raise
        _fail(*said)


def _explain(error: Exception) -> tuple[str, int] | None:
    """(what to say, exit code) of an error that a person can mend, else None; its libraries are imported late."""
    import redis
    from sqlalchemy.exc import OperationalError

    from embedded import ServerError
    from settings.environment import SettingsError
    from storage.migrate import StorageError

    match error:
        case SettingsError():
            return str(error), 2
        case ServerError() | StorageError():
            return str(error), 1
        case OperationalError():
            return f"PostgreSQL does not answer: {str(error.orig).strip()}; check DATABASE_URL and the server", 1
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"{error}: free some there, and start again; what was accepted is safe", 1
        case redis.RedisError():
            return f"Redis does not answer: {error}; check REDIS_URL and the server", 1
    return None


def _fail(message: str, code: int) -> None:
    err.print(f"[red]orders:[/] {escape(message)}", soft_wrap=True)
    sys.exit(code)
