"""The settings that results were reached under: each set is kept once, and each result names its own.

So a fold repeats what was decided under settings that have changed since.
"""

from __future__ import annotations

import orjson
from sqlalchemy import Connection, text

from domain.policy import Policy

# Looked for first: an insert that meets its rival still uses up a number, and the numbers are small.
_FIND = text("select id from policies where body = cast(:body as jsonb)")
_KEEP = text("insert into policies (body) values (cast(:body as jsonb)) on conflict (body) do nothing returning id")
_ONE = text("select body from policies where id = :id")
_ALL = text("select id, body from policies")


def policy_id(conn: Connection, policy: Policy) -> int:
    """The number of `policy`, which is kept if it is new. Ask once and keep the answer: it never changes.

    Locks:  waits for a rival that keeps the same policy, and then answers the rival's number.
    """
    body = {"body": orjson.dumps(policy.as_document()).decode()}
    for statement in (_FIND, _KEEP):
        found = conn.execute(statement, body).scalar()
        if found is not None:
            return int(found)
    return int(conn.execute(_FIND, body).scalar_one())  # the rival's, committed since we looked


def all_policies(conn: Connection) -> dict[int, Policy]:
    """number → policy; there is one for each time that the settings changed."""
    return {number: Policy.parse(body) for number, body in conn.execute(_ALL)}
