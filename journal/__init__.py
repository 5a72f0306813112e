"""How facts are kept and reach the workers.

entries       a journal row as it travels: the stream's encoding
append        accept envelopes: journaled once, duplicates counted at the door
streams       Redis: a stream and a doorbell a shard, capped; expendable
outage        the journal in the shape of streams, while Redis takes nothing
batch         one transaction: lock, load, fold, write
matching      which order an event is about: numbers, claims, and what waits for them
writing       what a batch writes besides the orders
requests      one request of the API: applied at once, or refused; idempotency keys
drain         what answers a doorbell: batches from the ringing shards
relay         finds what the streams lack, and rings; knows what is decided
sweep         parked events: examined again as a net, given up when their time is over
timers        rows that become events when due
effects       refunds: recorded before they are made, one in flight a transaction
backoff       how long to wait before the next try
inbox         thin webhooks: their provider is asked how the payment stands
told          what a provider told of a payment, as events
rounds        questions to somebody outside: claimed, asked side by side, settled as they are answered
tracking      polls carriers for the parcels on their way
dead_letters  list, show, edit, replay, discard; an audit row each
policies      the settings that results were reached under
changes       what a batch changed, as deliveries to who subscribed
deliveries    changes on their way to subscribers: claimed, settled, replayed
subscriptions who is told of changes, where, with which secrets
dispatch      sends what is due: many at once, a share a receiver
documents     orders as the contract's documents
timeline      an order's readable history, by pages
verify        state is a fold of the journal: folds it anew and compares
account       what became of everything accepted
"""
