"""Outgoing webhooks: subscriptions, deliveries, the dispatcher, the sender, and the guard of where it may post."""
