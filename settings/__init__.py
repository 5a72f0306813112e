"""The environment, read once and checked: what every process here is told from outside.

fields        a setting's declaration, and what its text may be; providers declare theirs with it
environment   our own settings, and the reading of all: the environment, then `.env`
countries     time zones and holidays by a country's code
example       `.env.example`, written from what is declared
"""
