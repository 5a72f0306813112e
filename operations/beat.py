"""The signs by which the beat and the workers are known to live: one home for who makes them and all who look.

orders:beat  a key of Redis that the beat sets anew at every beat, for BEAT_S: what is left of it tells how old it is
heartbeats   PostgreSQL's table; the timers' chore notes itself there every five seconds
"""

from __future__ import annotations

BEAT_KEY, BEAT_S = "orders:beat", 60
ALIVE_S = 20  # since the timers' last run: older than that, the beat or its worker is missing
