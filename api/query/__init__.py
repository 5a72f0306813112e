"""The query API: every collection of the contract, asked as Payload's REST API is.

brackets      bracketed query strings → nested dicts and lists
where         what a where says → a tree of conditions
parsing       a query string → a Query
collections   the table of collections: fields, relationships, joins, who sees what
values        a value as it came → what a field of its kind is compared with
operators     a column, an operator, a value → SQL
compiling     a where and a sort → SQL, over relationships
statements    the SQL behind documents, built once
finding       pages, documents by id, counts
describing    what is answered, for OpenAPI; parameters: what may be asked
routes        the HTTP routes
"""

from api.query.finding import count, document, each, find, find_by_id, find_order
from api.query.parsing import JoinQuery, Query, Select, parse

__all__ = ["JoinQuery", "Query", "Select", "count", "document", "each", "find", "find_by_id", "find_order", "parse"]
