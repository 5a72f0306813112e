"""Chaos: real workers on real servers of their own, killed and flushed by a seeded schedule.

harness      a shop to disturb: servers, workers, deliveries; what must hold afterwards
blows        the schedule: SIGKILLs and FLUSHALLs that fall while events wait
test_kills   made-up lives under the schedule; ends where an undisturbed run ends
test_backlog a backlog larger than the streams, with bodies of a megabyte
olist        the full proof on real orders: python -m tests.chaos.olist
backlog      the full backlog: python -m tests.chaos.backlog
"""
