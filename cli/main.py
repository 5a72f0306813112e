"""The command line. An error that a person can mend is one sentence on stderr, never a traceback."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
import typer.core
import typer.main

from cli.options import Problem, err
from cli.terminal import bounded, safe
from events.errors import OrdersError

CTRL_C = 130  # 128 and SIGINT, as shells have it
LONGEST = 2_000  # characters of a message; it may quote what was typed
SHOWN = 200  # of them, of one value
NOT_ALLOWED = "42501"  # PostgreSQL's insufficient_privilege
# Of typer's errors only BadParameter is public, and whose module the others are in depends on its version.
_WRONG_USE: type[Exception] = typer.BadParameter.__mro__[2]


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
    "why": Place("why", "why", "Say in one sentence what an order waits for, since when, and what would move it; or count all open orders by that."),
    "dwell": Place("why", "dwell", "Show how long orders stay in each status (p50, p95, longest), against ORDERS_DWELL_TARGETS; exit 1 where any is late."),
    "preflight": Place("preflight", "preflight", "Fold all open orders by this release, read-only, and list what it would strand or change; exit 1 where anything."),
    "verify": Place("inspect", "verify", "Compute every order anew from the journal, and compare field by field; exit 1 where any differs."),
    "edit": Place("corrections", "edit", "Edit what an order says of its customer, and where it goes. What is not given stays; \"\" empties."),
    "cancel-items": Place("corrections", "cancel_items", "Cancel some of an order's items that are in no parcel: all that are named, or none."),
    "balance": Place("balance", "balance", "Add up the money of an order, or of all orders by currency: what came, what went back, what is still owed."),
    "refund": Place("refunds", "refund", "Give money back without a return; it goes out by itself, and what was given back before is said."),
    "refunds": Place("refunds", "refunds", "Refunds: what went back, what is to, what failed, and the way on."),
    "accept": Place("refunds", "accept", "Take an underpayment as enough: the order is paid, and what is missing is written off."),
    "hold": Place("corrections", "hold", "Hold an order: nothing more of it ships until the hold is released."),
    "release": Place("corrections", "release", "Release a hold of an order: the named one, or the only one."),
    "correct-fulfillment": Place("parcel_corrections", "correct_fulfillment", "Say where a fulfillment really stands, or who carries it."),
    "parcels": Place("parcels", "parcels", "List parcels on their way: where each is, when it is expected, and why it is stuck."),
    "scan": Place("scan", "scan", "Tell what is known of a parcel, as its carrier would: it moves its order, and stands on its timeline."),
    "returns": Place("returns", "returns", "Returns: withdrawn by the customer, received at the warehouse."),
    "given-up": Place("given_up", "given_up", "What was given up: events, refunds, payment look-ups, deliveries. Each can be found, edited, discarded, replayed."),
    "dlq": Place("dead_letters", "dlq", "Part of what was given up: dead letters (events, refunds) and payment look-ups, one by one; `orders given-up` is the whole list."),
    "overdue": Place("overdue", "overdue", "List refunds that are overdue by the legal clock, the longest due first, with what each waits for."),
    "parked": Place("dead_letters", "parked", "Events that came too early, and what each waits for."),
    "replay": Place("given_up", "replay_all", "Replay all that was given up since, of a type, for a reason: at least one must be said. Or rebuild one order."),
    "privacy": Place("privacy", "privacy", "What is kept of a customer: one file of it all, and its erasure."),
    "pause": Place("pauses", "pause", "Pause an order, a type of event, a provider, a carrier, a kind of calls, a subscription, or all that goes outward."),
    "resume": Place("pauses", "resume", "Resume what was paused; events that waited are applied in their order by the workers."),
    "pauses": Place("pauses", "pauses", "List what is paused: why, by whom, since when and until when, and how many events wait; exit 0 in any case."),
    "reconcile": Place("reconcile", "reconcile", "Compare payments, refunds and disputes of payment providers with ours, each way; exit 1 where something waits for a person."),
    "audit": Place("audit", "audit", "Who did what, and who looked at personal data."),
    "findings": Place("findings", "findings", "What differs between payment providers and us, until a person resolves it."),
    "trackers": Place("trackers", "trackers", "Parcels that are followed at their carriers: which fail, which are retired, and what each carrier may still be asked."),
    "keys": Place("keys", "keys", "Keys of the HTTP API: made, listed, revoked."),
    "operators": Place("operators", "operators", "Operators of the console: who may log in, and as what."),
    "top": Place("top", "top", "Watch the figures of the console's first page in this terminal, until Ctrl-C."),
    "webhooks": Place("webhooks", "webhooks", "Outgoing webhooks: subscriptions to changes, and their deliveries."),
    "schema": Place("schema", "schema", "Print the description of the HTTP API, or of the events, for tools that read such. No server is asked."),
    "doctor": Place("doctor", "doctor", "Print the settings with their sources, and what is wrong, with the way to mend it. Answers within 5 seconds."),
    "simulate": Place("simulate", "simulate", "Simulate a payment provider, tracking service or carrier on this machine, in its real wire format, until Ctrl-C."),
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


def import_command(arguments: Sequence[str]) -> None:
    """Import what the command of these arguments needs; it is called later."""
    if (place := COMMANDS.get(next(iter(arguments), ""))) is not None:
        import_module(f"cli.{place.module}")


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
        _check_arguments(sys.argv[1:])
        code = cli(standalone_mode=False)
    except KeyboardInterrupt:  # outside of the command; inside it typer answers 130
        code = CTRL_C
    except typer.Abort:
        _fail("nothing was answered, so nothing was changed; say --yes where there is nobody to ask", 1)
    except BrokenPipeError:  # whoever read the output has seen enough: `orders list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except _WRONG_USE as error:
        _fail_use(error)
    except Exception as error:
        if not _follows_ctrl_c(error):
            said = _explain(error)
            if said is None:
                raise
            _fail(*said)
        code = CTRL_C
    if code == CTRL_C:
        _fail("stopped by Ctrl-C; what was done until then stays, and the same command may come again", CTRL_C)
    sys.exit(code if isinstance(code, int) else 0)


def _check_arguments(arguments: Sequence[str]) -> None:
    """Refuse bytes that are no text in the terminal's encoding: neither a database nor a message can hold them."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise Problem(f"the argument {argument} is no UTF-8; write it in UTF-8, or rename the file", 2) from None


