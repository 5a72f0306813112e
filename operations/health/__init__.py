"""Health of the system: looks at its servers, its events and what is outside, each with the cure of what it finds.

check      the answer of one look: a name, a level, what it says, the remedy
deadline   looks side by side, in threads, and an end for all of them
reach      a server's port: refused, silent, unknown
postgres   PostgreSQL answers, is durable, has our schema
sessions   its connections, who holds rows, the oldest database transaction
broker     Redis or Valkey answers, has memory, takes writes
events     undecided, parked and dead events
trackers   parcels that are followed, and who is polled for them
outside    refunds, payment look-ups, subscribers, keys

The looks at the beat and the workers are theirs (`workers/signs_of_life.py`); `workers/examination.py` has them all.
"""
