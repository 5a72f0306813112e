"""Chaos: real workers on real servers of their own, killed and flushed by a seeded schedule.

harness      a shop to disturb: servers, workers, deliveries; what must hold afterwards
blows        the schedule: SIGKILLs and FLUSHALLs that fall while events wait
test_kills   made-up lives under the schedule; ends where an undisturbed run ends
test_backlog a backlog larger than the streams, with bodies of a megabyte
test_crash   PostgreSQL dies before drains' commits are on its disk
shopping     clients of the HTTP doors, who live orders' lives and note every answer
test_doors   those clients, while Redis and PostgreSQL go away in turn
olist        the full proof on real orders: python -m tests.chaos.olist
backlog      the full backlog: python -m tests.chaos.backlog
doors        ten minutes at the doors: python -m tests.chaos.api_outages
"""
