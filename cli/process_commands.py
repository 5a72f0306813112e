"""`orders worker`, `orders beat`, `orders up`, `orders migrate`: processes, alone or together (`orders api`: serving)."""

from __future__ import annotations

import signal
from itertools import chain
from typing import Annotated, Literal

import typer

from cli import keys, operators
from cli.api_process import PORT, choose_port, start_api
from cli.bootstrap import bring_up_to_date, find_servers, open_shop
from cli.options import Data, Json, Problem, err, out, print_json, program, stop_at_sigterm
from cli.processes import Processes, start_workers
from cli.rules import HINT, bring_orders_up_to_date, refuse_old_orders
from cli.terminal import safe
from events.catalogue import PERSONAL_NAMES
from journal.refold import is_behind
from operations import gauges
from settings.environment import Settings, read
from storage import keys as stored_keys
from storage.engine import connect
from telemetry import exposure, log
from workers.app import app
from workers.pools import POOLS, serve
from workers.resources import Parts

Workers = Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that apply events.")]

LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option("--loglevel", help="Which lines to write, and all above; else ORDERS_LOG_LEVEL."),
]


def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Processes that apply events.")] = 2,
    queues: Annotated[
        str,
        typer.Option(
            help="Which to answer, comma-separated: drain (applies events), chores, and outside, "
            "which is refunds, lookups, tracking and webhooks."
        ),
    ] = "drain,chores,outside",
    loglevel: LogLevel = None,
) -> None:
    """Run a Celery worker: it answers doorbells and does the beat's chores. For a Procfile.

    Drains have processes; chores, and what waits for the outside, a process each with a thread for every chore. Asked for
    more than one of the three, it runs a process of its own for each, and starts again what ends. After an upgrade it refuses
    to start before `orders verify --refold` has run (exit 1). Needs DATABASE_URL and REDIS_URL; `orders up` runs workers, beat
    and servers together.
    """
    settings = _needs_urls()
    asked = _asked(queues)
    refuse_old_orders(settings.database_url or "")
    if len(asked) == 1:
        ((pool, names),) = asked.items()
        serve(settings, pool, names, concurrency, _log_to(settings, loglevel))
        return
    stop_at_sigterm()
    with Processes(None, _say_restart) as processes:
        for pool, names in asked.items():
            flags: tuple[str, ...] = ("--concurrency", str(concurrency), "--queues", ",".join(names))
            flags += ("--loglevel", loglevel) if loglevel is not None else ()
            processes.start(pool, "cli", "worker", *flags)
        try:
            signal.pause()
        except KeyboardInterrupt:
            err.print("stopping …")


def _asked(queues: str) -> dict[str, list[str]]:
    """Pool → its queues among those named, each by the name that it has in `--queues`."""
    named = {name for word in queues.split(",") for name in POOLS.get(word, (word,))}
    if unknown := sorted(named - set(chain.from_iterable(POOLS.values()))):
        known = ", ".join((*POOLS, *POOLS["outside"]))
        raise Problem(f"--queues: {unknown[0]!r} is none of {known}", 2)
    return {pool: here for pool, names in POOLS.items() if (here := [name for name in names if name in named])}


def _log_to(settings: Settings, loglevel: str | None) -> str:
    """Log as the settings say, or from this level on; → the level."""
    level = loglevel or settings.log_level
    log.configure(settings.log_form, level, PERSONAL_NAMES)
    return level.upper()


def beat(loglevel: LogLevel = None) -> None:
    """Run the beat: it sends the chores (relay, timers, sweep, refunds, tracking). One is enough, two do no harm."""
    settings = _needs_urls()
    level = _log_to(settings, loglevel)
    exposure.start(settings.data, "beat")
    if settings.metrics is not None:
        exposure.serve(settings.metrics, "beat", gauges.collector(settings))
    app.Beat(loglevel=level, schedule=None, pidfile=None).run()


