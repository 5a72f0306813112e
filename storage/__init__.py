"""How state is kept: PostgreSQL through SQLAlchemy Core, set-wise.

tables      every table, with the constraints that the database can hold
settings    the environment, read once, checked, frozen
engine      connections as the drain, the tools and the tests want them
literals    PostgreSQL array literals, made by hand as bound parameters
aggregates  many orders with their parts: locked, loaded and saved in a statement a table
migrations  Alembic, from the first table on
"""
