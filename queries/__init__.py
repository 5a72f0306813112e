"""The read model: every collection of the contract, and the queries over them.

schema        the table of fields: what each collection shows, and which columns those are
fields        the words that the table is written in: field, relationship, join, collection
querystring   bracketed query strings → nested dicts and lists
filters       what a where says → a tree of conditions
parser        a query string → a Query
coercion      a value as it came → what a field of its kind is compared with
operators     a column, an operator, a value → SQL
compiler      a where and a sort → SQL, over relationships
sql           the SQL behind documents, built once
repository    pages, documents by id, counts
documents     documents out of rows and folded orders, for the API and for outgoing webhooks
objects       small objects in documents: reasons of a refund, disputes of a payment
json_encoder  documents as JSON
parcels       parcels on their way: late, silent, stuck, and why
timeline      what happened to an order, event by event
order_lookup  the order that a person names
refund_list   refunds as a person looks at them, the newest first
tracker_list  trackers as a person looks at them: those that fail, or come next
order_search  orders as a person looks for them: by any name of theirs, or page by page
errors        what a query is refused with
"""
