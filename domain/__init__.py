"""The model of an order: values, four state machines as tables, handlers, reactions.

Pure: no I/O, no clock but the one passed in. The same events, in the same order, with the same
clock and policy, end in the same state to the last id.

words                  closed sets of texts, each with its meaning beside it
state_machine          builds a `transitions` machine from a table, and reads it back as a dict
order                  the order, its items, and its lifecycle
transaction            a payment record and its lifecycle
movements              refunds and disputes of a payment, as its provider tells them
fulfillment            items that ship together and their lifecycle
parcel_facts           what was told of a parcel, and what it comes to
parcel_status        notes it, and lets the parcel and its order follow
returns                items that come back and their lifecycle
dirty_tracking         the change state of each of these: what storage has to write
legal_clock            the date by which the law wants a refund back
policy                 the settings that decide: currency, periods, who starts a return
outcome                what became of an event, and why
goods                  what an order's parcels and returns come to, kept in step
payments               what its transactions come to, likewise
flags                  what a person should know about it besides its status
handler_table          one event through the machines: `apply(order, event, context)`
order_handlers         its handlers of an order's own events
payment_handlers       of payments'
fulfillment_handlers   of parcels', and of carriers' scans
return_handlers        of returns'
return_parcels         what brings a return back, and when it was received
return_window          how long items may come back, and which returns wait for a person
replacements           parcels that are sent in place of others which have not arrived
confirmations          of a delivery, by the customer and by the timer
digital                lines that need no shipping: delivered once paid
item_cancels           items that were taken out of an order again, as facts of it
goods_row              canceled items and completed returns: what each gives back
correction_handlers    handlers of what corrects an order
edits                  what an order says of its customer and where it goes, edited since it was placed
holds                  what keeps an order from shipping
dues                   what an order costs, and what of it is given back without a return
refund_handlers        of what people decide about refunds
refunds                what is due back, and on which payment
tax                    its tax-free part and VAT, for providers that ask for them
purposes               why it goes back: for a return, for goodwill, at the order's end
balance                the money of an order, added up
permitted_transitions  what a request may ask for, from where an order stands
reactions              what follows from a state: follow-up events, timers, refunds
parked                 what waits for an order, filed under what wakes it
weight                 how many lines an event is about: what it costs
fold                   one order's events in arrival order: parks, retries, reacts
ids                    ids that follow from the event that made them
diagrams               draws docs/reference/lifecycle.md from the tables
"""
