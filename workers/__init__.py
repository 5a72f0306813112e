"""The Celery app, and thin tasks around the rooms below: Celery carries doorbells, never events.

app       the Celery app: JSON only, and the messages of doorbells and chores
broker    how its consumer meets Redis: messages are taken, not lent
chores    what the beat asks for, in which queues; of each, one round at a time
tasks     drain, relay, sweep, timers, effects, inbox, tracking, webhooks, tidy
pools     the three kinds of workers, and how one runs
watchdog  ends a worker that hears nothing
standby   works without Redis while Redis takes nothing
liveness  each process' heartbeat, and the command that looks at it
beat      a scheduler that piles nothing up
parts     what a process needs open: engine, streams, policy
outside   carriers, payment providers and who posts webhooks, from the settings
"""
