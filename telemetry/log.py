"""One structured log for every process, on stderr: a record is one line, whatever stands in it.

    json  one JSON document a line: event, level, timestamp, logger, and ids: request, operator, event, order, shard, batch
    text  the same for a terminal
    auto  text where stderr is a terminal, else json

Both of structlog's records and those of `logging` take the same way. No personal field's value is written (`_masked`), and
control characters are escaped. A line that cannot be written (a full disk, a closed pipe) is lost, and fails nothing.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection
from typing import Any, Literal

import orjson
import structlog

from telemetry.harmless import in_a_line, visible_json

Form = Literal["auto", "json", "text"]
LEVELS = ("debug", "info", "warning", "error")
HIDDEN = "(hidden)"
SECRET = frozenset(
    ("password", "authorization", "secret", "token")
)  # what lets somebody in: never written, whoever logs it
# Lines of libraries that say nothing more than the account does: one for each doorbell.
CHATTY = ("celery.worker.strategy", "celery.app.trace", "celery.beat")
QUIET = ("uvicorn.error", "uvicorn.access", "httpx", "httpcore")  # a start and an end are told by the supervisor


class Lossy:
    """Standard error, where a line that cannot be written is lost, counted, and fails no request."""

    def __init__(self) -> None:
        self.lost = 0  # lines since the last one that could be written

    def write(self, text: str) -> int:
        """Write a line, and before it how many were lost."""
        try:
            if self.lost:
                sys.stderr.write(f'{{"event": "log lines were lost", "lines": {self.lost}, "level": "warning"}}\n')
                self.lost = 0
            return sys.stderr.write(text)
        except (OSError, ValueError):  # ValueError: it is closed
            self.lost += text.endswith("\n")
            return 0

    def flush(self) -> None:
        """Hand over to the system what was written."""
        try:
            sys.stderr.flush()
        except (OSError, ValueError):
            self.lost += 1


def configure(form: Form, level: str, hidden: Collection[str]) -> None:
    """Log in this form from now on, what is at least of this level; values of `hidden` names and of SECRET are never written."""
    stderr = Lossy()
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    stamped: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _masked(SECRET | frozenset(hidden)),
    ]
    render: Any = _as_text if as_text else structlog.processors.JSONRenderer(serializer=_line)
    structlog.configure(
        processors=[*stamped, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stderr),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *stamped],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in (*QUIET, *(CHATTY if level.lower() != "debug" else ())):
        logging.getLogger(name).setLevel(logging.WARNING)


def _masked(hidden: frozenset[str]) -> Any:
    """The step that leaves out values of hidden names, however deep they stand."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: HIDDEN if name in hidden and each is not None else clean(each) for name, each in value.items()
            }
        if isinstance(value, list | tuple):
            return [clean(each) for each in value]
        return value

    def step(_logger: Any, _method: str, record: dict[str, Any]) -> dict[str, Any]:
        cleaned: dict[str, Any] = clean(record)
        return cleaned

    return step


def _line(record: object, **_: object) -> str:
    return visible_json(orjson.dumps(record, default=repr, option=orjson.OPT_NON_STR_KEYS).decode())


def _as_text(_logger: Any, _method: str, record: dict[str, Any]) -> str:
    told = dict(record)
    exception = told.pop("exception", None)
    head = f"{told.pop('timestamp', '')} {str(told.pop('level', '')).upper():8}{told.pop('logger', '')}: {told.pop('event', '')}"
    rest = "".join(f" {name}={value}" for name, value in told.items() if value is not None)
    line = in_a_line(f"{head.strip()}{rest}")
    return line if exception is None else f"{line}\n" + "\n".join(map(in_a_line, str(exception).splitlines()))
