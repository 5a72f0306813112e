"""The command `orders doctor`: every setting with its source, and what is wrong, with the way to mend it.

command    the command, its exit codes, and where the servers are (it starts none)
check      the answer of one look: a name, a level, what it says, the remedy
deadline   looks side by side, in threads, and an end for all of them
reach      a server's port: refused, silent, unknown
postgres   PostgreSQL answers, is durable, has our schema
sessions   its connections, who holds rows, the oldest database transaction
broker     Redis or Valkey answers, has memory, takes writes
workers    the beat and each kind of worker, asked for a sign of life
events     undecided, parked and dead events
providers  refunds, parcels, payment look-ups, subscribers, keys
report     the report in a terminal and as JSON
"""

from __future__ import annotations

from cli.doctor.command import doctor

__all__ = ["doctor"]
