"""The shop's catalogue: thin copies of products, variants and options, so that an order item can show what was bought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from api.commands.catalogue_models import BulkProduct, BulkProductOption, BulkProductVariant
from api.commands.write_endpoint import UPDATED, Document, Work
from api.errors import validation_error
from journal.commands import Request
from queries.documents import of_row
from queries.schema import COLLECTIONS
from storage.pg_arrays import columns, unnest

Entry = BulkProduct | BulkProductVariant | BulkProductOption

_KINDS = {"id": "text", "title": "text", "sku": "text", "price": "numeric", "image": "text"}
_TABLES = {"products": None, "product_variants": "product", "product_options": "variant"}  # and what each belongs to


def _upsert(table: str, owner: str | None) -> tuple[list[str], list[str], Any]:
    kinds = _KINDS | ({owner: "text"} if owner else {})
    names = list(kinds)
    changed = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    # In one order everywhere, so that two lists of the same entries do not wait for each other.
    sql = text(
        f"insert into {table} ({', '.join(names)}) select {', '.join('v.' + name for name in names)} "
        f"from {unnest(names, list(kinds.values()))} order by v.id "
        f"on conflict (id) do update set {changed}, updated_at = now() returning *"
    )
    return names, list(kinds.values()), sql


_UPSERTS = {table: _upsert(table, owner) for table, owner in _TABLES.items()}


def put(table: str, entry: Entry) -> Work:
    """One entry, new or in place of what was there."""

    def work(request: Request) -> tuple[int, Document]:
        return 200, {"doc": _put(request, table, [entry])[0], "message": UPDATED}

    return work


def put_many(table: str, entries: Sequence[Entry]) -> Work:
    """All of them or none, in one statement for any number."""
    first: dict[str, int] = {}
    faults = [
        (f"{number}.id", f"is the same as in {first[entry.id]}; send each once")
        for number, entry in enumerate(entries)
        if first.setdefault(entry.id, number) != number
    ]
    if faults:
        raise validation_error(faults)

    def work(request: Request) -> tuple[int, Document]:
        docs = _put(request, table, entries)
        return 200, {"docs": docs, "errors": [], "message": f"Updated {len(docs)} documents successfully."}

    return work


def _put(request: Request, table: str, entries: Sequence[Entry]) -> list[Document]:
    """The documents, as the entries are listed."""
    names, kinds, sql = _UPSERTS[table]
    if not entries:
        return []
    rows = [[getattr(entry, name) for name in names] for entry in entries]
    of = COLLECTIONS[table.replace("_", "-")]
    found = {row.id: of_row(of, row) for row in request.conn.execute(sql, columns(names, kinds, rows))}
    return [found[entry.id] for entry in entries]
