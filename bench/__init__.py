"""The benchmarks: our drain against the ways that most teams take, on the same servers and the same events.

run             `orders bench`: everything in alternating rounds
report          its table, chart, JSON and Markdown
scale           `orders bench scale`: growing databases, workers, shards, a backlog
api             `orders bench api`: lives, webhooks and queries over HTTP
console         `orders bench console`: its pages, and what watching costs
summaries       the tables of the last three

workload        the events: whole lives of orders, and the state that each must end in
contestants     all systems at work, each with its database and its worker
baseline_app    the Celery app that (a), (b) and (c) share
orm_task        (a) a Celery task per event, SQLAlchemy's ORM
psycopg_task    (b) the same with psycopg and hand-tuned SQL
noop            (c) Celery tasks that do nothing
product         (d) our drain alone, and the full path from the journal to the result
replay_ceiling  (e) our statements replayed: how fast PostgreSQL could be
peers           other libraries under the same domain, where they are installed

servers         PostgreSQL and Valkey for the run, and fresh databases in them
drain_process   a process that drains, or replays, at a word
paused_worker   workers that stand still until it is their turn
history_seed    years of orders in a database, copied in SQL
latency         the time from handed in to committed, at a steady rate
measure         CPU, WAL, statements and memory, of servers and workers apart
samples         the parts of the drain's time

telemetry_cost  the cost of counting for the drain, in paired runs
api_calls       a lean HTTP client that signs as a provider does
api_process     the API's processes, and what they cost
api_workload    whole lives of orders over HTTP
api_webhooks    our webhook endpoint beside a usual one
api_queries     a customer's newest orders, in a small shop and a large one
naive_webhook   a webhook endpoint as most teams write it
"""
