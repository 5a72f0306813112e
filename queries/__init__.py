"""The read model: what every collection of the contract shows, and how it is asked for.

schema        the table of collections: fields, relationships, joins, who sees what
querystring   bracketed query strings → nested dicts and lists
filters       what a where says → a tree of conditions
parser        a query string → a Query
coercion      a value as it came → what a field of its kind is compared with
operators     a column, an operator, a value → SQL
compiler      a where and a sort → SQL, over relationships
sql           the SQL behind documents, built once
repository    pages, documents by id, counts
documents     documents out of rows and folded orders, and their JSON
timeline      what happened to an order, event by event
"""
