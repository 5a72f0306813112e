"""The command line. An error that a person can mend is one sentence on stderr, never a traceback."""

from __future__ import annotations

import sys

import redis
import typer
from rich.markup import escape
from sqlalchemy.exc import OperationalError

from cli import bench, demo, doctor, ingest, keys, looking, mending, running, schema, serving, webhooks
from cli.options import Problem, err
from embedded import ServerError
from storage.migrate import StorageError
from storage.settings import SettingsError

cli = typer.Typer(
    name="orders",
    help="Order lifecycle workers: events in, state out, nothing lost, nothing applied twice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
cli.command()(demo.demo)
cli.command()(running.up)
cli.command()(ingest.ingest)
cli.command()(looking.account)
cli.command()(looking.show)
cli.command("list")(looking.list_)
cli.command()(looking.verify)
cli.add_typer(mending.dlq, name="dlq")
cli.add_typer(mending.parked, name="parked")
cli.command("replay")(mending.replay_where)
cli.add_typer(keys.keys, name="keys")
cli.add_typer(webhooks.webhooks, name="webhooks")
cli.command()(schema.schema)
cli.command()(doctor.doctor)
cli.command()(bench.bench)
cli.command()(running.migrate)
cli.command()(running.worker)
cli.command()(running.beat)
cli.command()(serving.api)


def main() -> None:
    """Entry point of `orders`."""
    try:
        cli()
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
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str, code: int) -> None:
    err.print(f"[red]orders:[/] {escape(message)}", soft_wrap=True)
    sys.exit(code)
