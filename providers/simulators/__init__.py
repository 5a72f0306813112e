"""The outside world for demo and tests: HTTP processes of their own, seeded, with bad days.

carrier    parcels that live for some seconds, with missing and late scans
provider   refunds that may be made, refused, or made without an answer
ledger     the provider's memory
toss       Toss Payments' API: how a payment stands
portone    PortOne's API: the same
records    the memory of those two
process    what all share: arguments, the port, mishaps
"""
