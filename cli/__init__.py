"""The `orders` command: every process, every look inside, every mend.

main       the command line; errors become one sentence and an exit code
options    what every command takes: --data, --json
opening    finds the servers, or starts them, and opens what a command needs
running    worker, beat, up, migrate
ingest     events from files into the journal
patience   how long `ingest --wait` waits, and what it says meanwhile
looking    show, list, account, verify
showing    how orders and tables look in a terminal
mending    dead letters, parked events, replay
letters    how they look
editing    an event's body, changed by hand
keys       the HTTP API's keys: add, list, revoke
webhooks   who is told of changes, and what they did not take
serving    the HTTP API, alone or as a child
schema     the OpenAPI and AsyncAPI documents
doctor     settings with their sources, and what is wrong; a room of its own
bench      how fast, against what one would write otherwise
demo       whole lives of orders, with everything that goes wrong; its parts are
lives      what is played
stage      what it is played on
player     plays it, and lets the bad moments happen
sender     brings it through the HTTP doors
figures    one look at how far it is; display shows it
examining  what is asked at the end
processes  workers, beat and simulators: started, watched, restarted, stopped
"""

from time import monotonic

BEGAN = monotonic()  # before a command imports what it needs
