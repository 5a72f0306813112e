"""Orders of a release before, brought to the rules of this one: before its workers start, and never while they run."""

from __future__ import annotations

from time import sleep

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from cli.options import Problem, err
from cli.terminal import safe
from journal.refold import is_behind, refold_all
from journal.verify import Difference
from storage import migrate
from storage.engine import connect

SHOWN = 50  # differences that are printed
AGAIN_S = 1.0  # until PostgreSQL is asked again
HINT = (
    "orders may be as the rules of a release before made them: once its workers have stopped, and before those of this one "
    "start, run `orders verify --refold`, which lists the orders that differ, and sends nothing"
)


def refuse_old_orders(database_url: str) -> None:
    """Let a process that applies events start only once all orders are as the rules of this release make them.

    What older rules did not keep, such as an open dispute, would be missing. Where PostgreSQL is away it waits: nobody may
    begin unseen. Errors: Problem, with the next command.
    """
    engine, said = connect(database_url), False
    try:
        while True:
            try:
                with engine.connect() as conn:
                    behind = is_behind(conn)
                break
            except OperationalError as error:
                if not said:
                    why = safe(str(error.orig).strip().split("\n")[0], 200)
                    err.print(f"PostgreSQL does not answer ({why}); waiting for it", soft_wrap=True)
                    said = True
                sleep(AGAIN_S)
            except ProgrammingError:  # its tables are not there
                behind = True
                break
    finally:
        engine.dispose()
    if behind:
        lacks = migrate.pending(database_url)
        raise Problem(f"the schema lacks {', '.join(lacks)}; run `orders migrate`" if lacks else HINT)


def bring_orders_up_to_date(engine: Engine) -> None:
    """Fold all orders anew where the database has those of older rules; what differs is listed. Nobody else may write."""
    with engine.connect() as conn:
        if not is_behind(conn):
            return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = 0

    def tell(each: Difference) -> None:
        nonlocal shown
        shown += 1
        if shown <= SHOWN:
            err.print(f"[yellow]is otherwise[/] {safe(str(each))}", soft_wrap=True)

    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("folding anew by the rules of this release", total=None)
        count = refold_all(engine, tell, lambda done, of: bar.update(task, completed=done, total=of))
    if count:
        more = f", {shown - SHOWN:,} differences more than shown" if shown > SHOWN else ""
        err.print(f"{count:,} orders were folded anew by the rules of this release{more}; nothing was sent for them")
