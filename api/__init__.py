"""The HTTP doors: webhooks in, the Server API, the query API, health. A 2xx to a write means committed in the journal.

query       every collection: found, counted, one by its id
server      the Server API, carts, the catalogue
inbound     webhooks of payment providers and carriers

app         every door in one application; openapi: what FastAPI cannot know of them
asyncapi    the events that come in and the webhooks that go out, described
doors       the open connections they stand on
auth        who calls, and what they may; known: keys looked up a moment ago; limits: how often
tokens      what a key is, tokens for customers
health      whether the process lives, and whether it can serve
frame       each request's id, log line and headers; body: whole, within a limit
errors      refusals in one shape; answers: the JSON of whatever is said
paths       names of the shop's own in a path, slashes included
publisher   committed events into the streams, on a thread of its own
serve       the process that serves
"""
