"""Times as people write them mean the same moment on the command line, in a query and in the console."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from api.console.times import moment_if_told
from cli.moments import moment_of
from cli.options import Problem
from queries.coercion import single
from queries.errors import QueryError
from queries.fields import Kind

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("2026-11-01T12:00", NOON),
        (" 2026-11-01T12:00Z ", NOON),
        ("2026-11-01T21:00+09:00", NOON),
        ("2026-11-01", NOON.replace(hour=0)),
        ("20261101T120000Z", NOON),
    ],
)
def test_every_reader_takes_a_time_for_the_same_moment(written, means):
    assert moment_of(written, "--since") == means
    assert single(written, Kind.TIME, "createdAt") == means
    assert moment_if_told(written) == means


@pytest.mark.parametrize("written", ["noon", "0001-01-01T00:00+09:00", "9999-12-31T23:59-09:00"])
def test_every_reader_refuses_what_is_no_moment(written):
    with pytest.raises(Problem, match=r"--since .* is no time; write 2h"):
        moment_of(written, "--since")
    with pytest.raises(QueryError, match="takes a time such as"):
        single(written, Kind.TIME, "createdAt")
    assert moment_if_told(written) is None