def _follows_ctrl_c(error: BaseException | None) -> bool:
    """True for an error of what Ctrl-C broke off: a transaction that could not be rolled back, say."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _explain(error: Exception) -> tuple[str, int] | None:
    """(what to say, exit code) of an error that a person can mend, else None; its libraries are imported late."""
    if isinstance(error, OrdersError):
        return str(error) if isinstance(error, Problem) else f"{error} ({error.code})", error.exit_code
    if isinstance(error, OSError):
        return _of_the_system(error), 1

    import redis
    from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError

    from embedded import ServerError

    match error:
        case ServerError():
            return str(error), 1
        case OperationalError() | InterfaceError():
            return f"PostgreSQL does not answer: {_line(error.orig)}; check DATABASE_URL and the server", 1
        case DataError():
            return f"PostgreSQL cannot keep a value: {_line(error.orig)}; correct it, nothing was changed", 2
        case DBAPIError() if getattr(error.orig, "sqlstate", None) == NOT_ALLOWED:
            return f"PostgreSQL refuses: {_line(error.orig)}; grant it, or use another user in DATABASE_URL", 1
        case redis.RedisError():
            return f"Redis does not answer: {error}; check REDIS_URL and the server", 1
    return None


def _of_the_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename is not None else ""
    says = f"{where}{error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{says}: free some there, and start again; what was accepted is safe"
    return f"{says}; give another path, or mend that one"


def _line(error: BaseException | None) -> str:
    return " ".join(str(error).split())


def _fail_use(error: Exception) -> NoReturn:
    """What click and typer say against the arguments, in our words' shape."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]  # the help itself
        sys.exit(2)
    says = error.format_message().replace("Value error, ", "").rstrip(".")  # type: ignore[attr-defined]
    given = _given(error)
    if given and given not in says:
        says = f"{says}, not {bounded(given, SHOWN)}"
    context = getattr(error, "ctx", None)
    _fail(f"{says}; see `{context.command_path} --help`" if context is not None else says, 2)


def _given(error: Exception) -> str:
    """The value that typer refuses, where pydantic told it so: its message says only what would do."""
    faults = getattr(error.__cause__, "errors", None)
    return str(faults()[0]["input"]) if faults is not None else ""


def _fail(message: str, code: int) -> NoReturn:
    err.print(f"[red]orders:[/] {safe(message, LONGEST)}", soft_wrap=True)
    sys.exit(code)
