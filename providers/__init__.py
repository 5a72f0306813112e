"""The rim toward the world outside: its dialects ⇄ our events. Imports `events` only.

inbound      what every webhook adapter shares: a notice in our terms, and the two ways to refuse one
carriers     following a parcel: the interface, the pace of polling, a module a carrier
payments     payments told, asked for and given back: the interfaces, a module a provider
simulators   carrier and providers as HTTP processes, with their bad days, for demo and tests
lines        files of lines: read in bounded memory, a bad line told and not fatal
ndjson       our events from a file, one a line
olist        Olist's public order history as our events
outgoing     one webhook out: signed, and posted to an address that was judged
addresses    where a webhook may go: which addresses are nobody's business
arrivals     how a network would deliver: late, early, twice
"""
