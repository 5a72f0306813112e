"""The environment, read once and checked: what every process here is told from outside.

fields        a setting's declaration, and what its text may be; providers declare theirs with it
environment   our own settings, and the reading of all: the environment, then `.env`
time_zones    time zones of countries, by the tz database
countries     holidays and the clock of a country, by its code
example       `.env.example`, written from what is declared
"""
