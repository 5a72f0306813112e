"""Outgoing webhooks: changes of documents, posted to those who subscribed.

subscriptions  subscribers: which changes, where to, with which secrets
deliveries     changes on their way: claimed, settled, replayed
dispatcher     due deliveries: many at once, a share per receiver
sender         one signed POST
ssrf_guard     the addresses that a POST may go to
"""
