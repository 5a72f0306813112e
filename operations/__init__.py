"""Operations of people on call: given up events are listed, replayed or discarded.

dead_letters     events and refunds given up, as one list: show, edit, replay, discard
health           looks at servers, events and what is outside: what is wrong, and its cure
overdue_refunds  refunds that are late by the legal clock, whatever keeps them
parked_events    events that came too early, and what each waits for
"""
