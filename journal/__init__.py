"""The pipeline: accepted events are kept, and reach the workers.

append          accepted envelopes, journaled once; duplicates counted
entries         a journal row as it travels: the stream's encoding
streams         Redis: a stream per shard and a doorbell, capped; expendable
drain           the answer to a doorbell: batches from the ringing shards
batch           one transaction: lock, load, fold, write
correlation     the order that an event is about: numbers, claims, and what waits for them
results         a batch's writes besides the orders
relay           events that the streams lack, found and rung for
outage          the journal in the shape of streams, while Redis takes nothing
parked          the sweep: parked events examined again as a net, given up when their time is over
timers          rows that become events when due
commands        one request of the API: applied at once, or refused; idempotency keys
change_capture  a batch's changes, as deliveries to subscribers
policy_store    the settings that results were reached under
lock_waits      the sessions that hold rows which a drain waits for
verify          state as a fold of the journal: folded anew and compared
totals          the account: what became of everything accepted
"""
