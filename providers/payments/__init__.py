"""Payment providers, a file and a `PROVIDER` each. What each must be able to do stands in `providers.base`.

stripe              webhooks of Stripe
stripe_api          Stripe's API by its own library: refunds, and how payments stand
stripe_rules        Stripe's rules as data: minor units, what its refunds go by
portone             webhooks of PortOne V2, and how payments stand there
portone_api         PortOne's API: refunds, and what happened in a time
portone_rules       PortOne's rules as data
toss                webhooks of Toss Payments, and how payments stand there
toss_api            Toss Payments' API: refunds, and what happened in a time
toss_rules          Toss Payments' rules as data
standard            a shop's own provider, by a documented contract: webhooks and refunds
standard_webhooks   how Standard Webhooks are signed, and events of ours that others send
"""
