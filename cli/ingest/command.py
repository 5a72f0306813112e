"""`orders ingest`: events from a file or a folder into the journal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from psycopg.errors import DeadlockDetected
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import OperationalError

from cli.bootstrap import heartbeat, open_shop
from cli.ingest import delivery_disorder, ndjson, olist
from cli.ingest.line_reader import BadLine
from cli.options import CtrlC, Data, Json, Problem, err, out, print_json
from cli.patience import Left, Patience, begun
from cli.processes import Processes, start_workers
from cli.terminal import safe
from events.envelope import Envelope
from events.errors import OrdersError
from journal.append import Appended, append
from journal.totals import account
from operations.health.check import Place
from workers.resources import Parts

CHUNK = 1000  # envelopes a transaction
SHOWN = 20  # bad lines that are printed; all are counted


def ingest(
    path: Annotated[str, typer.Argument(help="NDJSON events (also .gz, or - for stdin), or a folder of Olist CSVs.")],
    format: Annotated[
        Literal["events", "olist"] | None, typer.Option("--format", help="events (NDJSON) or olist (a folder).")
    ] = None,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Until every event has a result, and every refund that can go out has; starts workers if none run. "
            "What was given up, or does not move, is named, with exit code 1.",
        ),
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Let timers run and refunds go out; history acts on nobody else.")
    ] = False,
    disorder: Annotated[
        int | None, typer.Option("--disorder", metavar="SEED", help="Shuffle the events first.")
    ] = None,
    duplicate: Annotated[
        float, typer.Option("--duplicate", metavar="SHARE", min=0, max=1, help="Deliver this share of them twice.")
    ] = 0.0,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="With --wait: processes to start.")] = 2,
    data: Data = None,
    json: Json = False,
) -> None:
    """Put events into the journal; a bad line is reported with its number, and the rest goes on.

    Exit codes: 0 done; 1 bad lines, or with --wait something was given up or does not move by itself; 2 wrong use.

    Examples: orders ingest events.ndjson --wait   ·   orders ingest olist/ --disorder 7 --duplicate 0.2 --wait
    """
    source = _read(path, format)
    bad: list[BadLine] = []
    events: Iterable[Envelope] = _good(source, bad)
    if disorder is not None or duplicate:
        err.print("reading …")
        listed = list(events)
        if duplicate:
            listed = delivery_disorder.duplicate(listed, duplicate, disorder or 0)
        events = delivery_disorder.disorder(listed, disorder) if disorder is not None else listed
    total = len(events) if isinstance(events, list) else None
    with ExitStack() as stack:
        ctrl_c = stack.enter_context(CtrlC())
        opened, found = stack.enter_context(open_shop(data, make=True))

        def start() -> None:
            err.print(f"no workers run here: starting {workers} for this run")
            start_workers(stack.enter_context(Processes(found.settings.data / "logs")), workers)

        served = None if found.whose == "started" else heartbeat(opened)
        if wait and served is None:
            start()
        began = time.monotonic()
        with opened.engine.connect() as conn:
            since = begun(conn)
        counts = _append_all(opened, events, total, ctrl_c, held=not live)
        read_s = time.monotonic() - began
        left: Left | None = None
        if wait:
            place = Place(found.settings, embedded=found.whose != "yours")
            with _bar() as bar:
                left = Patience(opened, place, start if served else None, served, since).wait(bar)
        seconds = time.monotonic() - began
        with opened.engine.connect() as conn:
            state = account(conn)
    document: dict[str, Any] = {
        **counts,
        "bad": len(bad),
        "bad_lines": [{"file": b.file, "line": b.number, "reason": b.reason} for b in bad[:1000]],
        "held": not live,
        "append_seconds": round(read_s, 3),
        "seconds": round(seconds, 3),
        "account": state,
    }
    if left is not None:
        document["left"] = left.document()
    if json:
        print_json(document)
    else:
        _tell(document, bad, left)
    if bad or (left is not None and left.reasons()):
        raise typer.Exit(1)


def _read(path: str, form: str | None) -> Iterator[Envelope | BadLine]:
    if path == "-":
        if form == "olist":
            raise Problem("--format olist wants a folder, not stdin", 2)
        return ndjson.read_stream(sys.stdin.buffer)
    where = Path(path)
    if not where.exists():
        raise Problem(f"{path} does not exist; give a file of events, or a folder of Olist's CSVs", 2)
    if (form or ("olist" if where.is_dir() else "events")) == "olist":
        if not where.is_dir():
            raise Problem(f"--format olist wants a folder of CSVs; {path} is a file", 2)
        return olist.read(where)
    if where.is_dir():
        raise Problem(f"{path} is a folder; give a file, or --format olist for Olist's CSVs", 2)
    return ndjson.read(where)


def _good(source: Iterator[Envelope | BadLine], bad: list[BadLine]) -> Iterator[Envelope]:
    for each in source:
        if isinstance(each, BadLine):
            bad.append(each)
            if len(bad) <= SHOWN:
                err.print(f"[yellow]{safe(each.file)}:{each.number}:[/] {safe(each.reason)}", soft_wrap=True)
        else:
            yield each


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=err, transient=True)


def _append_all(
    opened: Parts, events: Iterable[Envelope], total: int | None, ctrl_c: CtrlC, *, held: bool
) -> dict[str, int]:
    counts = {"accepted": 0, "new": 0, "duplicates": 0, "body_differs": 0}
    with _bar() as bar:
        task = bar.add_task("journaling", total=total)
        for chunk in _chunks(events):
            done = _append(opened, chunk, held)
            opened.streams.publish(done.new)
            counts["accepted"] += len(chunk)
            counts["new"] += len(done.new)
            counts["duplicates"] += len(done.duplicates)
            counts["body_differs"] += len(done.body_differs)
            bar.advance(task, len(chunk))
            ctrl_c.check()
    ctrl_c.check()  # also where it struck while nothing but bad lines was read
    return counts


def _chunks(events: Iterable[Envelope]) -> Iterator[list[Envelope]]:
    """So many at a time; where the source ends in an error, what was read before it comes all the same."""
    chunk: list[Envelope] = []
    try:
        for each in events:
            chunk.append(each)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
    except (OrdersError, OSError):
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _append(opened: Parts, chunk: list[Envelope], held: bool) -> Appended:
    """One transaction. Two that bring the same events in opposite orders may deadlock: one of them tries again."""
    while True:
        try:
            with opened.engine.begin() as conn:
                return append(conn, chunk, opened.shop.shards, effects_suppressed=held)
        except OperationalError as error:
            if not isinstance(error.orig, DeadlockDetected):
                raise


def _tell(document: dict[str, Any], bad: list[BadLine], left: Left | None) -> None:
    took = document["append_seconds"]
    out.print(
        f"accepted {document['accepted']:,} deliveries ({document['new']:,} new, {document['duplicates']:,} duplicates, "
        f"{document['body_differs']:,} with another body) in {took:.1f} s, {document['accepted'] / max(took, 0.001):,.0f}/s"
    )
    if left is not None and not left.undecided:
        out.print(f"every event has its result after {document['seconds']:.1f} s; see `orders account`")
    for reason in left.reasons() if left is not None else ():
        out.print("[yellow]left:[/] " + safe(reason), soft_wrap=True)
    if left is None and document["new"]:
        out.print("workers apply them as they come; `orders account` tells how far they are")
    if bad:
        out.print(f"[yellow]{len(bad)} bad lines[/] were left out" + (", see above" if len(bad) <= SHOWN else ""))
