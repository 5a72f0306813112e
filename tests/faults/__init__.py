"""Faults: each way in which servers, locks, hosts, connections, clocks and strangers fail, under load, measured.

catalogue    the table of faults: its row in docs/reference/faults.md, how it begins and ends, what it must not cost
deployment        what is disturbed: servers, two worker hosts, the API, the load, the gauge
hosts        worker hosts as network namespaces, and connections that die without a word (root)
load         a steady, seeded load through the product's own doors, and the ledger of what was acknowledged
gauge        samples while it runs: what was decided, what waits, how long
rates        rates, recovery: pure
trial        one fault: baseline, tries, verdicts
outside      the outside world: a carrier, a silent one, refunds, Toss, a receiver of webhooks
report       python -m tests.faults.report: docs/reference/faults.md's table from the results

`make faults` runs all of them (ARGS='-k valkey --tries 1'); each try leaves a JSON line in `--results`.
Root can do more: what needs namespaces, packet filters or a small disk is skipped elsewhere, visibly.
"""
