"""Alembic's entry point: on the connection that `storage.migrate` brings, else on DATABASE_URL.

The latter is for whoever writes a migration:
`alembic revision --autogenerate --rev-id 0007_expand_results_shard`.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from settings.environment import SettingsError, read
from storage.engine import connect
from storage.tables import METADATA


def run(connection: Connection) -> None:
    """Each migration in its own transaction: what failed is undone, what went before stays."""
    context.configure(connection=connection, target_metadata=METADATA, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


if brought := context.config.attributes.get("connection"):
    run(brought)
elif database_url := read().database_url:
    with connect(database_url).connect() as connection:
        run(connection)
else:
    raise SettingsError("set DATABASE_URL to the database that the migration is held against")
