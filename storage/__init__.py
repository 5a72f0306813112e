"""State in the database: PostgreSQL through SQLAlchemy Core, set-wise.

tables      every table, with the constraints that the database can hold
settings    the environment, read once, checked, frozen
clock       PostgreSQL's time, known to this process without asking each time
engine      connections as the drain, the tools and the tests want them
literals    PostgreSQL array literals, made by hand as bound parameters
hot         statements straight to the driver; many writes in one
aggregates  many orders with their parts: locked, loaded and saved in a statement a table
keys        the HTTP API's keys, by their digest
migrate     brings the schema to this version, or says what is wrong with it
migrations  Alembic, from the first table on
"""
