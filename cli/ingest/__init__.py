"""The command `orders ingest`: events from files, line by line, and order logs as events.

command            the command: a file or a folder into the journal
line_reader        lines of a file, read in bounded memory
ndjson             our events, one CloudEvent per line
olist              Olist's order history as events
delivery_disorder  deliveries as a network would make them: late, early, twice
"""
