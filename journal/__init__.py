"""The pipeline: facts are kept here, and reach the workers.

entries         a journal row as it travels: the stream's encoding
append          accept envelopes: journaled once, duplicates counted at the door
streams         Redis: a stream and a doorbell per shard, capped; expendable
outage          the journal in the shape of streams, while Redis takes nothing
drain           what answers a doorbell: batches from the ringing shards
batch           one transaction: decode, load, fold, write; again without what was at fault
batch_values    what a batch's steps hand on: decoded, loaded, folded
correlation     a batch's first step: entries as events, and whose the keys are that they name
scan_copies     copies of scans for the further orders of one box
order_loader    its second: keys claimed, orders locked and loaded, with what waits for them
batch_fold      its third: the events folded into their orders, in memory alone
times_ahead     events whose time lies ahead: taken, kept until it is near, or given up
results         what a batch writes besides the orders
refund_check    the projection of refunds against the fold
refund_rows     the rows of refunds, as the outside sees them
change_capture  what a batch changed, as deliveries to who subscribed
apart           work for many at once, done for each alone where one is at fault
lock_waits      events whose orders' rows somebody else holds
commands        one request of the API: applied at once, or refused; idempotency keys
relay           finds what the streams lack, and rings; knows what is decided
batch_meters    figures and log lines of a batch that was committed
trace_causes    its trace, and what later calls outward find of it
pauses          what rests until somebody resumes it, and the conditions by which claims obey
pause_end       its end: what was set aside is worked off in order
parked          parked events: examined again as a net, given up when their time is over
timers          rows that become events when due
policy_store    the settings that results were reached under
totals          what became of everything accepted
refold          orders that new rules make otherwise, written over
waits           ends of returns that had waited for their requests
verify          state is a fold of the journal: folds it anew and compares
"""