def migrate(data: Data = None, json: Json = False) -> None:
    """Bring the database's schema to this version (Alembic). Safe to run twice, and by several at once."""
    stop_at_sigterm()
    with find_servers(data) as found:
        done = bring_up_to_date(found)
        engine = connect(found.settings.database_url or "")
        try:
            with engine.connect() as conn:
                behind = is_behind(conn)
        finally:
            engine.dispose()
    if json:
        print_json({"applied": done, "refold": behind})
        return
    out.print(f"applied {', '.join(done)}" if done else "the schema is up to date")
    if behind:
        out.print(HINT, soft_wrap=True)


def up(
    workers: Workers = 2,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Where the HTTP API listens; 8000, or the next that is free."),
    ] = None,
    data: Data = None,
) -> None:
    """Run everything for your own use until Ctrl-C: servers, workers, beat, and the HTTP API on this machine.

    Other `orders` commands with the same --data find what runs here. A process that dies is started again. The first
    time it makes a pair of API keys and shows them, and a link into the console.
    """
    stop_at_sigterm()
    if read().database_url is None:
        err.print("starting PostgreSQL and Valkey …")
    with (
        open_shop(data, make=True, upgrade=True, tell=_say) as (opened, found),
        Processes(found.settings.data / "logs", _say_restart) as processes,
    ):
        if found.whose == "found":
            raise Problem(f"`orders up` runs already in {found.settings.data}; stop it first, or give another --data")
        port_chosen = choose_port(port)
        bring_orders_up_to_date(opened.engine)
        start_workers(processes, workers)
        url = start_api(processes, port_chosen)
        values = opened.settings.values
        out.print(f"[bold]orders is up[/] with {workers} drain processes; logs in {safe(processes.logs)}")
        if found.whose == "started":
            out.print(f"  servers   embedded, in {safe(found.settings.data)}")
        else:
            out.print(f"  servers   {safe(values['DATABASE_URL'])}  {safe(values['REDIS_URL'])}")
        out.print(f"  API       {safe(url)}/api   ·   {safe(url)}/docs")
        if port is None and port_chosen != PORT:
            out.print(f"            port {PORT} is taken, so it is {port_chosen}")
        _say_first_keys(opened)
        _say_console(opened, url)
        if opened.settings.token_secret is None:
            out.print("  tokens    none for customers: set ORDERS_TOKEN_SECRET")
        name = safe(program())
        elsewhere = f" --data {safe(data)}" if data is not None else ""  # ORDERS_DATA each command reads itself
        tries = "   ·   ".join(f"{name} {command}{elsewhere}" for command in ("list", "account", "doctor"))
        out.print(f"  try       {tries}", soft_wrap=True)
        out.print("  stop      Ctrl-C")
        try:
            signal.pause()
        except KeyboardInterrupt:
            err.print("stopping …")


def _say_first_keys(opened: Parts) -> None:
    """Where there is no key yet: a pair of them, shown once."""
    with opened.engine.begin() as conn:
        if stored_keys.every(conn):
            return
        secret, _ = keys.make(conn, "secret", "orders up")
        publishable, _ = keys.make(conn, "publishable", "orders up")
    out.print(f"  keys      shown this once; more: {safe(program())} keys add secret", soft_wrap=True)
    out.print(f"            [bold]{secret}[/]  secret, for your backend", soft_wrap=True)
    out.print(f"            [bold]{publishable}[/]  publishable, for pages", soft_wrap=True)


def _say_console(opened: Parts, url: str) -> None:
    """The console's address; with a link that lets in once, until an admin has set a password."""
    with opened.engine.begin() as conn:
        link = operators.first_link(conn, url)
    if link is None:
        out.print(f"  console   {safe(url)}/console", soft_wrap=True)
    else:
        out.print("  console   this link lets you in once; set a password there:", soft_wrap=True)
        out.print(f"            [bold]{safe(link)}[/]", soft_wrap=True)


def _say(sentence: str) -> None:
    err.print(sentence, markup=False, soft_wrap=True)


def _say_restart(name: str, code: int) -> None:
    err.print(f"{name} ended ({'signal ' + str(-code) if code < 0 else 'exit ' + str(code)}); started again")


def _needs_urls() -> Settings:
    settings = read()
    if settings.database_url is None or settings.redis_url is None:
        raise Problem("set DATABASE_URL and REDIS_URL; to run everything on embedded servers use `orders up`", 2)
    return settings
