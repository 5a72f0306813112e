"""The HTTP API: webhooks in, commands, queries, health. A 2xx to a write means committed in the journal.

webhooks_in       webhooks of payment providers and carriers
commands          the Server API: orders, payments, fulfillments, returns, carts, the catalogue
query             the query API: every collection, found, counted, one by its id
console           the console: pages for operators, under /console
given_up          what was given up: found, edited, discarded, replayed

app               every router in one application
main              the process that serves it, by uvicorn
resources         the open engine, streams and settings that requests are handed
privacy           the export of all that is kept of a customer
pauses            the list of what is paused
audit             the audit: who did what, and who looked at personal data
publisher         thread that puts committed events into the streams

auth              the caller of a request, and what they may do
key_cache         API keys that were looked up in the last 4 seconds
waits             endpoints that say what orders wait for, and how long
tokens            endpoints that check a key and make customers' tokens
rate_limit        requests per minute and key, counted in Redis
bulkheads         shares of the threads per kind of request
bounded_protocol  uvicorn's HTTP protocol with bounds on bytes, time and connections

request_context   id, log line and headers of each request
body_middleware   bodies read whole, within a limit
path_converters   names of the shop's own in a path, slashes included
responses         JSON responses
errors            refusals in one shape
metrics           figures for Prometheus
health            liveness and readiness

openapi           security and refusals in the OpenAPI document
asyncapi          the AsyncAPI document: events in, changes out
"""
