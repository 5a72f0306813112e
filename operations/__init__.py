"""Operations of people on call: what was given up is listed, replayed or discarded; orders are corrected.

audit             who did what, and who looked at personal data: found, exported
corrections       corrections of an order: checked under its lock, then an event
parcel_corrections  where a fulfillment stands, and who carries it
reasons           reasons for which things are given up: what each means, and what to do
reason_reference  the page docs/reference/reasons.md, made of them
given_up          what was given up, as one list: events, refunds, payment look-ups, deliveries
given_up_detail   one of them with all there is to know
given_up_changes  edits and discards, of one or of thousands
edits             versions of edited events, made by JSON Patch
forecast          what a replay would do now: decided again, and rolled back
event_replay      dead events decided again, within one transaction
replays           replays begun, stopped, resumed, and reported by cause
replay_steps      the growing steps of a replay, as far as somebody advances it
rebuild           one order recomputed from the journal, after a mended bug
preflight         what a release would strand or change, before it is deployed
why               what each open order waits for, since when, and what would move it
dwell             how long orders stay in each status, against targets
acts              the reasons of people's acts, by one rule
dead_letters      dead letters of events and refunds by name: show, edit, replay, discard
letter_names      the dead letters that a name may mean
returns           returns: withdrawn by the customer, received at the warehouse
refund_decisions  refunds as people decide about them: asked for, settled, allocated, tried again, released
balances          the money of all orders, added up by currency
overdue_refunds   refunds that are late by the legal clock, whatever keeps them
waiting_rows      rows that wait or were given up, as SQL: one meaning for all who count them
beat              signs by which the beat and the workers are known to live
gauges            figures for Prometheus that stand in PostgreSQL and Redis
privacy           all that is kept of a customer, and its erasure; what is forgotten by age
pauses            what rests until somebody resumes it: made, ended, listed
figures           figures of this moment: what comes in, what waits, how providers fare
health            looks at servers, events and what is outside: what is wrong, and its cure
order_acts        acts upon one order, each with a preview that is the act itself, rolled back
operators         people who use the console: let in by a password or a link, disabled
parked_events     events that came too early, and what each waits for
"""
