"""The console: pages for operators, rendered here and served by the API under `/console`.

Routes are thin: what they show is read by `queries/` and `operations/`, what they do is done by `operations/`.

session          who is logged in, what they may do, forms from pages of ours
login            in and out: password, one-time link, the operator's own page
render           templates, harmless values, headers, refusals as pages
words            the words of the pages in English and Korean
korean           the Korean of the pages
korean_domain    the Korean of statuses, reasons, flags and events
sentences        events as sentences
drawings         lifecycles and charts to be drawn

pages            all routers of the console
now              the first page: figures of this moment
orders           orders found and shown, as they are and as they were known
order_acts       what may be done to an order, each with a preview
lists            pages that are one table: refunds, parked, deliveries, trackers, findings, workers
tables           a table of such a page, described
"""
