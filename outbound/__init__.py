"""Everything done to the outside: refunds, payment look-ups, tracking, webhooks. Each claims, asks, settles.

refunds             refunds: recorded before they are made, one in flight per payment
payment_lookups     thin webhooks: their provider is asked how the payment stands
payment_reconciler  a provider's answer about a payment, as events
tracking            parcels on their way, asked of their carriers
webhooks            subscriptions and deliveries of changes
leases              questions to somebody outside: claimed, asked side by side, settled as they are answered
backoff             the wait before the next try
"""
