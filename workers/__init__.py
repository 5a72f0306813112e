"""The Celery app, and thin tasks around the rooms below: Celery carries doorbells, never events.

app       the Celery app: JSON only, acknowledged early, prefetch 1
tasks     drain, relay, sweep, timers, effects, inbox, tracking, webhooks, tidy
beat      the schedule, and a scheduler that piles nothing up
parts     what a process needs open: engine, streams, policy
outside   carriers, payment providers and who posts webhooks, from the settings
"""
