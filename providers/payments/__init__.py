"""Payment providers, a file and a `PROVIDER` each. What each must be able to do stands in `providers.base`.

stripe              webhooks of Stripe
stripe_rules        Stripe's rules as data: its minor units
portone             webhooks of PortOne V2, and its API
portone_rules       PortOne's rules as data: its minor units
toss                webhooks of Toss Payments, and its API
standard_webhooks   how Standard Webhooks are signed, and events of ours that others send
simulated           refund services by URL: the demo's, and one's own
"""
