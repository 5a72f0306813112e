"""The Celery app, and thin tasks around the rooms below: Celery carries doorbells, never events.

app               the Celery app: JSON only, and the messages of doorbells and chores
broker            Celery's consumer of Redis: messages are taken, not lent
tasks             drain, relay, sweep, timers, refunds, look-ups, tracking, webhooks, tidy
chores            the chores of the beat, their queues and paces; of each, one round at a time
scheduler         the beat, which piles nothing up
pools             the three kinds of workers, and how one runs
resources         the open engine, streams and policy of a process
webhook_sender    sender of webhooks to subscribers, one per process
examination       examination of the whole system, within a deadline, for `orders doctor`
signs_of_life     looks at the beat and the workers: each is asked for a sign
standby           work without Redis while Redis takes nothing
watchdog          thread that ends a worker which hears nothing
liveness          each process' heartbeat, and the command that looks at it
"""
