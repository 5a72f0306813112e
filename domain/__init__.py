"""The model of an order: values, four state machines as tables, handlers of events, reactions.

Pure: no I/O, no clock but the one passed in. The same events, in the same order, with the same
clock and policy, end in the same state to the last id.

order                  the order, its items, and its lifecycle
transaction            a payment record and its lifecycle
fulfillment            items that ship together and their lifecycle
returns                items that come back and their lifecycle
state_machine          a `transitions` machine built from a table, and read back as a dict

fold                   one order's events in arrival order: parks, retries, reacts
order_handlers         one event applied to an order: `apply(order, event, context)`
fulfillment_handlers   its part for fulfillments and tracking
reactions              consequences of a state: follow-up events, timers, refunds
parked                 events that wait for an order, filed under what wakes them
outcome                the outcome of an event, and its reason

goods                  the totals of an order's parcels and returns, kept in step
payments               the totals of its transactions, likewise
refunds                the amounts due back, and on which payment
permitted_transitions  the requests that an order's state allows
policy                 the settings that decide: currency, periods, who starts a return
dirty_tracking         the mark on each part that storage has to write
weight                 the number of lines that an event is about: what it costs
ids                    ids that follow from the event that made them
diagrams               the page docs/reference/lifecycle.md, drawn from the tables
"""
