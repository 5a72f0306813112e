"""The read model: every collection of the contract, and the queries over them.

schema       the table of collections: fields, relationships, joins, who sees what
querystring  bracketed query strings as nested dicts and lists
parser       a query string as a Query
filters      a where as a tree of conditions
coercion     a value as its field is compared with
operators    a column, an operator and a value as SQL
compiler     a where and a sort as SQL, over relationships
sql          the SQL behind documents, built once
repository   pages, documents by id, counts
documents    documents out of rows and folded orders, and their JSON
timeline     an order's history, event by event
"""
