"""The HTTP doors: webhooks in, the Server API, the query API, health. A 2xx to a write means committed in the journal."""
