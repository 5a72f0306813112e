"""Webhooks out: who is told of which changes, and each delivery until it is taken or given up.

subscriptions   the URLs that are told, and of what
deliveries      each telling, with its state
refund_changes  changes of refunds, which the database notes, as deliveries
dispatcher      the chore: claim what is due, post it, settle
sender          one webhook out: signed, and posted to an address that was judged
ssrf_guard      addresses that are nobody's business
"""
