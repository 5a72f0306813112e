"""The blocking client: every module here is written by client/write_sync.py from `_async`."""
