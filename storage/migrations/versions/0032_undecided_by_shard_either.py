"""Whoever asks for the undecided events of one shard looks at that shard's mark alone: of an order's page, in a backlog, a 64th of it.

Before or after deployment: the view answers what it did.
"""

from __future__ import annotations

from alembic import op

revision = "0032_undecided_by_shard"
down_revision = "0031_letters_by_name"


def upgrade() -> None:
    _define("m.shard")


def downgrade() -> None:
    _define("j.shard")


def _define(shard: str) -> None:
    op.execute(f"""
create or replace view undecided as
select j.seq, {shard}, j.type, j.subject, j.data, j.accepted_at from relay_marks m cross join lateral (
    select o.seq, o.shard, o.type, o.subject, o.data, o.accepted_at from journal o
    where o.seq = any(m.open) and o.seq > m.seq and o.seq <= m.above
    union all
    select n.seq, n.shard, n.type, n.subject, n.data, n.accepted_at from journal n
    where n.shard = m.shard and n.seq > m.above
) j where (select true from results r where r.seq = j.seq) is null
""")
