"""Reconciliation: payments, refunds and disputes of each provider against ours, each way, window by window.

run          a run: fetched page by page, judged, written; dry, by hand, or as a chore
runs         how far each has come, and whose it is
judgement    what a page comes to
comparison   both sides of one payment, refund or dispute: what differs; pure
our_side     our side, by the names of a page or of a time
remedies     the events that make up for a lost webhook
findings     what differs, and what became of it
kinds        the kinds of findings, what each means, and what a person does
"""
