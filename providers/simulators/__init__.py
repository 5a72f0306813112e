"""The outside world for demo and tests: HTTP processes of their own, seeded, with bad days.

carrier           the protocol of carriers by URL
parcels           parcels of a carrier or tracking service: mishaps, webhooks
lives             their lives, and what may befall them
limits            a carrier's rate and quota, and how it was asked
easypost          EasyPost's wire format
tracker_delivery  tracker.delivery's wire format
start             a payment provider in its real wire format, by name
standard          the contract of a provider of the shop's own
stripe            Stripe's wire format
portone           PortOne's wire format
toss              Toss Payments' wire format
desk              how a refund goes at those four, and what goes wrong
books             their memory: payments, refunds, answers by key, webhooks
examples          a port and a payment of each, as `orders simulate` shows them
records           documents that the API of PortOne or Toss answers word for word
process           what all share: arguments, the port, mishaps
"""
