"""Operations of people on call: what was given up is listed, replayed or discarded; orders are corrected.

audit             who did what, and who looked at personal data: found, exported
corrections       corrections of an order: checked under its lock, then an event
dead_letters      events and refunds given up, as one list: show, edit, replay, discard
returns           returns: withdrawn by the customer, received at the warehouse
refund_decisions  refunds as people decide about them: asked for, settled, allocated, tried again, released
balances          the money of all orders, added up by currency
overdue_refunds   refunds that are late by the legal clock, whatever keeps them
pauses            what rests until somebody resumes it: made, ended, listed
health            looks at servers, events and what is outside: what is wrong, and its cure
parked_events     events that came too early, and what each waits for
"""
