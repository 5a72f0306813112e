"""`orders bench`: our drain against the ways that most teams take, on the same servers and the same events.

lives         the events: whole lives of orders, and the state that each must end in
naive         (a) a Celery task an event, SQLAlchemy's ORM
psycopg_task  (b) the same with psycopg and hand-tuned SQL
noop          (c) Celery tasks that do nothing
ours          (d) our drain alone, and the full path from the journal to the result
ceiling       (e) our statements replayed: how fast PostgreSQL could be
hand          a process of its own that drains, or replays, at a word
rivals        the Celery app that (a), (b) and (c) share
peers         other libraries under the same domain, where they are installed
contenders    all of these at work, each with its database and its worker
latency       from handed in to committed, at a steady rate
measure       CPU, WAL, statements and memory, of servers and workers apart
sampling      where the drain's time goes
servers       PostgreSQL and Valkey for the run, and fresh databases in them
standing      workers that stand still until it is their turn
run           everything in alternating rounds
history       years of orders in a database, copied in SQL
scale         `orders bench scale`: growing databases, workers, shards, a backlog
api           `orders bench api`; its parts are api_lives, api_webhooks and api_queries
api_calls     a lean client that signs as Stripe does
api_serving   the API's processes, and what they cost
naive_webhook a webhook's endpoint as most teams write it
report        the table, the chart, JSON and Markdown of `orders bench`
summaries     the tables of `orders bench scale` and `orders bench api`
"""
