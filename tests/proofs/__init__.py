"""Proofs: what takes minutes to show, each by itself on this machine: `make proofs`, or `python -m tests.proofs`.

proof       what a proof is, and what it finds
catalogue   all of them; a new one is a row there
page        docs/reference/proofs.md, whose rows are replaced
"""
