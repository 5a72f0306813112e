"""`orders ingest`: events from files, line by line, and order logs as events."""
