"""The rim toward the world outside: its dialects ⇄ our events. Imports `events` only.

carriers     following a parcel: the interface, the pace of polling, a module a carrier
payments     giving money back: the interface, a module a provider
simulators   a carrier and a provider as HTTP processes, with their bad days, for demo and tests
lines        files of lines: read in bounded memory, a bad line told and not fatal
ndjson       our events from a file, one a line
olist        Olist's public order history as our events
arrivals     how a network would deliver: late, early, twice
"""
