"""How facts are kept and reach the workers.

entries       a journal row as it travels: the stream's encoding
append        accept envelopes: journaled once, duplicates counted at the door
streams       Redis: a stream and a doorbell a shard, capped; expendable
batch         one transaction: lock, load, fold, write
matching      which order an event is about: numbers, claims, and what waits for them
writing       what a batch writes besides the orders
drain         what answers a doorbell: batches from the ringing shards
relay         puts undecided events back into streams; knows what is decided
sweep         parked events: examined again as a net, given up when their time is over
timers        rows that become events when due
effects       refunds: recorded before they are made, one in flight a transaction
backoff       how long to wait before the next try
tracking      polls carriers for the parcels on their way
dead_letters  list, show, edit, replay, discard; an audit row each
policies      the settings that results were reached under
documents     orders as the contract's documents
verify        state is a fold of the journal: folds it anew and compares
account       what became of everything accepted
"""
