"""The console: pages for operators, rendered here and served by the API under `/console`.

Routes are thin: what they show is read by `queries/` and `operations/`, what they do is done by `operations/`.

pages          all routers of the console
session        who is logged in, what they may do, forms from pages of ours
outage         the first page, and the way out, while PostgreSQL is away or frozen
login          in and out: password, one-time link, the operator's own page
now            the first page: figures of this moment, and what is wrong
checks         the doctor's checks, one examination for all who watch
orders         orders found, listed and shown, as they are and as they were known
order_page     one order as its page shows it
previews       an act on an order or a refund, previewed and done
order_acts     the table of what may be done to an order, each with a preview
pauses         what rests
audit          who did what, in pages
privacy        a customer erased, by an admin
given_up       what was given up: by cause, found, shown, and its replays
given_up_acts  what may be done to it: edits, discards, replays, each previewed
lists          pages that are one table: refunds, parked, deliveries, trackers, findings, workers

render         templates, harmless values, headers, refusals as pages
tables         a table of a page, described
times          times as the addresses of its pages have them, in UTC
drawings       lifecycles and charts, as figures to be drawn
sentences      events as sentences
words          the words of the pages, by language
korean         the Korean of the pages
korean_audit   the Korean of pauses and of the audit
korean_domain  the Korean of statuses, reasons, flags and events
korean_causes  the Korean of the causes of what was given up, and of acts on it
korean_refusals  the Korean of forms that are refused

templates      pages and parts of pages, for Jinja2
static         the style, htmx, the icon
"""
