"""One tracker per carrier and number, whoever shares it: whose it is, correlations say.

Before deployment: of the trackers of one number the one stays that is still asked for, of several the one that was heard of last. It has the
soonest poll of those, and all scans that any of them took: each is in the journal by an id that names no order.
`order_id` is null from now on; it stays, with its unique key, for older workers, which watch a number once more for what they ship
meanwhile, and whose answers for trackers without an order are lost: the next poll tells them again. The index is built beside the workers.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026_one_tracker"
down_revision = "0025_given_up_by_order"

INDEX = "trackers_key_idx"
ORDER, KEY = (
    "of a release before; null since: correlations say whose it is",
    "the correlation key of the carrier and number",
)

# The trackers of each number that has several, the one that stays first.
EACH = """
    select t.*, row_number() over (partition by t.key order by t.finished, t.heard_at desc nulls last,
                                   t.order_id is distinct from c.order_id, t.id) as place
    from trackers t left join correlations c on c.key = t.key
    where t.key in (select key from trackers group by key having count(*) > 1)
"""
MERGE = f"""
    with each as materialized ({EACH}),
    whole as (
        select key, min(next_at) filter (where not finished) as next_at, min(created_at) filter (where not finished) as created_at,
               max(heard_at) filter (where not finished) as heard_at
        from each group by key
    ),
    taken as (select key, array_agg(distinct scan) as scans from each, unnest(scans) scan group by key)
    update trackers t set next_at = coalesce(w.next_at, t.next_at), created_at = coalesce(w.created_at, t.created_at),
        heard_at = coalesce(w.heard_at, t.heard_at), scans = coalesce(s.scans, t.scans)
    from each join whole w using (key) left join taken s using (key) where each.id = t.id and each.place = 1
"""


def upgrade() -> None:
    op.alter_column("trackers", "order_id", existing_type=sa.Uuid(as_uuid=False), nullable=True, comment=ORDER)
    op.alter_column("trackers", "key", existing_type=sa.Text, comment=KEY)
    op.execute(MERGE)
    op.execute(f"delete from trackers t using ({EACH}) each where each.id = t.id and each.place > 1")
    op.execute("update trackers set order_id = null where order_id is not null")
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, "trackers", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            INDEX,
            "trackers",
            ["key"],
            unique=True,
            postgresql_concurrently=True,
            postgresql_where=sa.text("order_id is null"),
        )


def downgrade() -> None:
    op.drop_index(INDEX, "trackers")
    op.execute(
        "update trackers t set order_id = coalesce((select c.order_id from correlations c where c.key = t.key), "
        "(select f.order_id from fulfillments f where t.key = any(f.parcels) limit 1))"
    )
    op.execute("delete from trackers where order_id is null")
    op.alter_column("trackers", "order_id", existing_type=sa.Uuid(as_uuid=False), nullable=False, comment=None)
    op.alter_column("trackers", "key", existing_type=sa.Text, comment=None)
