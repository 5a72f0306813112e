"""All that was given up of an order is found by what names it: a dead letter keeps what its event names, and deliveries have an index, too.

Before deployment: a trigger names the letters, those of older workers as well, and what is there is named in portions: nobody waits for more
than one of them. Open letters get an index, and the index of what reached no order goes: older processes find the same without, more slowly.
Indexes are built beside the workers; what a killed try left is built anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031_letters_by_name"
down_revision = "0030_audit_times"

Index = tuple[str, str, list[str | sa.TextClause], str]  # its name, table, columns, and the rows that it has
PORTION = 5_000
NAMES = "left(coalesce(j.subject, 'payment:' || (j.data ->> 'paymentId')), 255)"
FUNCTION = f"""
create or replace function name_letter() returns trigger language plpgsql as $$
begin
    select {NAMES} into new.names from journal j where j.seq = new.seq;
    return new;
end $$
"""
TRIGGER = """
create or replace trigger dead_letters_named before insert on dead_letters for each row when (new.seq is not null)
execute function name_letter()
"""
# Rows are locked by id, as by whoever changes several of them.
NAME = f"""
    with portion as (
        select id, seq from dead_letters where id > cast(:after as uuid) and seq is not null order by id limit :portion for update
    ), named as (
        update dead_letters d set names = {NAMES} from portion p join journal j using (seq) where d.id = p.id
    )
    select (select id from portion order by id desc limit 1)
"""
INDEXES: tuple[Index, ...] = (
    ("dead_letters_names_idx", "dead_letters", ["names"], "names is not null"),
    ("dead_letters_open_idx", "dead_letters", ["id"], "state = 'open'"),
    (
        "corrections_payment_idx",
        "corrections",
        [sa.text("left(data ->> 'paymentId', 255)")],
        "subject is null",
    ),
    ("deliveries_given_up_order_idx", "deliveries", ["order_id"], "state = 'dead' and discarded_at is null"),
)
OLD: Index = (
    "results_without_order_idx",
    "results",
    ["seq"],
    "order_id is null and (outcome = 'dead' or reason = 'discarded')",
)


def upgrade() -> None:
    comment = "order number that its event names, else key of the payment; cut: for finding alone"
    op.add_column("dead_letters", sa.Column("names", sa.Text, comment=comment), if_not_exists=True)
    op.execute(FUNCTION)
    op.execute(TRIGGER)
    with op.get_context().autocommit_block():
        after: str | None = "00000000-0000-0000-0000-000000000000"
        while after is not None:
            after = op.get_bind().execute(sa.text(NAME), {"after": after, "portion": PORTION}).scalar_one()
        for index in INDEXES:
            _build(*index)
        op.drop_index(OLD[0], OLD[1], postgresql_concurrently=True, if_exists=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        _build(*OLD)
    for index, table, _, _ in INDEXES:
        op.drop_index(index, table)
    op.execute("drop trigger dead_letters_named on dead_letters")
    op.execute("drop function name_letter()")
    op.drop_column("dead_letters", "names")


def _build(index: str, table: str, columns: list[str | sa.TextClause], where: str) -> None:
    op.drop_index(index, table, postgresql_concurrently=True, if_exists=True)
    op.create_index(index, table, columns, postgresql_concurrently=True, postgresql_where=sa.text(where))
