"""The `orders` command: every process, every look inside, every mend.

main                the command line; errors become one sentence and an exit code
options             options of every command: --data, --json
bootstrap           servers found or started, and what a command needs opened

process_commands    `orders worker`, `beat`, `up`, `migrate`
api_process         `orders api`, alone or as a child of `orders up`
processes           children: started, watched, restarted, stopped
ingest              `orders ingest`: events from files into the journal
patience            the wait of `orders ingest --wait`, and what it says meanwhile
inspect             `orders show`, `list`, `account`, `verify`
render              orders and tables in a terminal
why                 `orders why`, `dwell`: what orders wait for, and how long
preflight           `orders preflight`: what this release would strand or change
rules               orders of a release before, brought to the rules of this one
terminal            text made harmless before it is printed
corrections         `orders cancel-items`, `hold`, `release`: corrections of an order
order_decision      a person's decision about an order, in one transaction
typed_values        amounts, names and times ahead as people type them
parcel_corrections  `orders correct-fulfillment`: where a parcel stands, who carries it
parcels             `orders parcels`: what is on its way, late or silent, and why
scan                `orders scan`: what a person knows of a parcel
returns             `orders returns …`: withdrawn, received
refunds             `orders refund`, `refunds …`, `accept`: money that goes back
refund_output       refunds in a terminal
balance             `orders balance`: the money of one order or of all
given_up            `orders given-up`, `replay`: what was given up, as one list, and the way back for it
given_up_output     that list, forecasts and replays in a terminal and as JSON
replay_progress     a replay followed to its end
rebuild             `orders replay --rebuild`: one order computed anew from the journal
dead_letters        `orders dlq`, `parked list`: dead letters and look-ups one by one
dead_letter_output  dead letters in a terminal and as JSON
body_editor         an event's body, changed by hand
overdue             `orders overdue`: refunds that the law wanted back by now
audit               `orders audit`: who did what, and who looked at personal data
privacy             `orders privacy`: all that is kept of a customer, and its erasure
pauses              `orders pause`, `resume`, `pauses`: what rests, and why
reconcile           `orders reconcile`: what payment providers list, compared with ours
findings            `orders findings`: what differs there, until a person resolves it
trackers            `orders trackers`: parcels that are followed, and who is polled for them
moments             times as people type them
keys                `orders keys`: keys of the HTTP API
operators           `orders operators`: who may log in to the console
top                 `orders top`: the console's figures in a terminal
webhooks            `orders webhooks`: subscriptions and their deliveries
error_reference     the page docs/reference/errors.md, made from the tree of errors
schema              `orders schema`: the OpenAPI and AsyncAPI documents
doctor              `orders doctor`: settings with their sources, and what is wrong
doctor_report       its report in a terminal and as JSON
demo                `orders demo`; the demo itself is a room of its own
simulate            `orders simulate`: a payment provider in its real wire format
simulate_parcels    `orders simulate`: a tracking service or carrier in its wire format
bench               `orders bench`; the benchmarks are a room of their own
"""

from time import monotonic

BEGAN = monotonic()  # before a command imports what it needs
