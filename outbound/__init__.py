"""All that is done to the outside: refunds, payment look-ups, tracking and webhooks. Each claims, asks, settles.

leases               claim, ask outside, settle, lease over: the protocol that they share
backoff              waits between attempts
refunds              money given back by one provider, once per target
refund_attempt       what is asked of the provider, and what its answer means
refund_accounts      bank accounts that refunds go to, encrypted
refund_records       the rows that attempts leave, and what becomes of a refund that fails afterwards
refund_routes        the provider that a refund goes to, and what becomes of one that nobody makes
payment_lookups      thin webhooks: their provider is asked how the payment stands
expiry_questions     a provider is asked before the order of its payment expires
payment_reconciler   its answer, as events
provider_events      events of what a provider told of one refund or dispute
reconciliation       what providers list, compared with ours
tracking             parcels followed at their carriers, within their limits
webhooks             changes told to subscribers
"""
