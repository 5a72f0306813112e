"""Payment providers and carriers: their dialects ⇄ our events. Imports `events` and the declaration of settings only.

base                   the ports, their values and errors, and `Provider`: a provider in one object
by_carrier             carriers that a service asks one by one, each by an account or all by its one client
registry               all providers, ours and those of the entry-point group `orders.providers`
movements              money that goes back: what is asked, and what is told of it
refund_rules           what a provider's refunds go by, as data, and its errors by it
minor_units            whole numbers as amounts, by each provider's own table
payments               payment providers, a module each
carriers               carriers, a module each
webhook_verification   reading a webhook: its time, its signature, its body
http_client            asking a provider's API, and which failure is which
documentation          docs/reference/providers.md, written from the registry
simulators             carrier and providers as HTTP processes, with their bad days, for demo and tests
"""
