"""The schema's history: one file a step, one purpose each, never edited once released.

versions/0007_expand_results_shard.py runs before a deployment, versions/0009_contract_… after it:
the version that is still running must work with both. `storage.migrate` runs them;
tests/migrations holds them against `storage.tables`.
"""
