"""State in the database: PostgreSQL through SQLAlchemy Core, set-wise.

tables      every table, with the constraints that the database can hold
migrations  Alembic's steps, from the first table on
migrate     the schema brought to this version, or what is wrong with it
engine      connections as the drain, the tools and the tests want them
clock       PostgreSQL's time, known to this process without asking each time
personal_rows  personal fields of edited orders, put together in one row
aggregates  many orders with their parts: locked, loaded and saved, one statement per table
raw_sql     statements handed straight to the driver; many writes in one
pg_arrays   PostgreSQL's array literals, as bound parameters
like        texts inside LIKE, escaped
keys        the HTTP API's keys, by their digest
audit       who did what, and who looked at personal data
leases      leases on a name: who alone does a duty, until when
"""
